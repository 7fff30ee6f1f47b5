"""The node's own Merkle log: every accepted statement's id, in the order of acceptance."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from node.services.once import Once
from node.storage.engine import Store
from node.storage.logs import LogRecord
from node.storage.transaction import Transaction
from protocol.checkpoint import Checkpoint, parse_checkpoint, parse_note
from protocol.errors import NotFoundError, ProofError, UnavailableError
from protocol.fields import StatementId
from protocol.merkle import leaf_hash
from protocol.messages import Entries, EntriesRequest
from protocol.proofs import TiledTree
from protocol.receipts import LogProof
from protocol.tiles import Tile, join_bundle
from signing.keys import SigningKey
from signing.notes import sign_checkpoint


class OwnLog:
    """Appends inside the transaction that stores the statements, and signs what is durable."""

    def __init__(self, store: Store, key: SigningKey, *, origin: str) -> None:
        self._store = store
        self._keys: tuple[SigningKey, ...] = (key,)
        self.origin = origin
        self._signed: tuple[int, tuple[SigningKey, ...], bytes] | None = None
        self._held: str | None = None
        self._is_guarded = True

    def unguarded(self) -> "OwnLog":
        """Returns the same log for whoever brings it back to where it was; it signs nothing."""
        other = OwnLog(self._store, self._keys[0], origin=self.origin)
        other._is_guarded = False
        return other

    def hold(self, reason: str | None) -> None:
        """Has this process sign nothing and take nothing in, for a reason; None: no longer."""
        self._held = reason

    @property
    def held(self) -> str | None:
        """Why this process waits with the log; None while it does not."""
        return self._held

    def _guard(self, transaction: Transaction, size: int) -> None:
        """Returns if the log may grow and be signed (docs/protocol.md section 6.10).

        Raises:
            UnavailableError: it is behind what it has signed, or nobody has said yet that it is
                not.
        """
        if not self._is_guarded:
            return
        if self._held is not None:
            raise UnavailableError(self._held)
        if transaction.witnesses.is_barred(self.origin, size):
            raise UnavailableError("The log is not where it was when it was signed last.")

    def sign_with(self, *keys: SigningKey) -> None:
        """Signs checkpoints with these keys from now on; the first is the newest."""
        self._keys = keys

    def append(self, transaction: Transaction, ids: Sequence[StatementId]) -> int:
        """Adds entries to the log and returns the place of the first.

        The log's state and the statements commit together. A crash before the commit leaves
        neither; there is nothing to repair.

        Raises:
            UnavailableError: the log must not grow now.
        """
        known = transaction.logs.get(self.origin)
        self._guard(transaction, known.frontier.size)
        grown, full = known.frontier.grow(bytes.fromhex(one) for one in ids)
        transaction.logs.put(LogRecord(self.origin, grown, None))
        if full:
            transaction.logs.add_tiles(known.frontier.size, full)
        return known.frontier.size

    def checkpoint(self, once: Once | None = None, *, wait: bool = True) -> bytes:
        """Returns the checkpoint of everything that is durable, with what witnesses put on it.

        Args:
            once: the request that asks, where it is to be used up in the same transaction.
            wait: with `once`, for whoever else writes just now.

        Raises:
            ReplayedError: this request was here before.
            UnavailableError: the log must not be signed now; or somebody would have to be waited
                for, and is not to be. Then nothing was used up.
        """
        # As for `Peers.remember`, the nonce need not outlive a failure of power.
        opened = self._store.read_soon() if once is None else self._store.write_soon(wait=wait)
        with opened as transaction:
            if once is not None:
                once.use(transaction)
            _, note = self.signed(transaction)
            asked = transaction.witnesses.own(self.origin, "asked")
        # It has the same text and the same signatures of the log, and more of witnesses.
        return asked.note if asked is not None and asked.note.startswith(note) else note

    def signed(self, transaction: Transaction) -> tuple[int, bytes]:
        """Returns the size of the log, and its checkpoint, signed by the log alone.

        Args:
            transaction: one that has not written to the log: only what was committed may be signed.
        """
        frontier = transaction.logs.get(self.origin).frontier
        self._guard(transaction, frontier.size)
        # What a read transaction sees has been committed, and a commit is on disk (FULL).
        signed, keys = self._signed, self._keys
        if signed is None or signed[:2] != (frontier.size, keys):
            note = sign_checkpoint(Checkpoint(self.origin, frontier.size, frontier.root()), *keys)
            signed = self._signed = (frontier.size, keys, note)
        return signed[0], signed[2]

    def newest_note(self, index: int) -> bytes:
        """Returns the newest note to prove the entry at `index` against.

        That is the newest published checkpoint; where the entry is younger, one without
        cosignatures that covers it.
        """
        with self._store.read() as transaction:
            published = transaction.witnesses.own(self.origin, "published")
        if published is not None and published.size > index:
            return published.note
        return self.checkpoint()

    def receipt(self, statement_id: StatementId, *, issuer: str | None = None) -> bytes:
        """Returns the receipt of a statement (C2SP tlog-proof).

        Args:
            statement_id: of a statement in this log, of whatever state.
            issuer: whose it has to be; None for anyone's.

        Raises:
            NotFoundError: it is not in this log, or not this issuer's.
            UnavailableError: the stored tree is damaged.
        """
        with self._store.read() as transaction:
            record = transaction.statements.by_id(statement_id)
        if record is None or issuer not in (None, record.issuer):
            raise NotFoundError("There is no such statement in this node's log.")
        note = self.newest_note(record.log_index)
        size = parse_checkpoint(parse_note(note).text).size
        proof = self.inclusion_proof(record.log_index, size)
        return LogProof(record.log_index, tuple(proof), note).to_bytes()

    def tile(self, tile: Tile) -> bytes:
        """Returns the hashes of a tile, one after the other (C2SP tlog-tiles).

        Raises:
            NotFoundError: the log has not grown to it.
            UnavailableError: the stored tree is damaged.
        """
        with self._reached(tile) as transaction:
            return b"".join(hashes_of(transaction, tile))

    def bundle(self, tile: Tile) -> bytes:
        """Returns the entries under a tile of level 0 as a bundle; raises as `tile`."""
        with self._reached(tile) as transaction:
            return join_bundle(entries_of(transaction, tile))

    @contextmanager
    def _reached(self, tile: Tile) -> Iterator[Transaction]:
        with self._store.read() as transaction:
            if tile.needs() > transaction.logs.size(self.origin):
                raise NotFoundError("The log has not grown to this tile.")
            yield transaction

    def entries(self, request: EntriesRequest) -> Entries:
        """Returns the ids at the places asked for, as far as the log reaches."""
        with self._store.read() as transaction:
            found = transaction.statements.entries(request.start, request.limit)
        return Entries(start=request.start, entries=tuple(found))

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Returns the proof that the log of `size` entries holds the one at `index`.

        Raises:
            ProofError: the log has no such place, or has not grown to this size.
            UnavailableError: the stored tree is damaged.
        """
        with self._tree(size) as tree:
            return list(tree.inclusion_proof(index))

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Returns the proof that the log of `new` entries begins with that of `old`.

        It is empty from 0, as C2SP tlog-witness has it, and between equal sizes.

        Raises:
            ProofError: the log has not grown to `new`, or `old` is greater.
            UnavailableError: the stored tree is damaged.
        """
        with self._tree(new) as tree:
            return list(tree.consistency_proof(old)) if old else []

    @contextmanager
    def _tree(self, size: int) -> Iterator[TiledTree]:
        with self._store.read() as transaction:
            if not 0 <= size <= transaction.logs.size(self.origin):
                raise ProofError("The log has not grown to this size.")
            yield TiledTree(size, lambda tile: hashes_of(transaction, tile))

    def root_at(self, transaction: Transaction, size: int) -> bytes:
        """Returns the root that the log had at one of its earlier sizes.

        Raises:
            UnavailableError: the stored tree is damaged.
        """
        return TiledTree(size, lambda tile: hashes_of(transaction, tile)).root()

    def size(self) -> int:
        """Returns the number of entries."""
        with self._store.read() as transaction:
            return transaction.logs.size(self.origin)


def hashes_of(transaction: Transaction, tile: Tile) -> list[bytes]:
    """Returns the hashes of a tile that the node's own log has.

    Those of level 0 come from the entries; of the levels above, one hash in 256 is kept.

    Raises:
        UnavailableError: some are missing: the stored tree is damaged.
    """
    if not tile.level:
        return [leaf_hash(entry) for entry in entries_of(transaction, tile)]
    hashes = transaction.logs.tile_roots(tile.level - 1, tile.first, tile.width)
    return _whole(hashes, tile)


def entries_of(transaction: Transaction, tile: Tile) -> list[bytes]:
    """Returns the entries under a tile of level 0 of the node's own log; raises as `hashes_of`."""
    found = transaction.statements.entries(tile.first, tile.width)
    return _whole([bytes.fromhex(one) for one in found], tile)


def _whole(found: list[bytes], tile: Tile) -> list[bytes]:
    if len(found) != tile.width:
        raise UnavailableError("The stored log is damaged: see `schutznetz node fsck`.")
    return found
