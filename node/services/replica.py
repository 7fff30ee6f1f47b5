"""What this node keeps of other nodes' logs: the storing side of `federation.sync`."""

from collections.abc import Callable, Sequence

from federation.sync import Pulled
from federation.trust import verify_statement
from node.services.directory import StoredDirectory, log_name, pinned
from node.services.ingest import Accepted, Ingest
from node.storage.engine import Store
from node.storage.logs import LogRecord
from node.storage.peers import SetAsideRecord
from node.storage.transaction import Transaction
from protocol.envelope import parse_envelope
from protocol.errors import (
    LimitError,
    NodeError,
    ProtocolError,
    RevokedError,
    SchutznetzError,
    SigningError,
    UnknownKeyError,
    UnknownTargetError,
)
from protocol.fields import StatementId
from protocol.limits import MAX_TEXT_CHARS
from protocol.merkle import Frontier
from protocol.messages import SetAside
from protocol.statements import parse_statement

_MOST_KEPT = 1_000
_MAX_KEPT_BYTES = 256 << 10
_RETRIES = 64


class StoredReplica:
    """Takes over pulled statements, one transaction per batch."""

    def __init__(
        self, store: Store, ingest: Ingest, *, node: str, clock: Callable[[], float]
    ) -> None:
        """Serves the sync with one peer.

        Args:
            store: the database.
            ingest: the one way in.
            node: name of the peer.
            clock: Unix time in seconds.
        """
        self._store = store
        self._ingest = ingest
        self._node = node
        self._clock = clock

    def cursor(self, origin: str) -> tuple[Frontier, bytes | None]:
        """Returns the state up to where a log was taken over, and its latest checkpoint."""
        with self._store.read() as transaction:
            record = transaction.logs.get(self._log(transaction, origin))
        return record.frontier, record.checkpoint

    def _log(self, transaction: Transaction, origin: str) -> str:
        record = transaction.peers.get(self._node)
        return origin if record is None else log_name(pinned(record))

    def missing(self, ids: Sequence[StatementId]) -> set[StatementId]:
        """Returns those of `ids` whose statements are neither here nor known to be gone."""
        with self._store.read() as transaction:
            here = set(transaction.statements.by_ids(ids))
            return set(ids) - here - transaction.peers.skipped(self._node, ids)

    def take(
        self,
        origin: str,
        pulled: Sequence[Pulled],
        frontier: Frontier,
        checkpoint: bytes | None,
    ) -> Sequence[SetAside]:
        """Verifies and stores what was pulled, and moves the cursor, in one transaction.

        A crash before the commit leaves the cursor where it was: the same batch is asked for again.
        """
        accepted: list[Accepted] = []
        refused: list[SetAside] = []
        with self._store.write() as transaction:
            for one in pulled:
                self._take_one(transaction, one, accepted, refused)
            if accepted:
                accepted += retry_set_aside(transaction, self._ingest, now=int(self._clock()))
            name = self._log(transaction, origin)
            transaction.logs.put(LogRecord(name, frontier, checkpoint))
        fresh = [one for one in accepted if one.is_new]
        if fresh:
            self._ingest.settle(fresh, synced=True)
        # What pointed at something behind it in the batch is here by now, and not set aside.
        here = {one.id for one in accepted}
        return [one for one in refused if one.id not in here]

    def _take_one(
        self,
        transaction: Transaction,
        one: Pulled,
        accepted: list[Accepted],
        refused: list[SetAside],
    ) -> None:
        if one.has_no_body:
            transaction.peers.skip(self._node, one.id, "no body")
            return
        if one.envelope is None:
            reason = one.problem or "What came is no envelope."
            self._set_aside(transaction, one.id, reason, envelope=None, retry=False)
            refused.append(SetAside(id=one.id, reason=reason[:MAX_TEXT_CHARS]))
            return
        try:
            now = int(self._clock())
            accepted.append(_accept(transaction, self._ingest, one.envelope, self._node, now))
        except (ProtocolError, SigningError, NodeError) as error:
            if isinstance(error, UnknownTargetError) and self._is_moot(transaction, one.envelope):
                transaction.peers.skip(self._node, one.id, "moot")
                return
            # A single bad statement is kept with its reason and never stops the rest. What time,
            # the operator or another statement may cure is kept with its bytes and tried again.
            retry = is_curable(error) and len(one.envelope) <= _MAX_KEPT_BYTES
            reason = _reason(error)
            self._set_aside(
                transaction, one.id, reason, envelope=one.envelope if retry else None, retry=retry
            )
            refused.append(SetAside(id=one.id, reason=reason))

    def _is_moot(self, transaction: Transaction, envelope: bytes) -> bool:
        """Whether a statement is about one that is rightly not here: erased, expired, withheld."""
        parsed = parse_envelope(envelope)
        statement = parse_statement(parsed.kind, parsed.payload)
        pointers = (getattr(statement, "target", None), getattr(statement, "dispute", None))
        return any(
            pointer is not None and transaction.peers.was_skipped(self._node, pointer)
            for pointer in pointers
        )

    def _set_aside(
        self,
        transaction: Transaction,
        statement_id: StatementId,
        reason: str,
        *,
        envelope: bytes | None,
        retry: bool,
    ) -> None:
        # A flood of bad statements must not fill the disk: past the bound only the id is kept.
        if transaction.peers.count_set_aside(self._node) >= _MOST_KEPT:
            transaction.peers.skip(self._node, statement_id, "refused")
            return
        transaction.peers.set_aside(
            SetAsideRecord(
                id=statement_id,
                origin=self._node,
                reason=reason,
                retry=retry,
                seen=int(self._clock()),
                envelope=envelope,
            )
        )

    def misbehaved(self, node: str, message: str, evidence: bytes) -> None:
        """Keeps the evidence that a peer contradicts its own log, and freezes the peer."""
        with self._store.write() as transaction:
            now = int(self._clock())
            transaction.peers.keep_evidence(node, message, evidence, at=now, grave=True)
            transaction.peers.set_state(node, "frozen")
            transaction.peers.note_sync(node, at=None, problem=message)
            transaction.journal.audit(
                "node", "peer.frozen", at=now, subject=node, detail=message[:MAX_TEXT_CHARS]
            )


