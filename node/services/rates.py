"""How many requests each peer and flagger makes in a minute, at all processes of the node together.

Counted in memory, and told to the other processes through the database in steps, so that few
requests cost a write: together they let through at most a sixteenth more than the limit for each
process beside the first. Counted is who has signed, once the signature holds: nobody uses up
another's requests. What this is not: a limit for strangers, which is the proxy's.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from node.storage.engine import Store
from protocol.errors import RateLimitedError, UnavailableError

_log = structlog.get_logger("node.rates")

WINDOW_S: Final = 60
"""Requests are counted by minutes of the clock."""

_STEPS: Final = 16
_MOST_CALLERS: Final = 10_000


class Rates:
    """The counters of one process."""

    def __init__(self, store: Store, *, most: int, clock: Callable[[], float]) -> None:
        """Lets through `most` requests a minute of each key."""
        self._store = store
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = 0
        self._everywhere: dict[str, int] = {}
        self._untold: dict[str, int] = {}

    def count(self, keyid: str) -> None:
        """Counts one request of a key.

        Raises:
            RateLimitedError: there were as many in this minute as may be; it is not counted.
        """
        now = int(self._clock())
        with self._lock:
            self._turn_to(now // WINDOW_S)
            untold = self._untold.get(keyid, 0) + 1
            if self._everywhere.get(keyid, 0) + untold > self._most:
                raise RateLimitedError(
                    f"You have made {self._most} requests in this minute: that is the limit here.",
                    retry_after_s=WINDOW_S - now % WINDOW_S,
                )
            self._untold[keyid] = untold
            if untold < max(1, self._most // _STEPS):
                return
            del self._untold[keyid]
            self._everywhere[keyid] = self._everywhere.get(keyid, 0) + untold
            minute = self._minute
        self._tell(keyid, minute, untold)

    def count_at_once(self, keyid: str) -> bool:
        """Counts one request as `count` does, if nobody has to be told; returns whether it did."""
        now = int(self._clock())
        with self._lock:
            self._turn_to(now // WINDOW_S)
            untold = self._untold.get(keyid, 0) + 1
            is_much = self._everywhere.get(keyid, 0) + untold > self._most
            if is_much or untold >= max(1, self._most // _STEPS):
                return False
            self._untold[keyid] = untold
        return True

    def take_back(self, keyid: str) -> None:
        """Takes back what `count_at_once` has counted: the request is to be counted by `count`."""
        with self._lock:
            if self._untold.get(keyid):
                self._untold[keyid] -= 1

    def _turn_to(self, minute: int) -> None:
        # Keys are those of pinned nodes and own flaggers, so there are few; all the same.
        if minute != self._minute or len(self._everywhere) + len(self._untold) > _MOST_CALLERS:
            self._minute = minute
            self._everywhere.clear()
            self._untold.clear()

    def _tell(self, keyid: str, minute: int, times: int) -> None:
        """Adds to what all processes have counted, and learns how much that is."""
        try:
            with self._store.write(durable=False) as transaction:
                total = transaction.access.count_requests(keyid, minute, times)
        except UnavailableError as error:
            # Each process goes on by its own count: who floods is not helped by a slow database.
            _log.warning("rates_not_shared", error=type(error).__name__)
            return
        with self._lock:
            if self._minute == minute:
                self._everywhere[keyid] = max(total, self._everywhere.get(keyid, 0))
