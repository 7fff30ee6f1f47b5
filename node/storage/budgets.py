"""What members of circles had evaluated here, and which requests were paid for lately."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, or_, select

from node.storage.rows import BudgetRow, OprfPaidRow
from node.storage.sql import join_list, split_list, table, upsert

_BUDGET = table(BudgetRow)
_PAID = table(OprfPaidRow)

_IS_PAID = select(_PAID.c.at).where(
    _PAID.c.digest == bindparam("digest"), _PAID.c.at >= bindparam("since")
)


@dataclass(frozen=True)
class UseRecord:
    """What one node had evaluated on one day, from the budget of one party.

    Attributes:
        circle: whose key.
        day: in UTC, as ``2026-11-22``.
        party: whose budget it was.
        member: the node that asked.
        used: elements of that day.
        recent: second and elements of what it asked in the last minute of its use.
        alarm: per cent of the party's budget that the operator was last told of; 0 for none.
    """

    circle: str
    day: str
    party: str
    member: str
    used: int = 0
    recent: tuple[tuple[int, int], ...] = ()
    alarm: int = 0


class BudgetRepository:
    """Budgets, by circle, day, party and node."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def uses(
        self, circle: str, days: Collection[str], *, party: str, members: Collection[str]
    ) -> list[UseRecord]:
        """Returns what was taken on these days by these nodes, or from the budget of this party."""
        asked = {"circle": circle, "party": party}
        asked |= {f"day_{place}": day for place, day in enumerate(sorted(days))}
        asked |= {f"member_{place}": one for place, one in enumerate(sorted(members))}
        found = self._connection.execute(_uses(len(days), len(members)), asked)
        return [_use(row) for row in found]

    def uses_of_day(self, day: str) -> list[UseRecord]:
        """Returns everything that was taken on a day, by circle, party and node."""
        found = self._connection.execute(
            select(_BUDGET)
            .where(_BUDGET.c.day == day)
            .order_by(_BUDGET.c.circle, _BUDGET.c.party, _BUDGET.c.member)
        )
        return [_use(row) for row in found]

    def put(self, use: UseRecord) -> None:
        """Stores what was taken, in place of what stood there.

        Read and written in one transaction, which no other writer of any process can come between.
        """
        recent = join_list(f"{second}:{elements}" for second, elements in use.recent)
        upsert(self._connection, _BUDGET, {**vars(use), "recent": recent})

    def is_paid(self, digest: bytes, *, since: int) -> bool:
        """Returns whether this very request was paid for since then."""
        found = self._connection.execute(_IS_PAID, {"digest": digest, "since": since})
        return found.first() is not None

    def pay(self, digest: bytes, *, now: int) -> None:
        """Remembers that a request was paid for."""
        upsert(self._connection, _PAID, {"digest": digest, "at": now})

    def forget_paid(self, *, before: int) -> None:
        """Forgets requests that were paid for too long ago to be free again."""
        self._connection.execute(delete(_PAID).where(_PAID.c.at < before))


# Built once for each number of days (one, or two around midnight) and of a party's nodes: every
# request of every member passes here, and building costs more than executing.
@lru_cache(maxsize=64)
def _uses(days: int, members: int) -> Any:
    return select(_BUDGET).where(
        _BUDGET.c.circle == bindparam("circle"),
        or_(*(_BUDGET.c.day == bindparam(f"day_{place}") for place in range(days))),
        or_(
            _BUDGET.c.party == bindparam("party"),
            *(_BUDGET.c.member == bindparam(f"member_{place}") for place in range(members)),
        ),
    )


def _use(row: Row[Any]) -> UseRecord:
    pairs = (entry.partition(":") for entry in split_list(row.recent))
    recent = tuple((int(second), int(elements)) for second, _, elements in pairs)
    return UseRecord(row.circle, row.day, row.party, row.member, row.used, recent, row.alarm)
