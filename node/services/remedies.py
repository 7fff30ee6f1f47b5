"""Tasks to restore what was blocked, held or reviewed on the strength of an entry taken back."""

from collections.abc import Callable
from dataclasses import dataclass

from node.services.clients import Client
from node.storage.engine import Store
from protocol.encoding import format_time
from protocol.errors import NotFoundError

_MOST = 1_000


@dataclass(frozen=True)
class Remedy:
    """One task for the operator: undo what was done because of this statement.

    Attributes:
        id: number of the task.
        statement: id of the statement that was taken back.
        kind: of that statement.
        items: numbers of the items that had led to an action here.
        reason: why they were taken back.
        since: when this node learned of it.
        state: ``open`` or ``done``.
    """

    id: int
    statement: str
    kind: str
    items: tuple[int, ...]
    reason: str
    since: str
    state: str


class Remedies:
    """Lists the tasks and takes note of what was done."""

    def __init__(self, store: Store, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def open(self) -> list[Remedy]:
        """Returns the tasks that wait, oldest first, 1000 at the most."""
        with self._store.read() as transaction:
            waiting = transaction.journal.remedies(open_only=True, limit=_MOST)
            records = transaction.statements.by_indices(one.log_index for one in waiting)
        return [
            Remedy(
                id=one.number,
                statement=records[one.log_index].id,
                kind=records[one.log_index].kind,
                items=one.items,
                reason=one.reason,
                since=format_time(one.since),
                state="open",
            )
            for one in waiting
        ]

    def done(self, number: int, client: Client) -> None:
        """Takes note that a task was done.

        Raises:
            NotFoundError: no such task waits.
        """
        now = int(self._clock())
        with self._store.write() as transaction:
            if not transaction.journal.finish_remedy(number, by=client.name, at=now):
                raise NotFoundError("No task of this number waits.")
            transaction.journal.audit(
                client.name, "remedy.done", at=now, subject=str(number), detail=None
            )
