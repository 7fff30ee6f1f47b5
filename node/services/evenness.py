"""Answers that all take as long as most of them do, so that how long one takes tells little of it.

A hit reads a row more, asks the policy about something and writes two rows more than a miss: a
fifth more of what either takes, which somebody who may ask often could tell from noise. So each
answer is held back until half as much again has passed as usual, hits and misses alike.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_HELD_S: Final = 0.02
"""Longest time for which an answer is held back, however slow the machine has become."""

_KEPT: Final = 64
_ROOM: Final = 1.5  # over the median: a hit takes some 1.2 times what a miss does


class Evenness:
    """How long one kind of answer took lately, in this process."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Knows nothing yet.

        Args:
            now: a clock in seconds that never goes back.
            sleep: waits for so many seconds.
        """
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._taken: deque[float] = deque(maxlen=_KEPT)

    def begin(self) -> float:
        """Returns the instant at which the work on an answer begins, for `hold`."""
        return self._now()

    def hold(self, since: float) -> None:
        """Returns when an answer that was begun then may be given.

        What it was held back for is not counted as work, so that nothing is held back for longer
        and longer.
        """
        taken = self._now() - since
        with self._lock:
            self._taken.append(taken)
            usual = sorted(self._taken)[len(self._taken) // 2]
        # The median of all: hits are rare, and one slow answer must not slow down those after it.
        left = min(usual * _ROOM - taken, MOST_HELD_S)
        if left > 0:
            self._sleep(left)
