"""From untrusted bytes to a verified statement, and back: which signatures count, and in what order."""

import json
from typing import Any

import msgspec
import pytest

from payloads import ID, PAYLOADS, TYPES, payload
from protocol import limits
from protocol.encoding import from_base64, from_base64url, to_base64
from protocol.envelope import (
    Envelope,
    Signature,
    encode_envelope,
    pae,
    parse_envelope,
    payload_type,
)
from protocol.errors import (
    BadSignatureError,
    LimitError,
    MalformedError,
    ProtocolError,
    UnknownKeyError,
    VersionError,
)
from protocol.kinds import KINDS
from protocol.statements import Erase, Frame, MediaFlag, MediaItem, Statement, parse_as
from signing.envelopes import Verified, new_nonce, sign_statement, verify_envelope
from signing.keys import KeyUse, PublicKey, SigningKey

KEY = SigningKey.from_seed(KeyUse.STATEMENT, bytes(32))
OTHER = SigningKey.from_seed(KeyUse.STATEMENT, bytes([1]) * 32)
STRANGER = SigningKey.from_seed(KeyUse.STATEMENT, bytes([2]) * 32)
KNOWN = {key.kid: key.public for key in (KEY, OTHER)}
STATEMENT = parse_as(Erase, payload("erase"))


def find_key(_statement: Statement, keyid: str) -> PublicKey | None:
    return KNOWN.get(keyid)


def verify(data: bytes) -> Verified:
    return verify_envelope(data, find_key, kinds=KINDS)


def signature(key: SigningKey, *, good: bool = True) -> Signature:
    raw = key.sign(pae(payload_type("erase"), payload("erase")))
    return Signature(key.kid, raw if good else bytes([raw[0] ^ 1]) + raw[1:])


def envelope(*signatures: Signature) -> bytes:
    return encode_envelope(Envelope(payload_type("erase"), payload("erase"), signatures))


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_signed_is_verified_under_its_key(kind):
    statement = parse_as(TYPES[kind], payload(kind))
    data = sign_statement(statement, KEY)
    found = verify_envelope(data, find_key, kinds=TYPES)
    assert found.statement == statement
    assert (found.keyid, found.envelope) == (KEY.kid, data)
    assert found.id == parse_envelope(data).statement_id


def test_the_same_statement_under_the_same_key_gives_the_same_bytes():
    assert sign_statement(STATEMENT, KEY) == sign_statement(STATEMENT, KEY)


def test_a_nonce_is_fresh_and_has_128_bits():
    nonces = {new_nonce() for _ in range(100)}
    assert len(nonces) == 100
    assert all(from_base64url(nonce, length=16) for nonce in nonces)


def test_a_signature_of_another_key_under_a_known_name_is_refused():
    forged = Signature(KEY.kid, signature(STRANGER).sig)
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(envelope(forged))


def test_a_signature_under_the_name_of_another_known_key_is_refused():
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(envelope(Signature(OTHER.kid, signature(KEY).sig)))


def test_a_key_that_nobody_vouches_for_is_unknown_even_if_its_signature_holds():
    with pytest.raises(UnknownKeyError, match="no key that may speak"):
        verify(envelope(signature(STRANGER)))


def test_the_same_secret_for_another_use_is_another_key():
    other_use = SigningKey.from_seed(KeyUse.FLAGGER, bytes(32))
    with pytest.raises(UnknownKeyError, match="no key that may speak"):
        verify(envelope(signature(other_use)))


@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_signatures_of_unknown_keys_are_ignored_good_or_bad(good, first):
    stranger = signature(STRANGER, good=good)
    both = [stranger, signature(KEY)] if first else [signature(KEY), stranger]
    assert verify(envelope(*both)).keyid == KEY.kid


def test_the_first_known_key_gives_its_name():
    assert verify(envelope(signature(KEY), signature(OTHER))).keyid == KEY.kid
    assert verify(envelope(signature(OTHER), signature(KEY))).keyid == OTHER.kid


@pytest.mark.parametrize("bad_first", [True, False])
def test_one_bad_signature_of_a_known_key_refuses_the_envelope_wherever_it_stands(bad_first):
    bad, good = signature(KEY, good=False), signature(OTHER)
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(envelope(*([bad, good] if bad_first else [good, bad])))


