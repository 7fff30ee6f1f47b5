"""Budgets: how much each member of a circle may have evaluated here, and how much it had.

The budget is what keeps a member from listing every telephone number there is; the curve is not. It
belongs to a *party*, a legal person with all its nodes, and counts elements. It lies in the
database and nowhere else, so that every process of the node takes from the same one, and neither a
restart nor a new key, epoch or descriptor refills it. The operator sees who had how much; what was
asked about, nobody here can know.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from node.services.directory import StoredDirectory
from node.storage.budgets import UseRecord
from node.storage.engine import Store
from node.storage.transaction import Transaction
from protocol.circles import CircleDescriptor
from protocol.errors import RateLimitedError

REPEAT_S: Final = 600
"""How long the same request is free after it was paid for."""

ALARM_LEVELS: Final = (50, 80, 100)
"""Per cent of a day's budget at which the operator is told."""

_MINUTE_S: Final = 60
_DAY_S: Final = 86_400


@dataclass(frozen=True)
class Allowance:
    """How many elements a party may have evaluated: in a UTC day, and in any one minute."""

    per_day: int
    per_minute: int


NEWCOMER: Final = Allowance(per_day=200, per_minute=64)
"""What a member may have evaluated while what it says waits: enough to try a sign-up check with."""


@dataclass(frozen=True)
class Usage:
    """What one party had evaluated on one day.

    Attributes:
        party: the node by whose name the party goes.
        allowed: None where it is no member any more, or the circle is not known.
        used: elements, of all its nodes together.
        alarm: the highest of `ALARM_LEVELS` that was reached; 0 for none.
        members: elements by node.
    """

    circle: str
    party: str
    allowed: Allowance | None
    used: int
    alarm: int
    members: dict[str, int]

    @property
    def left(self) -> int:
        """Elements that are left of the day."""
        return 0 if self.allowed is None else max(0, self.allowed.per_day - self.used)


class Budgets:
    """Takes from budgets, and tells how they stand."""

    def __init__(
        self, store: Store, *, name: str, most: Allowance, clock: Callable[[], float]
    ) -> None:
        """Keep what is needed.

        Args:
            store: the node's database.
            name: of this node.
            most: the operator's own limit for any party, whatever a descriptor says.
            clock: Unix time in seconds.
        """
        self._store = store
        self._name = name
        self._most = most
        self._clock = clock

    def take(
        self,
        transaction: Transaction,
        circle: CircleDescriptor,
        member: str,
        *,
        elements: int,
        digest: bytes,
        is_newcomer: bool = False,
    ) -> RateLimitedError | None:
        """Takes elements from the budget of a member's party, unless they are paid for already.

        Returns the refusal instead of raising it: what the transaction wrote, the alarm that a
        budget is used up, has to be committed all the same.

        Args:
            transaction: a write, committed before anything is evaluated.
            circle: its descriptor; `member` is one of its members.
            member: the node that asks.
            elements: how many.
            digest: of member and request; the same again is free for `REPEAT_S`.
            is_newcomer: has the member have no more than `NEWCOMER`, whatever the circle allows.
        """
        now = int(self._clock())
        if transaction.budgets.is_paid(digest, since=now - REPEAT_S):
            return None
        party, nodes = party_of(circle, member)
        allowed = self._allowed(circle, party)
        if is_newcomer:
            allowed = _smaller(allowed, NEWCOMER)
        today = day_of(now)
        days = {today, day_of(now - _MINUTE_S)}
        uses = transaction.budgets.uses(circle.circle, days, party=party, members=nodes)
        recent = [one for use in uses for one in _within(use.recent, now)]
        uses = [use for use in uses if use.day == today]
        used = sum(use.used for use in uses)
        refusal = _refusal(allowed, used, recent, elements=elements, now=now)
        own = next(
            (use for use in uses if (use.party, use.member) == (party, member)),
            UseRecord(circle.circle, today, party, member),
        )
        known = max((use.alarm for use in uses), default=0)
        if refusal is None:
            used += elements
            mine = (*_within(own.recent, now), (now, elements))
            own = replace(own, used=own.used + elements, recent=_by_second(mine))
        reached = _level(used, allowed.per_day)
        if refusal is not None and used + elements > allowed.per_day:
            reached = ALARM_LEVELS[-1]
        for level in ALARM_LEVELS:
            if known < level <= reached:
                _tell(transaction, circle.circle, party, level, now)
        if refusal is None:
            transaction.budgets.pay(digest, now=now)
        # A refusal that tells the operator nothing new writes nothing: it must cost this node less
        # than it costs whoever provokes it.
        if refusal is None or reached > known:
            transaction.budgets.put(replace(own, alarm=max(own.alarm, reached)))
        return refusal

    def usage(self, day: str | None = None) -> list[Usage]:
        """Returns how much each party had on a day, by circle and party; today's unless it is said.

        Parties that had nothing are listed too, in circles whose key this node holds a share of.
        """
        day = day_of(int(self._clock())) if day is None else day
        with self._store.read() as transaction:
            uses = transaction.budgets.uses_of_day(day)
            names = {one.name for one in transaction.trust.circles()}
            directory = StoredDirectory(transaction)
            circles = {name: directory.circle(name) for name in names | {u.circle for u in uses}}
        found = []
        for name, circle in sorted(circles.items()):
            here = [use for use in uses if use.circle == name]
            parties = {use.party for use in here}
            if circle is not None and self._holds(circle):
                parties |= {one.party or one.node for one in circle.members}
            found += [self._usage(name, circle, party, here) for party in sorted(parties)]
        return found

    def alarms(self) -> list[Usage]:
        """Returns the parties that have used half of today's budget or more."""
        return [one for one in self.usage() if one.alarm]

    def _usage(
        self, name: str, circle: CircleDescriptor | None, party: str, uses: Iterable[UseRecord]
    ) -> Usage:
        nodes = set() if circle is None else _nodes_of(circle, party)
        mine = [use for use in uses if use.party == party or use.member in nodes]
        members: dict[str, int] = {}
        for use in mine:
            members[use.member] = members.get(use.member, 0) + use.used
        return Usage(
            circle=name,
            party=party,
            allowed=None if circle is None or not nodes else self._allowed(circle, party),
            used=sum(members.values()),
            alarm=max((use.alarm for use in mine), default=0),
            members=dict(sorted(members.items())),
        )

    def _allowed(self, circle: CircleDescriptor, party: str) -> Allowance:
        """Returns the smaller of what the descriptor allows and what the operator does."""
        told = next(one for one in circle.members if one.node == party)
        return _smaller(Allowance(told.budget_per_day, told.burst_per_minute), self._most)

    def _holds(self, circle: CircleDescriptor) -> bool:
        return any(one.node == self._name for epoch in circle.epochs for one in epoch.holders)


