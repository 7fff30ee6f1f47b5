"""A budget belongs to a party: all its nodes, in a day and in any one minute, and no restart helps.

Here nothing is evaluated: what is taken, and when not. tests/unit/node/test_services_evaluator.py
has the rest.
"""

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from desks import Desk
from node.services.budgets import Allowance, Budgets, Usage
from node.storage.engine import Store
from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import format_time, to_base64url
from protocol.errors import RateLimitedError
from simulator import DAY_S, NOW
from worlds import CIRCLE, HOTLINE, PLATFORM, circle_descriptor

SISTER = "sister.platform.example"
"""Another node of the platform's legal person."""

OTHER = "other.example"
_digests = itertools.count()


def circle(*members: Member, **changes: Any) -> CircleDescriptor:
    return circle_descriptor(members=(Member(node=HOTLINE, budget_per_day=0), *members), **changes)


def member(node: str = PLATFORM, per_day: int = 100, **changes: Any) -> Member:
    return Member(**({"node": node, "budget_per_day": per_day, "burst_per_minute": 100} | changes))


def take(
    desk: Desk, described: CircleDescriptor, elements: int, *, node: str = PLATFORM, by: Any = None
) -> RateLimitedError | None:
    """Takes elements for a request that was never there before."""
    digest = next(_digests).to_bytes(32, "big")
    with desk.world.store.write() as transaction:
        return (by or desk.budgets).take(
            transaction, described, node, elements=elements, digest=digest
        )


def taken(
    desk: Desk, described: CircleDescriptor, elements: Sequence[int], **how: Any
) -> list[bool]:
    return [take(desk, described, one, **how) is None for one in elements]


def test_all_nodes_of_a_party_share_one_budget(either_desk: Desk) -> None:
    described = circle(member(), member(SISTER, 9, party=PLATFORM), member(OTHER))
    assert taken(either_desk, described, [60]) == [True]
    assert taken(either_desk, described, [60, 40], node=SISTER) == [False, True]
    assert taken(either_desk, described, [1]) == [False]
    assert taken(either_desk, described, [100], node=OTHER) == [True]


def test_a_later_version_of_the_descriptor_refills_nothing(desk: Desk) -> None:
    """A node that is moved brings along what it used, and leaves it behind as well."""
    apart = circle(member(), member(SISTER))
    together = circle(member(), member(SISTER, party=PLATFORM))
    assert taken(desk, apart, [70], node=SISTER) == [True]
    assert taken(desk, together, [31, 30]) == [False, True]
    assert taken(desk, together, [1], node=SISTER) == [False]
    assert taken(desk, apart, [31], node=SISTER) == [False]
    assert taken(desk, apart, [100, 70]) == [False, True]


def test_what_a_party_used_by_a_node_that_left_it_stays_used(desk: Desk) -> None:
    together = circle(member(), member(SISTER, party=PLATFORM))
    assert taken(desk, together, [70], node=SISTER) == [True]
    assert taken(desk, circle(member()), [31, 30]) == [False, True]


def test_a_budget_is_one_circles(desk: Desk) -> None:
    assert taken(desk, circle(member()), [100]) == [True]
    other = circle(member(), circle=f"{HOTLINE}/other-1")
    assert taken(desk, other, [100]) == [True]


def test_the_operators_own_limits_count_where_they_are_smaller(desk: Desk) -> None:
    strict = Budgets(
        desk.world.store, name=HOTLINE, most=Allowance(per_day=50, per_minute=20), clock=desk.clock
    )
    refusal = take(desk, circle(member()), 21, by=strict)
    assert refusal is not None
    assert refusal.budget == {
        "day_limit": 50,
        "day_left": 50,
        "minute_limit": 20,
        "minute_left": 20,
    }
    for _ in range(2):
        assert taken(desk, circle(member()), [20], by=strict) == [True]
        desk.world.clock.tick(61)
    assert taken(desk, circle(member()), [11, 10], by=strict) == [False, True]


