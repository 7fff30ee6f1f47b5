"""Signed notes, checkpoints and note keys as text: one form each, all else refused."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.checkpoint import (
    ED25519,
    Checkpoint,
    Note,
    NoteKey,
    NoteSignature,
    format_note,
    format_vkey,
    note_key_id,
    parse_checkpoint,
    parse_note,
    parse_vkey,
)
from protocol.encoding import to_base64
from protocol.errors import LimitError, MalformedError, ProtocolError
from protocol.merkle import EMPTY_ROOT

ORIGIN = "hotline.example/log/1"
ROOT64 = to_base64(EMPTY_ROOT)
LINE = NoteSignature(ORIGIN, b"\x00\x01\x02\x03", bytes(64))
LINE_TEXT = f"\u2014 {ORIGIN} {to_base64(LINE.key_id + LINE.raw)}\n"

# --- checkpoints


def test_a_checkpoint_is_three_lines():
    checkpoint = Checkpoint(ORIGIN, 42, EMPTY_ROOT)
    text = f"{ORIGIN}\n42\n{ROOT64}\n"
    assert checkpoint.to_text() == text
    assert parse_checkpoint(text) == checkpoint


def test_extension_lines_are_kept_as_they_were_signed():
    text = f"{ORIGIN}\n42\n{ROOT64}\nfirst line\n second\u0085\u2028line \n"
    checkpoint = parse_checkpoint(text)
    assert checkpoint.extensions == ("first line", " second\u0085\u2028line ")
    assert checkpoint.to_text() == text


def test_an_origin_need_not_look_like_an_address():
    text = f"Das Log + mehr\n0\n{ROOT64}\n"
    assert parse_checkpoint(text).origin == "Das Log + mehr"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n42\n",
        f"{ORIGIN}\n42\n{ROOT64}",
        f"{ORIGIN}\n42\n{ROOT64}\nextension",
    ],
)
def test_a_checkpoint_without_its_three_ended_lines_is_refused(text):
    with pytest.raises(MalformedError, match="three lines"):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "text",
    [
        f"\n42\n{ROOT64}\n",
        f"{ORIGIN}\n42\n{ROOT64}\n\n",
        f"{ORIGIN}\r\n42\n{ROOT64}\n",
        f"{ORIGIN}\n42\n{ROOT64}\na\tb\n",
        f"{ORIGIN}\0\n42\n{ROOT64}\n",
        f"{ORIGIN}\ud800\n42\n{ROOT64}\n",
    ],
)
def test_a_line_that_is_empty_or_has_control_characters_is_refused(text):
    with pytest.raises(MalformedError, match="line of a checkpoint"):
        parse_checkpoint(text)


NOT_DECIMAL = ["", "-1", "+1", " 42", "42 ", "4_2", "0x2a", "4.2", "4²", "\u0664\u0662", "4\u0662"]


@pytest.mark.parametrize("size", [*NOT_DECIMAL, "00", "042"])
def test_a_size_in_another_form_is_refused(size):
    with pytest.raises(MalformedError, match="decimal number"):
        parse_checkpoint(f"{ORIGIN}\n{size}\n{ROOT64}\n")


def test_the_greatest_size_is_taken_and_a_greater_one_refused():
    assert parse_checkpoint(f"{ORIGIN}\n{2**53 - 1}\n{ROOT64}\n").size == 2**53 - 1
    for size in (str(2**53), str(2**63), str(2**64), "9" * 5_000):
        with pytest.raises(LimitError, match="at most"):
            parse_checkpoint(f"{ORIGIN}\n{size}\n{ROOT64}\n")


@pytest.mark.parametrize(
    ("root", "complaint"),
    [
        (to_base64(bytes(31)), "32 bytes"),
        (to_base64(bytes(33)), "32 bytes"),
        (EMPTY_ROOT.hex(), "32 bytes"),
        (ROOT64.rstrip("="), "base64"),
        (ROOT64.replace("+", "-").replace("/", "_"), "base64"),
        (f"{ROOT64[:-2]}V=", "canonical"),
        (f" {ROOT64}", "base64"),
        ("é" * 44, "base64"),
    ],
)
def test_a_root_in_another_form_is_refused(root, complaint):
    with pytest.raises(MalformedError, match=complaint):
        parse_checkpoint(f"{ORIGIN}\n42\n{root}\n")


def test_a_checkpoint_longer_than_a_note_is_refused():
    head = f"{ORIGIN}\n42\n{ROOT64}\n"
    longest = head + "x" * (limits.MAX_NOTE_BYTES - len(head) - 1) + "\n"
    assert parse_checkpoint(longest).size == 42
    with pytest.raises(LimitError, match="bytes"):
        parse_checkpoint("x" + longest)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Checkpoint("", 0, EMPTY_ROOT),
        lambda: Checkpoint("two\nlines", 0, EMPTY_ROOT),
        lambda: Checkpoint(ORIGIN, -1, EMPTY_ROOT),
        lambda: Checkpoint(ORIGIN, 0, bytes(31)),
        lambda: Checkpoint(ORIGIN, 0, EMPTY_ROOT, ("",)),
    ],
)
def test_a_checkpoint_that_could_not_be_written_cannot_be_made(make):
    with pytest.raises(MalformedError):
        make()


def test_a_checkpoint_of_too_great_a_log_cannot_be_made():
    with pytest.raises(LimitError, match="at most"):
        Checkpoint(ORIGIN, limits.MAX_LOG_SIZE + 1, EMPTY_ROOT)


# --- notes


def test_a_note_is_a_text_an_empty_line_and_signature_lines():
    data = f"Text.\n\n{LINE_TEXT}".encode()
    assert parse_note(data) == Note("Text.\n", (LINE,))
    assert format_note(Note("Text.\n", (LINE,))) == data


def test_the_last_empty_line_parts_the_text_from_the_signatures():
    text = f"trafitto\n\n\ned è sera.\n\n{LINE_TEXT}"
    note = parse_note(f"{text}\n{LINE_TEXT}".encode())
    assert note == Note(text, (LINE,))
    assert parse_note(f"\n\n{LINE_TEXT}".encode()).text == "\n"


def test_sixteen_signatures_are_read_and_seventeen_refused():
    assert limits.MAX_SIGNATURES >= 16  # signed-note: verifiers accept at least that many
    most = limits.MAX_SIGNATURES
    assert len(parse_note(f"Text.\n\n{LINE_TEXT * most}".encode()).signatures) == most
    with pytest.raises(LimitError, match="signatures"):
        parse_note(f"Text.\n\n{LINE_TEXT * (most + 1)}".encode())
    with pytest.raises(LimitError, match="signatures"):
        Note("Text.\n", (LINE,) * (most + 1))


def test_a_note_longer_than_allowed_is_refused_on_both_sides():
    room = limits.MAX_NOTE_BYTES - len(f"\n\n{LINE_TEXT}".encode())
    longest = Note("x" * room + "\n", (LINE,))
    assert parse_note(format_note(longest)) == longest
    with pytest.raises(LimitError, match="bytes"):
        format_note(Note("x" * (room + 1) + "\n", (LINE,)))
    with pytest.raises(LimitError, match="bytes"):
        parse_note(b"x" + format_note(longest))


def test_a_note_that_is_not_utf8_is_refused():
    for wrong in (b"\xff", b"\xc0\x8a", b"\xed\xa0\x80", b"\xe2\x80"):
        with pytest.raises(MalformedError, match="UTF-8"):
            parse_note(b"Text." + wrong + f"\n\n{LINE_TEXT}".encode())


@pytest.mark.parametrize("control", [chr(code) for code in range(0x20) if chr(code) != "\n"])
def test_a_control_character_other_than_newline_is_refused(control):
    with pytest.raises(MalformedError, match="controls"):
        parse_note(f"Te{control}xt.\n\n{LINE_TEXT}".encode())
    with pytest.raises(MalformedError):
        parse_note(f"Text.\n\n{LINE_TEXT.replace('hotline', f'hot{control}line')}".encode())


@pytest.mark.parametrize(
    "data",
    [
        "",
        "\n",
        "Text.\n",
        LINE_TEXT,
        f"Text.\n{LINE_TEXT}",
        f"Text.\n\n{LINE_TEXT.rstrip()}",
        f"Text.\n\n{LINE_TEXT}rest",
    ],
)
def test_a_note_without_its_parts_is_refused(data):
    with pytest.raises(MalformedError, match="A note is a text"):
        parse_note(data.encode())


@pytest.mark.parametrize(
    "line",
    [
        "",
        LINE_TEXT.replace("\u2014", "-"),
        LINE_TEXT.replace("\u2014", "\u2013"),
        LINE_TEXT.replace("\u2014 ", "\u2014"),
        LINE_TEXT.replace("\u2014 ", "\u2014\u00a0"),
        f" {LINE_TEXT}",
    ],
)
def test_a_signature_line_that_does_not_start_with_an_em_dash_is_refused(line):
    with pytest.raises(MalformedError):
        parse_note(f"Text.\n\n{line}".encode())


@pytest.mark.parametrize(
    "rest",
    [
        "",
        ORIGIN,
        f"{ORIGIN} ",
        f"{ORIGIN} AAECAw==",
        f"{ORIGIN} AAECAwQ",
        f"{ORIGIN} AAECAwR=",
        f"{ORIGIN} AAECAw-_",
        f"{ORIGIN} AAECAwQ= ",
        f"{ORIGIN}  AAECAwQ=",
        f"{ORIGIN} AAECAwQ= AAECAwQ=",
        " AAECAwQ=",
        "a+b AAECAwQ=",
        "a\u2003b AAECAwQ=",
    ],
)
def test_a_signature_line_in_another_form_is_refused(rest):
    assert parse_note(f"Text.\n\n\u2014 {ORIGIN} AAECAwQ=\n".encode()).signatures[0].raw == b"\x04"
    with pytest.raises(MalformedError):
        parse_note(f"Text.\n\n\u2014 {rest}\n".encode())


@pytest.mark.parametrize(
    "make",
    [
        lambda: NoteSignature("", bytes(4), bytes(64)),
        lambda: NoteSignature("a b", bytes(4), bytes(64)),
        lambda: NoteSignature("a\nb", bytes(4), bytes(64)),
        lambda: NoteSignature("a\x01b", bytes(4), bytes(64)),
        lambda: NoteSignature("a\udc80b", bytes(4), bytes(64)),
        lambda: NoteSignature(ORIGIN, bytes(3), bytes(64)),
        lambda: NoteSignature(ORIGIN, bytes(4), b""),
        lambda: Note("Text.", (LINE,)),
        lambda: Note("\ud800\n", (LINE,)),
        lambda: Note("Text.\n", ()),
    ],
)
def test_a_note_that_could_not_be_written_cannot_be_made(make):
    with pytest.raises(MalformedError):
        make()


# --- keys


def test_a_note_key_id_is_computed_as_signed_note_recommends():
    expected = sha256(b"a.example\n\x01" + bytes(32)).digest()[:4]
    assert note_key_id("a.example", ED25519, bytes(32)) == expected
    assert NoteKey("a.example", ED25519, bytes(32)).key_id == expected
    assert note_key_id("a.example", 0x04, bytes(32)) != expected


def test_a_note_key_is_written_and_read_again():
    for key in (NoteKey(ORIGIN, ED25519, bytes(range(32))), NoteKey("a", 0xFF, b"longer name")):
        assert parse_vkey(format_vkey(key)) == key


def test_a_note_key_does_not_show_its_bytes():
    assert "public_key" not in repr(NoteKey(ORIGIN, ED25519, bytes(32)))


def test_a_note_key_with_any_character_changed_is_refused():
    text = format_vkey(NoteKey(ORIGIN, ED25519, bytes(range(32))))
    for place in range(len(text)):
        for other in "A0 +":
            if other != text[place]:
                with pytest.raises(MalformedError):
                    parse_vkey(text[:place] + other + text[place + 1 :])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "form"),
        ("a", "form"),
        ("a+00000000+", "form"),
        ("a+0000000+AQ==", "form"),
        ("a+0000000G+AQ==", "form"),
        ("a+00000000+Ag==", "missing"),
        ("a+00000000+AQAA", "32 bytes"),
        ("a+00000000+AgAA", "does not fit"),
        ("a+00000000+AgA", "base64"),
        ("+00000000+AgAA", "name"),
        ("a b+00000000+AgAA", "name"),
    ],
)
def test_a_note_key_in_another_form_is_refused(text, complaint):
    with pytest.raises(MalformedError, match=complaint):
        parse_vkey(text)


def test_a_note_key_longer_than_a_note_is_refused():
    with pytest.raises(LimitError, match="bytes"):
        parse_vkey("x" * (limits.MAX_NOTE_BYTES + 1))


@pytest.mark.parametrize("algorithm", [-1, 256])
def test_a_signature_type_is_one_byte(algorithm):
    with pytest.raises(MalformedError, match="one byte"):
        NoteKey(ORIGIN, algorithm, bytes(32))


# --- any bytes

NOTE_PIECES = st.lists(
    st.sampled_from(
        [
            ORIGIN,
            "\n",
            "\n\n",
            "42",
            ROOT64,
            LINE_TEXT,
            "\u2014 ",
            " ",
            "+",
            "AAECAwQ=",
            "\r",
            "\x85",
        ]
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)


@given(st.binary(max_size=200) | NOTE_PIECES.map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_a_note_with_this_one_form_or_refused(data):
    try:
        note = parse_note(data)
    except ProtocolError:
        return
    assert format_note(note) == data


@given(
    NOTE_PIECES | st.builds(f"{ORIGIN}\n{{}}\n{ROOT64}\n{{}}".format, st.integers(), NOTE_PIECES)
)
def test_any_text_is_a_checkpoint_with_this_one_form_or_refused(text):
    try:
        checkpoint = parse_checkpoint(text)
    except ProtocolError:
        return
    assert checkpoint.to_text() == text


@given(st.text(max_size=80) | st.builds("{}+{}+{}".format, st.text(), st.text(), st.text()))
def test_any_text_is_a_note_key_with_this_one_form_or_refused(text):
    try:
        key = parse_vkey(text)
    except ProtocolError:
        return
    assert format_vkey(key) == text


NAMES = st.text(min_size=1, max_size=8).filter(lambda name: not set(name) & set(" +"))
SIGNATURES = st.builds(
    NoteSignature,
    NAMES.filter(lambda name: name.isprintable()),
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=1, max_size=80),
)
TEXTS = st.text(st.characters(blacklist_categories=["Cc", "Cs"]) | st.just("\n")).map("{}\n".format)


@given(st.builds(Note, TEXTS, st.lists(SIGNATURES, min_size=1, max_size=16).map(tuple)))
def test_any_note_that_can_be_made_is_read_back(note):
    assert parse_note(format_note(note)) == note
