"""The pdq index of this process, kept in step with the database.

The database is the truth and the index its shadow: every process follows the log from where it left
off, which is safe because places in the log become visible in order. A hit is believed only if the
database still has it active, so a withdrawn or erased entry never matches, not even in a process
that has not heard of it yet.

An index that is kept on disk knows how far in the log it had come, and the id of the statement
before that place. Where the database has another one there, or none, it is another log or an older
copy of it (a restored backup), and the index begins anew.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import structlog

from node.matching.index import START, PdqIndex, Reached
from node.storage.engine import Store
from node.storage.media import MediaHash, PdqColumns
from node.storage.transaction import Transaction
from protocol.pdq import PDQ_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = structlog.get_logger("node.catalogue")
_SLOT_BITS = 13  # more than the media hashes that limits allow in one statement
_SLOT_MASK = (1 << _SLOT_BITS) - 1
_PAGE = 20_000

Found: TypeAlias = list[tuple[int, int]]
"""(key, distance) of the entries near one pdq, nearest first."""

Believed: TypeAlias = list[tuple[MediaHash, int]]
"""What of it the database has active."""


@dataclass(frozen=True)
class Difference:
    """What an index and the database do not agree about; numbers of entries.

    Attributes:
        missing: active in the database, and not found by the index.
        altered: found under another pdq.
        unknown: found where the log has not come to.
        withdrawn: found, and active no more; the database is asked about each hit, so that they
            never match, and they leave the index when they are met or tidied away.
    """

    missing: int = 0
    altered: int = 0
    unknown: int = 0
    withdrawn: int = 0

    def is_wrong(self) -> bool:
        """Whether a look-up could say something wrong because of it."""
        return bool(self.missing or self.altered or self.unknown)


class Catalogue:
    """Finds the flagged items whose pdq lies near."""

    def __init__(self, store: Store, index: PdqIndex, *, origin: str) -> None:
        self._store = store
        self._index = index
        self._origin = origin
        self._is_checked = False
        self._seen: tuple[int | None, Reached] | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._index)

    def refresh(self, version: int | None = None) -> None:
        """Takes in what the log has gained since the last time, from any process.

        Args:
            version: of the database, `Store.version`; while it stays the same there is nothing new.
        """
        # The index may have gone over to what another process made, and be behind again.
        if self.is_current(version):
            return
        with self._store.read() as transaction:
            reached = self._index.reached
            if self._is_checked and transaction.logs.size(self._origin) <= _next(reached):
                self._seen = (version, reached)
                return
        with self._lock, self._store.read() as transaction:
            if not self._is_checked:
                self._check(transaction)
            size = transaction.logs.size(self._origin)
            while (start := _next(reached := self._index.reached)) < size:
                found = transaction.media.pdq_columns_from(start, limit=_PAGE)
                following = found.log_indices[-1] + 1 if found else size
                self._index.add(*_arrays(found), _reached(transaction, following))
            self._seen = (version, reached)

    def is_current(self, version: int | None) -> bool:
        """Whether `refresh` would find nothing new at this version of the database."""
        return version is not None and self._seen == (version, self._index.reached)

    def is_quick(self) -> bool:
        """Whether no search takes longer than a few milliseconds."""
        return self._index.is_quick()

    def near(
        self, transaction: Transaction, pdqs: Sequence[bytes], *, max_distance: int
    ) -> list[Believed]:
        """Returns for each pdq all active entries within a distance, nearest first.

        All of them: were only so many returned, whoever flags one picture often enough would push
        what others say of it out of sight.

        Args:
            transaction: in which entries are checked to be active.
            pdqs: 32 bytes each.
            max_distance: Hamming distance in bits, at most 31.
        """
        return self.believed(transaction, self.found(pdqs, max_distance=max_distance))

    def found(self, pdqs: Sequence[bytes], *, max_distance: int) -> list[Found]:
        """Returns for each pdq the key and distance of each entry near, nearest first.

        Whether an entry is active, `believed` says, and only that.
        """
        if len(pdqs) == 1:  # most uploads: without arrays around it
            return [self._index.query(pdqs[0], max_distance)]
        return self._index.query_many(pdqs, max_distance)

    def believed(self, transaction: Transaction, hits: Sequence[Found]) -> list[Believed]:
        """Returns what of it the database has active; the rest leaves the index."""
        met = {key for found in hits for key, _ in found}
        if not met:
            return [[] for _ in hits]
        active = transaction.media.at_slots(sorted(map(_place, met)))
        # The transaction may be older than the index: what it cannot see yet is not gone.
        size = transaction.logs.size(self._origin)
        gone = [key for key in met if (place := _place(key)) not in active and place[0] < size]
        if gone:
            self._index.remove(gone)
        return [
            [(active[_place(key)], distance) for key, distance in found if _place(key) in active]
            for found in hits
        ]

    def compare(self) -> Difference:
        """Returns in what the index, brought up to date, differs from the database.

        Raises:
            UnavailableError: what it keeps on disk is damaged.
        """
        self.refresh()
        self._index.verify()
        with self._store.read() as transaction:
            size = transaction.logs.size(self._origin)
            keys, pdqs = _all_pdqs(transaction)
        found_keys, found_pdqs = self._index.entries()
        return difference(keys, pdqs, found_keys, found_pdqs, upto=size << _SLOT_BITS)

    def tidy(self) -> int:
        """Withdrawn entries are no more in the index, nor in its files; returns how many were."""
        self.refresh()
        with self._store.read() as transaction:
            size = transaction.logs.size(self._origin)
            keys, _ = _all_pdqs(transaction)
        found, _ = self._index.entries()
        gone = found[(found < size << _SLOT_BITS) & ~np.isin(found, keys)]
        if gone.size:
            self._index.remove(gone.tolist())
            self._index.flush()
        return int(gone.size)

    def clear(self, log_indices: Sequence[int]) -> bool:
        """Nothing of the statements at these places is in the index, nor in its files.

        Returns False where another process is at work on the files: then ask again.
        """
        self.refresh()
        for log_index in log_indices:
            # Which slots it had, its rows would say, and they are deleted.
            self._index.remove(range(log_index << _SLOT_BITS, (log_index + 1) << _SLOT_BITS))
        # Also where nothing was found: what has left this index may still stand in a file.
        return self._index.flush()

    def rebuild(self) -> int:
        """The index is made anew from the database; returns how many entries it has.

        Other processes of the node go over to it by themselves.

        Raises:
            UnavailableError: another process is at work on the index.
        """
        with self._lock, self._store.read() as transaction:
            reached = _reached(transaction, transaction.logs.size(self._origin))
            keys, pdqs = _all_pdqs(transaction)
            self._index.replace(keys, pdqs, reached)
            self._is_checked = True
        return len(keys)

    def close(self) -> None:
        """Ends what the index does by itself."""
        self._index.close()

    def _check(self, transaction: Transaction) -> None:
        """The index follows this log, or nothing yet."""
        reached = self._index.reached
        if reached != _reached(transaction, reached.upto >> _SLOT_BITS):
            _log.warning("index_of_another_log", remedy="rebuilt from the database")
            self._index.replace([], [], START)
        self._is_checked = True


def _next(reached: Reached) -> int:
    """The place in the log that the index has not seen yet."""
    return reached.upto >> _SLOT_BITS


def _reached(transaction: Transaction, log_index: int) -> Reached:
    """What is told to an index that has seen everything before a place in the log."""
    before = transaction.statements.entries(log_index - 1, 1) if log_index else []
    return Reached(log_index << _SLOT_BITS, before[0] if before else "")


def _all_pdqs(transaction: Transaction) -> "tuple[NDArray[np.int64], NDArray[np.uint8]]":
    """The active pdqs of the database: keys, int64 [n], ascending, and values, uint8 [n, 32]."""
    parts = [_arrays(None)]
    start = 0
    while found := transaction.media.pdq_columns_from(start, limit=_PAGE):
        parts.append(_arrays(found))
        start = found.log_indices[-1] + 1
    keys, values = zip(*parts, strict=True)
    return np.concatenate(keys), np.concatenate(values)


def _arrays(found: PdqColumns | None) -> "tuple[NDArray[np.int64], NDArray[np.uint8]]":
    """Keys, int64 [n], and values, uint8 [n, 32], of what was read."""
    if found is None:
        return np.zeros(0, np.int64), np.zeros((0, PDQ_BYTES), np.uint8)
    keys = np.array(found.log_indices, np.int64) << _SLOT_BITS | np.array(found.slots, np.int64)
    return keys, np.frombuffer(b"".join(found.values), np.uint8).reshape(-1, PDQ_BYTES)


def difference(
    keys: "NDArray[np.int64]",
    pdqs: "NDArray[np.uint8]",
    found_keys: "NDArray[np.int64]",
    found_pdqs: "NDArray[np.uint8]",
    *,
    upto: int,
) -> Difference:
    """Compares what should be found with what is; keys ascend, and those of the database differ."""
    place = np.searchsorted(keys, found_keys)
    known = np.zeros(len(found_keys), np.bool_)
    inside = place < len(keys)
    known[inside] = keys[place[inside]] == found_keys[inside]
    same = (found_pdqs[known] == pdqs[place[known]]).all(axis=1)
    right = np.unique(place[known][same])
    return Difference(
        missing=len(keys) - len(right),
        altered=int((~same).sum()),
        unknown=int((found_keys[~known] >= upto).sum()),
        withdrawn=int((found_keys[~known] < upto).sum()),
    )


def log_index_of(key: int) -> int:
    """Returns where the statement of an entry stands in the log."""
    return key >> _SLOT_BITS


def key_of(one: MediaHash) -> int:
    """Returns what an entry is known by in the index."""
    return one.log_index << _SLOT_BITS | one.slot


def _place(key: int) -> tuple[int, int]:
    return key >> _SLOT_BITS, key & _SLOT_MASK
