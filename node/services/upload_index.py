"""The pdq index over registered uploads: a second instance of the engine that holds the list.

As with the list (`node.services.catalogue`), the database is the truth and the index its shadow,
which follows the numbers of the uploads. What it finds is read from the database and looked up
anew, so an upload that was deleted or replaced is never reported, though its pdq stays in the
index until it is met or tidied away.
"""

import threading
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import structlog

from node.matching.engine import PdqEngine
from node.matching.index import START, Reached
from node.services.catalogue import Difference, difference
from node.storage.transaction import Transaction
from protocol.pdq import PDQ_BYTES

_log = structlog.get_logger("node.uploads")
_PAGE = 20_000
_AT_ONCE = 250
"""Questions of one batch: whoever flags what a million uploads resemble fills no memory."""


class UploadIndex:
    """Finds the registered uploads whose pdq lies near."""

    def __init__(self, index: PdqEngine) -> None:
        self._index = index
        self._is_checked = False
        self._lock = threading.Lock()

    def refresh(self, transaction: Transaction) -> None:
        """Takes in what has been registered since the last time, in any process."""
        with self._lock:
            if not self._is_checked:
                self._check(transaction)
            while True:
                behind = max(self._index.reached.upto - 1, 0)
                found = transaction.uploads.pdqs_after(behind, limit=_PAGE)
                if not found:
                    return
                last, pdq = found[-1]
                self._index.add(
                    [number for number, _ in found],
                    [value for _, value in found],
                    Reached(last + 1, pdq[:8].hex()),
                )

    def near(self, pdqs: Sequence[bytes], *, max_distance: int) -> set[int]:
        """Returns the numbers of the uploads that lie near one of `pdqs`, 32 bytes each."""
        met: set[int] = set()
        for at in range(0, len(pdqs), _AT_ONCE):
            _, keys, _ = self._index.query_arrays(pdqs[at : at + _AT_ONCE], max_distance)
            met.update(np.unique(keys).tolist())
        return met

    def remove(self, numbers: Collection[int]) -> None:
        """Uploads that are no more are not found again."""
        if numbers:
            self._index.remove(list(numbers))

    def tidy(self, transaction: Transaction) -> int:
        """Makes the index hold what the database holds; returns how many entries differed.

        What was deleted is then in none of its files.
        """
        self.refresh(transaction)
        there = _numbers(transaction)
        found, _ = self._index.entries()
        gone = found[~np.isin(found, there)]
        missing = np.setdiff1d(there, found)
        for at in range(0, len(missing), _PAGE):
            part = transaction.uploads.at(missing[at : at + _PAGE].tolist())
            values = [(number, one.pdq) for number, one in part.items() if one.pdq is not None]
            self._index.add(
                [number for number, _ in values],
                [value for _, value in values],
                self._index.reached,
            )
        if gone.size:
            self._index.remove(gone.tolist())
            self._index.flush()
        return len(gone) + len(missing)

    def compare(self, transaction: Transaction) -> Difference:
        """Returns in what the index, brought up to date, differs from the database.

        Raises:
            UnavailableError: what it keeps on disk is damaged.
        """
        self.refresh(transaction)
        self._index.verify()
        numbers, pdqs = _registered(transaction)
        found, found_pdqs = self._index.entries()
        return difference(numbers, pdqs, found, found_pdqs, upto=self._index.reached.upto)

    def rebuild(self, transaction: Transaction) -> int:
        """Makes the index anew from the database; returns how many uploads it has.

        Raises:
            UnavailableError: another process is at work on the index.
        """
        with self._lock:
            numbers, pdqs = _registered(transaction)
            reached = START
            if len(numbers):
                reached = Reached(int(numbers[-1]) + 1, pdqs[-1].tobytes()[:8].hex())
            self._index.replace(numbers, pdqs, reached)
            self._is_checked = True
        return len(numbers)

    def settle(self) -> None:
        """Everything that was taken in lies in one segment."""
        self._index.flush()

    def memory_bytes(self) -> int:
        """Bytes of the index, mapped ones included."""
        return self._index.memory_bytes()

    def close(self) -> None:
        """Ends what the index does by itself."""
        self._index.close()

    def _check(self, transaction: Transaction) -> None:
        """The index follows these uploads, or nothing yet: a restored backup may have others."""
        last = self._index.reached.upto - 1
        if last > 0:
            mark = transaction.uploads.mark_of(last)
            is_deleted = mark is None and transaction.uploads.last() > last
            if mark != self._index.reached.mark and not is_deleted:
                _log.warning("index_of_other_uploads", remedy="rebuilt from the database")
                self._index.replace([], [], START)
        self._is_checked = True


def _registered(
    transaction: Transaction,
) -> "tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.uint8]]]":
    """Numbers, ascending, and pdqs, uint8 [n, 32], of all uploads that have one."""
    numbers = [np.zeros(0, np.int64)]
    pdqs = [np.zeros((0, PDQ_BYTES), np.uint8)]
    behind = 0
    while found := transaction.uploads.pdqs_after(behind, limit=_PAGE):
        numbers.append(np.array([number for number, _ in found], np.int64))
        joined = b"".join(pdq for _, pdq in found)
        pdqs.append(np.frombuffer(joined, np.uint8).reshape(-1, PDQ_BYTES))
        behind = found[-1][0]
    return np.concatenate(numbers), np.concatenate(pdqs)


def _numbers(transaction: Transaction) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The numbers of all uploads that can be found by their pdq, ascending."""
    return _registered(transaction)[0]
