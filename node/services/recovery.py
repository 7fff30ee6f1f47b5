"""Fetching back what a restored copy of this node lacks of its own log.

The order of the entries is what was signed, so they are taken in one after the other, exactly as
they were, and none between them. Of an entry whose body nobody has any more, or that would not be
accepted today, the id is kept: the log is whole then, and the statement does not count.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from node.services.ingest import Accepted, Ingest
from node.services.log import OwnLog
from node.storage.engine import Store
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.checkpoint import Checkpoint
from protocol.errors import (
    NodeError,
    ProofError,
    ProtocolError,
    SigningError,
    UnavailableError,
)
from protocol.fields import StatementId
from protocol.merkle import Frontier

LOST = "unknown"
"""Kind of an entry of which only the id is known."""

_log = structlog.get_logger("node.recovery")


class _IncompleteError(Exception):
    """Leaves a transaction without a commit."""


@dataclass(frozen=True)
class Missing:
    """Entries that the log lacks, known to be the ones that it has signed."""

    start: int
    ids: tuple[StatementId, ...]


class Recovery:
    """Appends to the log what it had before; the one that may while it is behind."""

    def __init__(
        self,
        store: Store,
        log: OwnLog,
        *,
        name: str,
        settle: Callable[..., None],
        clock: Callable[[], float],
    ) -> None:
        """Keeps what is needed.

        Args:
            store: the database.
            log: the node's own.
            name: of the node.
            settle: tells who has to know of what was taken in, as `Ingest.settle`.
            clock: Unix time in seconds.
        """
        self._settle = settle
        self._store = store
        self._log = log.unguarded()
        self._ingest = Ingest(store, self._log, name=name, clock=clock, wakes=False)
        self._name = name
        self._clock = clock

    def check(self, ids: Sequence[StatementId], target: Checkpoint) -> Missing:
        """Returns the entries behind the log's last one, once they are known to be right.

        Args:
            ids: untrusted; what a peer says stands behind the entries that are here.
            target: the checkpoint that this node has signed, and is to reach.

        Raises:
            ProofError: they do not lead there.
        """
        with self._store.read() as transaction:
            frontier = transaction.logs.get(self._log.origin).frontier
        reached = frontier.append(bytes.fromhex(one) for one in ids)
        if (reached.size, reached.root()) != (target.size, target.root):
            raise ProofError("The entries do not lead to the checkpoint that this node has signed.")
        return Missing(frontier.size, tuple(ids))

    def take(
        self, start: int, page: Sequence[tuple[StatementId, bytes | None]], *, whole: bool = False
    ) -> list[StatementId]:
        """Appends some of the missing entries, in one transaction; returns of which only the id.

        A crash before the commit leaves the log where it was, and the next start goes on there.

        Args:
            start: place of the first; where the log has grown beyond it, nothing is done.
            page: ids from `check`, in their order, each with its envelope or None.
            whole: append nothing if there is one without a body that is believed: another peer may
                have it.
        """
        accepted: list[Accepted] = []
        lost: list[StatementId] = []
        with suppress(_IncompleteError), self._store.write() as transaction:
            if transaction.logs.size(self._log.origin) != start:
                return []  # another process was quicker
            for statement_id, envelope in page:
                found = self._believe(transaction, statement_id, envelope)
                if found is None:
                    self._keep_id(transaction, statement_id)
                    lost.append(statement_id)
                else:
                    accepted.append(found)
            if lost and whole:
                raise _IncompleteError  # which undoes it all
            _check(transaction, self._log.origin, start + len(page))
        if accepted and not (lost and whole):
            self._settle(accepted, synced=True)
        return lost

    def done(self, count: int, lost: int) -> None:
        """Writes down what came back."""
        now = int(self._clock())
        with self._store.write() as transaction:
            transaction.journal.audit(
                "node",
                "log.recovered",
                at=now,
                subject=self._log.origin,
                detail=f"{count} entries, {lost} without a body",
            )
        _log.info("log_recovered", entries=count, without_body=lost)

    def _believe(
        self, transaction: Transaction, statement_id: StatementId, envelope: bytes | None
    ) -> Accepted | None:
        if envelope is None:
            return None
        now = int(self._clock())
        try:
            found = self._ingest.believe(transaction, envelope, source=self._name, now=now)
        except UnavailableError:
            raise  # nothing was decided about it: the next attempt may have it
        except (ProtocolError, SigningError, NodeError):
            return None
        # What is here already, or another statement, would leave a gap in the log.
        if not found.is_new or found.id != statement_id:
            raise ProofError("A missing entry is in the log at another place.")
        return found

    def _keep_id(self, transaction: Transaction, statement_id: StatementId) -> None:
        place = self._log.append(transaction, [statement_id])
        record = StatementRecord(
            log_index=place,
            id=statement_id,
            kind=LOST,
            issuer=self._name,
            issued=0,
            ends=None,
            target_index=None,
            audience=(),
            state="erased",
            category=None,
            issuer_code=None,
            flags=(),
            surfaces=(),
            jurisdictions=(),
            items=0,
        )
        now = int(self._clock())
        transaction.statements.append(record, keyid="", received=now, source=self._name)


def _check(transaction: Transaction, origin: str, size: int) -> None:
    frontier: Frontier = transaction.logs.get(origin).frontier
    if frontier.size != size:
        raise ProofError("The log did not grow as it was to.")
