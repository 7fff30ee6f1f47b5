"""The Merkle tree of a log: hashing, the state that grows with it, proofs (RFC 9162 section 2.1).

What it is: pure computation over bytes. An entry of our logs is a 32-byte statement id, but nothing
here depends on that; the prefixes 00 and 01 keep an entry from posing as an inner node. Throughout,
a *leaf* is the leaf hash of an entry, never the entry itself.

What it is not: a store. Keeping entries, states and tiles is the node's work, and whose root it is
that a proof was checked against is decided by `signing.notes`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from itertools import islice
from typing import ClassVar, Final

from protocol import limits
from protocol.errors import LimitError, MalformedError, ProofError

HASH_BYTES: Final = 32
"""Length of every leaf, node and root."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of the log without entries (RFC 9162 section 2.1.1)."""

TILE_HEIGHT: Final = 8
"""Levels of the tree that one tile spans: 256 hashes wide (C2SP tlog-tiles, "Merkle Tree")."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"
_SIZE_BYTES: Final = 8

# Bounds the memory of a bulk append; measured flat in speed between 256 and 65,536.
_BATCH_ENTRIES: Final = 4_096


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(00 ‖ entry), 32 bytes (RFC 9162 section 2.1.1)."""
    return sha256(_LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(01 ‖ left ‖ right), 32 bytes (RFC 9162 section 2.1.1)."""
    return sha256(_NODE + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """All that must be kept of a log so that it can grow and state its root.

    A log of `size` entries falls into perfect subtrees, one for each bit that is set in `size`, the
    largest first and leftmost. Their roots suffice: 640 bytes for a million entries at most.

    Attributes:
        size: number of entries, 0 to `limits.MAX_LOG_SIZE`.
        hashes: 32-byte roots of the perfect subtrees, the largest first.

    Raises:
        LimitError: `size` is greater than a log may be.
        MalformedError: `hashes` are not as many as `size` asks for, or not of 32 bytes each.
    """

    EMPTY: ClassVar["Frontier"]
    """The log without entries."""

    size: int
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        """Refuse a state that no log has."""
        if self.size > limits.MAX_LOG_SIZE:
            raise LimitError("A log has at most 2^53 − 1 entries.")
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise MalformedError("The number of subtrees does not fit the size of the log.")
        if any(len(item) != HASH_BYTES for item in self.hashes):
            raise MalformedError(f"The root of a subtree has {HASH_BYTES} bytes.")

    def append(self, entries: Iterable[bytes]) -> "Frontier":
        """Return the state after `entries` were appended in their order.

        How the entries are split over calls makes no difference. Costs two hashes an entry (about
        a million entries a second) and the memory of one batch.

        Args:
            entries: any number of entries, as bytes of any length.

        Raises:
            LimitError: the log would grow beyond `limits.MAX_LOG_SIZE`.
        """
        return self.grow(entries)[0]

    def grow(self, entries: Iterable[bytes]) -> tuple["Frontier", dict[int, list[bytes]]]:
        """Return what `append` does, and the roots of the tiles that became full by it.

        A root at tile level *n* is a hash of the tiles of level *n* + 1. The first of a level
        belongs to tile number ``self.size >> 8 * (n + 1)``, the others to those that follow it.

        Args:
            entries: as for `append`.

        Raises:
            LimitError: as `append`.
        """
        levels = (bit for bit in reversed(range(self.size.bit_length())) if self.size >> bit & 1)
        subtrees = dict(zip(levels, self.hashes, strict=True))
        full: dict[int, list[bytes]] = {}
        size = self.size
        stream = iter(entries)
        while leaves := [
            sha256(_LEAF + entry).digest() for entry in islice(stream, _BATCH_ENTRIES)
        ]:
            size += len(leaves)
            _absorb(subtrees, leaves, full)
        return Frontier(size, _largest_first(subtrees)), full

    def root(self) -> bytes:
        """Return the 32-byte root of the log (RFC 9162 section 2.1.1)."""
        return join_roots(self.hashes)

    def to_bytes(self) -> bytes:
        """Return the one encoding: `size` as 8 bytes big-endian, then the `hashes` in order."""
        return self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Frontier":
        """Return the state that `to_bytes` wrote.

        Raises:
            LimitError: the size is greater than a log may be.
            MalformedError: too short or too long for the size that it states.
        """
        size = int.from_bytes(data[:_SIZE_BYTES], "big")
        if len(data) != _SIZE_BYTES + HASH_BYTES * size.bit_count():
            raise MalformedError("The state of a log does not have the length that its size asks.")
        starts = range(_SIZE_BYTES, len(data), HASH_BYTES)
        return cls(size, tuple(data[start : start + HASH_BYTES] for start in starts))


Frontier.EMPTY = Frontier(0, ())


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """Return the root that the log has if `proof` is right (RFC 9162 section 2.1.3.2).

    The root proves nothing until it was compared with one that a log signed.

    Args:
        index: place of the entry, from 0.
        size: number of entries of the log.
        leaf: leaf hash of the entry, 32 bytes.
        proof: the path from the leaf upwards, 32 bytes each.

    Raises:
        ProofError: no such place, or the proof does not have the shape that it has there.
    """
    if not 0 <= index < size <= limits.MAX_LOG_SIZE:
        raise ProofError("A log of this size has no entry at this place.")
    _check_hash(leaf)
    place, last, root = index, size - 1, leaf
    for item in proof:
        _check_hash(item)
        if last == 0:
            raise ProofError("The inclusion proof is too long.")
        if place & 1 or place == last:
            root = node_hash(item, root)
            # The last node of an odd level has no sibling there: it rises unchanged.
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, item)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError("The inclusion proof is too short.")
    return root


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Return if the log of `size` entries under `root` holds `leaf` at `index`.

    Args:
        index: place of the entry, from 0.
        size: number of entries of the log.
        leaf: leaf hash of the entry, 32 bytes.
        proof: the path from the leaf upwards, 32 bytes each.
        root: root of the log, from a verified checkpoint.

    Raises:
        ProofError: the proof does not show it.
    """
    if root_from_inclusion(index, size, leaf, proof) != root:
        raise ProofError("The inclusion proof does not lead to the root.")


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return if the new log begins with all entries of the old one (RFC 9162 section 2.1.4.2).

    From size 0 there is no such proof: every log extends the empty one, and whoever starts there
    must not call this.

    Args:
        old_size: number of entries of the old log, at least 1.
        new_size: number of entries of the new log.
        old_root: root of the old log, from a verified checkpoint.
        new_root: root of the new log, from a verified checkpoint.
        proof: 32 bytes each; empty exactly when the sizes are equal.

    Raises:
        ProofError: the proof does not show it.
    """
    if not 0 < old_size <= new_size <= limits.MAX_LOG_SIZE:
        raise ProofError("Between logs of these sizes there is no consistency proof.")
    if old_size == new_size:
        if proof or old_root != new_root:
            raise ProofError("Two logs of one size are consistent only if their roots are equal.")
        return
    # Steps 1 and 2: a perfect old tree is itself the first node, and is left out of the proof.
    path = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not proof:
        raise ProofError("The consistency proof is empty.")
    if _walk_consistency(old_size, new_size, path) != (old_root, new_root):
        raise ProofError("The consistency proof does not lead to both roots.")


def _walk_consistency(old_size: int, new_size: int, path: list[bytes]) -> tuple[bytes, bytes]:
    """Return the old and the new root that `path` gives (steps 3 to 7)."""
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    _check_hash(path[0])
    old = new = path[0]
    for item in path[1:]:
        _check_hash(item)
        if last == 0:
            raise ProofError("The consistency proof is too long.")
        if place & 1 or place == last:
            old, new = node_hash(item, old), node_hash(item, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, item)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError("The consistency proof is too short.")
    return old, new


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return whose roots prove that a log holds entry `index` (RFC 9162 section 2.1.3.1).

    Args:
        index: place of the entry, from 0.
        size: number of entries of the log.

    Returns:
        Ranges ``(low, high)`` of places, in the order of the proof; each is a subtree of the log.

    Raises:
        ProofError: a log of this size has no such place.
    """
    if not 0 <= index < size <= limits.MAX_LOG_SIZE:
        raise ProofError("A log of this size has no entry at this place.")
    ranges: list[tuple[int, int]] = []
    low, high = 0, size
    while high - low > 1:
        middle = _split(low, high)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def consistency_ranges(old_size: int, new_size: int) -> list[tuple[int, int]]:
    """Return whose roots prove that a log begins with its first `old_size` entries.

    Source: RFC 9162 section 2.1.4.1.

    Args:
        old_size: number of entries of the old log, at least 1.
        new_size: number of entries of the new log.

    Returns:
        As `inclusion_ranges`.

    Raises:
        ProofError: there is no such proof.
    """
    if not 0 < old_size <= new_size <= limits.MAX_LOG_SIZE:
        raise ProofError("Between logs of these sizes there is no consistency proof.")
    ranges: list[tuple[int, int]] = []
    low, high = 0, new_size
    while old_size < high:
        middle = _split(low, high)
        if old_size <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    # A subtree that starts at the first entry is the whole old log, whose root the verifier has.
    if low:
        ranges.append((low, high))
    return ranges[::-1]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the proof that a log holds its own leaf `index` (RFC 9162 section 2.1.3.1).

    Hashes the whole log: for tests, and for logs that fit into memory. `protocol.proofs` makes the
    same from tiles.

    Args:
        leaves: all leaf hashes of the log, 32 bytes each.
        index: place of the entry, from 0.

    Raises:
        ProofError: the log has no such place.
    """
    ranges = inclusion_ranges(index, len(leaves))
    return tuple(_subtree_root(leaves[low:high]) for low, high in ranges)


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """Return the proof that a log begins with its first `old_size` leaves.

    Source: RFC 9162 section 2.1.4.1. Hashes the whole log, as `inclusion_proof` does.

    Args:
        leaves: all leaf hashes of the log, 32 bytes each.
        old_size: number of entries of the old log, at least 1.

    Raises:
        ProofError: there is no such proof.
    """
    ranges = consistency_ranges(old_size, len(leaves))
    return tuple(_subtree_root(leaves[low:high]) for low, high in ranges)


def join_roots(roots: Sequence[bytes]) -> bytes:
    """Return the root over perfect subtrees, the largest first; `EMPTY_ROOT` over none.

    Args:
        roots: 32 bytes each, of subtrees that stand side by side, the largest first.
    """
    if not roots:
        return EMPTY_ROOT
    # The smallest join first.
    return reduce(lambda right, left: node_hash(left, right), reversed(roots))


def _absorb(
    subtrees: dict[int, bytes], leaves: list[bytes], full: dict[int, list[bytes]] | None = None
) -> None:
    """Add `leaves` to the perfect subtrees (by level), as a binary counter adds.

    The roots of tiles that become full are added to `full`, by the level of the tile.
    """
    level, nodes = 0, leaves
    while nodes:
        if full is not None and level and level % TILE_HEIGHT == 0:
            full.setdefault(level // TILE_HEIGHT - 1, []).extend(nodes)
        if level in subtrees:
            nodes.insert(0, subtrees.pop(level))
        if len(nodes) & 1:
            subtrees[level] = nodes.pop()
        left = iter(nodes)
        nodes = [sha256(_NODE + a + b).digest() for a, b in zip(left, left, strict=True)]
        level += 1


def _largest_first(subtrees: dict[int, bytes]) -> tuple[bytes, ...]:
    return tuple(subtrees[level] for level in sorted(subtrees, reverse=True))


def _subtree_root(leaves: Sequence[bytes]) -> bytes:
    subtrees: dict[int, bytes] = {}
    _absorb(subtrees, list(leaves))
    return join_roots(_largest_first(subtrees))


def _split(low: int, high: int) -> int:
    """Return where the tree over ``[low, high)`` parts: after the largest power of two below."""
    return low + (1 << ((high - low - 1).bit_length() - 1))


def _check_hash(item: bytes) -> None:
    # Without this, bytes could be moved between two neighbours without changing the parent.
    if len(item) != HASH_BYTES:
        raise ProofError(f"A hash in a proof has {HASH_BYTES} bytes.")
