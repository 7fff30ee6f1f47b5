"""Proofs and roots made from the tiles of a log, without reading the rest of it.

Source: RFC 9162 section 2.1 over C2SP tlog-tiles. Of a log of ten million entries a proof touches
eight tiles at most, whatever place or size it is about.
"""

from collections.abc import Iterator, Sequence

from protocol.errors import ProofError
from protocol.merkle import (
    HASH_BYTES,
    TILE_HEIGHT,
    consistency_ranges,
    inclusion_ranges,
    join_roots,
    node_hash,
)
from protocol.tiles import ReadTile, tile_of


class TiledTree:
    """A log as its tiles show it, at one of its sizes. It keeps the tiles that it has read.

    What comes out is as right as the tiles that went in.

    Args:
        size: number of entries.
        read: gives the hashes of a tile of the log; is asked for each at most once.
    """

    def __init__(self, size: int, read: ReadTile) -> None:
        self._size = size
        self._read = read
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def root(self) -> bytes:
        """Return the root of the log, 32 bytes.

        Raises:
            ProofError: a tile does not have as many hashes as the log has there.
        """
        return self._root(0, self._size)

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """Return the proof that the log holds its entry `index` (RFC 9162 section 2.1.3.1).

        Raises:
            ProofError: the log has no such place, or as `root`.
        """
        return self._roots(inclusion_ranges(index, self._size))

    def consistency_proof(self, old_size: int) -> tuple[bytes, ...]:
        """Return the proof that the log extends its first `old_size` entries.

        Source: RFC 9162 section 2.1.4.1.

        Raises:
            ProofError: there is no such proof, or as `root`.
        """
        return self._roots(consistency_ranges(old_size, self._size))

    def _roots(self, ranges: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
        return tuple(self._root(low, high) for low, high in ranges)

    def _root(self, low: int, high: int) -> bytes:
        return join_roots([self._perfect(level, number) for level, number in _perfect(low, high)])

    def _perfect(self, level: int, number: int) -> bytes:
        """Return the root of a perfect subtree of 2^level entries, from what its tile has of it."""
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = number << height
        hashes = self._tile(tile_level, first >> TILE_HEIGHT)
        at = first & ((1 << TILE_HEIGHT) - 1)
        nodes = list(hashes[at : at + (1 << height)])
        while len(nodes) > 1:
            left = iter(nodes)
            nodes = [node_hash(a, b) for a, b in zip(left, left, strict=True)]
        return nodes[0]

    def _tile(self, level: int, number: int) -> Sequence[bytes]:
        found = self._tiles.get((level, number))
        if found is None:
            tile = tile_of(level, number, self._size)
            found = self._tiles[level, number] = self._read(tile)
            if len(found) != tile.width or any(len(item) != HASH_BYTES for item in found):
                raise ProofError("A tile does not have the hashes that the log has there.")
        return found


def _perfect(low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield level and number of the perfect subtrees that make up ``[low, high)``.

    The largest comes first: a subtree of a log begins at a multiple of its largest part.
    """
    while low < high:
        level = (high - low).bit_length() - 1
        yield level, low >> level
        low += 1 << level
