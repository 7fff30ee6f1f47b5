"""The thread that compares: one process works, a failure is survived, and closing ends it."""

import threading
from typing import Any, cast

from node.retro_worker import RetroWorker
from node.services.retro import Retro

WITHIN_S = 20


class FakeRetro:
    """Has so many steps to do, and fails at the first if told to."""

    def __init__(self, left: int, *, fails: bool = False) -> None:
        self.left = left
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
        self.left -= 1
        if not self.left:
            self.done.set()
        return True


def worker(retro: FakeRetro, *, leads: bool = True) -> RetroWorker:
    return RetroWorker(cast("Retro", cast("Any", retro)), lambda: leads)


def test_everything_is_done_also_after_a_failure() -> None:
    retro = FakeRetro(3, fails=True)
    running = worker(retro)
    running.start()
    running.log_grew(True)
    assert retro.done.wait(WITHIN_S)
    running.close()


def test_a_process_without_the_lease_does_nothing() -> None:
    retro = FakeRetro(3)
    running = worker(retro, leads=False)
    running.start()
    running.log_grew(False)
    assert retro.looked.wait(WITHIN_S)
    running.close()
    assert retro.left == 3


def test_one_that_never_began_can_be_closed() -> None:
    worker(FakeRetro(1)).close()
