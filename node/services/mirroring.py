"""This node as a mirror of a peer's log: what it serves, and keeping it up to date.

What is served is the origin's own: its checkpoint with its signature, and the entries that lead to
it, as they were taken over. Nobody need believe this node, and it adds nothing. Bodies are not
served here: whoever may have them asks for them as for any other (`node.services.serving`), so that
audiences, erasures and ends count as ever.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from node.services.directory import log_name, pinned
from node.storage.engine import Store
from node.storage.mirroring import MirroredRecord
from node.storage.peers import PeerRecord
from node.storage.transaction import Transaction
from protocol.checkpoint import parse_checkpoint, parse_note
from protocol.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from protocol.merkle import Frontier, leaf_hash, node_hash
from protocol.messages import Entries, EntriesRequest
from protocol.tiles import TILE_WIDTH, Tile, join_bundle
from signing.notes import drop_false_lines

MOST_MIRRORED: Final = 64
"""Logs that one node serves for others."""

_ROWS_AT_ONCE: Final = 4_096
_MOST_ROOTS: Final = 1 << 18
_AGAIN_S: Final = 1
_TURN_S: Final = 2.0


@dataclass(frozen=True)
class MirroredState:
    """A log that this node serves.

    Attributes:
        node: whose log it is.
        state: ``serving``; ``waiting``: until all entries of a checkpoint are here; ``stopped``:
            the peer is frozen, or is not pinned as it was.
        size: entries of the checkpoint that is served.
        at: when that was taken over (Unix time), if it was.
    """

    node: str
    state: str
    size: int
    at: int | None


class Mirroring:
    """Serves the logs of peers that the operator has named."""

    def __init__(self, store: Store, *, name: str, clock: Callable[[], float]) -> None:
        """Serves what the sync has taken over.

        Args:
            store: the database.
            name: of this node.
            clock: Unix time in seconds.
        """
        self._store = store
        self._name = name
        self._clock = clock
        self._roots: dict[tuple[str, int, int], bytes] = {}
        self._busy = threading.Lock()

    def add(self, node: str, *, actor: str = "operator") -> MirroredState:
        """Serves the log of a peer from now on, to every node that may ask this one.

        Raises:
            NotFoundError: no node of this name is pinned.
            InvalidError: it is this node itself.
            ConflictError: there are as many as may be.
        """
        now = int(self._clock())
        if node == self._name:
            raise InvalidError("A node serves its own log without being told to.", where="node")
        with self._store.write() as transaction:
            peer = transaction.peers.get(node)
            if peer is None:
                raise NotFoundError("No node of this name is pinned.")
            known = transaction.mirroring.all_mirrored()
            if node not in {one.node for one in known} and len(known) >= MOST_MIRRORED:
                raise ConflictError(f"A node mirrors {MOST_MIRRORED} logs at most.")
            log = log_name(pinned(peer))
            if next((one.log for one in known if one.node == node), None) != log:
                transaction.mirroring.put_mirrored(MirroredRecord(node, now, log, 0, None, None))
                record = transaction.logs.get(log)
                keep(transaction, node, log, record.frontier, record.checkpoint, now=now)
            transaction.journal.audit(actor, "mirror.add", at=now, subject=node, detail=None)
        return next(one for one in self.list() if one.node == node)

    def remove(self, node: str, *, actor: str = "operator") -> None:
        """Serves the log of a peer no more; what was taken over of it stays.

        Raises:
            NotFoundError: it was not served.
        """
        with self._store.write() as transaction:
            if not transaction.mirroring.forget_mirrored(node):
                raise NotFoundError("This node does not mirror such a log.")
            now = int(self._clock())
            transaction.journal.audit(actor, "mirror.remove", at=now, subject=node, detail=None)

    def list(self) -> list[MirroredState]:
        """Returns every log that is served, by the name of its node."""
        with self._store.read() as transaction:
            return [_state(transaction, one) for one in transaction.mirroring.all_mirrored()]

    def checkpoint(self, origin_digest: str) -> bytes:
        """Returns the origin's own checkpoint up to which its log is here as a whole.

        Args:
            origin_digest: SHA-256 of the log's origin, as hexadecimal digits.

        Raises:
            NotFoundError: no such log is served, or not yet.
        """
        with self._store.read() as transaction:
            note = _served(transaction, origin_digest).note
        assert note is not None  # `_served` gives none without
        return note

    def entries(self, origin_digest: str, request: EntriesRequest) -> Entries:
        """Returns the ids at the places asked for, as far as the checkpoint reaches."""
        with self._store.read() as transaction:
            record = _served(transaction, origin_digest)
            limit = min(request.limit, record.size - request.start)
            found = (
                transaction.mirrors.entries(record.log, request.start, limit) if limit > 0 else []
            )
        return Entries(start=request.start, entries=tuple(found))

    def bundle(self, origin_digest: str, tile: Tile) -> bytes:
        """Returns the entries under a tile of level 0 as a bundle (C2SP tlog-tiles).

        Raises:
            NotFoundError: no such log is served, or it has not grown to this tile.
            UnavailableError: what is kept of it is damaged.
        """
        with self._store.read() as transaction:
            record = _reached(transaction, origin_digest, tile)
            return join_bundle(_entries(transaction, record.log, tile.first, tile.width))

    def tile(self, origin_digest: str, tile: Tile) -> bytes:
        """Returns the hashes of a tile, one after the other; raises as `bundle`.

        Those of level 0 come from the entries, and so do those above, which are remembered: each
        costs 256 hashings once in this process. A tile for which more is missing than may be done
        for one request is made ready step by step: who asks is told when to come again.
        """
        with self._store.read() as transaction:
            record = _reached(transaction, origin_digest, tile)
            if not tile.level:
                found = _entries(transaction, record.log, tile.first, tile.width)
                return b"".join(map(leaf_hash, found))
            with self._turn():
                room = iter(range(_ROWS_AT_ONCE))
                return b"".join(
                    self._root(transaction, record.log, tile.level, tile.first + at, room)
                    for at in range(tile.width)
                )

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Has one request hash at a time: nobody keeps more than one processor busy with it."""
        if not self._busy.acquire(timeout=_TURN_S):
            raise UnavailableError("Another tile is being made ready.", retry_after_s=_AGAIN_S)
        try:
            yield
        finally:
            self._busy.release()

    def _root(
        self, transaction: Transaction, log: str, level: int, number: int, room: Iterator[int]
    ) -> bytes:
        """Returns the root over 256^`level` entries; `room` has one for each row to hash."""
        known = self._roots.get((log, level, number))
        if known is not None:
            return known
        first = number * TILE_WIDTH
        if level == 1:
            if next(room, None) is None:
                raise UnavailableError("The tile is being made ready.", retry_after_s=_AGAIN_S)
            below = _entries(transaction, log, first, TILE_WIDTH)
            root = Frontier.EMPTY.append(below).root()
        else:
            numbers = range(first, first + TILE_WIDTH)
            root = _joined([self._root(transaction, log, level - 1, at, room) for at in numbers])
        if len(self._roots) >= _MOST_ROOTS:
            self._roots.clear()
        self._roots[log, level, number] = root
        return root


