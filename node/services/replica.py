"""What this node keeps of other nodes' logs: the storing side of `federation.sync`."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from federation.evidence import rewritten_entry, two_roots
from federation.misconduct import Contradiction
from federation.sync import Pulled
from node.services import forgetting, mirroring, waiting
from node.services.accusations import accuse, checked, descriptors_of, freeze
from node.services.budgets import day_of
from node.services.directory import Served, log_name, pinned
from node.services.ingest import ENDED, Accepted, Ingest
from node.storage.engine import Store
from node.storage.logs import LogRecord
from node.storage.peers import SetAsideRecord
from node.storage.transaction import Transaction
from protocol.circles import CircleDescriptor
from protocol.errors import (
    InvalidError,
    NewcomerError,
    NodeError,
    PeerUnreachableError,
    ProtocolError,
    RateLimitedError,
    SchutznetzError,
    SigningError,
    UnavailableError,
    UnknownTargetError,
)
from protocol.evidence import Evidence
from protocol.fields import StatementId
from protocol.limits import MAX_ENVELOPES_PER_REQUEST, MAX_TEXT_CHARS
from protocol.merkle import Frontier
from protocol.messages import SetAside

_MOST_KEPT = 1_000
_MOST_QUIET = 10_000
MOST_SKIPPED = 100_000
_MAX_KEPT_BYTES = 256 << 10
_RETRIES = 64


class StoredReplica:
    """Takes over pulled statements, one transaction per batch."""

    def __init__(
        self,
        store: Store,
        ingest: Ingest,
        *,
        node: str,
        clock: Callable[[], float],
        log: str | None = None,
    ) -> None:
        """Serves the sync with one peer.

        Args:
            store: the database.
            ingest: the one way in.
            node: name of the peer.
            clock: Unix time in seconds.
            log: under which name its log is kept, as it was pinned when the sync began; None for
                the one that it has at the first question.
        """
        self._store = store
        self._ingest = ingest
        self._node = self._served_by = node
        self._clock = clock
        self._begun = log

    def cursor(self, origin: str) -> tuple[Frontier, bytes | None]:
        """Returns the state up to where a log was taken over, and its latest checkpoint.

        Raises:
            PeerUnreachableError: as `take` does.
        """
        with self._store.read() as transaction:
            record = transaction.logs.get(self._log(transaction, origin))
        self._begun = record.origin
        return record.frontier, record.checkpoint

    def _log(self, transaction: Transaction, origin: str) -> str:
        record = transaction.peers.get(self._node)
        log = origin if record is None else log_name(pinned(record))
        # What is under way was asked under the keys of before. Kept as the state of the log that
        # the peer has now, it would convict that one of having shrunk or signed two.
        if self._begun not in (None, log):
            raise PeerUnreachableError("The peer was removed, or has another log, meanwhile.")
        return log

    def missing(self, ids: Sequence[StatementId]) -> set[StatementId]:
        """Returns those of `ids` whose statements are neither here nor known to be gone."""
        with self._store.read() as transaction:
            here = transaction.statements.by_ids(ids)
            cured = transaction.peers.refused(self._node, list(here))
            missing = set(ids) - here.keys() - transaction.peers.skipped(self._node, ids)
        if cured:
            # The peer's log says so: it has taken in by now what it had set aside.
            with self._store.write() as transaction:
                transaction.peers.withdraw_refusals(self._node, cured)
        if any(one.kind == CircleDescriptor.KIND for one in here.values()):
            # The peer knows by now who belongs to that circle: this node, perhaps.
            with self._store.write() as transaction:
                transaction.peers.ask_again(self._node)
        return missing

    def wanted(self) -> Sequence[StatementId]:
        """Returns what to ask the peer for, beyond what is new in its log."""
        today = day_of(int(self._clock()))
        with self._store.read() as transaction:
            is_due = transaction.peers.waits_since_before(self._node, today)
        if is_due:
            with self._store.write() as transaction:
                transaction.peers.ask_those_of_before(self._node, today)
        with self._store.read() as transaction:
            found = transaction.peers.wanted(
                self._node, waiting.VERSION, limit=MAX_ENVELOPES_PER_REQUEST
            )
            here = transaction.statements.by_ids(found)
        self._settle(list(here))
        return [one for one in found if one not in here]

    def _settle(self, here: Sequence[StatementId]) -> None:
        """Asks no more for what came another way."""
        if here:
            with self._store.write() as transaction:
                transaction.mirroring.settle(self._node, here)

    def take(
        self,
        origin: str,
        pulled: Sequence[Pulled],
        frontier: Frontier,
        checkpoint: bytes | None,
        entries: Sequence[StatementId] = (),
    ) -> Sequence[SetAside]:
        """Verifies and stores what was pulled, and moves the cursor, in one transaction.

        A crash before the commit leaves the cursor where it was: the same batch is asked for again.

        Raises:
            UnavailableError: this node takes nothing in now, or its database is away; the cursor
                stays where it was as well.
            PeerUnreachableError: the log is not that which `cursor` has begun with.
        """
        accepted: list[Accepted] = []
        refused: list[SetAside] = []
        later: list[StatementId] = []
        start = frontier.size - len(entries)
        places = {one: start + at for at, one in enumerate(entries)}
        served = Served(self._node, places)
        with self._store.write() as transaction:
            name = self._log(transaction, origin)
            room = self._pass_over(transaction, pulled)
            for one in pulled:
                if not one.has_no_body:
                    self._take_one(
                        transaction,
                        one,
                        served,
                        accepted=accepted,
                        refused=refused,
                        later=later,
                    )
            today = day_of(int(self._clock()))
            for statement_id in later[: max(0, room)]:
                transaction.peers.ask_later(self._node, statement_id, today)
            if any(one.kind == CircleDescriptor.KIND for one in accepted):
                # What was withheld from this node may be for it now.
                transaction.peers.ask_again(self._node)
            self._answered(transaction, accepted, refused, later)
            transaction.logs.put(LogRecord(name, frontier, checkpoint))
            if entries:
                transaction.mirrors.extend(name, frontier.size - len(entries), entries)
                now = int(self._clock())
                mirroring.keep(transaction, self._node, name, frontier, checkpoint, now=now)
        fresh = [one for one in accepted if one.is_new]
        if fresh:
            self._ingest.settle(fresh, synced=True)
        # What pointed at something behind it in the batch is here by now, and not set aside.
        here = {one.id for one in accepted}
        return [one for one in refused if one.id not in here]

    def _pass_over(self, transaction: Transaction, pulled: Sequence[Pulled]) -> int:
        """Takes note of what has no body; returns how much room there is for more of it."""
        transaction.peers.asked_again(self._node, [one.id for one in pulled])
        room = MOST_SKIPPED - transaction.peers.count_skipped(self._node)
        bodiless = [one.id for one in pulled if one.has_no_body][: max(0, room)]
        for statement_id in bodiless:
            # Only to know later that what points at it is no surprise.
            transaction.peers.skip(self._node, statement_id)
        return room - len(bodiless)

    def _answered(
        self,
        transaction: Transaction,
        accepted: Sequence[Accepted],
        refused: Sequence[SetAside],
        later: Sequence[StatementId],
    ) -> None:
        """Takes note of what became of the others; what the peer itself has served says it all."""

    def _take_one(
        self,
        transaction: Transaction,
        one: Pulled,
        served: Served,
        *,
        accepted: list[Accepted],
        refused: list[SetAside],
        later: list[StatementId],
    ) -> None:
        now = int(self._clock())
        if one.envelope is None:
            record = self._record(one, one.problem or "What came is no envelope.", now)
        else:
            try:
                found = self._ingest.believe(
                    transaction, one.envelope, source=self._node, now=now, served=served
                )
            except UnavailableError:
                raise  # it is this node that cannot: nothing was decided about the statement
            except (ProtocolError, SigningError, NodeError) as error:
                if isinstance(error, InvalidError) and error.where == ENDED:
                    return  # as if the peer had said so
                record = self._judge(transaction, one, error, now)
                if isinstance(error, RateLimitedError | NewcomerError) and not (
                    record.retry and self._is_room(transaction)
                ):
                    later.append(one.id)  # its bytes are not kept: the peer has them tomorrow
            else:
                accepted += found.with_cured()
                return
        self._set_aside(transaction, record)
        if not record.quiet:
            refused.append(SetAside(id=record.id, reason=record.reason))

    def _judge(
        self, transaction: Transaction, one: Pulled, error: SchutznetzError, now: int
    ) -> SetAsideRecord:
        """Says how a statement that was not accepted is kept, and what it waits for."""
        record = self._record(one, _reason(error), now)
        assert one.envelope is not None
        # A single bad statement is kept with its reason and never stops the rest. What time, the
        # operator or another statement may cure is kept with its bytes and tried again.
        if not waiting.is_curable(error) or len(one.envelope) > _MAX_KEPT_BYTES:
            return record
        if self._ingest.is_erased(transaction, one.id, one.envelope, now=now):
            return replace(record, reason=forgetting.ERASED, quiet=True)
        statement = waiting.statement_in(one.envelope)
        pointers = waiting.pointers(statement)
        previous = getattr(statement, "previous", None)
        follows = pointers if previous is None else [*pointers, previous]
        known = {str(found) for found in transaction.statements.by_ids(follows)}
        # What is about a statement that is rightly not here waits in silence: if somebody serves
        # that statement all the same, its erasure is at hand.
        quiet = isinstance(error, UnknownTargetError) and any(
            transaction.peers.was_skipped(self._node, pointer)
            or any(each.quiet for each in transaction.peers.set_aside_with(pointer))
            for pointer in pointers
        )
        return replace(
            record,
            retry=True,
            envelope=one.envelope,
            waits_for=waiting.waits_for(error, statement, known),
            quiet=quiet,
        )

    def _record(self, one: Pulled, reason: str, now: int) -> SetAsideRecord:
        return SetAsideRecord(
            id=one.id,
            origin=self._served_by,
            reason=reason[:MAX_TEXT_CHARS],
            retry=False,
            seen=now,
            envelope=None,
        )

    def _set_aside(self, transaction: Transaction, record: SetAsideRecord) -> None:
        # A flood of bad statements must not fill the disk: past the bound nothing is kept.
        if self._is_room(transaction, quiet=record.quiet):
            transaction.peers.set_aside(record)

    def _is_room(self, transaction: Transaction, *, quiet: bool = False) -> bool:
        most = _MOST_QUIET if quiet else _MOST_KEPT
        return transaction.peers.count_set_aside(self._served_by, quiet=quiet) < most

    def still_refused(self, set_aside: Sequence[SetAside]) -> Sequence[SetAside]:
        """Returns what of it was not cured since, by a later page or by another peer."""
        with self._store.read() as transaction:
            here = transaction.statements.by_ids(one.id for one in set_aside)
        return [one for one in set_aside if one.id not in here]

    def entries(self, origin: str) -> Sequence[StatementId]:
        """Returns the entries of the peer's log as they were taken over, from the first on."""
        with self._store.read() as transaction:
            name = self._log(transaction, origin)
            return transaction.mirrors.entries(name, 0, transaction.mirrors.size(name))

    def misbehaved(
        self, node: str, message: str, evidence: bytes, shown: Contradiction | None = None
    ) -> None:
        """Keeps the evidence that a peer contradicts its own log, and freezes the peer."""
        now = int(self._clock())
        document = None if shown is None else self._document(node, shown, now)
        with self._store.write() as transaction:
            if transaction.peers.get(node) is not None:
                self._log(transaction, node)  # what the peer of before has signed is not this one's
            if document is None:
                freeze(transaction, node, message, evidence, now=now)
            else:
                accuse(transaction, message, document, now=now)

    def _document(self, node: str, shown: Contradiction, now: int) -> Evidence | None:
        with self._store.read() as transaction:
            descriptors = descriptors_of(transaction, node)
        if shown.logs is None:
            return checked(two_roots(node, descriptors, shown.notes, now=now))
        # Outside of the transaction: it hashes both logs as a whole.
        found = rewritten_entry(node, descriptors, shown.notes, shown.logs, now=now)
        return None if found is None else checked(found)


def retry_set_aside(store: Store, ingest: Ingest, *, now: int) -> list[Accepted]:
    """Tries again what was set aside and may be cured by now; returns what was accepted.

    Those that waited longest come first, and go to the end of the line when they fail again. Each
    is tried in a transaction of its own, so that nobody waits long for the lock.
    """
    with store.read() as transaction:
        waiting_now = transaction.peers.all_set_aside(retry_only=True, limit=_RETRIES)
    accepted: list[Accepted] = []
    for record in waiting_now:
        with store.write() as transaction:
            accepted += ingest.retry(transaction, record, now=now)
    return accepted


def _reason(error: SchutznetzError) -> str:
    return f"{type(error).__name__.removesuffix('Error')}: {error}"[:MAX_TEXT_CHARS]