def retry_set_aside(transaction: Transaction, ingest: Ingest, *, now: int) -> list[Accepted]:
    """Tries again what was set aside and may be cured by now; returns what was accepted.

    Those that waited longest come first, and go to the end of the line when they fail again.
    """
    accepted = []
    for record in transaction.peers.all_set_aside(retry_only=True, limit=_RETRIES):
        if record.envelope is None:
            continue
        try:
            accepted.append(_accept(transaction, ingest, record.envelope, record.origin, now))
            # It may have come by another way meanwhile: then nothing else takes it off the list.
            transaction.peers.take_back(record.id)
        except (ProtocolError, SigningError, NodeError):
            transaction.peers.postpone(record.id, at=now)
    return accepted


def is_curable(error: SchutznetzError) -> bool:
    """Whether a statement that failed like this may be good later.

    A key may be vouched for, a target may arrive, a frozen peer may be thawed, and a clock that is
    ahead will be right in the end.
    """
    if isinstance(error, LimitError):
        return error.where == "issued"
    return isinstance(error, UnknownKeyError | UnknownTargetError | RevokedError)


def _accept(
    transaction: Transaction, ingest: Ingest, envelope: bytes, source: str, now: int
) -> Accepted:
    # A statement that fails leaves nothing behind in the batch's transaction.
    with transaction.savepoint():
        trusted = verify_statement(envelope, StoredDirectory(transaction), now=now)
        return ingest.accept(transaction, trusted, source=source, now=now)


def _reason(error: SchutznetzError) -> str:
    return f"{type(error).__name__.removesuffix('Error')}: {error}"[:MAX_TEXT_CHARS]
