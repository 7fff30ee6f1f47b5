"""What peers owe this organisation: proofs of erasure, and answers to what it took back."""

from collections.abc import Callable
from dataclasses import dataclass

from node.services.directory import StoredDirectory
from node.services.progress import Withdrawal
from node.services.serving import audience_of
from node.storage.engine import Store
from protocol.encoding import format_time
from protocol.errors import NotFoundError
from protocol.fields import organisation_of
from protocol.statements import Erase, Resolve, Retract

_SECONDS_PER_DAY = 86_400
_MOST = 200


@dataclass(frozen=True)
class Proof:
    """One node's signed proof of erasure.

    Attributes:
        node: who proves it.
        erased: when the last of it was gone there.
        id: of the proof, a statement.
        envelope: its exact text, all that is needed to verify it beside the node's descriptor.
    """

    node: str
    erased: str
    id: str
    envelope: str


@dataclass(frozen=True)
class Erasure:
    """The proofs of one erased statement, and the peers in its audience that have given none."""

    statement: str
    proofs: tuple[Proof, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Late:
    """A peer that owes an answer or a proof about a statement that was taken back."""

    node: str
    statement: str
    since: str


class Erasures:
    """Lists proofs, and who is late."""

    def __init__(
        self, store: Store, *, name: str, due_days: int = 7, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._name = name
        self._due_s = due_days * _SECONDS_PER_DAY
        self._clock = clock

    def late(self) -> list[Late]:
        """Returns who is late, of what this organisation took back in its last 200 statements."""
        now = int(self._clock())
        found = []
        with self._store.read() as transaction:
            directory = StoredDirectory(transaction)
            peers = [one.name for one in transaction.peers.all() if one.name != self._name]
            places = transaction.statements.taken_back_by(
                self._name, (Retract.KIND, Resolve.KIND, Erase.KIND), limit=_MOST
            )
            for record in transaction.statements.by_indices(places).values():
                if organisation_of(record.issuer) != self._name:
                    continue
                withdrawal = Withdrawal(transaction, record, due_s=self._due_s)
                audience = audience_of(record, directory)
                for name in peers:
                    since = withdrawal.late_since(name, now=now)
                    if since is not None and directory.includes(audience, name):
                        found.append(Late(name, record.id, since))
        return sorted(found, key=lambda one: (one.node, one.since))

    def get(self, statement_id: str) -> Erasure:
        """Returns the proofs of a statement, by name of node.

        Raises:
            NotFoundError: it is not in this node's log.
        """
        with self._store.read() as transaction:
            record = transaction.statements.by_id(statement_id)
            if record is None:
                raise NotFoundError("There is no statement with this id in this node's log.")
            found = transaction.remedies.proofs(record.log_index)
            places = [one.log_index for one in found.values()]
            records = transaction.statements.by_indices(places)
            bodies = transaction.statements.envelopes(places)
            directory = StoredDirectory(transaction)
            audience = audience_of(record, directory)
            readers = [
                one.name
                for one in transaction.peers.all()
                if one.name != self._name and directory.includes(audience, one.name)
            ]
        proofs = tuple(
            Proof(
                node=name,
                erased=format_time(one.erased),
                id=records[one.log_index].id,
                envelope=bodies[one.log_index].decode(),
            )
            for name, one in sorted(found.items())
        )
        missing = tuple(name for name in readers if name not in found)
        return Erasure(record.id, proofs, missing if record.state == "erased" else ())
