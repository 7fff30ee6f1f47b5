"""The thread that looks for what is flagged among the uploads of yesterday.

Every process has it, and the one that has the lease of the jobs works. It is woken by what this
process takes in, and sees within a second what others have.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from node.services.retro import Retro

_LOOK_EVERY_S: Final = 1.0
_log = structlog.get_logger("node.retro")


class RetroWorker:
    """Has `Retro` do what there is to do."""

    def __init__(self, retro: Retro, leads: Callable[[], bool]) -> None:
        """Keeps what is needed; nothing runs yet.

        Args:
            retro: does the work.
            leads: takes or renews the lease; whether this process is the one to work.
        """
        self._retro = retro
        self._leads = leads
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="retro", daemon=True)

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
                while not self._closing and self._retro.is_behind() and self._leads():
                    self._retro.step()
            except Exception as error:  # noqa: BLE001  # the next look tries again
                _log.warning("retro_failed", error=type(error).__name__)
