"""Clocks and the few statistics that the benches use.

Tools take turns in rounds, and a figure is the median over the rounds of a ratio inside one round:
what else the machine does slows neighbours in time alike, so ratios hold where times do not.

What one thread does is timed by what it used of a processor, not by the clock on the wall: where
other programs want the processors too, a call of a millisecond waits for them several times and
one of microseconds hardly ever, which would flatter whoever is quick. What asking this clock costs,
a fraction of a microsecond, is measured before each turn and taken off.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS: Final = 3
WARM_UP: Final = 500
"""Questions before the clock counts: an index of a gigabyte needs about so many to fill caches."""

_FEWEST: Final = 20
_CALLS_OF_CLOCK: Final = 2_000
_NS_PER_US: Final = 1_000


@dataclass(frozen=True)
class Turn:
    """One tool's turn in one round.

    Attributes:
        times_us: float [asked]: what each question took of a processor.
        warm_up: how many were asked before.
    """

    times_us: "NDArray[np.float64]"
    warm_up: int

    def percentile(self, share: float, which: "NDArray[np.bool_] | None" = None) -> float:
        """The time, in µs, within which `share` percent of the questions were answered.

        Args:
            share: 0 to 100.
            which: bool, at least as long as the turn: only these questions count.
        """
        times = self.times_us if which is None else self.times_us[which[: len(self.times_us)]]
        return float(np.percentile(times, share))


def take_turn(
    ask: Callable[[Any], object],
    questions: Sequence[Any],
    *,
    budget_s: float,
    warm_up: int = WARM_UP,
) -> Turn:
    """Asks each question once, timed, after a warm-up with the last ones.

    Args:
        ask: the call that is timed.
        questions: what it is asked, one after the other.
        budget_s: a slow tool stops after so long, but not before 20 questions; its warm-up after a
            third of that.
        warm_up: questions before the clock counts.
    """
    clock_us = np.percentile(_timed(_nothing, range(_CALLS_OF_CLOCK), 1.0), 50)
    warmed = len(_timed(ask, questions[: -warm_up - 1 : -1], budget_s / 3)) if warm_up else 0
    return Turn(np.maximum(_timed(ask, questions, budget_s) - clock_us, 0.0), warmed)


def _nothing(_question: object) -> None:
    """What is timed to learn what the clock and the call themselves cost."""


def _timed(
    ask: Callable[[Any], object], questions: Sequence[Any], budget_s: float
) -> "NDArray[np.float64]":
    clock = time.thread_time_ns
    times = np.empty(len(questions))
    left_ns = budget_s * 1e9
    done = 0
    for question in questions:
        before = clock()
        ask(question)
        taken = clock() - before
        times[done] = taken
        done += 1
        left_ns -= taken
        if left_ns < 0 and done >= _FEWEST:
            break
    return times[:done] / _NS_PER_US


def seconds(action: Callable[..., object], *arguments: Any) -> float:
    """What one call uses of a processor, in seconds; of a call that works in this thread alone."""
    before = time.thread_time()
    action(*arguments)
    return time.thread_time() - before


def wall_seconds(action: Callable[..., object], *arguments: Any) -> float:
    """How long one call takes, in seconds."""
    before = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - before


def median(values: Sequence[float]) -> float:
    """The middle of the rounds."""
    return float(statistics.median(values))


@contextmanager
def without_collection() -> Iterator[None]:
    """Python's cyclic collector does not run: it would look at every object of a rival's index."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def touch(size: int) -> None:
    """Memory of `size` bytes has been used once by this process and given back.

    A virtual machine may get its memory page by page from the host at first use, at seconds for
    each GiB; who builds first would pay for all.
    """
    room = np.empty(size, np.uint8)
    room[::4096] = 1