def test_a_burst_is_bounded_in_any_minute_and_not_in_calendar_ones(desk: Desk) -> None:
    described = circle(member(per_day=1_000, burst_per_minute=10))
    desk.world.clock.now = NOW + 59
    assert taken(desk, described, [6]) == [True]
    desk.world.clock.tick(30)
    assert taken(desk, described, [5, 4]) == [False, True]
    desk.world.clock.tick(30)
    # A second of 60 ago may be 59.1 s ago.
    assert taken(desk, described, [1]) == [False]
    desk.world.clock.tick(1)
    assert taken(desk, described, [7, 6]) == [False, True]


def test_a_refusal_says_what_is_left_and_when_to_come_back(desk: Desk) -> None:
    described = circle(member(per_day=100, burst_per_minute=10))
    assert taken(desk, described, [4]) == [True]
    desk.world.clock.tick(10)
    assert taken(desk, described, [5]) == [True]
    refusal = take(desk, described, 8)
    assert refusal is not None
    assert str(refusal) == "The budget of this member for one minute is used up."
    # The 4 of ten seconds ago do not suffice, the 5 do.
    assert refusal.retry_after_s == 61
    assert refusal.budget is not None
    assert (refusal.budget["day_left"], refusal.budget["minute_left"]) == (91, 1)
    desk.world.clock.tick(61)
    assert taken(desk, described, [8]) == [True]


def test_a_batch_that_no_minute_holds_is_not_invited_to_try_again_soon(desk: Desk) -> None:
    refusal = take(desk, circle(member(burst_per_minute=8)), 64)
    assert refusal is not None
    assert refusal.retry_after_s == 14 * 3600


def test_a_minute_that_crosses_midnight_is_one_minute(desk: Desk) -> None:
    described = circle(member(per_day=10, burst_per_minute=10))
    desk.world.clock.now = NOW + 14 * 3600 - 1
    assert taken(desk, described, [8]) == [True]
    desk.world.clock.tick(2)
    assert taken(desk, described, [3, 2]) == [False, True]


def test_a_clock_that_is_set_back_refills_nothing(desk: Desk) -> None:
    described = circle(member(per_day=100, burst_per_minute=10))
    assert taken(desk, described, [10]) == [True]
    desk.world.clock.tick(-120)
    assert taken(desk, described, [1]) == [False]


def test_a_restart_refills_nothing(either_desk: Desk) -> None:
    described = circle(member())
    assert taken(either_desk, described, [60]) == [True]
    store = Store(either_desk.world.url)
    again = Budgets(store, name=HOTLINE, most=Allowance(5_000, 5_000), clock=either_desk.clock)
    with store.write() as transaction:
        refusal = again.take(transaction, described, PLATFORM, elements=41, digest=b"d" * 32)
    store.close()
    assert refusal is not None
    assert refusal.budget is not None
    assert refusal.budget["day_left"] == 40


def test_two_processes_never_overspend_together(either_desk: Desk) -> None:
    """Two stores over one database share nothing but the database, as two processes do."""
    described = circle(member(), member(SISTER, party=PLATFORM))
    stores = [Store(either_desk.world.url) for _ in range(2)]
    most = Allowance(5_000, 5_000)
    both = [Budgets(one, name=HOTLINE, most=most, clock=either_desk.clock) for one in stores]
    barrier = threading.Barrier(8)

    def ask(number: int) -> int:
        barrier.wait()
        granted = 0
        for turn in range(6):
            digest = bytes([number, turn]) * 16
            node = (PLATFORM, SISTER)[turn % 2]
            with stores[number % 2].write() as transaction:
                refusal = both[number % 2].take(
                    transaction, described, node, elements=7, digest=digest
                )
            granted += refusal is None
        return granted

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 100 // 7
    for store in stores:
        store.close()
    (own,) = (one for one in either_desk.budgets.usage() if one.used)
    assert own.used == 98


def alarms(desk: Desk) -> list[str | None]:
    return [line[3] for line in desk.audited() if line[1] == "budget.reached"]


