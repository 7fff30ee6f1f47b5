"""How often each known caller may ask for something that costs more than a look."""

import time
from threading import Lock
from typing import Final

from protocol.errors import RateLimitedError

_MINUTE_S: Final = 60.0


class Pace:
    """So many a minute for each caller, in this process. Callers are pinned nodes: they are few."""

    def __init__(self, most: int, what: str) -> None:
        """Counts nothing yet.

        Args:
            most: of them in a minute, and at once.
            what: they are, for the sentence of a refusal.
        """
        self._most = most
        self._what = what
        self._lock = Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> None:
        """Returns if the caller may have one more now.

        Raises:
            RateLimitedError: it has had its share.
        """
        now = time.monotonic()
        with self._lock:
            left, at = self._left.get(caller, (float(self._most), now))
            left = min(self._most, left + (now - at) * self._most / _MINUTE_S)
            if left < 1:
                raise RateLimitedError(
                    f"At most {self._most} {self._what} a minute are taken of one node.",
                    retry_after_s=max(1, round(_MINUTE_S / self._most)),
                )
            self._left[caller] = (left - 1, now)