def test_two_signatures_under_one_name_are_refused_even_where_both_hold():
    good, bad = signature(KEY), signature(KEY, good=False)
    for pair in ((good, good), (good, bad), (bad, good)):
        with pytest.raises(MalformedError, match="signs an envelope once"):
            verify(envelope(*pair))


def test_each_name_is_looked_up_once():
    asked: list[str] = []

    def count(_statement: Statement, keyid: str) -> PublicKey | None:
        asked.append(keyid)
        return KNOWN.get(keyid)

    data = envelope(signature(KEY), signature(STRANGER))
    verify_envelope(data, count, kinds=KINDS)
    assert asked == [KEY.kid, STRANGER.kid]


def test_a_look_up_that_answers_with_another_key_is_a_mistake_of_ours():
    with pytest.raises(RuntimeError, match="another key"):
        verify_envelope(envelope(signature(KEY)), lambda *_: OTHER.public, kinds=KINDS)


def test_the_look_up_sees_the_statement_that_was_signed():
    def own_key_only(statement: Statement, keyid: str) -> PublicKey | None:
        return KNOWN.get(keyid) if statement.issuer == "hotline.example" else None

    assert verify_envelope(envelope(signature(KEY)), own_key_only, kinds=KINDS).keyid == KEY.kid
    foreign = sign_statement(parse_as(Erase, payload("erase", issuer="other.example")), KEY)
    with pytest.raises(UnknownKeyError, match="no key"):
        verify_envelope(foreign, own_key_only, kinds=KINDS)


def test_what_the_look_up_raises_comes_through():
    def small_order(_statement: Statement, _keyid: str) -> PublicKey:
        return PublicKey(KeyUse.STATEMENT, bytes(32))

    with pytest.raises(MalformedError, match="small order"):
        verify_envelope(envelope(signature(KEY)), small_order, kinds=KINDS)


def never(*_: Any) -> PublicKey | None:
    raise AssertionError("no key may be looked up for what has not the right form")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedError),
        (b"{}", MalformedError),
        (b"[" * 20 + b"]" * 20, LimitError),
        (envelope(signature(KEY))[:-1], MalformedError),
        (envelope(signature(KEY)).replace(b".v1+json", b".v2+json"), MalformedError),
        (envelope(signature(KEY)).replace(b"erase.v1", b"unknown.v1"), VersionError),
        (envelope(signature(KEY)).replace(b".erase.v1", b"..v1"), VersionError),
        (envelope(signature(KEY)).replace(b"erase.v1", b"retract.v1"), MalformedError),
    ],
)
def test_the_form_is_refused_before_any_key_is_looked_up(data, error):
    with pytest.raises(error, match=r"\.$"):
        verify_envelope(data, never, kinds=KINDS)


@pytest.mark.parametrize("changes", [{"target": "x"}, {"issued": "now"}, {"crit": ["x-new"]}])
def test_a_payload_is_refused_before_any_key_is_looked_up_though_it_is_well_signed(changes):
    kind, wrong = payload_type("erase"), payload("erase", **changes)
    signed = Envelope(kind, wrong, (Signature(KEY.kid, KEY.sign(pae(kind, wrong))),))
    with pytest.raises(ProtocolError, match=r"\.$"):
        verify_envelope(encode_envelope(signed), never, kinds=KINDS)


def test_only_the_kinds_asked_for_are_accepted():
    data = envelope(signature(KEY))
    assert verify_envelope(data, find_key, kinds={"erase": Erase}).statement == STATEMENT
    for kinds in ({}, {"media-flag": MediaFlag}):
        with pytest.raises(VersionError, match="not accepted here"):
            verify_envelope(data, never, kinds=kinds)


def test_a_statement_of_one_kind_is_not_one_of_another_though_its_fields_would_do():
    # A dispute has all that a retract needs. The kind is under the signature; the bytes are not it.
    shared = {"reason": "other"}
    dispute = parse_envelope(
        sign_statement(parse_as(TYPES["dispute"], payload("dispute", **shared)), KEY)
    )
    parse_as(TYPES["retract"], dispute.payload)
    moved = Envelope(payload_type("retract"), dispute.payload, dispute.signatures)
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(encode_envelope(moved))


