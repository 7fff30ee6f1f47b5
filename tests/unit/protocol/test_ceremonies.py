"""A plan says at once what no descriptor could come of: nobody generates a key for it."""

from typing import Any

import msgspec
import pytest

from protocol import limits
from protocol.ceremonies import (
    NewEpoch,
    Plan,
    ceremony_id,
    describe,
    draft_epoch,
    encode_descriptor,
    encode_plan,
    finished_epoch,
    parse_plan,
)
from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import format_time, to_base64url
from protocol.errors import LimitError, MalformedError, ProtocolError
from simulator import DAY_S, NOW
from vectors.make_ceremony_v1 import CIRCLE, NAMES, plan

COMMITMENTS = (bytes(32), bytes(31) + b"\1")


def changed(**values: Any) -> bytes:
    """The text of a plan some of whose fields are others; checked by whom it is read alone."""
    fields = {name: getattr(plan(), name) for name in Plan.__struct_fields__}
    return msgspec.json.encode({**fields, "type": None, **values}).replace(b',"type":null', b"")


def key(**values: Any) -> NewEpoch:
    """The key that is to be generated, some of whose fields are others."""
    generate = plan().generate
    assert generate is not None
    return msgspec.structs.replace(generate, **values)


def kept(number: int) -> Epoch:
    """A key that the circle has already."""
    return finished_epoch(
        key(
            epoch=number,
            not_before=format_time(NOW - DAY_S),
            not_after=format_time(NOW + 30 * DAY_S),
        ),
        COMMITMENTS,
        bytes(64),
    )


def test_a_plan_is_read_back_as_it_was_written_and_named_by_its_bytes() -> None:
    data = encode_plan(plan())
    assert parse_plan(data) == plan()
    assert ceremony_id(data) == ceremony_id(bytes(data))
    assert ceremony_id(data) != ceremony_id(data + b" ")


def test_a_plan_without_a_new_key_is_one_too() -> None:
    without = msgspec.structs.replace(
        plan(), version=2, previous="ab" * 32, epochs=(kept(1),), generate=None
    )
    assert parse_plan(encode_plan(without)) == without


@pytest.mark.parametrize(
    ("generate", "sentence"),
    [
        (key(epoch=7), "a number of its own"),
        (
            key(holders=(Holder(index=1, node=NAMES[0]), Holder(index=2, node="c.example"))),
            "a member too",
        ),
        (
            key(holders=(Holder(index=1, node=NAMES[0]), Holder(index=3, node=NAMES[1]))),
            "the indices 1, 2, 3 and on",
        ),
        (
            key(holders=(Holder(index=2, node=NAMES[0]), Holder(index=1, node=NAMES[1]))),
            "the indices 1, 2, 3 and on",
        ),
        (key(threshold=1), "the whole key of several members"),
    ],
)
def test_a_key_that_contradicts_its_plan_is_refused(generate: NewEpoch, sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        parse_plan(changed(generate=generate, epochs=(kept(7),)))


def test_one_member_alone_may_have_its_key_alone() -> None:
    alone = key(threshold=1, holders=(Holder(index=1, node=NAMES[0]),))
    data = changed(
        members=(Member(node=NAMES[0], budget_per_day=5),),
        admins=NAMES[:1],
        admin_threshold=1,
        generate=alone,
    )
    assert parse_plan(data).generate == alone


@pytest.mark.parametrize(
    "values",
    [
        {"expires": format_time(NOW - 1)},
        {"expires": format_time(NOW + (limits.MAX_CEREMONY_DAYS + 1) * DAY_S)},
        {"admin_threshold": 4},
        {"admins": (*NAMES, "c.example")},
        {"members": (Member(node=NAMES[0], budget_per_day=5),) * 2},
        {"generate": None},
        {"generate": key(threshold=4)},
        {"generate": key(not_after=format_time(NOW))},
        {"generate": key(holders=(Holder(index=1, node=NAMES[0]), Holder(index=2, node=NAMES[0])))},
        {"version": 2},
        {"coordinator": "no name"},
        {"circle": "no circle"},
    ],
    ids=str,
)
def test_a_plan_of_which_no_descriptor_could_come_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        parse_plan(changed(**values))


def test_a_plan_longer_than_a_statement_may_be_is_not_read() -> None:
    with pytest.raises(LimitError):
        parse_plan(b" " * (limits.MAX_ENVELOPE_BYTES + 1))


def test_what_comes_of_a_plan_has_the_key_that_was_generated() -> None:
    epoch = finished_epoch(key(), COMMITMENTS, bytes(range(64)))
    found = describe(plan(), epoch, issued=plan().issued)
    assert isinstance(found, CircleDescriptor)
    assert (found.circle, found.issuer, found.epochs) == (CIRCLE, NAMES[0], (epoch,))
    assert epoch.commitments == tuple(map(to_base64url, COMMITMENTS))
    assert epoch.transcript == bytes(range(64)).hex()
    assert encode_descriptor(found)


def test_an_epoch_that_contradicts_itself_is_malformed() -> None:
    with pytest.raises(MalformedError) as caught:
        finished_epoch(key(), COMMITMENTS[:1], bytes(64))
    assert caught.value.where == "plan.generate"
    with pytest.raises(MalformedError):
        draft_epoch(key(threshold=4))


def test_a_descriptor_that_nobody_would_read_back_is_not_made() -> None:
    """A field of another type, as a caller who checks nothing may put one there."""
    found = describe(plan(), draft_epoch(key()), issued=plan().issued)
    with pytest.raises(ProtocolError):
        encode_descriptor(msgspec.structs.replace(found, version="2"))
    listed = msgspec.structs.replace(found, admins=list(NAMES))
    with pytest.raises(MalformedError, match="another type"):
        encode_descriptor(listed)
