"""Equality search: which entries have exactly this digest or fingerprint, in about a microsecond.

A value is known by 64 bits of its BLAKE2b (RFC 7693) under a key drawn for this index, so nobody
who chooses values can make them fall together. Entries lie in sorted runs: the 64 bits and the
entry's key, 16 bytes, and a directory of the first bits that leads to about eight candidates. What
is new waits in a dictionary until there is enough for a run, and runs of like size are merged, so
there are few. Rejected variants and figures: docs/adr/0009.

What it is not: proof. Two values may share their 64 bits (once in 10^12 questions among 10^7
entries), so the caller compares the whole value where it reads the entry, which it does anyway to
see whether the entry still counts.
"""

import secrets
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MARK_BYTES: Final = 8
_MARK_BITS: Final = 64
_KEY_BYTES: Final = 16
_BUCKET_BITS: Final = 3
"""A directory is made for 2^3 to 2^4 entries a bucket: half a byte for each entry."""

_RECENT: Final = 16_384
_GROWTH: Final = 4
"""A run stays beside the next newer one where it is at least four times as long."""

_REMOVED: Final = -1


class _Run:
    """Entries sorted by mark. Nothing changes but that a removed entry's key becomes -1."""

    def __init__(self, marks: "NDArray[np.uint64]", keys: "NDArray[np.int64]") -> None:
        self.marks = marks
        self.keys = keys
        bits = max(len(marks).bit_length() - 1 - _BUCKET_BITS, 0)
        self._shift = _MARK_BITS - bits
        bounds = np.arange(1 << bits, dtype=np.uint64) << np.uint64(self._shift % _MARK_BITS)
        starts = np.append(np.searchsorted(marks, bounds), len(marks)).astype(np.uint32)
        # Python's own bisect over a memoryview beats NumPy's for a single question: no array is
        # made of the question, and the directory leaves three or four steps.
        self._starts = starts.data
        self._sorted = marks.data

    def __len__(self) -> int:
        return len(self.marks)

    def positions(self, mark: int) -> range:
        """The rows of the entries with this mark."""
        bucket = mark >> self._shift
        end = self._starts[bucket + 1]
        first = bisect_left(self._sorted, mark, self._starts[bucket], end)
        return range(first, bisect_right(self._sorted, mark, first, end))

    def remove(self, mark: int, keys: Collection[int]) -> int:
        """Nothing stands under these keys and this mark; returns how many entries did."""
        rows = self.positions(mark)
        there = self.keys[rows.start : rows.stop]
        hit = np.isin(there, list(keys))
        there[hit] = _REMOVED
        return int(hit.sum())

    def memory_bytes(self) -> int:
        """What the arrays hold."""
        return self.marks.nbytes + self.keys.nbytes + self._starts.nbytes


_State = tuple[dict[int, list[int]], tuple[_Run, ...]]
"""What is new, by mark, and the runs, the longest first."""


class ExactIndex:
    """A multiset of (key, value) pairs, found by value; for any number of threads.

    A question answers from what was there when it began. Keys are the caller's, 0 to 2^63 − 1;
    several may stand under one value.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(_KEY_BYTES)
        self._lock = threading.Lock()  # held by writers; readers take the state as it is
        self._state: _State = ({}, ())
        self._removed = 0

    def __len__(self) -> int:
        recent, runs = self._state
        return sum(map(len, recent.values())) + sum(map(len, runs)) - self._removed

    def memory_bytes(self) -> int:
        """What the runs hold; the few newest entries, in a dictionary, are not counted."""
        return sum(run.memory_bytes() for run in self._state[1])

    def find(self, value: bytes) -> list[int]:
        """The keys of the entries with this value, in no order."""
        mark = self._mark(value)
        recent, runs = self._state
        found = list(recent.get(mark, ()))
        for run in runs:
            rows = run.positions(mark)
            if rows:
                keys = run.keys[rows.start : rows.stop]
                found += keys[keys != _REMOVED].tolist()
        return found

    def add(self, keys: Sequence[int], values: Sequence[bytes]) -> None:
        """`values[i]` is found under `keys[i]` by every question that starts later.

        Every now and then this merges runs, which takes some 30 ns for each entry merged; every
        entry is merged a few times in all. Questions in other threads go on meanwhile.
        """
        if len(keys) != len(values):
            raise RuntimeError("an index needs one key for each value")
        marks = [self._mark(value) for value in values]
        with self._lock:
            recent, runs = self._state
            if len(marks) + len(recent) < _RECENT:
                for mark, key in zip(marks, keys, strict=True):
                    recent.setdefault(mark, []).append(key)
                return
            waiting = [(mark, key) for mark, under in recent.items() for key in under]
            waiting += zip(marks, keys, strict=True)
            newest = _run_of(
                np.fromiter((mark for mark, _ in waiting), np.uint64, len(waiting)),
                np.fromiter((key for _, key in waiting), np.int64, len(waiting)),
            )
            # One assignment: a reader sees the entries in the dictionary or in the run, not twice.
            self._state = ({}, self._merged((*runs, newest)))

    def remove(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """No question that starts later finds these (key, value); unknown ones are ignored."""
        # By value: a hostile list may have a million entries of one, and each of them is looked at.
        gone: dict[int, set[int]] = {}
        for key, value in entries:
            gone.setdefault(self._mark(value), set()).add(key)
        with self._lock:
            recent, runs = self._state
            for mark, keys in gone.items():
                if mark in recent:
                    recent[mark] = [key for key in recent[mark] if key not in keys]
                for run in runs:
                    self._removed += run.remove(mark, keys)

    def _merged(self, runs: tuple[_Run, ...]) -> tuple[_Run, ...]:
        """The runs with the newest merged into those before it until lengths fall fourfold."""
        while len(runs) > 1 and len(runs[-2]) < _GROWTH * len(runs[-1]):
            merged = _merge(runs[-2], runs[-1])
            self._removed -= len(runs[-2]) + len(runs[-1]) - len(merged)
            runs = (*runs[:-2], merged)
        return runs

    def _mark(self, value: bytes) -> int:
        return int.from_bytes(
            blake2b(value, digest_size=_MARK_BYTES, key=self._secret).digest(), "big"
        )


def _run_of(marks: "NDArray[np.uint64]", keys: "NDArray[np.int64]") -> _Run:
    order = np.argsort(marks)
    return _Run(marks[order], keys[order])


def _merge(older: _Run, newer: _Run) -> _Run:
    """One run of the entries of both that were not removed."""
    places = np.searchsorted(older.marks, newer.marks) + np.arange(len(newer))
    is_older = np.ones(len(older) + len(newer), np.bool_)
    is_older[places] = False
    marks = np.empty(len(is_older), np.uint64)
    marks[places], marks[is_older] = newer.marks, older.marks
    keys = np.empty(len(is_older), np.int64)
    keys[places], keys[is_older] = newer.keys, older.keys
    living = keys != _REMOVED
    return _Run(marks, keys) if living.all() else _Run(marks[living], keys[living])
