"""What may be said is written and read without loss; what may not is refused when read."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from payloads import TYPES
from protocol.encoding import to_base64
from protocol.envelope import encode_envelope, parse_envelope
from protocol.errors import BadSignatureError, ProtocolError, SigningError
from protocol.statements import Statement, encode_statement, parse_as
from signing.envelopes import sign_statement, verify_envelope
from signing.keys import KeyUse, PublicKey, SigningKey
from statement_strategies import VALID

KEY = SigningKey.from_seed(KeyUse.STATEMENT, bytes(range(32)))
QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
ANY = st.one_of(*VALID.values())
KINDS = pytest.mark.parametrize("kind", VALID)


def find_key(_statement: Statement, keyid: str) -> PublicKey | None:
    return KEY.public if keyid == KEY.kid else None


def verify(data: bytes) -> Statement:
    return verify_envelope(data, find_key, kinds=TYPES).statement


def test_every_kind_has_a_strategy():
    assert set(VALID) == set(TYPES)


@KINDS
@given(data=st.data())
@QUICK
def test_writing_and_reading_gives_the_same_statement_and_the_same_bytes(kind, data):
    statement = data.draw(VALID[kind])
    payload = encode_statement(statement)
    found = parse_as(TYPES[kind], payload)
    assert found == statement
    assert encode_statement(found) == payload
    # Two independent readers of JSON see the same, and nothing was turned into ASCII or floats.
    assert json.loads(payload) == msgspec.to_builtins(msgspec.json.decode(payload))


@KINDS
@given(data=st.data())
@QUICK
def test_the_order_of_keys_and_the_spelling_do_not_change_what_is_read(kind, data):
    statement = data.draw(VALID[kind])
    value = json.loads(encode_statement(statement))
    shuffled = dict(data.draw(st.permutations(list(value.items()))))
    for text in (json.dumps(shuffled), json.dumps(value, indent=2, ensure_ascii=False)):
        assert parse_as(TYPES[kind], text.encode()) == statement


@KINDS
@given(data=st.data())
@settings(QUICK, max_examples=15)
def test_what_is_signed_verifies_and_travels_unchanged(kind, data):
    statement = data.draw(VALID[kind])
    signed = sign_statement(statement, KEY)
    assert verify(signed) == statement
    assert encode_envelope(parse_envelope(signed)) == signed


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=40),
    st.lists(st.integers() | st.text(max_size=4) | st.none(), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.just(object()),
    st.just("\ud800"),
    st.just(float("nan")),
)


@KINDS
@given(data=st.data())
@QUICK
def test_a_field_that_python_let_through_is_refused_before_it_is_signed(kind, data):
    statement = data.draw(VALID[kind])
    name = data.draw(st.sampled_from(TYPES[kind].__struct_fields__))
    value = data.draw(WRONG)
    try:
        wrong = msgspec.structs.replace(statement, **{name: value})
    except (ProtocolError, TypeError, AttributeError):
        return
    try:
        signed = sign_statement(wrong, KEY)
    except ProtocolError:
        return
    # It was signed: then the value was one that the type allows, and reads back as itself.
    assert verify(signed) == wrong
    assert type(getattr(verify(signed), name)) is type(value)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, from the outside in."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found = [at] if at else []
    if isinstance(value, dict | list):
        for key, inner in inside:
            found += places(inner, (*at, key)) if isinstance(inner, dict | list) else [(*at, key)]
    return found


@KINDS
@given(data=st.data())
@QUICK
def test_a_value_of_another_type_anywhere_is_refused_or_read_back_as_it_is(kind, data):
    value = json.loads(encode_statement(data.draw(VALID[kind])))
    *path, last = data.draw(st.sampled_from(places(value)))
    holder = value
    for step in path:
        holder = holder[step]
    holder[last] = data.draw(
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.text(max_size=3)
        | st.just([])
        | st.just({})
    )
    try:
        statement = parse_as(TYPES[kind], json.dumps(value).encode())
    except ProtocolError:
        return
    assert parse_as(TYPES[kind], encode_statement(statement)) == statement


@given(ANY, st.data())
@QUICK
def test_any_flipped_bit_of_the_payload_or_the_signature_is_refused(statement, data):
    signed = json.loads(sign_statement(statement, KEY))
    envelope = parse_envelope(json.dumps(signed).encode())
    in_payload = data.draw(st.booleans())
    raw = bytearray(envelope.payload if in_payload else envelope.signatures[0].sig)
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    if in_payload:
        signed["payload"] = to_base64(bytes(raw))
    else:
        signed["signatures"][0]["sig"] = to_base64(bytes(raw))
    with pytest.raises((ProtocolError, SigningError)) as refused:
        verify(json.dumps(signed).encode())
    assert in_payload or isinstance(refused.value, BadSignatureError)


@given(ANY, st.data())
@QUICK
def test_any_flipped_bit_of_the_whole_envelope_is_refused_or_changes_nothing_signed(
    statement, data
):
    signed = bytearray(sign_statement(statement, KEY))
    bit = data.draw(st.integers(0, len(signed) * 8 - 1))
    signed[bit // 8] ^= 1 << bit % 8
    try:
        found = verify(bytes(signed))
    except (ProtocolError, SigningError):
        return
    assert found == statement


@given(ANY, ANY)
@QUICK
def test_the_signature_of_one_statement_is_none_of_another(one, other):
    assume(one != other)
    first, second = json.loads(sign_statement(one, KEY)), json.loads(sign_statement(other, KEY))
    first["signatures"] = second["signatures"]
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(json.dumps(first).encode())
