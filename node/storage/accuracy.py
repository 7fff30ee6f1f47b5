"""What platforms reported of flaggers' statements, summed up."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from node.storage.rows import FeedbackRowRow, StatementRow
from node.storage.sql import table

_FEEDBACK = table(FeedbackRowRow)
_STATEMENT = table(StatementRow)


@dataclass(frozen=True)
class ReporterSum:
    """What one organisation reported of one issuer's statements in one category."""

    issuer: str
    category: str | None
    reporter: str
    confirmed: int
    refuted: int
    unreviewed: int


class AccuracyRepository:
    """Sums over feedback, without what an organisation says of its own flaggers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sums(self, first: str, last: str, *, issuer: str | None) -> list[ReporterSum]:
        """Returns the sums over days, both included, by issuer, category and reporter.

        A report of an organisation for a day and an item was replaced by a later one before.
        """
        key = (_STATEMENT.c.issuer, _FEEDBACK.c.category, _FEEDBACK.c.reporter)
        counts = (_FEEDBACK.c.confirmed, _FEEDBACK.c.refuted, _FEEDBACK.c.unreviewed)
        found = self._connection.execute(
            select(*key, *(func.sum(one) for one in counts))
            .join_from(_FEEDBACK, _STATEMENT, _FEEDBACK.c.target_index == _STATEMENT.c.log_index)
            .where(_independent(first, last, issuer))
            .group_by(*key)
            .order_by(*key)
        )
        return [
            ReporterSum(row[0], row[1], row[2], int(row[3]), int(row[4]), int(row[5]))
            for row in found
        ]

    def statements(
        self, first: str, last: str, *, issuer: str | None
    ) -> dict[tuple[str, str | None], int]:
        """Returns of how many statements something was reported, by issuer and category."""
        found = self._connection.execute(
            select(
                _STATEMENT.c.issuer,
                _FEEDBACK.c.category,
                func.count(func.distinct(_FEEDBACK.c.target_index)),
            )
            .join_from(_FEEDBACK, _STATEMENT, _FEEDBACK.c.target_index == _STATEMENT.c.log_index)
            .where(_independent(first, last, issuer))
            .group_by(_STATEMENT.c.issuer, _FEEDBACK.c.category)
        )
        return {(row[0], row[1]): int(row[2]) for row in found}


def _independent(first: str, last: str, issuer: str | None) -> ColumnElement[bool]:
    own = (_STATEMENT.c.issuer == _FEEDBACK.c.reporter) | _STATEMENT.c.issuer.startswith(
        _FEEDBACK.c.reporter + "/"
    )
    wanted = (_FEEDBACK.c.day >= first) & (_FEEDBACK.c.day <= last) & ~own
    return wanted if issuer is None else wanted & (_STATEMENT.c.issuer == issuer)
