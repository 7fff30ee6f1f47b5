"""Tasks to restore what was blocked, held or reviewed on the strength of an entry taken back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from node.services import restoring
from node.services.answering import Answering
from node.services.authoring import Author
from node.services.clients import Client
from node.storage.engine import Store
from node.storage.journal import RemedyRecord
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.encoding import format_time
from protocol.errors import ConflictError, NotFoundError
from protocol.fields import StatementId, organisation_of
from protocol.statements import Remedied

_MOST = 1_000
_MOST_DEEDS = 1_000
_MOST_TOLD = 100
_TRIES = 5
_NO_TASK = "No task of this number waits."


@dataclass(frozen=True)
class RemedyDeed:
    """What was done because of the entry, and for whom.

    Attributes:
        client: name of the program that was answered.
        decision: what it was told.
        rule: of the policy, that said so.
        reference: what the program calls the upload; None where it gave no name.
        item: number of the item that was met.
        count: how often.
        first: when first.
        last: when last.
    """

    client: str
    decision: str
    rule: str | None
    reference: str | None
    item: int
    count: int
    first: str
    last: str


@dataclass(frozen=True)
class Remedy:
    """One task for the operator: undo what was done because of this statement.

    Attributes:
        id: number of the task.
        statement: id of the statement that was taken back.
        kind: of that statement.
        issuer: of that statement.
        items: numbers of the items that had led to an action here.
        reason: why they were taken back.
        since: when this node learned of it.
        state: ``open`` or ``done``.
        deeds: what is known of what was done, the latest first, 1000 at the most.
        done: when it was done.
        done_by: who said so.
        note: what they wrote.
    """

    id: int
    statement: str
    kind: str
    issuer: str
    items: tuple[int, ...]
    reason: str
    since: str
    state: str
    deeds: tuple[RemedyDeed, ...] = ()
    done: str | None = None
    done_by: str | None = None
    note: str | None = None


class _NotLastError(Exception):
    """Another task about the same statement waits after all, or none does any more."""


class Remedies:
    """Lists the tasks, takes note of what was done, and tells the issuer."""

    def __init__(
        self,
        store: Store,
        author: Author,
        answering: Answering,
        *,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._author = author
        self._answering = answering
        self._name = name
        self._clock = clock

    def open(self) -> list[Remedy]:
        """Returns the tasks that wait, oldest first, 1000 at the most."""
        return self.list(open_only=True)

    def list(self, *, open_only: bool) -> list[Remedy]:
        """Returns tasks, oldest first, 1000 at the most; without what is known of the deeds."""
        with self._store.read() as transaction:
            found = transaction.journal.remedies(open_only=open_only, limit=_MOST)
            records = transaction.statements.by_indices(one.log_index for one in found)
        return [_shown(one, records[one.log_index]) for one in found]

    def get(self, number: int) -> Remedy:
        """Returns one task, open or done, with what is known of what was done.

        Raises:
            NotFoundError: there is no such task.
        """
        with self._store.read() as transaction:
            found = transaction.journal.remedies_at([number]).get(number)
            if found is None:
                raise NotFoundError("There is no task of this number.")
            record = transaction.statements.by_indices([found.log_index])[found.log_index]
            deeds = deeds_of(transaction, found)
        return replace(_shown(found, record), deeds=tuple(deeds))

    def done(self, number: int, client: Client, note: str | None = None) -> None:
        """Takes note that a task was done; with the last about a statement, its issuer is told.

        Both in one transaction: who is told that all is restored can rely on it, and a crash leaves
        the task open.

        Args:
            number: of the task.
            client: who did it.
            note: how, for whoever asks later.

        Raises:
            NotFoundError: no such task waits.
        """
        for _ in range(_TRIES):
            try:
                self._finish(number, client, note)
            except _NotLastError:
                continue  # somebody else finished one meanwhile, or a new one came
            return
        raise ConflictError("Tasks about the same statement keep changing: try again.")

    def _finish(self, number: int, client: Client, note: str | None) -> None:
        with self._store.read() as transaction:
            task = transaction.journal.remedies_at([number]).get(number)
            if task is None or task.done is not None:
                raise NotFoundError(_NO_TASK)
            target = transaction.statements.by_indices([task.log_index])[task.log_index]
            cause = restoring.latest(restoring.causes(transaction, task.log_index))
            is_last = _others(transaction, task) == 0
            says = self._answering.says_done(target)
        organisation = organisation_of(target.issuer)

        def finish(transaction: Transaction, _statement: StatementId | None = None) -> None:
            now = int(self._clock())
            if (_others(transaction, task) == 0) != is_last:
                raise _NotLastError
            if not transaction.journal.finish_remedy(number, by=client.name, at=now, note=note):
                raise NotFoundError(_NO_TASK)
            transaction.journal.audit(
                client.name, "remedy.done", at=now, subject=str(number), detail=note
            )

        if not is_last or cause is None or says is None or organisation == self._name:
            with self._store.write() as transaction:
                finish(transaction)
            return
        self._author.issue(
            Remedied,
            also=finish,
            audience=(f"node:{organisation}",),
            target=target.id,
            cause=cause.id,
            outcome=says,
        )


def deeds_of(
    transaction: Transaction, task: RemedyRecord, *, client: int | None = None
) -> Sequence[RemedyDeed]:
    """Returns what is known of what a task is about, the latest first; of one client, or of all."""
    names = {one.number: one.name for one in transaction.access.clients()}
    counted = transaction.remedies.deeds(
        task.log_index, task.items, restoring.ACTED_DECISIONS, limit=_MOST_DEEDS
    )
    found = [
        (
            one.last,
            one.deed.client,
            RemedyDeed(
                client=names.get(one.deed.client, ""),
                decision=one.deed.decision,
                rule=one.deed.rule or None,
                reference=one.deed.reference or None,
                item=one.deed.item,
                count=one.count,
                first=format_time(one.first),
                last=format_time(one.last),
            ),
        )
        for one in counted
    ]
    for match in transaction.retro.met_by(task.log_index, task.items, limit=_MOST_DEEDS):
        if match.decision in restoring.ACTED_DECISIONS:
            when = format_time(match.found)
            deed = RemedyDeed(
                client=names.get(match.client, ""),
                decision=match.decision,
                rule=match.rule,
                reference=match.upload_id,
                item=match.item,
                count=1,
                first=when,
                last=when,
            )
            found.append((match.found, match.client, deed))
    found.sort(key=lambda one: -one[0])
    return [deed for _, whose, deed in found if client in (None, whose)][:_MOST_DEEDS]


def task_data(transaction: Transaction, number: int, *, client: int) -> dict[str, Any]:
    """Returns what a client's webhook is told of a task: what concerns that client, no more."""
    task = transaction.journal.remedies_at([number])[number]
    record = transaction.statements.by_indices([task.log_index])[task.log_index]
    deeds = [
        {
            "reference": one.reference,
            "decision": one.decision,
            "rule": one.rule,
            "item": one.item,
            "count": one.count,
            "first": one.first,
            "last": one.last,
        }
        for one in deeds_of(transaction, task, client=client)[:_MOST_TOLD]
    ]
    return {
        "task": {
            "id": task.number,
            "statement": record.id,
            "kind": record.kind,
            "items": task.items,
            "reason": task.reason,
            "since": format_time(task.since),
            "deeds": deeds,
        }
    }


def _others(transaction: Transaction, task: RemedyRecord) -> int:
    """Returns how many other tasks about the same statement wait."""
    return transaction.journal.count_open(task.log_index, but=task.number)


def _shown(one: RemedyRecord, record: StatementRecord) -> Remedy:
    return Remedy(
        id=one.number,
        statement=record.id,
        kind=record.kind,
        issuer=record.issuer,
        items=one.items,
        reason=one.reason,
        since=format_time(one.since),
        state="open" if one.done is None else "done",
        done=None if one.done is None else format_time(one.done),
        done_by=one.done_by,
        note=one.note,
    )
