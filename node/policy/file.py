"""The policy file of a running node: read at start, and again whenever it changes.

At start a file that is not understood stops the node. Later the last good policy stays in force
and `PolicyFile.problem` says what is wrong: a slip of the pen must not switch matching off.
"""

import os
import threading
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Final

from node.policy.evaluation import Policy
from node.policy.loader import parse_policy
from protocol.errors import SettingsError

MAX_POLICY_BYTES: Final = 256 << 10
"""Greatest size of a policy file."""

CHECK_INTERVAL_S: Final = 1.0
"""Least time between two looks at the file."""

_Mark = tuple[int, int, int]


def default_policy() -> str:
    """Returns the text of the policy that `node init` writes for a new node."""
    return resources.files("node.policy").joinpath("default.toml").read_text(encoding="utf-8")


class PolicyFile:
    """A policy file that is followed while the node runs; any thread may ask.

    Args:
        path: the file.
        clock: seconds since any fixed moment; read at every call of `current`.

    Raises:
        SettingsError: the file cannot be read, or is not understood.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._problem: str | None = None
        self._looked_at = clock()
        self._mark: _Mark | None = self._look()
        self._policy = self._read()

    @property
    def problem(self) -> str | None:
        """Why the file as it stands now is not used; None while it is."""
        return self._problem

    def current(self) -> Policy:
        """Returns the policy in force, after a look at the file if the last was a second ago."""
        # Both directions: a clock that was set back must not stop the looking.
        if abs(self._clock() - self._looked_at) >= CHECK_INTERVAL_S:
            self._refresh()
        return self._policy

    def _refresh(self) -> None:
        # Another thread is at it: the policy in force is good enough for this one call.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._looked_at = self._clock()
            # The mark is taken before the file is read: a change between the two shows next time.
            mark = self._look()
            if mark is not None and mark == self._mark:
                return
            # Until the file is understood there is no mark, so it is tried again every second: it
            # may have been the disk, or the file of before may come back.
            self._mark = None
            self._policy = self._read()
            self._mark = mark
            self._problem = None
        except SettingsError as error:
            self._problem = f"{error}; the policy from before the change stays in force"
        finally:
            self._lock.release()

    def _look(self) -> _Mark | None:
        """Returns what changes with the file's content; None if there is no file to read."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> Policy:
        name = self._path.name
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_POLICY_BYTES + 1)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise SettingsError(f"the policy {name} cannot be read: {reason}") from None
        if len(data) > MAX_POLICY_BYTES:
            raise SettingsError(f"the policy {name} is larger than {MAX_POLICY_BYTES} bytes")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise SettingsError(f"the policy {name} is not UTF-8 text") from None
        try:
            return parse_policy(text)
        except SettingsError as error:
            raise SettingsError(f"{name}: {error}") from None
