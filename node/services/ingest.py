"""The one way in for every statement, whether a flagger submits it or a sync brings it.

Verify, append to the log and store, apply its effects: one transaction. Then the index and the
peers are told. Doing it again changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from federation.trust import CONFIDENTIAL_KINDS, Trusted, verify_statement
from node.policy.gates import Limits
from node.services import (
    ageing,
    contradictions,
    effects,
    fitness,
    forgetting,
    intake,
    newcomers,
    waiting,
)
from node.services.directory import Served, StoredDirectory
from node.services.log import OwnLog
from node.storage.engine import Store
from node.storage.peers import SetAsideRecord
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.circles import CircleDescriptor
from protocol.encoding import parse_time
from protocol.envelope import parse_envelope
from protocol.errors import (
    EquivocationError,
    InvalidError,
    NodeError,
    NotAllowedError,
    ProtocolError,
    SigningError,
    UnknownTargetError,
)
from protocol.fields import StatementId, organisation_of
from protocol.limits import MAX_SUBMISSION_AGE_S
from protocol.messages import Receipt
from protocol.statements import AccountBan, Erase, MediaFlag, Statement

ENDED = "ended"
"""Where `InvalidError` says that a statement has ended: nothing is wrong with it otherwise."""

_MOST_WOKEN = 64

Subscriber = Callable[[bool], None]
"""Called after a commit that added statements; the argument says whether they came from a sync."""

Also = Callable[[Transaction, StatementId], None]
"""What is written together with a new statement, given its id; such as a line of the audit."""


@dataclass(frozen=True)
class Accepted:
    """A statement that is in the log now, or was before."""

    id: StatementId
    log_index: int
    is_new: bool
    kind: str
    cured: tuple["Accepted", ...] = ()

    def with_cured(self) -> list["Accepted"]:
        """Returns this one and all that were accepted because of it."""
        return [self, *(one for each in self.cured for one in each.with_cured())]


class Ingest:
    """Accepts statements into this node's log."""

    def __init__(
        self,
        store: Store,
        log: OwnLog,
        *,
        name: str,
        clock: Callable[[], float],
        limits: Callable[[], Limits] = Limits,
        wakes: bool = True,
    ) -> None:
        """Takes in no more of anybody than `limits`, asked each time, allows.

        Without `wakes`, what waited for a statement goes on waiting when that comes.
        """
        self._wakes = wakes
        self._limits = limits
        self._store = store
        self._log = log
        self._name = name
        self._clock = clock
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Has `subscriber` called after every commit that added statements."""
        self._subscribers.append(subscriber)

    def submit(self, envelope: bytes, *, caller: str, also: Also | None = None) -> Receipt:
        """Accepts one statement from the one who made it; the same again gives the same answer.

        When this returns, the statement is durable and in the log.

        Args:
            envelope: untrusted bytes.
            caller: who sent the request, as its own signature showed.
            also: done in the same transaction, where the statement is new.

        Raises:
            ProtocolError, SigningError: `federation.trust` does not believe it.
            NotAllowedError: it is signed by somebody else than the caller.
            InvalidError: it would be useless, or dangerous, to match with.
            RateLimitedError: its issuer has had as much taken in today as the operator allows.
        """
        try:
            return self._submit(envelope, caller=caller, also=also)
        except EquivocationError as error:
            # What was written with the refused statement is undone; the evidence is not.
            with self._store.write() as transaction:
                contradictions.keep(transaction, envelope, error, now=int(self._clock()))
            raise

    def _submit(self, envelope: bytes, *, caller: str, also: Also | None) -> Receipt:
        now = int(self._clock())
        with self._store.write() as transaction:
            known = transaction.statements.by_id(parse_envelope(envelope).statement_id)
            if known is not None and known.issuer == caller:
                # The same bytes were believed once; what has become of the key since then, or of
                # what the statement points at, is no reason to give another answer now.
                return Receipt(id=known.id, index=known.log_index, duplicate=True)
            trusted = verify_statement(envelope, StoredDirectory(transaction), now=now)
            statement = trusted.verified.statement
            if statement.issuer != caller:
                raise NotAllowedError("A statement is submitted by its own issuer.")
            if parse_time(statement.issued) < now - MAX_SUBMISSION_AGE_S:
                raise InvalidError(
                    "The statement was signed more than a day ago: sign it anew.", where="issued"
                )
            accepted = self.accept(transaction, trusted, source=caller, now=now)
            if also is not None:
                also(transaction, accepted.id)
        if accepted.is_new:
            self.settle(accepted.with_cured(), synced=False)
        return Receipt(id=accepted.id, index=accepted.log_index, duplicate=not accepted.is_new)

    def accept(
        self, transaction: Transaction, trusted: Trusted, *, source: str, now: int
    ) -> Accepted:
        """Stores a believed statement and applies its effects, inside the caller's transaction.

        Raises:
            InvalidError: it has ended, or would be useless or dangerous to match with.
            NotAllowedError: it is not addressed to this node.
            RateLimitedError: its issuer has had as much taken in today as the operator allows.
        """
        verified = trusted.verified
        statement = verified.statement
        known = transaction.statements.by_id(verified.id)
        if known is not None:
            return Accepted(known.id, known.log_index, is_new=False, kind=known.kind)
        newcomers.check(transaction, trusted.organisation, now=now)
        ends = effects.end_of(statement)
        if ends is not None and ends <= now:
            raise InvalidError(
                "The statement has ended already: issue it anew with a later end.", where=ENDED
            )
        if isinstance(statement, AccountBan) and ageing.is_over(transaction, statement, now=now):
            raise InvalidError(
                "Every key that the ban is made with is over: ban again under the newest one.",
                where=ENDED,
            )
        self._check_audience(transaction, statement, verified.id)
        fitness.check_gates(statement)
        intake.take_in(transaction, statement, self._limits(), now=now)
        # From here to the commit, a crash leaves nothing of the statement anywhere.
        log_index = self._log.append(transaction, [verified.id])
        record = _record(transaction, verified.id, statement, log_index)
        transaction.statements.append(record, keyid=trusted.keyid, received=now, source=source)
        transaction.statements.keep_envelope(log_index, verified.envelope)
        if isinstance(statement, CircleDescriptor):
            transaction.trust.sign_circle(log_index, trusted.signers)
        effects.apply(transaction, record, statement, now=now)
        transaction.peers.take_back(verified.id)
        cured = self._wake(transaction, statement, verified.id, now=now)
        return Accepted(verified.id, log_index, is_new=True, kind=record.kind, cured=cured)

    def _check_audience(
        self, transaction: Transaction, statement: Statement, statement_id: StatementId
    ) -> None:
        if is_addressed(statement, self._name, StoredDirectory(transaction)):
            return
        if transaction.peers.waiting_for(waiting.as_version(statement_id), limit=1):
            return  # a later version, which may name this node, cannot be verified without it
        if any(name.startswith("circle:") for name in statement.audience):
            # Its descriptor, or a version that names this node, may still be on its way.
            raise UnknownTargetError("It is for a circle of which this node knows no membership.")
        raise NotAllowedError("The statement is not addressed to this node.")

    def _wake(
        self, transaction: Transaction, statement: Statement, statement_id: StatementId, *, now: int
    ) -> tuple[Accepted, ...]:
        """Tries what waited for this statement, in the same transaction: an erase among it.

        So a body that an issuer has erased does not count for an instant, whoever serves it.
        """
        if not self._wakes:
            return ()
        cured: list[Accepted] = []
        for what in waiting.wakes(statement, statement_id):
            for record in transaction.peers.waiting_for(what, limit=_MOST_WOKEN):
                cured += self.retry(transaction, record, now=now)
        return tuple(cured)

    def retry(
        self, transaction: Transaction, record: SetAsideRecord, *, now: int
    ) -> list[Accepted]:
        """Tries a statement again that was set aside; returns what was accepted with it."""
        if record.envelope is None:
            return []
        try:
            accepted = self.believe(transaction, record.envelope, source=record.origin, now=now)
        except (ProtocolError, SigningError, NodeError):
            transaction.peers.postpone(record.id, at=now)
            return []
        # It may have come by another way meanwhile: then nothing else takes it off the list.
        transaction.peers.take_back(record.id)
        return accepted.with_cured() if accepted.is_new else []

    def believe(
        self,
        transaction: Transaction,
        envelope: bytes,
        *,
        source: str,
        now: int,
        served: Served | None = None,
    ) -> Accepted:
        """Verifies and accepts a statement that a peer served; raises as `submit` does.

        One that fails leaves nothing behind in the caller's transaction, but for the evidence of
        a circle whose admins contradict themselves.
        """
        try:
            with transaction.savepoint():
                directory = StoredDirectory(transaction, served=served)
                trusted = verify_statement(envelope, directory, now=now)
                return self.accept(transaction, trusted, source=source, now=now)
        except EquivocationError as error:
            contradictions.keep(transaction, envelope, error, now=now)
            raise
        except UnknownTargetError:
            # Its issuer is who it says: an erase reaches what was set aside for want of a key.
            if forgetting.clear_set_aside(transaction, envelope):
                self._store.owe_emptying()
            raise

    def is_erased(
        self, transaction: Transaction, statement_id: StatementId, envelope: bytes, *, now: int
    ) -> bool:
        """Whether a believed erase waits for a statement that is about to be set aside."""
        for erase in forgetting.erases_waiting_for(
            transaction, statement_id, envelope, limit=_MOST_WOKEN
        ):
            try:
                verify_statement(erase, StoredDirectory(transaction), now=now)
            except UnknownTargetError:
                return True
            except (ProtocolError, SigningError):
                continue
        return False

    def settle(self, accepted: list[Accepted], *, synced: bool) -> None:
        """Tells the subscribers of a commit, and lets nothing erased linger in the database."""
        if any(one.kind == Erase.KIND for one in accepted):
            self._store.forget_deleted()
        for subscriber in self._subscribers:
            subscriber(synced)


def is_addressed(statement: Statement, reader: str, directory: StoredDirectory) -> bool:
    """Whether `reader`, the name of a pinned node, may have the body of a new statement.

    `StoredDirectory.audience` says the same of one that is stored.
    """
    described: tuple[str, ...] = ()
    if isinstance(statement, CircleDescriptor):
        described = tuple(f"node:{name}" for name in statement.readers)
    about: tuple[str, ...] = ()
    if statement.KIND not in CONFIDENTIAL_KINDS:
        about = directory.audience_of_target(getattr(statement, "target", None))
    issuer = f"node:{organisation_of(statement.issuer)}"
    return directory.includes((*statement.audience, *described, *about, issuer), reader)


def _record(
    transaction: Transaction, statement_id: StatementId, statement: Statement, log_index: int
) -> StatementRecord:
    target = getattr(statement, "target", None)
    found = None if target is None else transaction.statements.by_id(target)
    flagged = statement if isinstance(statement, MediaFlag) else None
    judged = statement if isinstance(statement, MediaFlag | AccountBan) else None
    return StatementRecord(
        log_index=log_index,
        id=statement_id,
        kind=statement.KIND,
        issuer=statement.issuer,
        issued=parse_time(statement.issued),
        ends=effects.end_of(statement),
        target_index=None if found is None else found.log_index,
        audience=statement.audience,
        state="active",
        category=judged.category if judged else None,
        issuer_code=judged.issuer_code if judged else None,
        flags=flagged.flags if flagged else (),
        surfaces=flagged.surfaces if flagged else (),
        jurisdictions=judged.jurisdictions if judged else (),
        items=effects.item_count(statement),
    )
