"""What may follow a circle descriptor: a table of changes, and the next version made."""

from typing import Any

import msgspec
import pytest

from protocol.circles import CircleDescriptor, Epoch, Holder, Member, Stretch
from protocol.encoding import format_time, to_base64url
from protocol.errors import MalformedError
from protocol.fields import StatementId
from protocol.succession import (
    Change,
    check_succession,
    next_descriptor,
    next_epoch_number,
)

NOW = 1_795_341_600
DAY_S = 86_400
NAMES = ("a.example", "b.example", "c.example")
FIRST_ID = StatementId("ab" * 32)
NONCE = to_base64url(bytes(16))


def epoch(number: int = 1, *, begins: int = NOW, days: int = 30, **changes: Any) -> Epoch:
    threshold = changes.get("threshold", 2)
    values: dict[str, Any] = {
        "epoch": number,
        "not_before": format_time(begins),
        "not_after": format_time(begins + days * DAY_S),
        "threshold": threshold,
        "commitments": (to_base64url(bytes([number]) * 32),) * threshold,
        "holders": tuple(Holder(index=at, node=name) for at, name in enumerate(NAMES, 1)),
    }
    return Epoch(**(values | changes))


def circle(**changes: Any) -> CircleDescriptor:
    values: dict[str, Any] = {
        "issuer": NAMES[0],
        "nonce": NONCE,
        "issued": format_time(NOW),
        "audience": ("circle:a.example/ring-1",),
        "circle": "a.example/ring-1",
        "version": 1,
        "members": tuple(Member(node=name, budget_per_day=100) for name in NAMES),
        "admins": NAMES,
        "admin_threshold": 2,
        "epochs": (epoch(),),
    }
    return CircleDescriptor(**(values | changes))


def follow(old: CircleDescriptor, change: Change, *, now: int = NOW + DAY_S) -> CircleDescriptor:
    return next_descriptor(
        old, FIRST_ID, change, issuer="b.example", nonce=to_base64url(b"\x01" * 16), now=now
    )


def test_the_next_version_changes_what_is_asked_for_and_nothing_else() -> None:
    old = circle()
    new = follow(old, Change(members=[Member(node="d.example", budget_per_day=7)]))
    assert (new.version, new.previous, new.issuer) == (2, FIRST_ID, "b.example")
    assert new.members == (*old.members, Member(node="d.example", budget_per_day=7))
    assert (new.admins, new.admin_threshold, new.epochs) == (old.admins, 2, old.epochs)
    assert new.audience == old.audience


def test_who_leaves_is_neither_member_nor_admin_and_the_old_key_stays_as_it_is() -> None:
    new = follow(circle(), Change(leaves=["c.example"]))
    assert [one.node for one in new.members] == ["a.example", "b.example"]
    assert new.admins == ("a.example", "b.example")
    assert [one.node for one in new.epochs[0].holders] == list(NAMES)


def test_a_new_key_shortens_the_earlier_ones_to_the_overlap() -> None:
    new = follow(circle(), Change(epoch=epoch(2, begins=NOW + DAY_S), overlap_s=3 * DAY_S))
    assert [one.epoch for one in new.epochs] == [1, 2]
    assert new.epochs[0].not_after == format_time(NOW + 4 * DAY_S)
    assert new.epochs[1].not_after == format_time(NOW + 31 * DAY_S)


def test_an_epoch_that_would_end_sooner_is_not_lengthened_by_an_overlap() -> None:
    new = follow(circle(), Change(epoch=epoch(2), overlap_s=300 * DAY_S))
    assert new.epochs[0] == epoch()


def test_an_epoch_is_ended_at_once_where_its_shares_are_suspected() -> None:
    new = follow(circle(), Change(ends={1: NOW + DAY_S}))
    assert new.epochs[0].not_after == format_time(NOW + DAY_S)


def test_an_epoch_that_has_not_begun_ends_with_its_first_second() -> None:
    old = circle(epochs=(epoch(), epoch(2, begins=NOW + 9 * DAY_S)))
    new = follow(old, Change(ends={2: NOW + DAY_S}))
    assert new.epochs[1].not_after == format_time(NOW + 9 * DAY_S + 1)


