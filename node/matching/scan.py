"""Exact pdq search by looking at every entry: NumPy, one pass, half of the bits first.

A pdq is four 64-bit words. The words of many entries are kept apart (all first words together, all
second words, …), in blocks that fit a processor's second-level cache. A query takes the distance
over the first two words; two unrelated pdqs are as near as 31 in 128 bits once in 400 million, so
the other two words are read only where it matters. Figures and rejected variants: docs/adr/0004.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from node.matching.index import START, Keys, Pdqs, Reached
from protocol.limits import PDQ_BITS, PDQ_MATCH_DISTANCE
from protocol.pdq import PDQ_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_ROWS: Final = 65_536
"""Entries of one block: 2 MiB of pdqs, of which a query reads 1 MiB."""

QUICK_ROWS: Final = BLOCK_ROWS
"""Entries that are scanned in well under a millisecond."""

_WORDS: Final = 4
_HALF_BITS: Final = PDQ_BITS // 2


class _Block:
    """Room for BLOCK_ROWS entries, of which the first `used` are there.

    Only the writer, under the index's lock, changes a block. Rows below `used` never change but for
    `alive`, so a reader that reads `used` once needs no lock.
    """

    def __init__(self) -> None:
        self.words: NDArray[np.uint64] = np.empty((_WORDS, BLOCK_ROWS), np.uint64)
        self.keys: NDArray[np.int64] = np.empty(BLOCK_ROWS, np.int64)
        self.alive: NDArray[np.bool_] = np.empty(BLOCK_ROWS, np.bool_)
        self.used = 0

    def append(self, keys: "NDArray[np.int64]", words: "NDArray[np.uint64]") -> int:
        """As many of the entries as there is room for are in; returns how many."""
        start = self.used
        count = min(len(keys), BLOCK_ROWS - start)
        end = start + count
        self.words[:, start:end] = words[:count].T
        self.keys[start:end] = keys[:count]
        self.alive[start:end] = True
        self.used = end  # last: a reader sees the rows whole or not at all
        return count


class _Scratch:
    """Room for the intermediate results of one query over one block."""

    def __init__(self) -> None:
        self.differing: NDArray[np.uint64] = np.empty(BLOCK_ROWS, np.uint64)
        self.first: NDArray[np.uint8] = np.empty(BLOCK_ROWS, np.uint8)
        self.second: NDArray[np.uint8] = np.empty(BLOCK_ROWS, np.uint8)


class ScanIndex:
    """A PdqIndex that scans: about 1.5 ms at a million entries, 41 bytes for each.

    NumPy releases the interpreter lock inside each step, so queries in several threads run beside
    each other and beside the rest of the node.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held by writers; readers take the tuple as it is
        self._blocks: tuple[_Block, ...] = ()
        self._alive = 0
        self._reached = START

    def add(self, keys: Keys, pdqs: Pdqs, reached: Reached = START) -> None:
        """`pdqs[i]` is found under `keys[i]` by every query that starts later.

        Costs the same however many entries there are: existing ones are neither moved nor copied.

        Args:
            keys: int64 values; repeats are allowed.
            pdqs: 32 bytes each, or uint8 [n, 32].
            reached: see PdqIndex.
        """
        if len(keys) != len(pdqs):
            raise RuntimeError("an index needs one key for each pdq")
        words = _words(pdqs)
        numbers = np.asarray(keys, np.int64)
        with self._lock:
            self._blocks = _appended(self._blocks, numbers, words)
            self._alive += len(numbers)
            self._reached = max(self._reached, reached)

    @property
    def reached(self) -> Reached:
        """The farthest that was said with an add."""
        return self._reached

    def remove(self, keys: Sequence[int]) -> None:
        """No query that starts later finds anything under `keys`; unknown keys are ignored.

        Looks at every entry once. When most rows are dead, the living are moved together.
        """
        gone = np.asarray(keys, np.int64)
        with self._lock:
            for block in self._blocks:
                alive = block.alive[: block.used]
                hit = np.isin(block.keys[: block.used], gone) & alive
                self._alive -= int(hit.sum())
                alive[hit] = False
            rows = sum(block.used for block in self._blocks)
            if rows - self._alive > max(BLOCK_ROWS, self._alive):
                self._compact()

    def is_quick(self) -> bool:
        """Whether a scan takes less than a millisecond."""
        return len(self) <= QUICK_ROWS

    def query(self, pdq: bytes, max_distance: int = PDQ_MATCH_DISTANCE) -> list[tuple[int, int]]:
        """Every (key, distance) with distance ≤ `max_distance`, by distance, then key."""
        return self.query_many([pdq], max_distance)[0]

    def query_many(
        self, pdqs: Sequence[bytes], max_distance: int = PDQ_MATCH_DISTANCE
    ) -> list[list[tuple[int, int]]]:
        """query() for each of `pdqs`, in their order.

        Each block is read from memory once for all of them.

        Args:
            pdqs: 32 bytes each.
            max_distance: 0 to 256; at 256 everything is found.
        """
        if not 0 <= max_distance <= PDQ_BITS:
            raise RuntimeError("a distance between pdqs is 0 to 256 bits")
        questions = _words(pdqs)
        found: list[list[tuple[int, int]]] = [[] for _ in pdqs]
        scratch = _Scratch()
        for block in self._blocks:
            for question, matches in zip(questions, found, strict=True):
                matches.extend(_matches(block, question, max_distance, scratch))
        for matches in found:
            matches.sort(key=lambda match: (match[1], match[0]))
        return found

    def __len__(self) -> int:
        """Number of entries that a query can find."""
        return self._alive

    def replace(self, keys: Keys, pdqs: Pdqs, reached: Reached) -> None:
        """There is nothing but these entries."""
        words, numbers = _words(pdqs), np.asarray(keys, np.int64)
        with self._lock:
            self._blocks = _appended((), numbers, words)
            self._alive, self._reached = len(numbers), reached

    def flush(self) -> bool:
        """Nothing that was removed is kept."""
        with self._lock:
            self._compact()
        return True

    def verify(self) -> None:
        """Nothing is kept on disk."""

    def close(self) -> None:
        """Nothing runs by itself."""

    def memory_bytes(self) -> int:
        """Bytes of all blocks, full or not."""
        return len(self._blocks) * BLOCK_ROWS * (8 * _WORDS + 8 + 1)

    def entries(self) -> "tuple[NDArray[np.int64], NDArray[np.uint8]]":
        """Copies of all that can be found: keys, int64 [n], ascending, and pdqs, uint8 [n, 32]."""
        with self._lock:
            rows = [np.flatnonzero(block.alive[: block.used]) for block in self._blocks]
            pairs = list(zip(self._blocks, rows, strict=True))
            keys = np.concatenate([np.zeros(0, np.int64), *(one.keys[r] for one, r in pairs)])
            words = np.concatenate(
                [np.zeros((0, _WORDS), np.uint64), *(one.words[:, r].T for one, r in pairs)]
            )
        order = np.argsort(keys, kind="stable")
        return keys[order], np.ascontiguousarray(words[order]).view(np.uint8)

    def _compact(self) -> None:
        """Only living rows are left. A reader that holds the old blocks still sees them whole."""
        blocks: tuple[_Block, ...] = ()
        for block in self._blocks:
            alive = np.flatnonzero(block.alive[: block.used])
            blocks = _appended(blocks, block.keys[alive], block.words[:, alive].T)
        self._blocks = blocks


