"""What is new: rows in the order they came, in memory, scanned by every query."""

from typing import TYPE_CHECKING

import numpy as np

from node.matching.compiled import compiled
from node.matching.ring.chunks import to_chunks
from node.matching.ring.lanes import Address, Word, load_counter, store_counter
from node.matching.ring.layout import BLOCK, CHUNKS, PADDING

if TYPE_CHECKING:
    from numpy.typing import NDArray

_U64 = np.uint64
_WORD_BITS = 64


@compiled
def append(used: Address, near: Word, far: Word, known: Word, pdqs: Word, keys: Word) -> None:
    """Adds rows to a block; readers see all of them, or none.

    Args:
        used: address of the number of rows, as a Python int.
        near: uint16 [capacity, 8], written: the first eight chunks of each row.
        far: uint16 [capacity, 8], written: the others.
        known: int64 [capacity], written.
        pdqs: uint16 [n, 16], the bytes of the pdqs.
        keys: int64 [n].
    """
    row = np.empty(CHUNKS, np.uint16)
    counter = _U64(used)
    first = np.int64(load_counter(counter))
    for i in range(pdqs.shape[0]):
        for j in range(CHUNKS):
            row[j] = pdqs[i, j]
        to_chunks(row)
        for j in range(CHUNKS // 2):
            near[first + i, j] = row[j]
            far[first + i, j] = row[j + CHUNKS // 2]
        known[first + i] = keys[i]
    store_counter(counter, _U64(first + pdqs.shape[0]))


class Block:
    """Room for some rows; only the writer, under the index's lock, adds to it.

    Attributes:
        capacity: rows that fit.
        gone: keys of dead rows.
        died: how many rows are dead.
        record: what the kernels are given, BLOCK [1].
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.gone: set[int] = set()
        self.died = 0
        self._used = np.zeros(1, np.uint64)
        self._near = np.empty((capacity + PADDING, CHUNKS // 2), np.uint16)
        self._far = np.empty((capacity + PADDING, CHUNKS // 2), np.uint16)
        self._keys = np.empty(capacity, np.int64)
        self._dead = np.zeros(-(-capacity // _WORD_BITS), np.uint64)
        self.record = np.zeros(1, BLOCK)
        for name, array in (
            ("used", self._used),
            ("near", self._near),
            ("far", self._far),
            ("keys", self._keys),
            ("dead", self._dead),
        ):
            self.record[name] = array.ctypes.data
        self.record["key_bits"] = _WORD_BITS
        self._at = self._used.ctypes.data

    def __len__(self) -> int:
        return int(self._used[0])

    @property
    def room(self) -> int:
        """Rows that still fit."""
        return self.capacity - len(self)

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return self._near.nbytes + self._far.nbytes + self._keys.nbytes + self._dead.nbytes

    @property
    def alive(self) -> int:
        """Rows that are not dead."""
        return len(self) - self.died

    def append(self, pdqs: "NDArray[np.uint16]", keys: "NDArray[np.int64]") -> None:
        """Adds rows, for which there must be room: uint16 [n, 16] and int64 [n]."""
        append(self._at, self._near, self._far, self._keys, pdqs, keys)

    def remove(self, gone: "NDArray[np.int64]") -> int:
        """Every row under one of these keys is dead; returns how many died."""
        used = len(self)
        rows = np.flatnonzero(np.isin(self._keys[:used], gone))
        fresh = mark_dead(self._dead, rows)
        self.died += fresh
        self.gone.update(self._keys[rows].tolist())
        return fresh

    def take(self, words: "NDArray[np.uint64]", keys: "NDArray[np.int64]") -> None:
        """Adds rows whose chunks are known, to a block that nobody reads yet."""
        used = len(keys)
        halves = words.view(np.uint16)
        self._near[:used] = halves[:, : CHUNKS // 2]
        self._far[:used] = halves[:, CHUNKS // 2 :]
        self._keys[:used] = keys
        self._used[0] = used

    def living(self) -> "tuple[NDArray[np.uint64], NDArray[np.int64]]":
        """Copies of the rows that are not dead: chunks, uint64 [n, 4], and keys, int64 [n]."""
        used = len(self)
        rows = np.flatnonzero(~dead_rows(self._dead, used))
        words = np.hstack([self._near[:used], self._far[:used]]).view(np.uint64)
        return words[rows], self._keys[rows]


def mark_dead(dead: "NDArray[np.uint64]", rows: "NDArray[np.intp]") -> int:
    """The rows' bits are set in `dead`, uint64 [≥ rows / 64]; returns how many were not before."""
    places, bits = rows >> 6, np.uint64(1) << (rows & 63).astype(np.uint64)
    fresh = int(((dead[places] & bits) == 0).sum())
    np.bitwise_or.at(dead, places, bits)
    return fresh


def dead_rows(dead: "NDArray[np.uint64]", count: int) -> "NDArray[np.bool_]":
    """Which of the first `count` rows are dead, bool [count]."""
    return np.unpackbits(dead.view(np.uint8), count=count, bitorder="little").view(np.bool_)
