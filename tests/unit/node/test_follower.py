"""The thread that follows: one process works, a failure is survived, and closing ends it."""

import threading

import pytest

from node import follower as module
from node.follower import Follower
from waiting import WITHIN_S


class FakeWork:
    """Has so many steps to do, and fails at the first if told to."""

    def __init__(self, left: int, *, fails: bool = False, waits: bool = False) -> None:
        self.left = left
        self.waits = waits
        self.steps = 0
        self.fails = fails
        self.looked = threading.Event()
        self.done = threading.Event()

    def is_behind(self) -> bool:
        self.looked.set()
        return self.left > 0

    def step(self) -> bool:
        if self.fails:
            self.fails = False
            raise OSError
        self.steps += 1
        if self.waits:
            self.done.set()
            return False
        self.left -= 1
        if not self.left:
            self.done.set()
        return True


def worker(work: FakeWork, *, leads: bool = True) -> Follower:
    return Follower("work", work, lambda: leads)


def test_everything_is_done_also_after_a_failure() -> None:
    work = FakeWork(3, fails=True)
    running = worker(work)
    running.start()
    running.log_grew(True)
    assert work.done.wait(WITHIN_S)
    running.close()


def test_a_process_without_the_lease_does_nothing() -> None:
    work = FakeWork(3)
    running = worker(work, leads=False)
    running.start()
    running.log_grew(False)
    assert work.looked.wait(WITHIN_S)
    running.close()
    assert work.left == 3


def test_one_that_never_began_can_be_closed() -> None:
    worker(FakeWork(1)).close()


def test_a_step_that_has_to_wait_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # However long the test is kept from closing it, no look is due by itself.
    monkeypatch.setattr(module, "_LOOK_EVERY_S", WITHIN_S)
    work = FakeWork(3, waits=True)
    running = worker(work)
    running.start()
    running.log_grew(True)
    assert work.done.wait(WITHIN_S)
    running.close()
    # One more at the most, which the closing itself may have woken.
    assert work.steps <= 3
