"""Asking the operator to restore what was blocked, held or reviewed because of an entry.

Called in the transaction that takes an entry back, or that counts a decision which came too late.
Whoever was acted on is to be restored also where the body of the statement is gone by now.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from node.storage.remedies import Deed
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.envelope import parse_envelope
from protocol.kinds import parse_statement
from protocol.statements import Erase, Resolve, Retract

ACTED_DECISIONS: Final = ("block", "hold", "review")
"""Decisions that may have touched somebody, so that they must be undone."""

ASKED: Final = "restore.asked"
"""Kind of the message that tells a client of a task."""

MOST_REFERENCES: Final = 1_000
"""So many uploads that led to a decision are kept by name for each item; the rest are counted."""

_MOST_CAUSES = 100
_HARMLESS: Final = frozenset({"retention", "expired", "duplicate"})
"""Reasons that say nothing against what was done on the strength of a statement."""


def note_deeds(transaction: Transaction, times: Mapping[Deed, int], *, now: int) -> None:
    """Counts what was done for whom; beyond `MOST_REFERENCES` without what the client calls it."""
    named = {(one.log_index, one.item) for one in times if one.reference}
    kept = transaction.remedies.count_references(named) if named else {}
    counted: dict[Deed, int] = {}
    for one, count in times.items():
        place = (one.log_index, one.item)
        deed = one
        if one.reference and kept.get(place, 0) >= MOST_REFERENCES:
            deed = one._replace(reference="")
        elif one.reference:
            kept[place] = kept.get(place, 0) + 1
        counted[deed] = counted.get(deed, 0) + count
    transaction.remedies.add_deeds(counted, at=now)


def ask_remedy(
    transaction: Transaction, log_index: int, items: Sequence[int] = (), *, reason: str, now: int
) -> None:
    """Asks to restore what items (none named: all) led to here, where that was not asked before."""
    acted = transaction.journal.acted_on(log_index, ACTED_DECISIONS)
    named = acted & set(items) if items else acted
    asked_before = transaction.journal.remedied(log_index)
    if touched := sorted(named - asked_before):
        _add(transaction, log_index, touched, reason, now)


def ask_late_remedy(
    transaction: Transaction, items: Collection[tuple[int, int]], *, decision: str, now: int
) -> None:
    """Asks to restore what was decided because of items that were taken back meanwhile.

    A look-up reads first and counts later. What was taken back between the two found nothing that
    was acted on; so whoever counts asks in its stead, in the transaction that counts.

    Args:
        transaction: in which the decision has been counted.
        items: (log_index, item) that match no more.
        decision: what they led to.
        now: Unix time in seconds.
    """
    if decision not in ACTED_DECISIONS:
        return
    records = transaction.statements.by_indices(log_index for log_index, _ in items)
    for log_index, record in records.items():
        # What has come to its end was right until then.
        if record.state == "expired":
            continue
        # A task that is done says nothing of what was decided since.
        waiting = transaction.journal.remedied(log_index, open_only=True)
        late = {item for place, item in items if place == log_index}
        if touched := sorted(late - waiting):
            reason = "taken back" if record.state == "active" else record.state
            _add(transaction, log_index, touched, reason, now)


def _add(
    transaction: Transaction, log_index: int, items: Sequence[int], reason: str, now: int
) -> None:
    number = transaction.journal.add_remedy(log_index, items, reason, at=now)
    concerned = transaction.remedies.clients(log_index, items, ACTED_DECISIONS)
    concerned |= transaction.retro.clients_met(log_index, items)
    transaction.webhooks.ask_restore(number, concerned, ASKED, now=now)


def causes(transaction: Transaction, target_index: int) -> list[StatementRecord]:
    """Returns what took a statement back for a reason that asks for remedy, oldest first.

    Only the latest `_MOST_CAUSES` statements about it are looked at.
    """
    pointing = transaction.statements.about(
        target_index, (Retract.KIND, Resolve.KIND, Erase.KIND), limit=_MOST_CAUSES
    )
    bodies = transaction.statements.envelopes(one.log_index for one in pointing)
    return [
        one
        for one in sorted(pointing, key=lambda record: record.log_index)
        if one.log_index in bodies and asks_for_remedy(bodies[one.log_index])
    ]


def asks_for_remedy(envelope: bytes) -> bool:
    """Whether a stored retract, resolve or erase says that its target was wrong to act on."""
    parsed = parse_envelope(envelope)
    statement = parse_statement(parsed.kind, parsed.payload)
    if isinstance(statement, Resolve):
        return statement.outcome == "upheld"
    return isinstance(statement, Retract | Erase) and statement.reason not in _HARMLESS


def latest(records: Iterable[StatementRecord]) -> StatementRecord | None:
    """Returns the one that was taken in last."""
    return max(records, key=lambda one: one.log_index, default=None)
