"""The Python side of a search: what is searched, and the scratch that a search needs."""

from concurrent.futures import Executor
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from node.matching.ring.batches import search_block
from node.matching.ring.delta import Block, dead_rows, mark_dead
from node.matching.ring.layout import (
    BLOCK,
    CHUNKS,
    MASKS,
    MASKS_WITHIN,
    MOST_PASSED,
    PADDING,
    ROWS_A_PASSED,
    SEARCH,
    SEGMENT,
    STARTS,
)
from node.matching.ring.searching import search_one
from node.matching.ring.segment import Segment
from protocol.limits import PDQ_MATCH_DISTANCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CAPACITY: Final = 1_024
_EVERYTHING: Final = (1 << 64) - 1
_WORD_BITS: Final = 64
_LINE_BYTES: Final = 64
MOST_DISTANCE: Final = 255
"""Bits; the result of a search holds a distance in a byte."""
_KEY_BITS: Final = 55  # what a distance of 8 bits leaves of an int64
_BLOCK: Final = 4_096  # questions that go through the tables together


class Mounted:
    """A segment as this process uses it: with the rows that were removed since it was made.

    Attributes:
        segment: the immutable part.
        name: of its file; empty where it has none.
        gone: keys of dead rows.
        alive: rows that are not dead.
    """

    def __init__(self, segment: Segment, name: str = "") -> None:
        self.segment = segment
        self.name = name
        self.gone: set[int] = set()
        self.alive = len(segment)
        self.record = segment.record.copy()
        self._dead: NDArray[np.uint64] | None = None

    def remove(self, gone: "NDArray[np.int64]") -> int:
        """Every row under one of these keys is dead; returns how many died.

        The index has to give the changed record to the kernels.
        """
        rows = self.segment.rows_of(gone)
        if not rows.size:
            return 0
        if self._dead is None:
            self._dead = np.zeros(-(-len(self.segment) // _WORD_BITS), np.uint64)
            self.record["dead"] = self._dead.ctypes.data
        died = mark_dead(self._dead, rows)
        self.gone.update(gone.tolist())
        self.alive -= died
        return died

    @property
    def bytes(self) -> int:
        """Size in memory, or of the pages that it maps."""
        return self.segment.shape.bytes() + (0 if self._dead is None else self._dead.nbytes)

    def living(self) -> "tuple[NDArray[np.uint64], NDArray[np.int64]]":
        """Copies of the rows that are not dead: chunks, uint64 [n, 4], and keys, int64 [n]."""
        words, keys = self.segment.words(), self.segment.keys()
        if self._dead is None:
            return words, keys
        rows = np.flatnonzero(~dead_rows(self._dead, len(keys)))
        return words[rows], keys[rows]


class View:
    """What a query sees: segments and blocks, and searches that look there. Never changed.

    When the index changes, it makes another view; a query that began before goes on with this one,
    whose memory is freed with the last of them.

    Attributes:
        mounted: the segments.
        blocks: the delta; only the last one still grows.
        idle: searches that nobody uses at this instant. Taking from and giving to a list is atomic.
    """

    def __init__(self, mounted: tuple[Mounted, ...], blocks: tuple[Block, ...]) -> None:
        self.mounted = mounted
        self.blocks = blocks
        self.idle: list[Search] = []
        self.segment_table = np.concatenate(
            [np.zeros(0, SEGMENT), *(one.record for one in mounted)]
        )
        self.block_table = np.concatenate([np.zeros(0, BLOCK), *(one.record for one in blocks)])

    def point(self, record: "NDArray[np.void]") -> None:
        """Has a SEARCH [1] look here; whoever holds it keeps the view."""
        record["segments"] = self.segment_table.ctypes.data
        record["segment_count"] = len(self.segment_table)
        record["blocks"] = self.block_table.ctypes.data
        record["block_count"] = len(self.block_table)


class Search:
    """Room for one question and its answers; used by one thread at a time.

    Attributes:
        asked: where the question's 32 bytes go.
        address: of the record, for the kernels.
        most: the greatest distance it looks for.
    """

    __slots__ = ("_distances", "_keys", "_passed", "_record", "_view", "address", "asked", "most")

    def __init__(self, view: View) -> None:
        self._view = view  # keeps alive what the record points to
        self._record = np.zeros(1, SEARCH)
        view.point(self._record)
        rows = max((len(one.segment) for one in view.mounted), default=0)
        room = max(MOST_PASSED, rows // ROWS_A_PASSED) + PADDING
        self._passed = np.empty(room, np.uint64)  # hardly ever touched beyond its beginning
        self._record["passed"] = self._passed.ctypes.data
        self._record["passed_size"] = room
        self.asked = memoryview(self._record.view(np.uint8))[:32]  # type: ignore[arg-type]  # an array is a buffer
        self.address = self._record.ctypes.data
        self.look_for(PDQ_MATCH_DISTANCE, None)
        self._make_room(_CAPACITY)

    def look_for(self, most: int, limit: int | None) -> None:
        """The next search goes so far, and ends early once it has found `limit`."""
        if not 0 <= most <= MOST_DISTANCE:
            raise RuntimeError(f"this index looks for distances of 0 to {MOST_DISTANCE} bits")
        self.most = most if limit is None else -1  # so that a search with a limit is set up anew
        self._record["most"] = most
        self._record["limit"] = _EVERYTHING if limit is None else limit

    def results(self, count: int) -> list[tuple[int, int]]:
        """The (key, distance) found by the search that returned `count`, nearest first."""
        while count > len(self._keys):
            self._make_room(2 * count)
            count = search_one(self.address)
        keys, distances = self._keys[:count], self._distances[:count]
        if count > 1:
            keys, distances = _by_distance(keys, distances)
        return list(zip(keys.tolist(), distances.tolist(), strict=True))

    def lines(self) -> int:
        """Cache lines that a search within 31 bits of what was asked has to read of one segment.

        Starts and filters of every bucket, two lines (a row's number and its first half) for each
        entry that passed the filter, and one for each family. Holds after a search in an index of
        one segment.
        """
        masks = MASKS[: MASKS_WITHIN[1]]
        chunks = self._record["question"].view(np.uint16).reshape(CHUNKS, 1)
        at = (np.arange(CHUNKS)[:, None] * STARTS + (chunks ^ masks)).astype(np.int64) * 4
        starts = np.unique(np.concatenate([at, at + 4]) // _LINE_BYTES).size
        bounds = self._record["bounds"][0, :, : len(masks)].astype(np.int64) * 2
        begin, end = bounds[..., 0], bounds[..., 1]
        spans = np.where(end > begin, (end - 1) // _LINE_BYTES - begin // _LINE_BYTES + 1, 0)
        families = self._view.segment_table["family_count"].sum()
        return int(starts + spans.sum() + 2 * self._record["survivors"][0] + families)

    def _make_room(self, capacity: int) -> None:
        self._keys = np.empty(capacity, np.int64)
        self._distances = np.empty(capacity, np.uint8)
        self._record["keys"] = self._keys.ctypes.data
        self._record["distances"] = self._distances.ctypes.data
        self._record["capacity"] = capacity


def _by_distance(
    keys: "NDArray[np.int64]", distances: "NDArray[np.uint8]"
) -> "tuple[NDArray[np.int64], NDArray[np.uint8]]":
    """The results by distance, then key; as one number each, if they fit, it takes a tenth."""
    if keys.min() < 0 or keys.max() >= 1 << _KEY_BITS:
        order = np.lexsort((keys, distances))
        return keys[order], distances[order]
    both = (distances.astype(np.int64) << _KEY_BITS) | keys
    both.sort()
    return both & ((1 << _KEY_BITS) - 1), (both >> _KEY_BITS).astype(np.uint8)


def search_many(
    view: View, chunks: "NDArray[np.uint64]", most: int, pool: Executor | None, threads: int
) -> "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]":
    """Answers many questions.

    Args:
        view: where to look.
        chunks: of the questions, uint64 [n, 4].
        most: the greatest distance.
        pool: shares the work; None for this thread alone.
        threads: how many the pool has.

    Returns:
        `starts`, int64 [n + 1], and the keys, int64, and distances, uint8, of everything that was
        found, by distance, then key; those of question i are from `starts[i]` to `starts[i + 1]`.
    """
    size = _BLOCK if pool is None else max(1, min(_BLOCK, -(-len(chunks) // threads)))
    blocks = [chunks[at : at + size] for at in range(0, len(chunks), size)]

    def answer(block: "NDArray[np.uint64]") -> _Answer:
        return _search_block(view, block, most)

    answers = list(map(answer, blocks) if pool is None else pool.map(answer, blocks))
    counts = [
        np.bincount(one.numbers, minlength=len(block))
        for one, block in zip(answers, blocks, strict=True)
    ]
    starts = np.zeros(len(chunks) + 1, np.int64)
    np.cumsum(np.concatenate([np.zeros(0, np.int64), *counts]), out=starts[1:])
    return (
        starts,
        np.concatenate([np.zeros(0, np.int64), *(one.keys for one in answers)]),
        np.concatenate([np.zeros(0, np.uint8), *(one.distances for one in answers)]),
    )


class _Answer(NamedTuple):
    """What a block of questions found, by question, distance and key."""

    numbers: "NDArray[np.uint32]"
    keys: "NDArray[np.int64]"
    distances: "NDArray[np.uint8]"


def _search_block(view: View, chunks: "NDArray[np.uint64]", most: int) -> _Answer:
    record = np.zeros(1, SEARCH)
    view.point(record)
    record["most"] = most
    record["limit"] = _EVERYTHING
    capacity = 2 * _CAPACITY
    while True:
        numbers = np.empty(capacity, np.uint32)
        keys = np.empty(capacity, np.int64)
        distances = np.empty(capacity, np.uint8)
        record["numbers"] = numbers.ctypes.data
        record["keys"] = keys.ctypes.data
        record["distances"] = distances.ctypes.data
        record["capacity"] = capacity
        count = search_block(record.ctypes.data, chunks)
        if count <= capacity:
            break
        capacity = 2 * count  # what is added meanwhile may match too
    numbers, keys, distances = numbers[:count], keys[:count], distances[:count]
    order = np.lexsort((keys, distances, numbers))
    return _Answer(numbers[order], keys[order], distances[order])
