"""The pdq index of this process, kept in step with the database.

The database is the truth and the index its shadow: every process follows the log from where it left
off, which is safe because places in the log become visible in order. A hit is believed only if the
database still has it active, so a withdrawn or erased entry never matches, not even in a process
that has not heard of it yet.
"""

import threading
from collections.abc import Sequence

from node.matching.index import PdqIndex
from node.storage.engine import Store
from node.storage.media import MediaHash
from node.storage.transaction import Transaction

_SLOT_BITS = 13  # more than the media hashes that limits allow in one statement
_SLOT_MASK = (1 << _SLOT_BITS) - 1
_PAGE = 20_000


class Catalogue:
    """Finds the flagged items whose pdq lies near."""

    def __init__(self, store: Store, index: PdqIndex, *, origin: str) -> None:
        self._store = store
        self._index = index
        self._origin = origin
        self._next = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._index)

    def refresh(self) -> None:
        """Takes in what the log has gained since the last time, from any process."""
        with self._store.read() as transaction:
            if transaction.logs.size(self._origin) <= self._next:
                return
        with self._lock, self._store.read() as transaction:
            size = transaction.logs.size(self._origin)
            while self._next < size:
                found = transaction.media.pdqs_from(self._next, limit=_PAGE)
                self._index.add([_key(one) for one in found], [one.value for one in found])
                self._next = found[-1].log_index + 1 if found else size

    def near(
        self, transaction: Transaction, pdqs: Sequence[bytes], *, max_distance: int
    ) -> list[list[tuple[MediaHash, int]]]:
        """Returns for each pdq all active entries within a distance, nearest first.

        All of them: were only so many returned, whoever flags one picture often enough would push
        what others say of it out of sight.

        Args:
            transaction: in which entries are checked to be active.
            pdqs: 32 bytes each.
            max_distance: Hamming distance in bits, at most 31.
        """
        hits = self._index.query_many(pdqs, max_distance)
        met = {key for found in hits for key, _ in found}
        active = transaction.media.at_slots(sorted(map(_place, met)))
        # The transaction may be older than the index: what it cannot see yet is not gone.
        size = transaction.logs.size(self._origin) if met else 0
        gone = [key for key in met if (place := _place(key)) not in active and place[0] < size]
        if gone:
            self._index.remove(gone)
        return [
            [(active[_place(key)], distance) for key, distance in found if _place(key) in active]
            for found in hits
        ]


def _key(one: MediaHash) -> int:
    return (one.log_index << _SLOT_BITS) | one.slot


def _place(key: int) -> tuple[int, int]:
    return key >> _SLOT_BITS, key & _SLOT_MASK
