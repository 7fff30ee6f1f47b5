"""The node's own Merkle log: every accepted statement's id, in the order of acceptance."""

from collections.abc import Sequence

from node.storage.engine import Store
from node.storage.logs import LogRecord
from node.storage.transaction import Transaction
from protocol.checkpoint import Checkpoint
from protocol.fields import StatementId
from protocol.messages import Entries, EntriesRequest
from signing.keys import SigningKey
from signing.notes import sign_checkpoint


class OwnLog:
    """Appends inside the transaction that stores the statements, and signs what is durable."""

    def __init__(self, store: Store, key: SigningKey, *, origin: str) -> None:
        self._store = store
        self._key = key
        self.origin = origin
        self._signed: tuple[int, bytes] | None = None

    def append(self, transaction: Transaction, ids: Sequence[StatementId]) -> int:
        """Adds entries to the log and returns the place of the first.

        The log's state and the statements commit together. A crash before the commit leaves
        neither; there is nothing to repair.
        """
        known = transaction.logs.get(self.origin)
        grown = known.frontier.append(bytes.fromhex(one) for one in ids)
        transaction.logs.put(LogRecord(self.origin, grown, None))
        return known.frontier.size

    def checkpoint(self) -> bytes:
        """Returns the signed checkpoint of everything that is durable (C2SP signed note)."""
        with self._store.read() as transaction:
            frontier = transaction.logs.get(self.origin).frontier
        # What a read transaction sees has been committed, and a commit is on disk (FULL).
        signed = self._signed
        if signed is None or signed[0] != frontier.size:
            note = sign_checkpoint(
                Checkpoint(self.origin, frontier.size, frontier.root()), self._key
            )
            signed = self._signed = (frontier.size, note)
        return signed[1]

    def entries(self, request: EntriesRequest) -> Entries:
        """Returns the ids at the places asked for, as far as the log reaches."""
        with self._store.read() as transaction:
            found = transaction.statements.entries(request.start, request.limit)
        return Entries(start=request.start, entries=tuple(found))

    def size(self) -> int:
        """Returns the number of entries."""
        with self._store.read() as transaction:
            return transaction.logs.size(self.origin)
