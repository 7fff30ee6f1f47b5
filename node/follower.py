"""A thread that follows the log: it works where this process has the lease of the jobs.

Every process has it. It is woken by what this process takes in, and sees within a second what
others have.
"""

import threading
from collections.abc import Callable
from typing import Final, Protocol

import structlog

_LOOK_EVERY_S: Final = 1.0
_log = structlog.get_logger("node.follower")


class Work(Protocol):
    """Something that follows the log in steps; a crash between two of them loses nothing."""

    def is_behind(self) -> bool:
        """Whether there is something that `step` would do."""

    def step(self) -> bool:
        """Does some of it; returns False if there was nothing, or if it has to wait."""


class Follower:
    """Has work done."""

    def __init__(self, name: str, work: Work, leads: Callable[[], bool]) -> None:
        """Keeps what is needed; nothing runs yet.

        Args:
            name: of the thread, and what its warnings call it.
            work: what is done.
            leads: takes or renews the lease; whether this process is the one to work.
        """
        self._name = name
        self._work = work
        self._leads = leads
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def log_grew(self, _synced: bool) -> None:  # as ingest calls its subscribers
        """Has it look now."""
        self._wake.set()

    def close(self) -> None:
        """Ends after the step that is under way."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(_LOOK_EVERY_S)
            self._wake.clear()
            try:
                while not self._closing and self._work.is_behind() and self._leads():
                    if not self._work.step():
                        break
            except Exception as error:  # noqa: BLE001  # the next look tries again
                _log.warning(f"{self._name}_failed", error=type(error).__name__)