def test_the_operator_is_told_once_for_each_level_party_and_day(desk: Desk) -> None:
    described = circle(member(), member(SISTER, party=PLATFORM))
    for _ in range(49):
        take(desk, described, 1)
    assert alarms(desk) == []
    taken(desk, described, [1, 29], node=SISTER)
    assert alarms(desk) == [f"50 % of the day's budget in {CIRCLE}"]
    taken(desk, described, [1, 1, 18, 64, 1, 64])
    assert [text and text.split()[0] for text in alarms(desk)] == ["50", "80", "100"]
    assert {line[2] for line in desk.audited() if line[1] == "budget.reached"} == {PLATFORM}
    desk.world.clock.tick(DAY_S)
    taken(desk, described, [100])
    assert [text and text.split()[0] for text in alarms(desk)][3:] == ["50", "80", "100"]


def test_a_budget_that_the_next_batch_does_not_fit_into_counts_as_used_up(desk: Desk) -> None:
    described = circle(member())
    assert taken(desk, described, [64, 64, 8]) == [True, False, True]
    assert [text and text.split()[0] for text in alarms(desk)] == ["50", "80", "100"]


def test_a_refusal_that_tells_nothing_new_writes_nothing(desk: Desk) -> None:
    described = circle(member(per_day=0), member(OTHER, burst_per_minute=1))
    take(desk, described, 1)
    before = desk.world.contents()
    for _ in range(3):
        take(desk, described, 1)
        take(desk, described, 2, node=OTHER)
    assert desk.world.contents() == before


def test_an_alarm_is_told_also_where_a_new_descriptor_lowered_the_budget(desk: Desk) -> None:
    taken(desk, circle(member()), [40])
    assert alarms(desk) == []
    taken(desk, circle(member(per_day=44)), [1])
    assert [text and text.split()[0] for text in alarms(desk)] == ["50", "80"]


def test_the_operator_sees_who_had_how_much(either_desk: Desk) -> None:
    described = circle(
        member(),
        member(SISTER, party=PLATFORM),
        member(OTHER, 7),
        epochs=(
            Epoch(
                epoch=1,
                not_before=format_time(NOW - DAY_S),
                not_after=format_time(NOW + DAY_S),
                threshold=2,
                commitments=(to_base64url(bytes(32)),) * 2,
                holders=(Holder(index=1, node=HOTLINE), Holder(index=2, node=PLATFORM)),
            ),
        ),
    )
    either_desk.world.submit(described)
    taken(either_desk, described, [30])
    taken(either_desk, described, [25], node=SISTER)
    hotline, other, platform = either_desk.budgets.usage()
    assert hotline == Usage(CIRCLE, HOTLINE, Allowance(0, 600), 0, 0, {})
    assert other == Usage(CIRCLE, OTHER, Allowance(7, 100), 0, 0, {})
    assert platform == Usage(
        CIRCLE, PLATFORM, Allowance(100, 100), 55, 50, {PLATFORM: 30, SISTER: 25}
    )
    assert (platform.left, other.left) == (45, 7)
    assert either_desk.budgets.alarms() == [platform]
    either_desk.world.clock.tick(DAY_S)
    assert either_desk.budgets.alarms() == []
    assert [one.used for one in either_desk.budgets.usage("2026-11-22")] == [0, 0, 55]


def test_who_was_a_member_is_shown_still(desk: Desk) -> None:
    taken(desk, circle(member(OTHER)), [3], node=OTHER)
    (left,) = desk.budgets.usage()
    assert left == Usage(CIRCLE, OTHER, None, 3, 0, {OTHER: 3})
    assert left.left == 0


@pytest.mark.parametrize("elapsed", [0, 600])
def test_what_was_paid_for_is_free_for_ten_minutes(desk: Desk, elapsed: int) -> None:
    described = circle(member())
    with desk.world.store.write() as transaction:
        first = desk.budgets.take(transaction, described, PLATFORM, elements=100, digest=b"d" * 32)
    desk.world.clock.tick(elapsed)
    with desk.world.store.write() as transaction:
        again = desk.budgets.take(transaction, described, PLATFORM, elements=100, digest=b"d" * 32)
    assert (first, again) == (None, None)
    desk.world.clock.tick(601)
    with desk.world.store.write() as transaction:
        late = desk.budgets.take(transaction, described, PLATFORM, elements=100, digest=b"d" * 32)
    assert isinstance(late, RateLimitedError)
