"""Several processes that serve one node: begun, replaced when one dies, ended in order.

They share the listening socket, the database and the folder of the index, and nothing else; the
jobs run in one of them at a time, by the lease in the database (node.jobs). This process serves
nothing: it waits.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from protocol.errors import UnavailableError

_BEGUN_S: Final = 10.0
"""A process that ends before has not begun; another try would end like it."""

_STOP_S: Final = 60.0

_log = structlog.get_logger("node.processes")


def run_processes(
    directory: Path, listening: socket.socket, *, count: int, environ: Mapping[str, str]
) -> None:
    """The processes have served until this one was interrupted, and all have ended.

    Args:
        directory: of the node.
        listening: bound to the node's address.
        count: how many.
        environ: what they are told.

    Raises:
        KeyboardInterrupt: this process was told to end, as it was to.
        UnavailableError: one ended as soon as it had begun; the others were ended.
    """
    running: list[_Process] = []
    try:
        for _ in range(count):
            running.append(_Process(directory, listening, environ))  # noqa: PERF401  # kept one by one, for `finally`
        while True:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            for place, one in enumerate(running):
                if not one.has_ended():
                    continue
                if one.age_s() < _BEGUN_S:
                    raise UnavailableError(
                        "A process of the node ended as soon as it had begun; its log says why."
                    )
                _log.warning("process_replaced", status=one.status)
                one.wait(0)
                running[place] = _Process(directory, listening, environ)
    finally:
        _end(running)


class _Process:
    """One serving process; it ends by itself when the pipe to this one closes."""

    def __init__(
        self, directory: Path, listening: socket.socket, environ: Mapping[str, str]
    ) -> None:
        self._begun = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [
                *(sys.executable, "-P", "-m", "node.serving_process"),
                *(str(directory), str(listening.fileno())),
            ],
            stdin=subprocess.PIPE,
            env=dict(environ),
            pass_fds=(listening.fileno(),),
            # Ctrl-C is for this process, which tells the others
            process_group=0,
        )

    def age_s(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self._begun

    def has_ended(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return self._process.poll() is not None

    @property
    def status(self) -> int | None:
        """How it ended."""
        return self._process.returncode

    def ask_to_end(self) -> None:
        """It answers what is under way, and takes no more."""
        if not self.has_ended():
            self._process.terminate()

    def wait(self, timeout_s: float) -> None:
        """It has ended, by itself or killed after `timeout_s`."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def _end(processes: list[_Process]) -> None:
    """All have ended; being told again changes nothing."""
    before = {one: signal.signal(one, signal.SIG_IGN) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        for one in processes:
            one.ask_to_end()
        until = time.monotonic() + _STOP_S
        for one in processes:
            one.wait(max(0.0, until - time.monotonic()))
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
