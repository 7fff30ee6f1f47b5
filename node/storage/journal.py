"""What happened here: audit, matches, feedback, and remedies for what must be undone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from node.storage.rows import AuditRow, FeedbackRowRow, MatchRow, RemedyRow
from node.storage.sql import add_to, join_list, split_numbers, table, upsert

_AUDIT = table(AuditRow)
_FEEDBACK = table(FeedbackRowRow)
_MATCH = table(MatchRow)
_REMEDY = table(RemedyRow)
_NOWHERE = -1
_CHUNK = 400

# Built once: a sign-up check passes here, and to build one takes longer than to execute it.
_ADD_LINE = insert(_AUDIT)
_COUNT_NOTHING = update(_MATCH).where(_MATCH.c.log_index == _NOWHERE).values(last=bindparam("at"))


@dataclass(frozen=True)
class AuditEntry:
    """One line of the audit: who did what when, to which statement, peer or client."""

    number: int
    at: int
    actor: str
    action: str
    subject: str | None
    detail: str | None


@dataclass(frozen=True)
class RemedyRecord:
    """One task to undo what was done on the strength of an entry that was taken back."""

    number: int
    log_index: int
    items: tuple[int, ...]
    reason: str
    since: int
    done: int | None
    done_by: str | None
    note: str | None = None


@dataclass(frozen=True)
class FeedbackTotals:
    """What all organisations reported of one statement, all days together."""

    confirmed: int = 0
    refuted: int = 0
    unreviewed: int = 0


class JournalRepository:
    """Audit, matches, feedback, remedies."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def audit(
        self, actor: str, action: str, *, at: int, subject: str | None, detail: str | None
    ) -> None:
        """Adds one line to the audit."""
        line = {"at": at, "actor": actor, "action": action, "subject": subject, "detail": detail}
        self._connection.execute(_ADD_LINE, line)

    def audit_lines(self, lines: Sequence[Mapping[str, object]]) -> None:
        """Adds many lines at once, each with the arguments of `audit`."""
        self._connection.execute(_ADD_LINE, lines)

    def audit_after(self, number: int, *, limit: int) -> list[AuditEntry]:
        """Returns the lines of the audit behind a number, oldest first."""
        found = self._connection.execute(
            select(_AUDIT).where(_AUDIT.c.number > number).order_by(_AUDIT.c.number).limit(limit)
        )
        return [AuditEntry(**row) for row in found.mappings()]

    def count_match(
        self, log_index: int, item: int, decision: str, *, at: int, times: int = 1
    ) -> None:
        """Counts that an item was met, how many times at once, and what was decided."""
        add_to(
            self._connection,
            _MATCH,
            [_match(log_index, item, decision, at, times)],
            counter="count",
            last="last",
        )

    def count_matches(
        self, times: Mapping[tuple[int, int], int], decision: str, *, at: int
    ) -> None:
        """Counts for each (log_index, item) how often it was met, with one decision for all."""
        rows = [_match(*place, decision, at, count) for place, count in sorted(times.items())]
        for start in range(0, len(rows), _CHUNK):
            add_to(
                self._connection, _MATCH, rows[start : start + _CHUNK], counter="count", last="last"
            )

    def count_statements(self, log_indices: Collection[int], decision: str, *, at: int) -> None:
        """Counts that the first item of each of these statements was met once.

        One write, of a row that is not there where there is nothing to count: how long it takes
        does not tell whether anything was met.
        """
        if not log_indices:
            self._connection.execute(_COUNT_NOTHING, {"at": at})
            return
        rows = [_match(one, 0, decision, at, 1) for one in sorted(set(log_indices))]
        add_to(self._connection, _MATCH, rows, counter="count", last="last")

    def matches(self, log_index: int) -> int:
        """Returns how often items of a statement were met here."""
        return int(
            self._connection.execute(
                select(func.coalesce(func.sum(_MATCH.c.count), 0)).where(
                    _MATCH.c.log_index == log_index
                )
            ).scalar_one()
        )

    def acted_on(self, log_index: int, decisions: Sequence[str]) -> set[int]:
        """Returns the items of a statement that led to one of these decisions here."""
        found = self._connection.execute(
            select(_MATCH.c.item).where(
                _MATCH.c.log_index == log_index, _MATCH.c.decision.in_(list(decisions))
            )
        )
        return {row.item for row in found}

    def put_feedback(
        self,
        target_index: int,
        reporter: str,
        day: str,
        rows: Sequence[tuple[int, int, int, int]],
        *,
        category: str | None = None,
        issued: int = 0,
    ) -> None:
        """Stores a day's report of one organisation: (item, confirmed, refuted, unreviewed).

        It replaces an earlier report, and not one that was issued later and came first.
        """
        for item, confirmed, refuted, unreviewed in rows:
            key = {"target_index": target_index, "reporter": reporter, "day": day, "item": item}
            known = self._connection.execute(
                select(_FEEDBACK.c.issued, _FEEDBACK.c.category).where(
                    *(_FEEDBACK.c[name] == value for name, value in key.items())
                )
            ).first()
            if known is not None and (known.issued or 0) > issued:
                continue
            upsert(
                self._connection,
                _FEEDBACK,
                key
                | {
                    "confirmed": confirmed,
                    "refuted": refuted,
                    "unreviewed": unreviewed,
                    # Once the target's body is gone, only an earlier report knows its category.
                    "category": category or (known and known.category),
                    "issued": issued,
                },
            )

    def feedback(self, target_index: int) -> FeedbackTotals:
        """Returns what was reported of a statement."""
        row = self._connection.execute(
            select(
                func.coalesce(func.sum(_FEEDBACK.c.confirmed), 0),
                func.coalesce(func.sum(_FEEDBACK.c.refuted), 0),
                func.coalesce(func.sum(_FEEDBACK.c.unreviewed), 0),
            ).where(_FEEDBACK.c.target_index == target_index)
        ).one()
        return FeedbackTotals(int(row[0]), int(row[1]), int(row[2]))

    def add_remedy(self, log_index: int, items: Sequence[int], reason: str, *, at: int) -> int:
        """Adds a task to undo what was done; returns its number."""
        done = self._connection.execute(
            insert(_REMEDY).values(
                log_index=log_index, items=join_list(items), reason=reason, since=at
            )
        )
        assert done.inserted_primary_key is not None
        return int(done.inserted_primary_key[0])

    def remedies(self, *, open_only: bool, limit: int) -> list[RemedyRecord]:
        """Returns the tasks, oldest first."""
        query = select(_REMEDY).order_by(_REMEDY.c.number).limit(limit)
        if open_only:
            query = query.where(_REMEDY.c.done.is_(None))
        return [_task(row) for row in self._connection.execute(query)]

    def remedies_at(self, numbers: Sequence[int]) -> dict[int, RemedyRecord]:
        """Returns the tasks with these numbers."""
        found = self._connection.execute(select(_REMEDY).where(_REMEDY.c.number.in_(numbers)))
        return {row.number: _task(row) for row in found}

    def remedied(self, log_index: int, *, open_only: bool = False) -> set[int]:
        """Returns the items of a statement for which a task was added before, or waits still."""
        query = select(_REMEDY.c["items"]).where(_REMEDY.c.log_index == log_index)
        if open_only:
            query = query.where(_REMEDY.c.done.is_(None))
        found = self._connection.execute(query)
        return {item for row in found for item in split_numbers(row.items)}

    def count_open(self, log_index: int, *, but: int) -> int:
        """Returns how many tasks about a statement wait, not counting the one of a number."""
        return self._connection.execute(
            select(func.count())
            .select_from(_REMEDY)
            .where(
                _REMEDY.c.log_index == log_index,
                _REMEDY.c.done.is_(None),
                _REMEDY.c.number != but,
            )
        ).scalar_one()

    def finish_remedy(self, number: int, *, by: str, at: int, note: str | None = None) -> bool:
        """Marks a task as done; returns whether there was such an open task."""
        done = self._connection.execute(
            update(_REMEDY)
            .where(_REMEDY.c.number == number, _REMEDY.c.done.is_(None))
            .values(done=at, done_by=by, note=note)
        )
        return done.rowcount == 1


def _task(row: Any) -> RemedyRecord:
    return RemedyRecord(
        row.number,
        row.log_index,
        split_numbers(row.items),
        row.reason,
        row.since,
        row.done,
        row.done_by,
        row.note,
    )


def _match(log_index: int, item: int, decision: str, at: int, times: int) -> dict[str, object]:
    return {
        "log_index": log_index,
        "item": item,
        "decision": decision,
        "count": times,
        "last": at,
    }
