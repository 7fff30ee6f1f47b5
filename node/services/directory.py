"""What this node knows, as `federation.trust` looks it up: inside one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from federation.descriptors import PinnedNode, State, pin
from federation.trust import CONFIDENTIAL_KINDS, Target
from node.storage.peers import PeerRecord
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.circles import CircleDescriptor
from protocol.descriptors import NodeDescriptor
from protocol.envelope import parse_envelope
from protocol.fields import StatementId, organisation_of
from protocol.statements import AccountBan, Accredit, Revocation, Statement, parse_as

S = TypeVar("S", bound=Statement)


class Served(NamedTuple):
    """Where a statement was found that a peer serves.

    Attributes:
        by: name of the peer.
        places: in that peer's own log, by statement id, as far as its entries are being read.
    """

    by: str
    places: Mapping[StatementId, int]


_KEPT: Final = 512


class StoredDirectory:
    """Looks up pinned nodes, accreditations, targets and circles in the database."""

    def __init__(self, transaction: Transaction, *, served: "Served | None" = None) -> None:
        """Looks up inside one transaction; `served` says where what is judged was found."""
        self._transaction = transaction
        self._served = served
        self._nodes: dict[str, PinnedNode | None] = {}

    def node(self, name: str) -> PinnedNode | None:
        """Returns the pinned node of that name, or this node itself."""
        if name not in self._nodes:
            record = self._transaction.peers.get(name)
            self._nodes[name] = None if record is None else pinned(record)
        return self._nodes[name]

    def accreditations(self, flagger: str) -> Sequence[Accredit]:
        """Returns the latest accreditation of each of the flagger's keys."""
        places = self._transaction.trust.accreditations(flagger)
        vouched = self.vouched(organisation_of(flagger), places)
        return [self._stored(Accredit, place) for place in places if place in vouched]

    def vouched(self, organisation: str, places: Iterable[int]) -> set[int]:
        """Returns those of these places in the log that the keys pinned now for a node have signed.

        What a node said about keys lives as long as the pin under which it was believed: who is
        pinned anew after a theft does not inherit whom the thief vouched for.
        """
        node = self.node(organisation)
        keys = () if node is None else [one.key.kid for one in node.statement_keys]
        found = self._transaction.trust.signed_by(places, keys)
        return found - self._transaction.revocations.among_void(found)

    def stands_before(self, statement: StatementId, node: str, mark: Revocation) -> bool:
        """Returns whether a statement is known to stand in a node's log before a revocation.

        Where a peer serves it, only that peer's own log says so, as it is read: to look through
        what is kept of a log for each statement would let anybody keep this node busy.
        """
        if self._served is not None:
            place = self._served.places.get(statement)
            return self._served.by == node and place is not None and place < mark.size
        pinned_node = self.node(node)
        if pinned_node is None:
            return False
        log = log_name(pinned_node)
        return bool(self._transaction.mirrors.before(log, mark.size, [statement]))

    def accreditation_at(self, log_index: int) -> Accredit:
        """Returns the accreditation at one place in the log."""
        return self._stored(Accredit, log_index)

    def ban_at(self, log_index: int) -> AccountBan:
        """Returns the account-ban at one place in the log, whose body is still here."""
        return self._stored(AccountBan, log_index)

    def target(self, statement: StatementId) -> Target | None:
        """Returns what is known of a statement, of any kind, erased ones included."""
        record = self._transaction.statements.by_id(statement)
        return None if record is None else Target(record.issuer, record.kind, record.items)

    def may_read(self, reader: str, statement: StatementId) -> bool:
        """Returns whether a node, by its name, is in the audience of a statement that is known."""
        record = self._transaction.statements.by_id(statement)
        return record is not None and self.includes(self.audience(record), reader)

    def includes(self, audience: Sequence[str], reader: str) -> bool:
        """Returns whether `reader`, the name of a pinned node, belongs to an audience."""
        for name in audience:
            if name in ("peers", f"node:{reader}"):
                return True
            if name.startswith("circle:"):
                circle = self.circle(name.removeprefix("circle:"))
                if circle is not None and reader in {member.node for member in circle.members}:
                    return True
        return False

    def audience(self, record: StatementRecord) -> tuple[str, ...]:
        """Returns who may read a stored statement: whom it names, and those who always may.

        These are its issuer's organisation, who may read the statement that it points at, and the
        members of the circle that it describes: those of this version, and those of each later one,
        who could not verify theirs without it.
        """
        about: tuple[str, ...] = ()
        if record.kind not in CONFIDENTIAL_KINDS:
            about = self.audience_of_target(self.target_of(record))
        described: tuple[str, ...] = ()
        if record.kind == CircleDescriptor.KIND:
            described = self._described(record.log_index)
        issuer = f"node:{organisation_of(record.issuer)}"
        return (*record.audience, *described, *about, issuer)

    def _described(self, log_index: int) -> tuple[str, ...]:
        descriptor = self._stored(CircleDescriptor, log_index)
        chain = self._transaction.trust.circle_versions(descriptor.circle)
        later = [place for place in chain.values() if place > log_index]
        if log_index not in chain.values():
            later = []  # of a chain that was begun anew since
        versions = [descriptor, *(self._stored(CircleDescriptor, place) for place in later)]
        readers = dict.fromkeys(name for one in versions for name in one.readers)
        return tuple(f"node:{name}" for name in readers)

    def audience_of_target(self, target: str | None) -> tuple[str, ...]:
        """Returns who may read a statement that another one points at, its issuer among them.

        What is said about a statement is for everybody who may have that statement, whatever its
        own audience says: nobody can retract or erase in one place only.
        """
        record = None if target is None else self._transaction.statements.by_id(target)
        if record is None:
            return ()
        return (*record.audience, f"node:{organisation_of(record.issuer)}")

    def dispute_target(self, dispute: StatementId) -> str | None:
        """Returns the target of a dispute that is known here."""
        record = self._transaction.statements.by_id(dispute)
        if record is None or record.kind != "dispute":
            return None
        return self.target_of(record)

    def target_of(self, record: StatementRecord) -> StatementId | None:
        """Returns the id of the statement that a stored one points at, if it points at one."""
        if record.target_index is None:
            return None
        found = self._transaction.statements.by_indices([record.target_index])
        return found[record.target_index].id

    def circle(self, name: str) -> CircleDescriptor | None:
        """Returns the latest descriptor of a circle."""
        found = self._chain(name)
        return None if not found else self._stored(CircleDescriptor, found[max(found)])

    def circle_id(self, name: str) -> StatementId | None:
        """Returns the statement id of the latest descriptor of a circle."""
        found = self._chain(name)
        if not found:
            return None
        place = found[max(found)]
        return self._transaction.statements.by_indices([place])[place].id

    def circle_version(
        self, name: str, version: int
    ) -> tuple[StatementId, CircleDescriptor] | None:
        """Returns one version of a circle that is known here, with its statement id."""
        place = self._chain(name).get(version)
        if place is None:
            return None
        found = self._transaction.statements.by_indices([place])
        return found[place].id, self._stored(CircleDescriptor, place)

    def _chain(self, name: str) -> dict[int, int]:
        """Returns the places in the log of a circle's descriptors, by version; none, if unknown.

        A chain lives as long as one of those who signed its latest version is pinned under the key
        that it signed with: where all of them were removed, or pinned anew after a theft, nobody
        who is known now has said any of it.
        """
        found = self._transaction.trust.circle_versions(name)
        if not found:
            return {}
        signers = self._transaction.trust.circle_signers(found[max(found)])
        for signer, keyid in signers.items():
            node = self.node(signer)
            if node is not None and keyid in {one.key.kid for one in node.statement_keys}:
                return found
        return {}

    def _stored(self, kind: type[S], log_index: int) -> S:
        body = self._transaction.statements.envelopes([log_index])[log_index]
        found: S = _parsed(kind, body)
        return found


