"""Whether the node can do its work, and if not, why: for `/readyz`, `status` and `doctor`."""

from collections.abc import Callable
from typing import Final

from node.policy.file import PolicyFile
from node.storage.engine import Store
from protocol.descriptors import NodeDescriptor
from protocol.encoding import parse_time
from protocol.errors import SchutznetzError

WARN_DAYS: Final = 30
"""How long before its end the operator is told of a key or a descriptor."""

_SECONDS_PER_DAY = 86_400


class Health:
    """Collects reasons."""

    def __init__(
        self,
        store: Store,
        policy: PolicyFile,
        descriptor: Callable[[], NodeDescriptor],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._policy = policy
        self._descriptor = descriptor
        self._clock = clock
        self._ask_standing: Callable[[], str | None] = _fine

    def reasons(self) -> list[str]:
        """Returns a sentence for everything without which look-ups or statements would fail."""
        found = []
        try:
            self._store.check()
        except SchutznetzError as error:
            found.append(str(error))
        self._policy.current()
        if self._policy.problem:
            found.append(f"The policy file is not in force as it stands: {self._policy.problem}")
        ends = self._ends()
        if ends is not None:
            now = int(self._clock())
            found += [f"{what} has expired: peers refuse it." for what, end in ends if end <= now]
        found += filter(None, [self._standing()])
        return found

    def on_standing(self, standing: Callable[[], str | None]) -> None:
        """Has `standing` asked whether the log may be signed; it returns why not, or None."""
        self._ask_standing = standing

    def _standing(self) -> str | None:
        try:
            return self._ask_standing()
        except SchutznetzError:
            return None  # the database is away, which is a reason of its own

    def warnings(self) -> list[str]:
        """Returns a sentence for everything that will be a reason soon, and what to do by then."""
        now = int(self._clock())
        return [
            f"{what} ends in {(end - now) // _SECONDS_PER_DAY} days: {command}"
            for what, end, command in _with_command(self._ends() or [])
            if now < end <= now + WARN_DAYS * _SECONDS_PER_DAY
        ]

    def _ends(self) -> list[tuple[str, int]] | None:
        """Returns when the descriptor ends, and the last key of each use (Unix seconds)."""
        try:
            descriptor = self._descriptor()
        except SchutznetzError:
            return None  # the database is away, which is a reason of its own
        last: dict[str, int] = {}
        for key in descriptor.keys:
            last[key.use] = max(last.get(key.use, 0), parse_time(key.not_after))
        keys = [(f"The node's {use} key", end) for use, end in sorted(last.items())]
        return [("The node's descriptor", parse_time(descriptor.expires)), *keys]


def _with_command(ends: list[tuple[str, int]]) -> list[tuple[str, int, str]]:
    found = []
    for what, end in ends:
        use = what.removeprefix("The node's ").removesuffix(" key")
        verb = "key renew DIR" if use == "descriptor" else f"key rotate DIR --use {use}"
        found.append((what, end, f"schutznetz node {verb}"))
    return found


def _fine() -> None:
    """Nothing is known against the log."""