def keep(
    transaction: Transaction,
    node: str,
    log: str,
    frontier: Frontier,
    checkpoint: bytes | None,
    *,
    now: int,
) -> None:
    """Serves a peer's checkpoint from now on, if that peer's log is served and all of it is here.

    Args:
        transaction: the one that has taken its entries over.
        node: the peer.
        log: under which its log is kept.
        frontier: state of that log.
        checkpoint: one of the peer's that was believed, as bytes; it may be ahead of the state.
        now: Unix time in seconds.
    """
    record = transaction.mirroring.mirrored(node)
    if record is None or record.log != log or checkpoint is None:
        return
    peer = transaction.peers.get(node)
    size = parse_checkpoint(parse_note(checkpoint).text).size
    if peer is None or size != frontier.size or transaction.mirrors.size(log) != size:
        return
    kept = drop_false_lines(
        checkpoint, origin=pinned(peer).log_origin, keys=[one.key for one in pinned(peer).log_keys]
    )
    if kept is None:
        return  # its key was replaced since, and is not known any more
    transaction.mirroring.put_mirrored(replace(record, size=size, note=kept, at=now))


def refresh(transaction: Transaction, node: str, checkpoint: bytes, *, now: int) -> None:
    """Keeps a checkpoint that came again in place of the one of before, of the same size.

    It may carry cosignatures that were not on it then: who reads by way of this node asks for them.

    Args:
        transaction: one that writes.
        node: the peer.
        checkpoint: its own, as a sync that has ended well has verified it.
        now: Unix time in seconds.
    """
    peer = transaction.peers.get(node)
    if peer is None:
        return
    log = log_name(pinned(peer))
    known = transaction.logs.get(log)
    found = parse_checkpoint(parse_note(checkpoint).text)
    if known.checkpoint == checkpoint or found.size != known.frontier.size:
        return
    if found.root != known.frontier.root():
        return  # the peer has another log by now than when the sync began
    transaction.logs.put(replace(known, checkpoint=checkpoint))
    keep(transaction, node, log, known.frontier, checkpoint, now=now)


def _served(transaction: Transaction, origin_digest: str) -> MirroredRecord:
    for record in transaction.mirroring.all_mirrored():
        peer = transaction.peers.get(record.node)
        if (
            peer is not None
            and hashlib.sha256(pinned(peer).log_origin.encode()).hexdigest() == origin_digest
            and _is_served(record, peer)
        ):
            return record
    raise NotFoundError("This node mirrors no such log, or not yet.")


def _is_served(record: MirroredRecord, peer: PeerRecord) -> bool:
    is_same = peer.state == "active" and record.log == log_name(pinned(peer))
    return is_same and record.note is not None


def _state(transaction: Transaction, record: MirroredRecord) -> MirroredState:
    peer = transaction.peers.get(record.node)
    if peer is None or peer.state != "active" or record.log != log_name(pinned(peer)):
        state = "stopped"
    else:
        state = "waiting" if record.note is None else "serving"
    return MirroredState(record.node, state, record.size, record.at)


def _reached(transaction: Transaction, origin_digest: str, tile: Tile) -> MirroredRecord:
    record = _served(transaction, origin_digest)
    if tile.needs() > record.size:
        raise NotFoundError("The log has not grown to this tile.")
    return record


def _entries(transaction: Transaction, log: str, first: int, count: int) -> list[bytes]:
    found = transaction.mirrors.entries(log, first, count)
    if len(found) != count:
        raise UnavailableError("The stored log is damaged: see `schutznetz node fsck`.")
    return [bytes.fromhex(one) for one in found]


def _joined(roots: Sequence[bytes]) -> bytes:
    """Returns the root over the roots of equal subtrees, a power of two of them."""
    while len(roots) > 1:
        left = iter(roots)
        roots = [node_hash(a, b) for a, b in zip(left, left, strict=True)]
    return roots[0]
