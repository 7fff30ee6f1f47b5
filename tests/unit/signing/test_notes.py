"""Which signed checkpoints are believed."""

import pytest

from protocol.checkpoint import (
    ED25519,
    Checkpoint,
    Note,
    NoteSignature,
    format_note,
    note_key_id,
    parse_note,
)
from protocol.errors import (
    BadSignatureError,
    LimitError,
    MalformedError,
    RevokedError,
    UnknownKeyError,
)
from protocol.merkle import Frontier
from signing.keys import KeyUse, PublicKey, SigningKey
from signing.notes import drop_false_lines, open_checkpoint, open_signed, sign_checkpoint

ORIGIN = "hotline.example/log/1"
KEY = SigningKey.from_seed(KeyUse.LOG, bytes(range(32)))
OTHER_KEY = SigningKey.from_seed(KeyUse.LOG, bytes(range(1, 33)))
CHECKPOINT = Checkpoint(ORIGIN, 3, Frontier.EMPTY.append([b"a", b"b", b"c"]).root())
NOTE = parse_note(sign_checkpoint(CHECKPOINT, KEY))
(OWN_LINE,) = NOTE.signatures


def line_by(key: SigningKey, name: str, text: str) -> NoteSignature:
    return NoteSignature(name, note_key_id(name, ED25519, key.public.raw), key.sign(text.encode()))


def opened(text: str, *lines: NoteSignature) -> Checkpoint:
    return open_checkpoint(format_note(Note(text, lines)), origin=ORIGIN, key=KEY.public)


def test_a_signed_checkpoint_is_opened_with_the_public_key():
    data = sign_checkpoint(CHECKPOINT, KEY)
    assert open_checkpoint(data, origin=ORIGIN, key=KEY.public) == CHECKPOINT


def test_a_checkpoint_is_signed_under_its_origin_with_type_one():
    assert NOTE.text == CHECKPOINT.to_text()
    assert line_by(KEY, ORIGIN, CHECKPOINT.to_text()) == OWN_LINE


@pytest.mark.parametrize("use", [use for use in KeyUse if use is not KeyUse.LOG])
def test_only_a_key_of_a_log_signs_and_opens_checkpoints(use):
    key = SigningKey.from_seed(use, bytes(range(32)))
    with pytest.raises(RuntimeError, match="log"):
        sign_checkpoint(CHECKPOINT, key)
    with pytest.raises(RevokedError, match="not for the signing of checkpoints"):
        open_checkpoint(sign_checkpoint(CHECKPOINT, KEY), origin=ORIGIN, key=key.public)


def test_our_own_checkpoints_have_no_extension_lines():
    with pytest.raises(RuntimeError, match="extension"):
        sign_checkpoint(Checkpoint(ORIGIN, 0, CHECKPOINT.root, ("more",)), KEY)


def test_an_origin_that_is_no_key_name_is_not_signed():
    with pytest.raises(MalformedError, match="name"):
        sign_checkpoint(Checkpoint("a log", 0, CHECKPOINT.root), KEY)


def test_the_extension_lines_of_another_log_are_kept():
    text = CHECKPOINT.to_text() + "more\n"
    assert opened(text, line_by(KEY, ORIGIN, text)).extensions == ("more",)


def test_lines_of_unknown_keys_are_ignored_before_and_behind():
    other_name = line_by(KEY, "witness.example/w1", NOTE.text)
    other_key = line_by(OTHER_KEY, ORIGIN, NOTE.text)
    nonsense = NoteSignature("witness.example/w2", bytes(4), b"\x00")
    same_id = NoteSignature("witness.example/w3", OWN_LINE.key_id, bytes(64))
    lines = (other_name, other_key, OWN_LINE, nonsense, same_id, nonsense)
    assert opened(NOTE.text, *lines) == CHECKPOINT


def test_a_note_without_a_line_of_the_key_is_refused():
    with pytest.raises(UnknownKeyError, match="no signature"):
        opened(NOTE.text, line_by(OTHER_KEY, ORIGIN, NOTE.text))
    with pytest.raises(UnknownKeyError, match="no signature"):
        opened(NOTE.text, line_by(KEY, "other.example/log/1", NOTE.text))


def test_a_bad_signature_of_the_key_refuses_the_whole_note():
    for raw in (bytes(64), OWN_LINE.raw[:-1], OWN_LINE.raw + b"\x00", OTHER_KEY.sign(b"other")):
        with pytest.raises(BadSignatureError):
            opened(NOTE.text, NoteSignature(ORIGIN, OWN_LINE.key_id, raw))


def test_a_key_whose_id_collides_does_not_sign_for_the_log():
    forged = NoteSignature(ORIGIN, OWN_LINE.key_id, OTHER_KEY.sign(NOTE.text.encode()))
    with pytest.raises(BadSignatureError):
        opened(NOTE.text, forged)


