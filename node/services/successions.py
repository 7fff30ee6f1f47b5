"""Later descriptors of pinned nodes: taken over step by step, and a chain that breaks, stopped at.

What is taken over proves itself: the root keys of both versions have signed it, so it does not
matter who brought it. A chain that breaks is another thing. Where the holder of a root key that was
pinned has signed it, it speaks for itself, and the node is frozen. Where anybody may have made it,
the node is frozen only if it is what the node itself answered when it was asked.
"""

from collections.abc import Callable, Sequence

from federation.chains import Version, go_on
from federation.descriptors import parse_descriptor, pin
from node.services.accusations import freeze
from node.services.directory import log_name, pinned
from node.services.effects import make_void
from node.services.ingest import Accepted, Ingest
from node.services.voiding import void_after
from node.storage.descriptors import DescriptorRecord
from node.storage.engine import Store
from node.storage.peer_records import PeerRecord
from node.storage.transaction import Transaction
from protocol.descriptors import NodeDescriptor
from protocol.errors import (
    ChainError,
    ConflictError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
)
from protocol.fields import StatementId
from protocol.limits import MAX_DESCRIPTORS_PER_MESSAGE, MAX_TEXT_CHARS
from protocol.messages import Descriptors

_MOST_WOKEN = 64

WHAT_TO_DO = (
    "Call its operator on a number that you know from elsewhere: if the node was set up anew, "
    "remove it and add it again by its new fingerprint; if not, leave it frozen."
)
"""The sentence behind every broken chain."""


class Successions:
    """Keeps the descriptors of nodes up to date, this node's own for others among them."""

    def __init__(
        self, store: Store, ingest: Ingest, *, name: str, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._ingest = ingest
        self._name = name
        self._clock = clock

    def own_after(self, version: int) -> Descriptors:
        """Returns this node's own descriptors behind one version, as far as one message holds."""
        with self._store.read() as transaction:
            found = transaction.descriptors.after(
                self._name, version, limit=MAX_DESCRIPTORS_PER_MESSAGE
            )
        return Descriptors(descriptors=tuple(one.body.decode() for one in found))

    def announced(self, message: Descriptors) -> None:
        """Takes over what somebody says are later descriptors of a pinned node.

        Raises:
            ProtocolError, ConflictError, RevokedError, ChainError: as `federation.chains.go_on`.
            InvalidError: there are none.
            NotFoundError: no node of this name is pinned.
            NotAllowedError: the node is frozen, or this one.
        """
        envelopes = [one.encode() for one in message.descriptors]
        if not envelopes:
            raise InvalidError("There is no descriptor in the message.", where="descriptors")
        name = parse_descriptor(envelopes[0])[0].issuer
        if name == self._name:
            raise NotAllowedError("Nobody tells a node of its own descriptor.")
        self.take(name, envelopes, answered=False)

    def take(self, name: str, envelopes: Sequence[bytes], *, answered: bool) -> int:
        """Takes over later descriptors of a pinned node; returns how many were new.

        Args:
            name: of the node.
            envelopes: untrusted bytes, in the order of their versions.
            answered: the node itself gave them when it was asked.

        Raises:
            As `announced`. Of a broken chain, the evidence is kept and the node frozen by then, if
            it is the word of who holds its root key, or its own answer.
        """
        now = int(self._clock())
        try:
            new = self._look(name, envelopes, now)
        except ChainError as error:
            if error.proven or answered:
                self._stop(name, error, now)
            raise
        if not new:
            return 0
        with self._store.write() as transaction:
            cured = self._take(transaction, name, new, now)
        fresh = [one for one in cured if one.is_new]
        if fresh:
            self._ingest.settle(fresh, synced=True)
        return len(new)

    def _look(self, name: str, envelopes: Sequence[bytes], now: int) -> list[Version]:
        """Returns the versions that are new, verified; strangers ask, so no writer waits for it."""
        with self._store.read() as transaction:
            _, latest = _pinned_here(transaction, name)

            def find(version: int) -> Version | None:
                found = transaction.descriptors.at(name, version)
                return None if found is None else as_version(found)

            return go_on(latest, find, envelopes, now=now)

    def _take(
        self, transaction: Transaction, name: str, new: Sequence[Version], now: int
    ) -> list[Accepted]:
        record, latest = _pinned_here(transaction, name)
        if latest.id != new[0].descriptor.previous:
            raise ConflictError("The node has gone on to other versions meanwhile: look again.")
        for one in new:
            advance(transaction, one, record.descriptor_id, now=now)
            transaction.journal.audit(
                "node",
                "peer.descriptor",
                at=now,
                subject=name,
                detail=_changes(pinned(record).url, one.descriptor),
            )
        return self._wake(transaction, name, now)

    def _wake(self, transaction: Transaction, name: str, now: int) -> list[Accepted]:
        """Tries what was signed with a key that nobody here vouched for until now."""
        cured: list[Accepted] = []
        for record in transaction.peers.waiting_for(f"issuer:{name}", limit=_MOST_WOKEN):
            cured += self._ingest.retry(transaction, record, now=now)
        return cured

    def _stop(self, name: str, error: ChainError, now: int) -> None:
        message = f"{error} {WHAT_TO_DO}"[:MAX_TEXT_CHARS]
        with self._store.write() as transaction:
            _pinned_here(transaction, name)
            freeze(transaction, name, message, error.evidence, now=now)


def _pinned_here(transaction: Transaction, name: str) -> tuple[PeerRecord, Version]:
    """Returns a pinned node that is not frozen, and the latest version of its descriptor."""
    record = transaction.peers.get(name)
    latest = transaction.descriptors.latest(name)
    if record is None or latest is None:
        raise NotFoundError("No node of this name is pinned.")
    if record.state != "active":
        raise NotAllowedError("The node is frozen here: nothing new of it is believed.")
    return record, as_version(latest)


def advance(transaction: Transaction, new: Version, first_id: StatementId, *, now: int) -> None:
    """Goes on to the next version of a pinned node's descriptor, which was believed.

    Args:
        transaction: the caller's.
        new: the version behind the latest one.
        first_id: statement id of the node's first descriptor.
        now: Unix time in seconds.

    Raises:
        ConflictError: it claims a request key of another pinned node.
    """
    descriptor = new.descriptor
    node = pin(descriptor, first_id, authority=False)
    newest = node.request_key.kid
    older = [one.key.kid for one in node.request_keys if one.key.kid != newest]
    transaction.descriptors.advance(
        DescriptorRecord(descriptor.issuer, descriptor.version, new.id, new.envelope),
        [*older, newest],
    )
    for key in node.statement_keys:
        if key.revoked is not None:
            void_after(
                transaction,
                issuer=node.name,
                keyid=key.key.kid,
                log=log_name(node),
                mark=key.revoked,
                withdraw=lambda place: make_void(transaction, place, clock=lambda: now),
            )


def as_version(record: DescriptorRecord) -> Version:
    """Returns a stored descriptor; it was verified when it was taken over."""
    return Version(parse_descriptor(record.body)[0], record.id, record.body)


def _changes(url: str, new: NodeDescriptor) -> str:
    moved = "" if new.url == url else ", at another address"
    return f"version {new.version}{moved}"
