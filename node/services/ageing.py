"""Bans whose keys are over: nobody can meet them any more, so nothing of them is kept.

A fingerprint cannot be carried to another key. Who still lawfully holds the identifiers bans again
under the newest one (`node.services.reissue`); the rest is forgotten with the key, everywhere.
"""

from collections.abc import Callable

from node.services import forgetting
from node.services.directory import StoredDirectory
from node.storage.accounts import Closed
from node.storage.engine import Store
from node.storage.transaction import Transaction
from protocol.encoding import parse_time
from protocol.statements import AccountBan
from protocol.succession import newest_epoch

_BATCH = 200


class Ageing:
    """Forgets the bans of closed epochs; what was looked through is not looked through again."""

    def __init__(self, store: Store, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._done: list[Closed] = []

    def forget(self) -> int:
        """Deletes the bodies of bans all of whose keys are over; returns how many."""
        now = int(self._clock())
        with self._store.read() as transaction:
            closed = closed_epochs(transaction, now=now)
        # No ban of a closed epoch is taken in, so a second look would find what the first one left.
        if closed == self._done:
            return 0
        total = 0
        while True:
            with self._store.write() as transaction:
                aged = transaction.accounts.aged(closed, limit=_BATCH)
                forgetting.forget(transaction, aged, "expired")
            total += len(aged)
            if len(aged) < _BATCH:
                break
        self._done = closed
        return total


def closed_epochs(transaction: Transaction, *, now: int) -> list[Closed]:
    """Returns which keys of the circles that are known here are over, or listed no more."""
    directory = StoredDirectory(transaction)
    found = []
    for record in transaction.trust.circles():
        circle = directory.circle(record.name)
        if circle is None:
            continue
        running = {one.epoch for one in circle.epochs if parse_time(one.not_after) >= now}
        newest = newest_epoch(circle).epoch
        if any(number not in running for number in range(1, newest + 1)):
            found.append(Closed(record.name, newest, frozenset(running)))
    return found


def is_over(transaction: Transaction, ban: AccountBan, *, now: int) -> bool:
    """Whether every key that a ban is made with is over, as far as is known here."""
    directory = StoredDirectory(transaction)
    for one in ban.fingerprints:
        circle = directory.circle(one.circle)
        if circle is None or one.epoch > newest_epoch(circle).epoch:
            return False
        listed = [each for each in circle.epochs if each.epoch == one.epoch]
        if any(parse_time(each.not_after) >= now for each in listed):
            return False
    return True
