"""What this process remembers of the holders of one key: how fast each answers, and who fails.

From it follows whom to ask first, when to ask one more, and whom to leave alone for a while. None
of it is secret and none of it is kept: a new process begins with an open mind, and learns within a
few questions. It is used on one event loop alone, so nothing here is locked.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from protocol.errors import PeerRefusedError, RateLimitedError, SchutznetzError

HEDGE_S: Final = 0.25
"""Wait before one more holder is asked, while too little has been measured to know better."""

HEDGE_AT_LEAST_S: Final = 0.01
HEDGE_AT_MOST_S: Final = 1.0
"""Bounds of that wait: below, every hiccup would cost budget; above, nobody would wait for it."""

FAILURES: Final = 3
"""Failures in a row after which a holder is left alone."""

FIRST_REST_S: Final = 1.0
LONGEST_REST_S: Final = 60.0
"""For how long: doubled with every failure of the one question that is tried after it."""

_KEPT: Final = 64  # measurements of each size of request
_RECENT: Final = 8  # of them, for how fast a holder is now
_STALE_S: Final = 300.0  # after which a holder is tried again as if it were new
_TOO_MANY_REQUESTS: Final = 429


@dataclass
class _Memory:
    """One holder.

    Attributes:
        times: when and in what time it last answered, by size of the request.
        failures: in a row.
        tried: when the last question was put.
        rests_until: not asked before this instant; after it, one question finds out.
        waiting: when each question was put that has not been answered yet.
        spent_until: it said that this node's budget is used up: asked after all others.
    """

    times: dict[int, deque[tuple[float, float]]] = field(default_factory=dict)
    failures: int = 0
    tried: float = 0.0
    rests_until: float = 0.0
    waiting: list[float] = field(default_factory=list)
    spent_until: float = 0.0

    @property
    def is_failing(self) -> bool:
        return self.failures >= FAILURES


class Holders:
    """The holders of one key, by their indices."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        """Knows nothing yet; `now` is a clock in seconds that never goes back."""
        self._now = now
        self._of: dict[int, _Memory] = {}

    def choose(
        self, indices: Iterable[int], *, threshold: int, size: int, first: Collection[int] = ()
    ) -> tuple[list[int], list[int]]:
        """Returns whom to ask, best first, and whom to try beside them.

        Holders that fail are left out while they rest, and are then tried beside the others, where
        an answer that never comes delays nobody. Where the threshold cannot be met without them,
        they are asked like the others, a second after they were last asked in vain.

        Args:
            indices: who may be asked.
            threshold: how many answers are needed.
            size: elements in the request.
            first: who is nearer than all others, such as this node itself.
        """
        now = self._now()
        known = {index: self._of.setdefault(index, _Memory()) for index in indices}
        well = [index for index, one in known.items() if not one.is_failing]
        ill = [index for index, one in known.items() if one.is_failing and not one.waiting]
        beside = [index for index in ill if known[index].rests_until <= now]
        if len(well) < threshold:
            well += [index for index in ill if known[index].tried + FIRST_REST_S <= now]
            beside = []
        well.sort(
            key=lambda index: (
                known[index].is_failing,
                known[index].spent_until > now,
                index not in first,
                self._estimate(known[index], size, now),
            )
        )
        return well, beside

    def hedge_s(self, indices: Iterable[int], size: int) -> float:
        """Returns after what time without an answer of all of these one more is worth asking.

        That is the 95th percentile of the slowest of them, within bounds.
        """
        longest = 0.0
        for index in indices:
            times = self._of[index].times.get(size, ())
            if len(times) < _RECENT:
                return HEDGE_S
            taken = sorted(one for _, one in times)
            longest = max(longest, taken[len(taken) * 95 // 100])
        return min(max(longest, HEDGE_AT_LEAST_S), HEDGE_AT_MOST_S)

    def ask(self, index: int) -> float:
        """Notes that a holder is asked; returns the instant, for `answered` or `failed`."""
        memory = self._of.setdefault(index, _Memory())
        memory.tried = self._now()
        memory.waiting.append(memory.tried)
        return memory.tried

    def answered(self, index: int, since: float, size: int) -> None:
        """Notes a good answer."""
        memory, now = self._of[index], self._now()
        memory.waiting.remove(since)
        memory.failures = 0
        memory.spent_until = 0.0
        memory.times.setdefault(size, deque(maxlen=_KEPT)).append((now, now - since))

    def failed(self, index: int, since: float, error: SchutznetzError | None = None) -> None:
        """Notes that no good answer came; `error` says why, None if it took too long."""
        memory, now = self._of[index], self._now()
        memory.waiting.remove(since)
        after_s = _budget_returns_s(error)
        if after_s is not None:
            # It is well: it answers, and says no.
            memory.failures = 0
            memory.spent_until = now + min(after_s, LONGEST_REST_S)
            return
        memory.failures += 1
        if memory.is_failing:
            rest_s = FIRST_REST_S * 2.0 ** min(memory.failures - FAILURES, 16)
            memory.rests_until = now + min(rest_s, LONGEST_REST_S)

    def failing(self) -> list[int]:
        """Returns those that are left alone because they failed."""
        return [index for index, one in self._of.items() if one.is_failing]

    def _estimate(self, memory: _Memory, size: int, now: float) -> float:
        """How long an answer will take: what was measured lately, or a question that still waits.

        Who was never measured, or not for minutes, comes first: else it never would be.
        """
        times = memory.times.get(size, ())
        recent = [taken for at, taken in list(times)[-_RECENT:] if at + _STALE_S > now]
        usual = sum(recent) / len(recent) if recent else 0.0
        return max(usual, now - min(memory.waiting, default=now))


def _budget_returns_s(error: SchutznetzError | None) -> float | None:
    if isinstance(error, RateLimitedError):
        return error.retry_after_s
    if isinstance(error, PeerRefusedError) and error.status == _TOO_MANY_REQUESTS:
        return LONGEST_REST_S if error.retry_after_s is None else error.retry_after_s
    return None
