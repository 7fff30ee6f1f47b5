"""Ceremonies as this node's operator sees them: looked at, confirmed, refused.

What the node then says in them is `node.services.participation`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from federation.ceremony import holders_of
from node.services.ceremony_plans import (
    AGREED,
    OPEN,
    check_plan,
    check_rivals,
    check_time,
    say,
    warnings_about,
)
from node.services.directory import StoredDirectory
from node.services.keys import (
    NodeKeys,
    forget_ceremony_key,
    load_ceremony_key,
    save_ceremony_key,
)
from node.storage.ceremonies import CeremonyRecord
from node.storage.engine import Store
from node.storage.transaction import Transaction
from protocol.ceremonies import Confirmation, Plan, parse_plan
from protocol.encoding import parse_time, to_base64url
from protocol.errors import ConflictError, NotFoundError
from signing.oprf.voprf import generate_key, load_key_pair


@dataclass(frozen=True)
class CeremonyState:
    """A ceremony for the operator to look at.

    Attributes:
        id: of the plan.
        plan: what is proposed.
        state: of `protocol.ceremonies.State`, ``published``, or ``expired``.
        reason: why it was refused or failed.
        culprit: whose fault that was.
        warnings: what the operator should know before confirming.
        said: which nodes have come how far, as far as this node was told.
    """

    id: str
    plan: Plan
    state: str
    reason: str | None
    culprit: str | None
    warnings: tuple[str, ...]
    said: dict[str, tuple[str, ...]]


class Ceremonies:
    """Shows ceremonies to the operator, and keeps what the operator decides."""

    def __init__(
        self,
        store: Store,
        keys: NodeKeys,
        *,
        directory: Path,
        name: str,
        passphrase: Callable[[], bytes],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._keys = keys
        self._directory = directory
        self._name = name
        self._passphrase = passphrase
        self._clock = clock

    def confirm(self, ceremony: str) -> CeremonyState:
        """Agrees to a plan, in the name of this node's operator.

        Raises:
            NotFoundError: there is no such ceremony here.
            ConflictError: it is over, or another one for the same version was confirmed here, or
                the plan does not fit what this node knows of the circle.
            MalformedError: likewise.
        """
        record = self._open_record(ceremony)
        plan = parse_plan(record.plan)
        if record.state != "unconfirmed":
            if record.state in AGREED:
                return self.get(record.id)
            raise ConflictError(f"This ceremony is {record.state}: nothing can be confirmed.")
        check_time(plan, int(self._clock()))
        with self._store.read() as transaction:
            check_rivals(transaction, record, now=int(self._clock()))
            check_plan(plan, self._name, StoredDirectory(transaction))
        key = None
        if self._name in holders_of(plan):
            # The key is on disk before anybody hears of it. A crash in between leaves a key that
            # the next attempt takes up again.
            private = load_ceremony_key(self._directory, record.id, self._passphrase())
            if private is None:
                private = generate_key().private
                save_ceremony_key(self._directory, record.id, private, self._passphrase())
            key = to_base64url(load_key_pair(private).public)
        envelope = say(
            self._keys,
            self._name,
            int(self._clock()),
            plan,
            Confirmation,
            ceremony=record.id,
            key=key,
        )
        with self._store.write() as transaction:
            check_rivals(transaction, record, now=int(self._clock()))
            now = int(self._clock())
            if transaction.ceremonies.move(record.id, "unconfirmed", "confirmed", at=now):
                transaction.ceremonies.put_part(record.id, self._name, Confirmation.KIND, envelope)
                transaction.journal.audit(
                    "operator", "ceremony.confirm", at=now, subject=plan.circle, detail=record.id
                )
        return self.get(record.id)

    def refuse(self, ceremony: str, reason: str | None = None) -> CeremonyState:
        """Has no part in a plan; the coordinator is told when it asks next.

        What this node has signed can be refused once its time is over. The signature stays with
        the coordinator: refused is only that this node signs no other for the same version.

        Raises:
            NotFoundError: there is no such ceremony here.
            ConflictError: this node has signed what came of it, and its time is not over; or it
                has ended, or gone on meanwhile.
        """
        record = self._open_record(ceremony)
        late = parse_time(parse_plan(record.plan).expires) < int(self._clock())
        if record.state not in OPEN and not (late and record.state == "signed"):
            raise ConflictError(
                "This node has signed the new descriptor already: it may be published any moment."
                if record.state == "signed"
                else f"This ceremony is {record.state} already."
            )
        with self._store.write() as transaction:
            now = int(self._clock())
            if not transaction.ceremonies.move(
                record.id,
                record.state,
                "refused",
                at=now,
                reason=reason or "The operator refused it.",
                culprit=self._name,
            ):
                # Else its key would be gone, and its state would not say why.
                raise ConflictError("The ceremony has gone on meanwhile: look at it again.")
            transaction.journal.audit(
                "operator", "ceremony.refuse", at=now, subject=record.circle, detail=record.id
            )
        forget_ceremony_key(self._directory, record.id)
        return self.get(record.id)

    def list(self) -> list[CeremonyState]:
        """Returns every ceremony that this node has heard of, the latest first."""
        with self._store.read() as transaction:
            directory = StoredDirectory(transaction)
            return [
                self._state(transaction, directory, one) for one in transaction.ceremonies.all()
            ]

    def get(self, ceremony: str) -> CeremonyState:
        """Returns one ceremony, by its id or by an unmistakable beginning of it.

        Raises:
            NotFoundError: there is none.
            ConflictError: there are several.
        """
        found = [one for one in self.list() if one.id.startswith(ceremony)]
        if not found or not ceremony:
            raise NotFoundError("There is no ceremony of this name here.")
        if len(found) > 1:
            raise ConflictError("Several ceremonies begin like this: give more of the name.")
        return found[0]

    def _state(
        self, transaction: Transaction, directory: StoredDirectory, record: CeremonyRecord
    ) -> CeremonyState:
        plan = parse_plan(record.plan)
        state = record.state
        current = directory.circle(plan.circle)
        if current is not None and current.version >= plan.version and state != "refused":
            mine = current.version > plan.version or current.nonce == plan.nonce
            state = "published" if mine and state != "failed" else state
        elif state in OPEN and parse_time(plan.expires) < int(self._clock()):
            state = "expired"
        said: dict[str, tuple[str, ...]] = {}
        for node, step in transaction.ceremonies.parts(record.id):
            said[node] = (*said.get(node, ()), step.removeprefix("ceremony-"))
        return CeremonyState(
            id=record.id,
            plan=plan,
            state=state,
            reason=record.reason,
            culprit=record.culprit,
            warnings=warnings_about(plan, self._name, directory),
            said=said,
        )

    def _open_record(self, ceremony: str) -> CeremonyRecord:
        found = self.get(ceremony)
        with self._store.read() as transaction:
            record = transaction.ceremonies.get(found.id)
        assert record is not None
        return record
