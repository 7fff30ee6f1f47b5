"""DSSE envelopes: form, PAE and statement id."""

import hashlib
import json

import pytest

from protocol import limits
from protocol.encoding import to_base64
from protocol.envelope import (
    MAX_SPELLING_BYTES,
    Envelope,
    Signature,
    encode_envelope,
    kind_of,
    pae,
    parse_envelope,
    payload_type,
    statement_id,
)
from protocol.errors import LimitError, MalformedError

KEYID = "0f" * 16
TYPE = "application/vnd.schutznetz.media-flag.v1+json"
ENVELOPE = Envelope(TYPE, b'{"a":"\xc3\xbc"}', (Signature(KEYID, bytes(range(64))),))


def wire(**changes) -> bytes:
    values = {
        "payload": to_base64(ENVELOPE.payload),
        "payloadType": TYPE,
        "signatures": [{"keyid": KEYID, "sig": to_base64(bytes(range(64)))}],
        **changes,
    }
    return json.dumps({key: value for key, value in values.items() if value is not ...}).encode()


def signature(**changes) -> dict:
    values = {"keyid": KEYID, "sig": to_base64(bytes(64)), **changes}
    return {key: value for key, value in values.items() if value is not ...}


def test_an_envelope_is_read_and_written():
    assert parse_envelope(wire()) == ENVELOPE
    assert parse_envelope(encode_envelope(ENVELOPE)) == ENVELOPE
    assert encode_envelope(ENVELOPE) == wire().replace(b'": ', b'":').replace(b", ", b",")


@pytest.mark.parametrize(
    "changes", [{"note": "x"}, {"signatures": [signature(cert="x")]}, {"payload_type": TYPE}]
)
def test_what_nobody_signs_does_not_ride_on_an_envelope(changes):
    with pytest.raises(MalformedError, match=r"^The envelope holds an unknown field\.$"):
        parse_envelope(wire(**changes))


def test_one_key_signs_an_envelope_once():
    with pytest.raises(MalformedError, match="signs an envelope once"):
        parse_envelope(wire(signatures=[signature(), signature(sig=to_base64(b"\1" * 64))]))


def test_an_envelope_may_be_spelled_freely_within_bounds():
    compact = encode_envelope(ENVELOPE)
    pretty = json.dumps(dict(reversed(json.loads(compact).items())), indent=4).encode()
    assert parse_envelope(pretty) == ENVELOPE
    assert parse_envelope(compact + b" " * MAX_SPELLING_BYTES) == ENVELOPE
    with pytest.raises(MalformedError, match="padded"):
        parse_envelope(compact + b" " * (MAX_SPELLING_BYTES + 1))
    assert parse_envelope(compact.replace(b"media", rb"\u006dedia")) == ENVELOPE


def test_the_payload_is_any_bytes():
    for payload in (b"", b"\x00\xff", b" {} "):
        assert parse_envelope(wire(payload=to_base64(payload))).payload == payload


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"payload": ...}, ""),
        ({"payload": None}, "payload"),
        ({"payload": "AB=="}, "payload"),
        ({"payload": "e30"}, "payload"),
        ({"payload": "e30=\n"}, "payload"),
        ({"payload": "_-8="}, "payload"),
        ({"payloadType": ...}, ""),
        ({"payloadType": 1}, "payloadType"),
        ({"payloadType": "x" * 129}, "payloadType"),
        ({"signatures": ...}, ""),
        ({"signatures": []}, "signatures"),
        ({"signatures": {}}, "signatures"),
        ({"signatures": [signature(keyid=...)]}, "signatures[0]"),
        ({"signatures": [signature(keyid="0F" * 16)]}, "signatures[0].keyid"),
        ({"signatures": [signature(keyid="")]}, "signatures[0].keyid"),
        ({"signatures": [signature(), signature(sig=...)]}, "signatures[1]"),
        ({"signatures": [signature(), signature(sig="AB==")]}, "signatures[1].sig"),
        ({"signatures": [signature(sig=to_base64(bytes(63)))]}, "signatures"),
        ({"signatures": [signature(), signature(sig=to_base64(bytes(65)))]}, "signatures"),
        ({"signatures": [signature(sig="")]}, "signatures"),
    ],
)
def test_an_envelope_of_another_form_is_refused_at_its_place(changes, where):
    with pytest.raises(MalformedError, match=r"\.$") as refused:
        parse_envelope(wire(**changes))
    assert refused.value.where == where


def test_an_envelope_holds_at_most_so_many_signatures():
    many = [signature(keyid=f"{at:032x}") for at in range(limits.MAX_SIGNATURES)]
    assert len(parse_envelope(wire(signatures=many)).signatures) == limits.MAX_SIGNATURES
    with pytest.raises(LimitError, match="More than 16"):
        parse_envelope(wire(signatures=[*many, signature()]))


def test_an_envelope_has_at_most_so_many_bytes_in_both_directions():
    rest = len(encode_envelope(Envelope(TYPE, b"", ENVELOPE.signatures)))
    longest = Envelope(
        TYPE, bytes((limits.MAX_ENVELOPE_BYTES - rest) // 4 * 3), ENVELOPE.signatures
    )
    data = encode_envelope(longest)
    spare = limits.MAX_ENVELOPE_BYTES - len(data)
    assert parse_envelope(data + b" " * spare) == longest
    with pytest.raises(LimitError, match="longer than"):
        parse_envelope(data + b" " * (spare + 1))
    with pytest.raises(LimitError, match="split it"):
        encode_envelope(Envelope(TYPE, longest.payload + bytes(3), ENVELOPE.signatures))


def test_a_payload_type_names_a_kind():
    assert payload_type("media-flag") == TYPE
    assert kind_of(TYPE) == ENVELOPE.kind == "media-flag"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "media-flag",
        "application/vnd.schutznetz.media-flag",
        "application/vnd.schutznetz.media-flag.v2+json",
        "application/vnd.schutznetz.v1+json",
        "application/vnd.in-toto+json",
        TYPE.upper(),
        " " + TYPE,
        TYPE + "\n",
        TYPE + ";charset=utf-8",
    ],
)
def test_another_payload_type_names_none(text):
    with pytest.raises(MalformedError, match="payload type") as refused:
        _ = Envelope(text, b"", ENVELOPE.signatures).kind
    assert refused.value.where == "payloadType"


def test_the_pae_counts_bytes_not_characters():
    assert pae("ü", "ü🦊".encode()) == "DSSEv1 2 ü 6 ü🦊".encode()
    assert pae("", b"") == b"DSSEv1 0  0 "


def test_no_two_pairs_of_type_and_payload_share_a_pae():
    # The lengths say where the type ends, however the bytes are dealt out between the two.
    pairs = [("a", b"b 1 c"), ("a 5 b", b"1 c"), ("a", b"b"), ("a 1", b"b"), ("", b"a")]
    assert len({pae(*pair) for pair in pairs}) == len(pairs)


def test_the_statement_id_depends_on_type_and_payload_alone():
    expected = hashlib.sha256(pae(TYPE, ENVELOPE.payload)).hexdigest()
    assert ENVELOPE.statement_id == statement_id(TYPE, ENVELOPE.payload) == expected
    spaced = parse_envelope(b" " + wire(signatures=[signature(keyid="ab" * 16)]))
    assert spaced.statement_id == expected
    assert statement_id(payload_type("erase"), ENVELOPE.payload) != expected


def test_an_envelope_hides_its_payload():
    assert repr(ENVELOPE) == f"Envelope({TYPE!r}, 10 bytes)"
