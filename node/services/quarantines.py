"""Entries in quarantine: what the operator makes of them, and how their issuer hears of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from node.policy.file import PolicyFile
from node.services import restoring
from node.services.authoring import Author
from node.services.budgets import day_of
from node.storage.engine import Store
from node.storage.gates import Quarantined
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.encoding import format_time
from protocol.errors import ConflictError, InvalidError, NotFoundError, SchutznetzError
from protocol.fields import StatementId
from protocol.statements import Feedback, FeedbackRow, MediaFlag

_log = structlog.get_logger("node.quarantine")
_AT_ONCE = 64

STATES = ("quarantined", "rejected", "confirmed")
"""What can have become of an entry that matched too much."""


@dataclass(frozen=True)
class Entry:
    """An entry that matched too much: whose it is, and what is known of it.

    Attributes:
        statement: id of the statement.
        item: number of the item.
        issuer: who signed.
        category: of the statement; None where its body is gone.
        state: one of `STATES`.
        reason: ``growth``, ``share``, or ``operator``.
        since: when.
        matches: most in an hour since then.
        usual: in an hour, before.
        lookups: of that hour, all together.
        issuer_told: when the issuer was told, if it was.
        decided_by: who confirmed or rejected it, if somebody did.
    """

    statement: str
    item: int
    issuer: str
    category: str | None
    state: str
    reason: str
    since: str
    matches: int
    usual: int
    lookups: int
    issuer_told: str | None
    decided_by: str | None


class Quarantines:
    """Lists, confirms and rejects, and tells issuers."""

    def __init__(
        self,
        store: Store,
        author: Author,
        policy: PolicyFile,
        *,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._author = author
        self._policy = policy
        self._name = name
        self._clock = clock

    def list(self, states: Sequence[str] = ("quarantined", "rejected")) -> list[Entry]:
        """Returns the entries in these states, in the order of the log."""
        with self._store.read() as transaction:
            found = transaction.gates.quarantined(states)
            records = transaction.statements.by_indices(one.log_index for one in found)
        return [_entry(one, records[one.log_index]) for one in found]

    def confirm(self, statement: str, item: int, *, actor: str) -> Entry:
        """Lets an entry act again: until it matches far more than it did when this was said.

        Raises:
            NotFoundError: there is no such statement or item here.
            ConflictError: the entry is neither in quarantine nor rejected.
        """
        now = int(self._clock())
        with self._store.write() as transaction:
            record, before = _find(transaction, statement, item)
            if before is None or before.state == "confirmed":
                raise ConflictError("The entry is not in quarantine: there is nothing to confirm.")
            rate = transaction.gates.rate((record.log_index, item))
            seen = max(before.level, before.matches, 0 if rate is None else rate.count)
            after = replace(
                before, state="confirmed", level=seen, decided=now, decided_by=actor, told=now
            )
            _decide(transaction, after, "quarantine.confirm", record, actor=actor, now=now)
        return _entry(after, record)

    def reject(self, statement: str, item: int, *, actor: str) -> Entry:
        """Turns an entry off at this node, in quarantine or not; and asks to undo what it led to.

        Raises:
            NotFoundError: there is no such statement or item here.
            InvalidError: it is no media-flag.
        """
        now = int(self._clock())
        with self._store.write() as transaction:
            record, before = _find(transaction, statement, item)
            known = before or Quarantined(record.log_index, item, "", "operator", since=now)
            after = replace(known, state="rejected", decided=now, decided_by=actor)
            _decide(transaction, after, "quarantine.reject", record, actor=actor, now=now)
            reason = "rejected by the operator"
            restoring.ask_remedy(transaction, record.log_index, [item], reason=reason, now=now)
        return _entry(after, record)

    def tell(self) -> None:
        """Tells issuers, where the policy says so, how often what is in quarantine matched here.

        By a feedback with counts of matches that nobody has looked at: it weighs on nobody's
        decisions. A dispute would, everywhere; and then whoever uploads a picture often enough at
        one platform would take its entry from all.
        """
        if not self._policy.current().gates.quarantine.tell_issuer:
            return
        with self._store.read() as transaction:
            found = transaction.gates.untold(limit=_AT_ONCE)
        for one in found:
            try:
                self._tell(one)
            except SchutznetzError as error:
                _log.warning("issuer_not_told", error=type(error).__name__)

    def _tell(self, one: Quarantined) -> None:
        now = int(self._clock())
        place, day = (one.log_index, one.item), day_of(now)
        with self._store.read() as transaction:
            record = transaction.statements.by_indices([one.log_index])[one.log_index]
            said = transaction.gates.reported(place, reporter=self._name, day=day)
        confirmed, refuted, unreviewed = said
        row = FeedbackRow(
            item=one.item,
            confirmed=confirmed,
            refuted=refuted,
            unreviewed=max(unreviewed, one.matches),
        )

        def remember(transaction: Transaction, _statement: StatementId) -> None:
            transaction.gates.set_told(place, at=now)
            transaction.journal.audit(
                "node",
                "quarantine.tell",
                at=now,
                subject=record.id,
                detail=f"item={one.item} unreviewed={row.unreviewed}",
            )

        self._author.issue(
            Feedback,
            also=remember,
            audience=record.audience,
            target=record.id,
            day=day,
            rows=(row,),
        )


def _find(
    transaction: Transaction, statement: str, item: int
) -> tuple[StatementRecord, Quarantined | None]:
    record = transaction.statements.by_id(statement)
    if record is None:
        raise NotFoundError("There is no statement with this id in this node's log.")
    if record.kind != MediaFlag.KIND:
        raise InvalidError("Only the entries of a media-flag can be in quarantine or rejected.")
    if not 0 <= item < record.items:
        raise NotFoundError(f"The statement has the items 0 to {record.items - 1}.")
    place = (record.log_index, item)
    return record, transaction.gates.quarantines_of([place]).get(place)


def _decide(
    transaction: Transaction,
    after: Quarantined,
    action: str,
    record: StatementRecord,
    *,
    actor: str,
    now: int,
) -> None:
    transaction.gates.put_quarantine(after)
    transaction.gates.changed()
    transaction.journal.audit(
        actor, action, at=now, subject=record.id, detail=f"item={after.item} level={after.level}"
    )


def _entry(one: Quarantined, record: StatementRecord) -> Entry:
    return Entry(
        statement=record.id,
        item=one.item,
        issuer=record.issuer,
        category=record.category,
        state=one.state,
        reason=one.reason,
        since=format_time(one.since),
        matches=one.matches,
        usual=one.usual,
        lookups=one.lookups,
        issuer_told=None if one.told is None else format_time(one.told),
        decided_by=one.decided_by,
    )
