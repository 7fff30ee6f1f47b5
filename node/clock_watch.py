"""Whether somebody set the clock on the wall while the node ran.

Timers that go by the clock stand still when it is put back: what was due at noon is due again when
it is noon again. Set clocks are common enough, by an operator, by a machine that wakes up, by a
time server after hours without one.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

TOLERANCE_S: Final = 2.0
"""A clock that runs a little fast or slow, and a late look, are no set clock."""

_LOOK_EVERY_S = 1.0


class ClockWatch:
    """Compares the clock on the wall with one that nobody can set."""

    def __init__(
        self,
        when_set: Callable[[], None],
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch for when the clock is set.

        Args:
            when_set: called from the watch's thread after the clock was set.
            wall: Unix time in seconds.
            steady: seconds since anything, and never set.
        """
        self._when_set = when_set
        self._wall = wall
        self._steady = steady
        self._apart = wall() - steady()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock-watch", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def close(self) -> None:
        """Looks no more."""
        self._over.set()
        self._thread.join()

    def look(self) -> None:
        """Compares once."""
        apart = self._wall() - self._steady()
        if abs(apart - self._apart) > TOLERANCE_S:
            self._when_set()
        self._apart = apart

    def _run(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self.look()
