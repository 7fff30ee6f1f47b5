"""How tests wait: for what has to happen, never for a time to pass.

A wait ends as soon as its condition holds, so a generous bound costs nothing but where something
is broken. `WITHIN_S` is the one bound for whatever takes a moment on an idle machine; on a machine
that is slower still, ``TESTS_PATIENCE=5`` multiplies it. What it is not: a statement about how
quick a node is. That is measured by benchmarks/, where the machine is quiet.
"""

import os
import threading
import time
from collections.abc import Callable

from protocol.errors import UnavailableError

PATIENCE = float(os.environ.get("TESTS_PATIENCE", "1"))
"""Factor of every bound in the tests."""

WITHIN_S = 120.0 * PATIENCE
"""Deadline for what takes a fraction of a second, or one poll, on an idle machine."""

_DAY_S = 86_400
_LOOK_EVERY_S = 0.05
_PAUSE = threading.Event()  # never set


def wait_for(
    holds: Callable[[], bool],
    what: str,
    *,
    at_most_s: float = WITHIN_S,
    look_every_s: float = _LOOK_EVERY_S,
) -> None:
    """Returns as soon as `holds` says so.

    Raises:
        UnavailableError: it does not within the time.
    """
    end = time.monotonic() + at_most_s
    while not holds():
        if time.monotonic() > end:
            raise UnavailableError(f"Waited {at_most_s:.0f} s in vain until {what}.")
        _PAUSE.wait(look_every_s)


def keep_clear_of_midnight(for_s: float = WITHIN_S) -> None:
    """Returns when no UTC day ends within the time; else it waits for the next one to begin.

    Budgets and limits are counted by day: what a test counts has to fall into one.
    """
    left_s = _DAY_S - time.time() % _DAY_S
    if left_s < for_s:
        began = time.time() // _DAY_S
        wait_for(
            lambda: time.time() // _DAY_S > began, "the next day begins", at_most_s=left_s + for_s
        )