def _appended(
    blocks: tuple[_Block, ...], keys: "NDArray[np.int64]", words: "NDArray[np.uint64]"
) -> tuple[_Block, ...]:
    """`blocks` with the entries at their end, in new blocks where the last one is full."""
    done = 0
    while done < len(keys):
        if not blocks or blocks[-1].used == BLOCK_ROWS:
            blocks = (*blocks, _Block())
        done += blocks[-1].append(keys[done:], words[done:])
    return blocks


def _words(pdqs: Pdqs) -> "NDArray[np.uint64]":
    """The four words of each pdq, [len(pdqs), 4]."""
    if isinstance(pdqs, np.ndarray):
        return np.ascontiguousarray(pdqs).view(np.uint64).reshape(-1, _WORDS)
    if any(len(pdq) != PDQ_BYTES for pdq in pdqs):
        raise RuntimeError("a pdq is 32 bytes")
    return np.frombuffer(b"".join(pdqs), np.uint64).reshape(-1, _WORDS)


def _matches(
    block: _Block, question: "NDArray[np.uint64]", max_distance: int, scratch: _Scratch
) -> list[tuple[int, int]]:
    """The living (key, distance) of one block within `max_distance` of the four words."""
    used = block.used  # read once: rows that are added meanwhile are not looked at
    differing, first, second = (
        scratch.differing[:used],
        scratch.first[:used],
        scratch.second[:used],
    )
    np.bitwise_xor(block.words[0, :used], question[0], out=differing)
    np.bitwise_count(differing, out=first)
    np.bitwise_xor(block.words[1, :used], question[1], out=differing)
    np.bitwise_count(differing, out=second)
    np.add(first, second, out=first)  # at most 128: fits a byte
    rows = np.flatnonzero(first <= min(max_distance, _HALF_BITS))
    if rows.size == 0:
        return []
    rest = np.bitwise_count(block.words[2:, rows] ^ question[2:, None]).sum(0, dtype=np.int64)
    distances = rest + first[rows]
    near = (distances <= max_distance) & block.alive[rows]
    return list(zip(block.keys[rows[near]].tolist(), distances[near].tolist(), strict=True))