def test_two_lines_of_the_key_are_refused_even_if_one_is_good():
    bad = NoteSignature(ORIGIN, OWN_LINE.key_id, bytes(64))
    for lines in ((OWN_LINE, OWN_LINE), (OWN_LINE, bad), (bad, OWN_LINE)):
        with pytest.raises(MalformedError, match="two signatures"):
            opened(NOTE.text, *lines)


def test_a_signature_for_another_text_is_refused():
    later = Checkpoint(ORIGIN, 4, CHECKPOINT.root).to_text()
    with pytest.raises(BadSignatureError):
        opened(later, OWN_LINE)


def test_a_checkpoint_of_another_origin_under_the_own_name_is_refused():
    text = Checkpoint("other.example/log/1", 3, CHECKPOINT.root).to_text()
    with pytest.raises(MalformedError, match="another log"):
        opened(text, line_by(KEY, ORIGIN, text))


def test_a_signed_text_that_is_no_checkpoint_is_refused():
    text = "Not a checkpoint.\n"
    with pytest.raises(MalformedError, match="three lines"):
        opened(text, line_by(KEY, ORIGIN, text))


def test_a_signed_size_beyond_the_limit_is_refused():
    text = CHECKPOINT.to_text().replace("\n3\n", f"\n{2**53}\n")
    with pytest.raises(LimitError, match="at most"):
        opened(text, line_by(KEY, ORIGIN, text))


def test_bytes_that_are_no_note_are_refused():
    for data in (b"", b"\xff", NOTE.text.encode()):
        with pytest.raises(MalformedError):
            open_checkpoint(data, origin=ORIGIN, key=KEY.public)


def test_the_key_of_a_log_is_looked_up_by_its_pinned_origin():
    data = sign_checkpoint(CHECKPOINT, KEY)
    with pytest.raises(UnknownKeyError):
        open_checkpoint(data, origin="hotline.example/log/2", key=KEY.public)
    with pytest.raises(UnknownKeyError):
        open_checkpoint(data, origin=ORIGIN, key=PublicKey(KeyUse.LOG, OTHER_KEY.public.raw))


def test_a_checkpoint_signed_with_two_keys_of_a_log_is_believed_by_whoever_knows_one():
    data = sign_checkpoint(CHECKPOINT, KEY, OTHER_KEY)
    for keys in ((KEY,), (OTHER_KEY,), (OTHER_KEY, KEY)):
        found = open_signed(data, origin=ORIGIN, keys=[one.public for one in keys])
        assert found == CHECKPOINT


def test_one_bad_signature_of_a_known_key_refuses_the_note_whoever_else_has_signed():
    bad = NoteSignature(ORIGIN, line_by(OTHER_KEY, ORIGIN, NOTE.text).key_id, bytes(64))
    data = format_note(Note(NOTE.text, (OWN_LINE, bad)))
    with pytest.raises(BadSignatureError):
        open_signed(data, origin=ORIGIN, keys=[KEY.public, OTHER_KEY.public])
    assert open_signed(data, origin=ORIGIN, keys=[KEY.public]) == CHECKPOINT


def test_a_log_without_a_valid_key_is_not_believed():
    with pytest.raises(UnknownKeyError):
        open_signed(sign_checkpoint(CHECKPOINT, KEY), origin=ORIGIN, keys=[])


def test_no_second_key_of_another_use_signs_a_checkpoint():
    other = SigningKey.from_seed(KeyUse.WITNESS, bytes(range(32)))
    with pytest.raises(RuntimeError, match="log"):
        sign_checkpoint(CHECKPOINT, KEY, other)
    with pytest.raises(RevokedError):
        open_signed(
            sign_checkpoint(CHECKPOINT, KEY), origin=ORIGIN, keys=[KEY.public, other.public]
        )


def test_lines_of_the_log_that_do_not_hold_are_dropped_and_all_others_stay():
    other_line = line_by(OTHER_KEY, ORIGIN, NOTE.text)
    false = NoteSignature(ORIGIN, OWN_LINE.key_id, bytes(64))
    unknown = NoteSignature(ORIGIN, b"\x01\x02\x03\x04", bytes(64))
    witness = NoteSignature("w.example/witness", OWN_LINE.key_id, bytes(72))
    keys = [KEY.public, OTHER_KEY.public]

    def kept(*lines: NoteSignature) -> tuple[NoteSignature, ...] | None:
        found = drop_false_lines(format_note(Note(NOTE.text, lines)), origin=ORIGIN, keys=keys)
        return None if found is None else parse_note(found).signatures

    assert kept(OWN_LINE, other_line, witness) == (OWN_LINE, other_line, witness)
    assert kept(false, unknown, witness, OWN_LINE) == (witness, OWN_LINE)
    assert kept(OWN_LINE, OWN_LINE) == (OWN_LINE,), "two lines of one key make the note unreadable"
    assert kept(false, unknown, witness) is None
