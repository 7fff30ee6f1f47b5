"""Set clocks are noticed, and nothing else is taken for one."""

import threading
from dataclasses import dataclass, field

import pytest

from node import clock_watch as module
from node.clock_watch import TOLERANCE_S, ClockWatch
from waiting import WITHIN_S


@dataclass
class Clocks:
    """A clock on the wall, and one that nobody can set."""

    wall: float = 1_000_000.0
    steady: float = 50.0
    times_set: int = 0
    noticed: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> ClockWatch:
        return ClockWatch(self.when_set, wall=lambda: self.wall, steady=lambda: self.steady)

    def when_set(self) -> None:
        self.times_set += 1
        self.noticed.set()

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.mark.parametrize("by", [-86_400.0, -3.0, 3.0, 86_400.0])
def test_a_clock_that_is_set_is_noticed_once(by: float) -> None:
    clocks = Clocks()
    watch = clocks.watch()
    clocks.run(1)
    clocks.wall += by
    watch.look()
    assert clocks.times_set == 1
    clocks.run(1)
    watch.look()
    assert clocks.times_set == 1


def test_time_that_passes_and_a_clock_that_runs_a_little_fast_are_no_set_clock() -> None:
    clocks = Clocks()
    watch = clocks.watch()
    for seconds in (1.0, 3_600.0, 86_400.0):
        clocks.run(seconds)
        clocks.wall += TOLERANCE_S / 2
        watch.look()
    assert clocks.times_set == 0


def test_the_watch_looks_by_itself_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.01)
    clocks = Clocks()
    watch = clocks.watch()
    watch.start()
    clocks.wall -= 3_600
    assert clocks.noticed.wait(WITHIN_S)
    watch.close()
    clocks.wall -= 3_600
    assert clocks.times_set == 1
