"""Other nodes: pinning them, knowing their keys, and how far each of us has come."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from federation.chains import open_chain
from federation.descriptors import PinnedNode, pin
from node.services import judgements
from node.services.directory import StoredDirectory, descriptor_of, log_name, pinned
from node.services.log import OwnLog
from node.services.once import Once
from node.services.successions import advance
from node.storage.engine import Store
from node.storage.peers import PeerRecord, SetAsideRecord
from node.storage.transaction import Transaction
from protocol.descriptors import NodeDescriptor, fingerprint_of, parse_fingerprint
from protocol.encoding import from_base64url, parse_time
from protocol.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    UnknownKeyError,
)
from protocol.fields import organisation_of
from protocol.messages import Acknowledgement, Poke
from protocol.statements import Accredit
from signing.keys import KeyUse, PublicKey

_ENDED: Final = (
    "The peer's descriptor, or the last of its keys, has ended: it is neither asked nor believed "
    "until its operator has signed a new one."
)
_DAY_CHARS: Final = len("2026-11-22")


@dataclass(frozen=True)
class Caller:
    """Who signed a request, as a pinned key shows."""

    name: str
    kind: Literal["node", "flagger"]


@dataclass(frozen=True)
class PeerState:
    """A pinned node, and how far each of us has come with the other's log.

    Attributes:
        name: of the node.
        url: where it answers.
        fingerprint: as it was compared.
        authority: what it says counts as accredited.
        state: ``active`` or ``frozen``.
        seen_size: entries of its log that we took over.
        synced: when we last heard from it (Unix time), if ever.
        problem: why the last sync failed, if it did, or why there is none any more.
        acked_size: entries of our log that it took over.
        acked_at: when it said so.
        set_aside: statements of its log that we did not accept.
    """

    name: str
    url: str
    fingerprint: str
    authority: bool
    state: str
    seen_size: int
    synced: int | None
    problem: str | None
    acked_size: int
    acked_at: int | None
    set_aside: int


class Peers:
    """Pins nodes and tells callers apart."""

    def __init__(self, store: Store, log: OwnLog, *, name: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._log = log
        self._name = name
        self._clock = clock
        self._on_poke: Callable[[str], None] = _ignore

    def on_poke(self, listener: Callable[[str], None]) -> None:
        """Has `listener` called with a peer's name when that peer's log has grown."""
        self._on_poke = listener

    def add(
        self,
        descriptor: bytes,
        fingerprint: str,
        *,
        authority: bool,
        later: Sequence[bytes] = (),
        actor: str = "operator",
    ) -> PeerState:
        """Pins a node by its descriptor, once the fingerprint fits that the operator typed.

        Args:
            descriptor: its first one.
            fingerprint: as it was typed.
            authority: what it says counts as accredited.
            later: the versions that came behind the first, in their order.
            actor: who wants it.

        Raises:
            ProtocolError, SigningError: the descriptor is not believed, or the fingerprint has a
                typing error.
            InvalidError: the fingerprint is that of another node.
            ConflictError: another node of this name is pinned.
        """
        now = int(self._clock())
        chain = open_chain([descriptor, *later], now=now)
        opened, statement_id = chain[0].descriptor, chain[0].id
        if parse_fingerprint(fingerprint) != fingerprint_of(statement_id):
            raise InvalidError(
                "The fingerprint is not that of this node. Compare it again over the telephone, "
                "on a number that you know from elsewhere; if it still differs, do not add it.",
                where="fingerprint",
            )
        node = pin(opened, statement_id, authority=authority)
        record = PeerRecord(
            name=node.name,
            descriptor=descriptor,
            descriptor_id=statement_id,
            fingerprint=node.fingerprint,
            request_keyid=node.request_key.kid,
            authority=authority,
            state="active",
            added=now,
        )
        with self._store.write() as transaction:
            known = transaction.peers.get(node.name)
            if node.name == self._name:
                raise ConflictError("This is the node itself: a peer has another name.")
            if known is not None and known.descriptor_id != statement_id:
                raise ConflictError(
                    "A node of this name with another fingerprint is pinned: remove it first, "
                    "if you know why it changed."
                )
            if known is not None:
                # Pinned again, it is still frozen if it was, and has come as far as it had.
                record = replace(known, authority=authority)
            transaction.peers.put(record)
            for one in chain[1:] if known is None else ():
                advance(transaction, one, statement_id, now=now)
            transaction.journal.audit(
                actor, "peer.add", at=now, subject=node.name, detail=f"authority={authority}"
            )
        return self.get(node.name)

    def list(self) -> list[PeerState]:
        """Returns every pinned node but this one, by name."""
        now = int(self._clock())
        with self._store.read() as transaction:
            found = [one for one in transaction.peers.all() if one.name != self._name]
            return [
                _state(
                    one,
                    transaction.logs.size(log_name(pinned(one))),
                    transaction.peers.count_set_aside(one.name),
                    now,
                )
                for one in found
            ]

    def get(self, name: str) -> PeerState:
        """Returns one pinned node.

        Raises:
            NotFoundError: none of this name is pinned.
        """
        for one in self.list():
            if one.name == name:
                return one
        raise NotFoundError("No node of this name is pinned.")

    def node(self, name: str) -> PinnedNode:
        """Returns a pinned node with its keys; raises as `get` does."""
        with self._store.read() as transaction:
            record = transaction.peers.get(name)
        if record is None:
            raise NotFoundError("No node of this name is pinned.")
        return pinned(record)

    def freeze(self, name: str, *, actor: str = "operator") -> None:
        """Stops believing anything new of a node; what was accepted stays."""
        self._set_state(name, "frozen", actor)

    def thaw(self, name: str, *, actor: str = "operator") -> None:
        """Believes a node again; evidence of what was known by now does not freeze it anew."""
        self._set_state(name, "active", actor)

    def descriptors(self) -> dict[str, bytes]:
        """Returns the descriptors of all pinned nodes, as the envelopes that were pinned."""
        with self._store.read() as transaction:
            return {one.name: one.descriptor for one in transaction.peers.all()}

    def own_descriptor(self) -> bytes:
        """Returns the latest version of this node's own descriptor, as an envelope."""
        return self._own().descriptor

    def own(self) -> NodeDescriptor:
        """Returns what the latest version of this node's own descriptor says."""
        return descriptor_of(self._own())

    def _own(self) -> PeerRecord:
        with self._store.read() as transaction:
            record = transaction.peers.get(self._name)
        assert record is not None  # `node init` stored it
        return record

    def _set_state(self, name: str, state: str, actor: str) -> None:
        with self._store.write() as transaction:
            if name == self._name or not transaction.peers.set_state(name, state):
                raise NotFoundError("No node of this name is pinned.")
            if state == "active":
                judgements.judge(transaction, name)
            transaction.journal.audit(
                actor, f"peer.{state}", at=int(self._clock()), subject=name, detail=None
            )

    def remove(self, name: str, *, actor: str = "operator") -> None:
        """Unpins a node; what was accepted of it stays."""
        with self._store.write() as transaction:
            if name == self._name or not transaction.peers.remove(name):
                raise NotFoundError("No node of this name is pinned.")
            transaction.journal.audit(
                actor, "peer.remove", at=int(self._clock()), subject=name, detail=None
            )

    def find_request_key(self, keyid: str) -> PublicKey:
        """Returns the key that signs requests under this key id; raises as `find_caller` does."""
        return self.find_caller(keyid)[0]

    def find_caller(self, keyid: str) -> tuple[PublicKey, Caller]:
        """Returns the key that signs requests under this key id, and whose it is.

        Raises:
            UnknownKeyError: no active pinned node, and no flagger of this node, has it.
        """
        if (found := self.find_node(keyid)) is not None:
            return found
        with self._store.read() as transaction:
            if (accredit := self._current(transaction, keyid)) is not None:
                key = PublicKey(KeyUse.FLAGGER, from_base64url(accredit.key))
                return key, Caller(accredit.flagger, "flagger")
        raise UnknownKeyError("Nobody that this node knows has the key of this request.")

    def find_node(self, keyid: str, *, wait: bool = True) -> tuple[PublicKey, Caller] | None:
        """Returns the same where an active pinned node has the key.

        Raises:
            UnknownKeyError: the node's descriptor, or its key, has ended.
            UnavailableError: the database would have to be waited for, without `wait`.
        """
        with self._store.read_soon(wait=wait) as transaction:
            peer = transaction.peers.by_request_key(keyid)
        if peer is None or peer.state != "active":
            return None
        node = pinned(peer).at(now := int(self._clock()))
        keys = [one.key for one in node.request_keys if one.key.kid == keyid]
        if node.expires < now or not keys:
            raise UnknownKeyError("The descriptor of the calling node, or its key, ended.")
        return keys[0], Caller(peer.name, "node")

    def caller(self, keyid: str) -> Caller:
        """Returns whose key this is; raises as `find_caller` does."""
        return self.find_caller(keyid)[1]

    def find_ended(self, keyid: str) -> tuple[PublicKey, str] | None:
        """Returns the key of a flagger of this node whose accreditation has ended, and the day.

        To be told to whoever signs with the key, and to nobody else.
        """
        now = int(self._clock())
        with self._store.read() as transaction:
            accredits = list(self._accredits(transaction, keyid))
        ended = [one for one in accredits if parse_time(one.not_after) < now]
        if not ended:
            return None
        last = max(ended, key=lambda one: parse_time(one.not_after))
        return PublicKey(KeyUse.FLAGGER, from_base64url(last.key)), last.not_after[:_DAY_CHARS]

    def _current(self, transaction: Transaction, keyid: str) -> Accredit | None:
        """Returns the accreditation of this node under which the key may call now."""
        now = int(self._clock())
        for accredit in self._accredits(transaction, keyid):
            if parse_time(accredit.not_before) <= now <= parse_time(accredit.not_after):
                return accredit
        return None

    def _accredits(self, transaction: Transaction, keyid: str) -> Iterator[Accredit]:
        """Gives this node's accreditations of a key that nobody took back, whenever they last."""
        directory = StoredDirectory(transaction)
        for flagger, place in transaction.trust.flagger_with_key(keyid):
            # This node's own flaggers only, and of those whom a key that it still has vouches for.
            if organisation_of(flagger) != self._name or not directory.vouched(self._name, [place]):
                continue
            accredit = directory.accreditation_at(place)
            if accredit.status == "active":
                yield accredit

    def remember(self, request: Once) -> None:
        """Returns if a request was not here before; it was now.

        Raises:
            ReplayedError: it was.
        """
        # Forgotten in a failure of power, a request could be made again for two minutes: each of
        # them may be, and does nothing more (docs/protocol.md section 6).
        with self._store.write_soon() as transaction:
            request.use(transaction)

    def acknowledge(self, name: str, acknowledgement: Acknowledgement) -> None:
        """Records up to where a peer has taken over our log, and what it set aside.

        Raises:
            InvalidError: it speaks of another log, or of more than there is.
            ConflictError: it was shown another log than ours.
        """
        if acknowledgement.origin != self._log.origin:
            raise InvalidError("This node has no such log.", where="origin")
        with self._store.write() as transaction:
            known = transaction.logs.get(self._log.origin).frontier
            if acknowledgement.size > known.size:
                raise InvalidError("The log is not that long.", where="size")
            root = from_base64url(acknowledgement.root)
            if acknowledgement.size == known.size and root != known.root():
                message = "the peer acknowledged a root that this node never signed"
                now = int(self._clock())
                transaction.peers.keep_evidence(name, message, root, at=now)
                mismatch = True
            else:
                mismatch = False
                transaction.peers.note_acknowledgement(
                    name, size=acknowledgement.size, at=int(self._clock())
                )
                # Only of what this log has: refusals of what never was would fill the disk.
                ours = transaction.statements.by_ids(one.id for one in acknowledgement.set_aside)
                transaction.peers.add_refusals(
                    name,
                    [(one.id, one.reason) for one in acknowledgement.set_aside if one.id in ours],
                )
        if mismatch:
            raise ConflictError("You were shown another log than this node's: keep the checkpoint.")

    def poked(self, name: str, poke: Poke) -> None:
        """Takes note that a peer's log has grown.

        Raises:
            InvalidError: it speaks of another log than the caller's.
            NotFoundError: the caller is no longer pinned.
        """
        node = self.node(name)
        if poke.origin != node.log_origin:
            raise InvalidError("This is not the log of the caller.", where="origin")
        with self._store.read() as transaction:
            seen = transaction.logs.size(log_name(node))
        if poke.size > seen:
            self._on_poke(name)

    def set_aside(self, limit: int = 256) -> Sequence[SetAsideRecord]:
        """Returns statements that were not accepted, oldest first."""
        with self._store.read() as transaction:
            return transaction.peers.all_set_aside(limit=limit)


def _state(record: PeerRecord, seen_size: int, set_aside: int, now: int) -> PeerState:
    node = pinned(record)
    return PeerState(
        name=record.name,
        url=node.url,
        fingerprint=record.fingerprint,
        authority=record.authority,
        state=record.state,
        seen_size=seen_size,
        synced=record.synced,
        problem=_ENDED if node.expires <= now else record.problem,
        acked_size=record.acked_size,
        acked_at=record.acked_at,
        set_aside=set_aside,
    )


def _ignore(_name: str) -> None:
    """Nobody listens."""
