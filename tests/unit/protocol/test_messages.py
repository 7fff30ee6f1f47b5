"""Bodies between nodes, and the paths they travel on."""

import json
import re

import pytest
from msgspec.structs import replace

from payloads import ID, KEY, MESSAGES, to_bytes
from protocol import endpoints, limits, messages
from protocol.encoding import encode_json
from protocol.errors import LimitError, MalformedError
from protocol.messages import Message, parse_message

KINDS = list(MESSAGES)
FIELDS = [(kind, field) for kind in KINDS for field in MESSAGES[kind]]
OPTIONAL = {"protocol", "set_aside", "duplicate", "next", "checkpoint"}


def read(kind: type[Message], **changes) -> Message:
    values = {**MESSAGES[kind], **changes}
    data = to_bytes({name: value for name, value in values.items() if value is not ...})
    return parse_message(kind, data, max_bytes=limits.MAX_PEER_RESPONSE_BYTES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_example_of_every_body_is_read_and_written_unchanged(kind):
    message = read(kind)
    assert json.loads(encode_json(message)) == MESSAGES[kind]
    assert parse_message(kind, encode_json(message), max_bytes=10_000) == message


def test_every_body_has_an_example():
    parts = {
        messages.Message,
        messages.EnvelopeAnswer,
        messages.SetAside,
        messages.PeerStatus,
        messages.StatementStatus,
    }
    kinds = {
        one for one in vars(messages).values() if isinstance(one, type) and issubclass(one, Message)
    }
    assert kinds - parts == set(KINDS)


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_field_of_a_body_is_there_unless_it_is_optional(kind, field):
    if field in OPTIONAL:
        read(kind, **{field: ...})
        return
    with pytest.raises(MalformedError, match=f"missing required field `{field}`"):
        read(kind, **{field: ...})


@pytest.mark.parametrize(("kind", "field"), FIELDS)
@pytest.mark.parametrize("value", [-1, "\n", [[]], {}, [None], 2**53 - 1.0, "SECRET!"])
def test_a_field_of_a_body_of_another_type_is_refused(kind, field, value):
    if value in ("SECRET!", "\n") and field == "checkpoint":
        return
    if value == "SECRET!" and field in ("fingerprint", "origin"):
        return
    with pytest.raises(MalformedError, match=r"\.$") as refused:
        read(kind, **{field: value})
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [b"[]", b"null", b'"{}"', b"1"])
def test_a_body_is_an_object(kind, data):
    with pytest.raises(MalformedError, match="object"):
        parse_message(kind, data, max_bytes=100)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_that_a_later_version_added_are_ignored(kind):
    assert read(kind, **{"x-new": {"a": [None]}}) == read(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_is_measured_before_it_is_read(kind):
    data = to_bytes(MESSAGES[kind])
    parse_message(kind, data, max_bytes=len(data))
    with pytest.raises(LimitError, match="longer than"):
        parse_message(kind, data, max_bytes=len(data) - 1)


@pytest.mark.parametrize("state", ["present", "withheld", "erased", "expired", "unknown"])
@pytest.mark.parametrize("envelope", ["{}", "", None, ...])
def test_there_is_an_envelope_exactly_where_it_is_present(state, envelope):
    answer = {"id": ID, "state": state, "envelope": envelope}
    answers = [{key: value for key, value in answer.items() if value is not ...}]
    if (state == "present") == isinstance(envelope, str):
        found = read(messages.Envelopes, envelopes=answers).envelopes[0]
        assert found.envelope == (envelope if isinstance(envelope, str) else None)
        return
    with pytest.raises(MalformedError, match="exactly when it is present") as refused:
        read(messages.Envelopes, envelopes=answers)
    assert refused.value.where == "envelopes[0]"


def test_an_envelope_travels_as_the_bytes_it_came_in():
    text = ' {"payload" :\t"\\u00fc\\\\" ,\n"x":"ü🦊\x7f"}\n'
    answer = messages.EnvelopeAnswer(id=ID, state="present", envelope=text)
    data = encode_json(messages.Envelopes(envelopes=(answer,)))
    found = parse_message(messages.Envelopes, data, max_bytes=1000)
    assert found.envelopes[0].envelope == text


@pytest.mark.parametrize("kind", KINDS)
def test_no_repr_shows_what_a_body_says(kind):
    message = read(kind)
    assert repr(message) == f"{kind.__name__}(hidden)"
    parts = [value for name in kind.__struct_fields__ if (value := getattr(message, name))]
    inner = repr([one for value in parts if isinstance(value, tuple) for one in value][:1])
    if kind in (messages.Envelopes, messages.Acknowledgement, messages.StatementStatuses):
        assert inner.endswith("(hidden)]")
        assert ID not in inner
        assert KEY not in inner


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_cannot_be_changed(kind):
    message = read(kind)
    with pytest.raises(AttributeError, match="immutable"):
        setattr(message, kind.__struct_fields__[0], None)


def test_paths_are_absolute_distinct_and_carry_no_value():
    paths = [value for name, value in vars(endpoints).items() if name.isupper()]
    assert len(set(paths)) == len(paths) >= 11
    for template in paths:
        path = re.sub(r"\{[a-z_]+\}", "part", template)  # what C2SP has in a path is no secret
        assert path.startswith("/")
        assert not set(path) & set("{}?#% ")
        assert not path.endswith("/")


@pytest.mark.parametrize("field", ["matches", "confirmed", "refuted", "unreviewed"])
def test_a_total_may_exceed_every_single_count(field):
    status = messages.StatementStatus(id=ID, kind="media-flag", index=0, state="active")
    for total in (2 * 10**9, limits.MAX_JSON_INT):
        data = encode_json(replace(status, **{field: total}))
        found = parse_message(messages.StatementStatus, data, max_bytes=1 << 16)
        assert getattr(found, field) == total
