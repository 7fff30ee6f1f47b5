"""Which flagged digests and banned fingerprints equal those asked for.

As with pdqs (`node.services.catalogue`), the database is the truth and an index in this process its
shadow: a hit is believed only if the database still has it active. A process that has just started
takes in the log in small pieces, one question at a time; until it is through, the database answers
by itself, as rightly and a hundred times slower (docs/adr/0009).
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from node.matching.exact import ExactIndex
from node.services.catalogue import Believed, Found
from node.storage.accounts import FingerprintRecord
from node.storage.media import MediaHash
from node.storage.transaction import Transaction

_SLOT_BITS: Final = 13  # more than the media hashes that limits allow in one statement
_SLOT_MASK: Final = (1 << _SLOT_BITS) - 1
_PAGE: Final = 10_000
_PATIENCE_S: Final = 0.05
"""How long one question may spend on taking in the log; never more than one page beyond."""

Place = tuple[int, int]
"""(log_index, slot)."""


class Digests:
    """The exact digests of flagged files."""

    def __init__(self, origin: str) -> None:
        """Begins with nothing; `origin` names the node's own log."""
        self._origin = origin
        self._places = _PlacesByValue(_digests_from)

    def equal_to(self, transaction: Transaction, values: Sequence[bytes]) -> "EqualDigests":
        """Returns where digests may stand that equal one of `values`.

        Of some other kind, perhaps, than was meant; the caller compares kind and value.
        """
        size = transaction.logs.size(self._origin)
        if self._places.catch_up(transaction, size):
            places = self._places.find(values)
        else:
            rows = transaction.media.with_values(values)
            places = {(one.log_index, one.slot): one.value for one in rows}
        return EqualDigests(self._places, places, size)


class EqualDigests:
    """Where the digests of one look-up may stand; the database has not been asked about each yet.

    A flagger may flag one file twenty thousand times. So who says it is heard as with pdqs
    (`node.services.hearing`), and only what is heard is read.

    Attributes:
        found: for each value that stands anywhere, key and distance 0 of each entry, oldest first.
    """

    def __init__(self, held: "_PlacesByValue", places: Mapping[Place, bytes], size: int) -> None:
        """Made by `Digests`; `size` is the log's in the transaction that was asked."""
        self._held = held
        self._places = places
        self._size = size
        by_value: dict[bytes, list[int]] = {}
        for (log_index, slot), value in places.items():
            by_value.setdefault(value, []).append(log_index << _SLOT_BITS | slot)
        self.found: list[Found] = [[(key, 0) for key in sorted(one)] for one in by_value.values()]

    def believed(self, transaction: Transaction, hits: Sequence[Found]) -> list[Believed]:
        """Returns what of it the database has active; the rest leaves the index."""
        asked = {_place(key): key for found in hits for key, _ in found}
        if not asked:
            return [[] for _ in hits]
        active = transaction.media.at_slots(list(asked))
        looked_at = {place: self._places[place] for place in asked}
        self._held.forget(looked_at, active=active, size=self._size)
        return [
            [(active[_place(key)], distance) for key, distance in found if _place(key) in active]
            for found in hits
        ]


class Fingerprints:
    """The fingerprints of banned accounts."""

    def __init__(self, origin: str) -> None:
        """Begins with nothing; `origin` names the node's own log."""
        self._origin = origin
        self._places = _PlacesByValue(_fingerprints_from)

    def with_values(
        self, transaction: Transaction, values: Sequence[bytes]
    ) -> list[FingerprintRecord]:
        """Returns the fingerprints that equal one of `values`; the caller compares all of each.

        The database is asked once, for as many places as there are values at least, whether or not
        anything is found: what a check costs tells nothing of its result.
        """
        size = transaction.logs.size(self._origin)
        if not self._places.catch_up(transaction, size):
            return transaction.accounts.with_values(values)
        places = self._places.find(values)
        nowhere = [(-1, at) for at in range(len(values) - len(places))]
        found = transaction.accounts.at_places([*places, *nowhere])
        active = [(one.log_index, one.slot) for one in found]
        self._places.forget(places, active=active, size=size)
        return found


def _digests_from(transaction: Transaction, log_index: int, limit: int) -> Sequence[MediaHash]:
    return transaction.media.digests_from(log_index, limit=limit)


def _fingerprints_from(
    transaction: Transaction, log_index: int, limit: int
) -> Sequence[FingerprintRecord]:
    return transaction.accounts.fingerprints_from(log_index, limit=limit)


class _Stored(Protocol):
    """A row with a value, at its place in the log."""

    @property
    def log_index(self) -> int: ...
    @property
    def slot(self) -> int: ...
    @property
    def value(self) -> bytes: ...


class _PlacesByValue:
    """Where the values of one kind stand in the log."""

    def __init__(self, read_page: Callable[[Transaction, int, int], Sequence[_Stored]]) -> None:
        """Begins with nothing.

        Args:
            read_page: gives the active rows from a place in the log on, in its order, about as many
                as the third argument says, no statement cut apart.
        """
        self._read_page = read_page
        self._index = ExactIndex()
        self._next = 0
        self._lock = threading.Lock()

    def catch_up(self, transaction: Transaction, size: int) -> bool:
        """Takes in what the log has gained; says whether `find` now knows all of it.

        Does not wait for another thread that is at it, and stops after a while: then the answer is
        no, and the next question goes on.

        Args:
            transaction: in which the log is read.
            size: of the log in that transaction.
        """
        if self._next >= size:
            return True
        if not self._lock.acquire(blocking=False):
            return False
        try:
            until = time.monotonic() + _PATIENCE_S
            while self._next < size and time.monotonic() < until:
                found = self._read_page(transaction, self._next, _PAGE)
                self._index.add([_key(one) for one in found], [one.value for one in found])
                self._next = found[-1].log_index + 1 if len(found) >= _PAGE else size
            return self._next >= size
        finally:
            self._lock.release()

    def find(self, values: Iterable[bytes]) -> dict[Place, bytes]:
        """Returns the places where the values may stand; the caller compares what stands there."""
        return {_place(key): value for value in values for key in self._index.find(value)}

    def forget(self, places: Mapping[Place, bytes], *, active: Iterable[Place], size: int) -> None:
        """Lets go of the places that were looked at and found withdrawn.

        Args:
            places: what `find` gave.
            active: those of them that the database has.
            size: of the log in the transaction that was asked: it cannot see what came later, and
                what it cannot see yet is not gone.
        """
        gone = places.keys() - set(active)
        self._index.remove(
            ((index << _SLOT_BITS) | slot, places[index, slot])
            for index, slot in gone
            if index < size
        )


def _key(one: _Stored) -> int:
    return (one.log_index << _SLOT_BITS) | one.slot


def _place(key: int) -> Place:
    return key >> _SLOT_BITS, key & _SLOT_MASK