def test_the_spelling_of_the_envelope_does_not_matter_and_is_kept():
    values = json.loads(envelope(signature(KEY)))
    data = json.dumps(values, indent=3, sort_keys=True).encode()
    found = verify(data)
    assert found.envelope == data
    assert found.id == verify(envelope(signature(KEY))).id


def test_the_spelling_of_the_payload_matters():
    kind = payload_type("erase")
    signed = parse_envelope(envelope(signature(KEY)))
    respelt = json.dumps(json.loads(signed.payload), indent=1).encode()
    assert parse_as(Erase, respelt) == STATEMENT
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(encode_envelope(Envelope(kind, respelt, signed.signatures)))


def test_the_signature_is_over_the_pae_and_not_over_the_payload():
    plain = Signature(KEY.kid, KEY.sign(payload("erase")))
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(envelope(plain))


def test_a_signature_whose_scalar_was_shifted_by_the_group_order_is_refused():
    order = 2**252 + 27742317777372353535851937790883648493
    raw = signature(KEY).sig
    shifted = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(envelope(Signature(KEY.kid, shifted)))


@pytest.mark.parametrize("at", [0, 1, 31, 32, 62, 63])
def test_a_changed_byte_of_a_signature_is_refused(at):
    raw = bytearray(signature(KEY).sig)
    raw[at] ^= 1
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(envelope(Signature(KEY.kid, bytes(raw))))


def fields_of(**changes: Any) -> dict[str, Any]:
    whole = parse_as(MediaFlag, payload("media-flag"))
    return {name: getattr(whole, name) for name in MediaFlag.__struct_fields__} | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "AAAA"},
        {"nonce": bytes(16)},
        {"issuer": "Hotline.example"},
        {"issuer": None},
        {"category": 1},
        {"category": "\ud800"},
        {"category": "a\0"},
        {"legal_basis": 1.5},
        {"purpose": object()},
        {"issuer_code": b"AAAA"},
        {"issuer_code": float("nan")},
        {"issuer_code": 2**80},
        {"flags": "live_stream"},
        {"flags": ["live_stream"]},
        {"audience": ()},
        {"audience": ["peers"]},
        {"surfaces": {"public": 1}},
        {"crit": ("x-new",)},
        {"items": (MediaItem(sha256=ID),) * 1001},
        {"items": (MediaItem(sha256="AB" * 32),)},
        {"items": (MediaItem(pdq=ID, quality=True),)},
        {"items": (MediaItem(pdq=ID, quality=101),)},
    ],
    ids=repr,
)
def test_nobody_signs_what_no_one_would_accept(changes):
    with pytest.raises(ProtocolError, match=r"\.$") as refused:
        sign_statement(MediaFlag(**fields_of(**changes)), KEY)
    assert "AB" * 32 not in str(refused.value)


def test_the_longest_media_flag_that_its_limits_allow_fits_into_an_envelope():
    frames = tuple(Frame(pdq=ID, quality=100, at_ms=10**9) for _ in range(1000))
    item = MediaItem(pdq=ID, quality=100, sha256=ID, sha1="c" * 40, md5="d" * 32)
    filmed = msgspec.structs.replace(item, frames=frames)
    longest = fields_of(
        items=(filmed,) * 4 + (item,) * (limits.MAX_ITEMS - 4),
        jurisdictions=("DE",) * limits.MAX_LIST,
        audience=(f"node:{'a' * 63}.{'b' * 62}.c",) * limits.MAX_AUDIENCE,
        crit=("jurisdictions",) * limits.MAX_LIST,
    )
    signed = sign_statement(MediaFlag(**longest), KEY)
    assert 0.5 < len(signed) / limits.MAX_ENVELOPE_BYTES < 1
    assert verify(signed).keyid == KEY.kid


def test_no_repr_shows_what_was_verified():
    found = verify(envelope(signature(KEY)))
    assert repr(found) == str(found) == "Verified('erase', hidden)"


def test_the_payload_travels_as_it_was_written():
    data = json.loads(sign_statement(STATEMENT, KEY))
    assert json.loads(from_base64(data["payload"])) == PAYLOADS["erase"]
    assert to_base64(from_base64(data["payload"])) == data["payload"]