def _smaller(one: Allowance, other: Allowance) -> Allowance:
    return Allowance(
        per_day=min(one.per_day, other.per_day), per_minute=min(one.per_minute, other.per_minute)
    )


def party_of(circle: CircleDescriptor, member: str) -> tuple[str, set[str]]:
    """Returns the party that a member belongs to, and all its nodes (at least the member)."""
    (own,) = (one for one in circle.members if one.node == member)
    party = own.party or own.node
    return party, _nodes_of(circle, party)


def day_of(now: int) -> str:
    """Returns the UTC day of an instant, as ``2026-11-22``."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()


def _nodes_of(circle: CircleDescriptor, party: str) -> set[str]:
    return {one.node for one in circle.members if (one.party or one.node) == party}


def _within(recent: Iterable[tuple[int, int]], now: int) -> list[tuple[int, int]]:
    """Returns what counts in the minute before `now`; also what a clock set back calls later.

    Seconds are whole ones: what was taken 60 of them ago may lie 59.1 s back, and counts.
    """
    return [one for one in recent if one[0] >= now - _MINUTE_S]


def _by_second(recent: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    seconds: dict[int, int] = {}
    for second, elements in recent:
        seconds[second] = seconds.get(second, 0) + elements
    return tuple(sorted(seconds.items()))


def _level(used: int, limit: int) -> int:
    return max((one for one in ALARM_LEVELS if used * 100 >= one * limit), default=0)


def _refusal(
    allowed: Allowance,
    used: int,
    recent: list[tuple[int, int]],
    *,
    elements: int,
    now: int,
) -> RateLimitedError | None:
    """Returns why elements cannot be taken, and when they can; None if they can."""
    in_minute = sum(one for _, one in recent)
    budget = {
        "day_limit": allowed.per_day,
        "day_left": max(0, allowed.per_day - used),
        "minute_limit": allowed.per_minute,
        "minute_left": max(0, allowed.per_minute - in_minute),
    }
    tomorrow_s = _DAY_S - now % _DAY_S
    if elements > budget["day_left"]:
        return RateLimitedError(
            "The budget of this member for today is used up.",
            retry_after_s=tomorrow_s,
            budget=budget,
        )
    if elements <= budget["minute_left"]:
        return None
    wait_s = tomorrow_s  # where a batch is larger than any minute's, nothing helps
    for second, taken in sorted(recent):
        in_minute -= taken
        if in_minute + elements <= allowed.per_minute:
            wait_s = second + _MINUTE_S + 1 - now
            break
    return RateLimitedError(
        "The budget of this member for one minute is used up.", retry_after_s=wait_s, budget=budget
    )


def _tell(transaction: Transaction, circle: str, party: str, level: int, now: int) -> None:
    transaction.journal.audit(
        "node",
        "budget.reached",
        at=now,
        subject=party,
        detail=f"{level} % of the day's budget in {circle}",
    )