def test_epochs_that_are_over_are_left_out_once_there_is_a_newer_one() -> None:
    later = NOW + 60 * DAY_S
    assert follow(circle(), Change(), now=later).epochs == (epoch(),)
    new = follow(circle(), Change(epoch=epoch(2, begins=later)), now=later)
    assert [one.epoch for one in new.epochs] == [2]


def test_the_next_number_is_one_more_than_the_highest() -> None:
    assert next_epoch_number(circle(epochs=(epoch(4), epoch(2)))) == 5


def test_a_budget_is_changed_in_place() -> None:
    new = follow(circle(), Change(members=[Member(node="b.example", budget_per_day=1)]))
    assert [one.budget_per_day for one in new.members] == [100, 1, 100]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (Change(leaves=["z.example"]), "one of its members"),
        (Change(ends={3: NOW}), "no epoch of this number"),
        (Change(admin_threshold=1), "never lowered"),
        (Change(admin_threshold=4), "fewer admins"),
        (Change(leaves=["b.example", "c.example"]), "fewer admins"),
        (Change(admins=["z.example", "a.example"]), "admins are members"),
        (Change(epoch=epoch(1)), "twice"),
        (Change(epoch=epoch(2, threshold=2)), "never lowered"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_there_is_no_next_version_that_breaks_a_rule(change: Change, says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        follow(circle(epochs=(epoch(threshold=3),)), change)


HIGHER = epoch(2, threshold=3)
LONGER = epoch(days=31)
MOVED = epoch(holders=tuple(Holder(index=at, node=one) for at, one in enumerate(NAMES[::-1], 1)))
STRETCHED = epoch(
    stretch=Stretch(kinds=("phone",), memory_kib=64, passes=1, salt=to_base64url(bytes(16)))
)
OTHER_KEY = epoch(commitments=(to_base64url(b"\x07" * 32),) * 2)


@pytest.mark.parametrize(
    ("case", "changes", "says"),
    [
        ("a version left out", {"version": 3}, "follow one another"),
        ("another circle", {"circle": "a.example/ring-2"}, "follow one another"),
        ("another previous", {"previous": "cd" * 32}, "Another version"),
        ("fewer admins must sign", {"admin_threshold": 1}, "never lowered"),
        ("an epoch lengthened", {"epochs": (LONGER,)}, "never later"),
        ("an epoch's holders moved", {"epochs": (MOVED,)}, "Nothing of an epoch"),
        ("an epoch stretched", {"epochs": (STRETCHED,)}, "Nothing of an epoch"),
        ("an epoch begun earlier", {"epochs": (epoch(begins=NOW - 1),)}, "Nothing of an epoch"),
        ("an epoch under another key", {"epochs": (OTHER_KEY,)}, "never changes"),
        ("a running epoch dropped", {"epochs": (epoch(2),)}, "once it is over"),
        ("the newest dropped", {"issued": format_time(NOW + 99 * DAY_S)}, "newest epoch stays"),
        ("a lower threshold", {"epochs": (HIGHER, epoch(3))}, "never lowered"),
    ],
)
def test_what_may_not_follow_is_refused(case: str, changes: dict[str, Any], says: str) -> None:
    old = circle(epochs=(HIGHER if case == "a lower threshold" else epoch(),))
    values: dict[str, Any] = {"version": 2, "previous": FIRST_ID, "epochs": old.epochs}
    if case == "the newest dropped":
        old = circle(epochs=(epoch(1), epoch(2)))
        values["epochs"] = (epoch(1),)
    with pytest.raises(MalformedError, match=says):
        check_succession(old, FIRST_ID, circle(**(values | changes)))


def test_a_number_below_the_highest_never_comes_back() -> None:
    old = circle(epochs=(epoch(5),))
    new = circle(version=2, previous=FIRST_ID, epochs=(epoch(5), epoch(3)))
    with pytest.raises(MalformedError, match="only grow"):
        check_succession(old, FIRST_ID, new)


def test_what_the_next_version_says_is_read_back_as_it_was_written() -> None:
    new = follow(circle(), Change(epoch=epoch(2), overlap_s=DAY_S, leaves=["c.example"]))
    assert msgspec.json.decode(msgspec.json.encode(new), type=CircleDescriptor) == new
