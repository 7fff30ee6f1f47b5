"""Who has proved that the body of a statement of this organisation is gone, and who has not."""

from dataclasses import dataclass

from node.services.directory import StoredDirectory
from node.services.serving import audience_of
from node.storage.engine import Store
from protocol.encoding import format_time
from protocol.errors import NotFoundError


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


class Erasures:
    """Lists proofs."""

    def __init__(self, store: Store, *, name: str) -> None:
        self._store = store
        self._name = name

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
