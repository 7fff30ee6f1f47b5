"""Any bytes into any parser: a value or a ProtocolError, and nothing else."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from payloads import MESSAGES, PAYLOADS, TYPES, to_bytes
from protocol import limits
from protocol.categories import parse_vocabulary
from protocol.checkpoint import parse_checkpoint, parse_note, parse_vkey
from protocol.descriptors import NodeDescriptor, fingerprint_of, parse_fingerprint
from protocol.encoding import (
    format_time,
    from_base64,
    from_base64url,
    parse_json,
    parse_time,
    to_base64,
    to_base64url,
)
from protocol.envelope import encode_envelope, kind_of, parse_envelope, payload_type
from protocol.errors import ProtocolError
from protocol.fields import check_url
from protocol.kinds import KINDS, parse_statement
from protocol.messages import parse_message
from protocol.pdq import parse_pdq
from protocol.statements import parse_as

QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
MIB = 1 << 20

ENVELOPE = {
    "payload": to_base64(to_bytes(PAYLOADS["erase"])),
    "payloadType": payload_type("erase"),
    "signatures": [{"keyid": "0f" * 16, "sig": to_base64(bytes(64))}],
}

Parser = Callable[[bytes], Any]
BYTE_PARSERS: dict[str, tuple[Parser, Any]] = {
    "json": (lambda data: parse_json(data, max_bytes=MIB), {}),
    "envelope": (parse_envelope, ENVELOPE),
    "vocabulary": (parse_vocabulary, {"name": "a", "version": 1, "categories": []}),
    "note": (parse_note, {}),
    "node-descriptor": (lambda data: parse_as(NodeDescriptor, data), PAYLOADS["node-descriptor"]),
    **{
        kind: (lambda data, kind=kind: parse_statement(kind, data), PAYLOADS[kind])
        for kind in KINDS
    },
    **{
        kind.__name__: (lambda data, kind=kind: parse_message(kind, data, max_bytes=MIB), value)
        for kind, value in MESSAGES.items()
    },
}
TEXT_PARSERS: dict[str, Callable[[str], Any]] = {
    "base64": from_base64,
    "base64url": from_base64url,
    "base64url of 32": lambda text: from_base64url(text, length=32),
    "time": parse_time,
    "fingerprint": parse_fingerprint,
    "kind": kind_of,
    "checkpoint": parse_checkpoint,
    "vkey": parse_vkey,
    "pdq": parse_pdq,
    "url": check_url,
    "https": lambda text: check_url(f"https://{text}"),
    "unknown kind": lambda text: parse_statement(text, b"{}"),
}
EVERY_BYTES = pytest.mark.parametrize("name", BYTE_PARSERS)
EVERY_TEXT = pytest.mark.parametrize("name", TEXT_PARSERS)


def outcome(parse: Callable[[Any], Any], value: Any) -> Any:
    """What the parser gave, or its refusal; anything else is raised on."""
    try:
        return parse(value)
    except ProtocolError as error:
        return error


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.sampled_from([2**53 - 1, 2**53, 1 - 2**53, -(2**53), 10**40])
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["", "\0", "\ud800", "\udfff\ud800", "\ufeff", "peers", "2026-11-22T10:00:00Z"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


def spelt(value: Any, ascii_only: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


@EVERY_BYTES
@given(data=st.binary(max_size=300))
@QUICK
@example(data=b"")
def test_any_bytes_give_a_value_or_a_refusal(name, data):
    outcome(BYTE_PARSERS[name][0], data)


@EVERY_BYTES
@given(value=values, ascii_only=st.booleans())
@QUICK
def test_any_json_gives_a_value_or_a_refusal(name, value, ascii_only):
    outcome(BYTE_PARSERS[name][0], spelt(value, ascii_only))


@EVERY_BYTES
@given(data=st.data())
@QUICK
def test_a_good_text_with_one_part_replaced_gives_a_value_or_a_refusal(name, data):
    parse, good = BYTE_PARSERS[name]
    value = json.loads(json.dumps(good))
    holder, key = value, None
    while isinstance(holder, dict | list) and holder:
        key = data.draw(
            st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder)))
        )
        if data.draw(st.booleans()) or not isinstance(holder[key], dict | list) or not holder[key]:
            holder[key] = data.draw(values)
            break
        holder = holder[key]
    outcome(parse, spelt(value, data.draw(st.booleans())))


@EVERY_BYTES
@given(data=st.data())
@QUICK
def test_a_good_text_with_bytes_changed_or_cut_gives_a_value_or_a_refusal(name, data):
    parse, good = BYTE_PARSERS[name]
    text = bytearray(to_bytes(good))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 4))] = data.draw(
            st.binary(max_size=3)
            | st.sampled_from([b'"', b"\\u", b"\\ud800", b"{", b"[", b",", b"\0", b"1e9", b"-"])
        )
    outcome(parse, bytes(text))


ADVERSARIAL = {
    "brackets": b"[" * MIB,
    "closed brackets": b"[" * (MIB // 2) + b"]" * (MIB // 2),
    "objects": b'{"a":' * (MIB // 5),
    "objects in a known field": b'{"items":' * 5_000,
    "digits": b"9" * MIB,
    "minus signs": b"-" * MIB,
    "a long fraction": b"0." + b"1" * (MIB - 2),
    "a great exponent": b"1e" + b"9" * (MIB - 2),
    "spaces": b" " * MIB,
    "quotes": b'"' * MIB,
    "backslashes": b'"' + b"\\" * (MIB - 1),
    "surrogates": b'"' + b"\\ud800" * (MIB // 6 - 1) + b'"',
    "a long text": b'"' + b"a" * (MIB - 2) + b'"',
    "commas": b"[" + b"0," * (MIB // 2 - 1) + b"0]",
    "one key many times": b"{" + b'"a":0,' * (MIB // 6 - 2) + b'"a":0}',
    "many keys": b"{" + b",".join(b'"%d":0' % n for n in range(90_000)) + b"}",
    "NUL": b"\0" * MIB,
    "byte-order marks": b"\xef\xbb\xbf" * 1000,
    "UTF-16": "{}".encode("utf-16"),
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "CESU surrogates": b'"\xed\xa0\xbd\xed\xb8\x80"',
    "NaN": b'{"items":NaN,"version":Infinity,"size":-Infinity}',
    "minus zero": b'{"start":-0,"limit":-0,"epoch":-0}',
    "2^53": b'{"start":9007199254740992,"size":9007199254740993}',
    "too long": b"[" + b" " * MIB + b"]",
}


@EVERY_BYTES
@pytest.mark.parametrize("bad", ADVERSARIAL)
def test_hostile_json_gives_a_value_or_a_refusal(name, bad):
    outcome(BYTE_PARSERS[name][0], ADVERSARIAL[bad])


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("size", [100_000])
def test_a_field_full_of_what_nearly_fits_gives_a_refusal(kind, size):
    """Patterns must not take more than linear time on what they refuse at its end."""
    nearly = [
        "a" * size,
        "a." * size,
        "a-" * size,
        "a." * size + "!",
        "circle:" + "a" * size,
        "0" * size,
    ]
    for field in PAYLOADS[kind]:
        for text in nearly:
            for value in (text, [text], {"reviewers": text, "reviewed": text}):
                data = to_bytes({**PAYLOADS[kind], field: value})
                assert isinstance(
                    outcome(lambda one: parse_as(TYPES[kind], one), data), ProtocolError
                )


@EVERY_TEXT
@given(text=st.text(max_size=100) | st.text("AQgw=+/-_.:[]0129xnTZ\n ", max_size=100))
@QUICK
def test_any_text_gives_a_value_or_a_refusal(name, text):
    outcome(TEXT_PARSERS[name], text)


@EVERY_TEXT
@pytest.mark.parametrize("text", ["\ud800" * 36, "\0" * 36, "é" * 36, "A" * MIB, "\n", "=" * 8])
def test_hostile_text_gives_a_value_or_a_refusal(name, text):
    outcome(TEXT_PARSERS[name], text)


@given(values)
@QUICK
def test_json_that_is_read_is_what_python_reads(value):
    text = spelt(value, ascii_only=True)
    found = outcome(lambda data: parse_json(data, max_bytes=MIB), text)
    if not isinstance(found, ProtocolError):
        assert found == json.loads(text)
        assert parse_json(spelt(found, ascii_only=False), max_bytes=MIB) == found


@given(st.binary(max_size=200))
def test_binary_is_written_and_read_in_one_spelling(data):
    assert from_base64(to_base64(data)) == data
    assert from_base64url(to_base64url(data)) == data


@given(st.text("ABab01+/=-_", max_size=12))
def test_whatever_base64_is_read_is_the_only_spelling_of_its_bytes(text):
    for read, write in ((from_base64, to_base64), (from_base64url, to_base64url)):
        found = outcome(read, text)
        if not isinstance(found, ProtocolError):
            assert write(found) == text


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_an_instant_is_written_and_read_in_one_spelling(unix_s):
    text = format_time(unix_s)
    assert len(text) == 20
    assert parse_time(text) == unix_s
    assert datetime.fromtimestamp(unix_s, UTC).isoformat() == f"{text[:-1]}+00:00"


@given(st.lists(st.integers(-62_135_596_800, 253_402_300_799), max_size=9))
def test_instants_sort_as_their_texts_do(instants):
    assert sorted(map(format_time, instants)) == [format_time(one) for one in sorted(instants)]


@given(st.binary(min_size=32, max_size=32), st.data())
def test_a_fingerprint_is_read_back_however_it_is_typed(raw, data):
    shown = fingerprint_of(raw.hex())
    typed = "".join(
        data.draw(st.sampled_from([char, char.upper(), f" {char}", f"{char}-"])) for char in shown
    )
    assert parse_fingerprint(typed) == shown


@given(st.text(max_size=40))
def test_a_payload_type_is_read_as_the_kind_it_was_made_of(kind):
    assert kind_of(payload_type(kind)) == kind


def test_a_good_envelope_is_read_and_written():
    found = parse_envelope(to_bytes(ENVELOPE))
    assert json.loads(encode_envelope(found)) == ENVELOPE
    assert limits.MAX_ENVELOPE_BYTES == MIB