@lru_cache(maxsize=_KEPT)
def _parsed(kind: type[S], envelope: bytes) -> S:
    """Parses a body once: a holder needs its circle, and the circle's founder, for every request.

    Same bytes, same value: which bytes count is asked of the database each time.
    """
    return parse_as(kind, parse_envelope(envelope).payload)


def log_name(node: PinnedNode) -> str:
    """Returns under what the state of a peer's log is kept: its origin, and the node's fingerprint.

    A node that was set up anew under its old name has another log, of which nothing is known yet;
    one that signs with a new key goes on with the old one (docs/adr/0024).
    """
    return f"{node.log_origin}+{node.fingerprint}"


def descriptor_of(record: PeerRecord) -> NodeDescriptor:
    """Returns the descriptor of a pinned node; it was verified when it was pinned."""
    found: NodeDescriptor = _parsed(NodeDescriptor, record.descriptor)
    return found


def pinned(record: PeerRecord) -> PinnedNode:
    """Returns a pinned node with its keys."""
    state: State = "active" if record.state == "active" else "frozen"
    return _pinned(record.descriptor, record.descriptor_id, record.authority, state)


@lru_cache(maxsize=_KEPT)
def _pinned(
    descriptor: bytes, descriptor_id: StatementId, authority: bool, state: State
) -> PinnedNode:
    found: NodeDescriptor = _parsed(NodeDescriptor, descriptor)
    return pin(found, descriptor_id, authority=authority, state=state)
