"""Counts what is met, cheaply, and notices when an entry matches far too much.

A look-up adds to counters in memory. They are written every second, and when the process ends, in
one transaction for all of that second: a crash loses the counts of the last second and nothing
else. All processes of a node add to the same rows, so that an entry is judged by all of them.
"""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from node.policy.file import PolicyFile
from node.policy.gates import Quarantine
from node.storage.engine import Store
from node.storage.gates import Place, Quarantined, Rate
from node.storage.transaction import Transaction

_log = structlog.get_logger("node.tally")
_FLUSH_EVERY_S: Final = 1.0
_MOST_WAITING: Final = 10_000

ACTED: Final = "acted"
"""Outcome of a match that the policy was asked about."""

SHADOW: Final = "shadow"
"""Outcome of a match that was counted and nothing else; also a "decision" of the journal."""


@dataclass
class _Waiting:
    """What has not been written yet."""

    lookups: int = 0
    matches: Counter[Place] = field(default_factory=Counter)
    shadow: Counter[Place] = field(default_factory=Counter)
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.lookups or self.sources)


class Tally:
    """The counters of one process."""

    def __init__(self, store: Store, policy: PolicyFile, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._waiting = _Waiting()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._tell: Callable[[], None] = _nothing

    def on_quarantine(self, tell: Callable[[], None]) -> None:
        """Has `tell` called, after the commit, when entries went into quarantine."""
        self._tell = tell

    def start(self) -> None:
        """Begins to write in the background."""
        self._thread = threading.Thread(target=self._run, name="tally", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Writes what is left and ends."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._flush_or_wait()

    def looked_up(self, count: int) -> None:
        """Counts look-ups."""
        with self._lock:
            self._waiting.lookups += count

    def met(self, place: Place, organisation: str, *, times: int = 1) -> None:
        """Counts that an entry was met and the policy asked about it."""
        self._add(place, organisation, ACTED, times)

    def met_ban(self, _place: Place, organisation: str) -> None:
        """Counts that an account-ban was met: for statistics, not for quarantine."""
        with self._lock:
            self._waiting.sources[organisation, ACTED] += 1

    def passed_over(self, place: Place, organisation: str, *, times: int = 1) -> None:
        """Counts that an entry was met and does not act here."""
        self._add(place, organisation, SHADOW, times)

    def _add(self, place: Place, organisation: str, outcome: str, times: int) -> None:
        if not times:
            return
        with self._lock:
            self._waiting.sources[organisation, outcome] += times
            counts = self._waiting.matches if outcome == ACTED else self._waiting.shadow
            # A flood of different entries must not fill the memory; it is no flood of one entry.
            if place in counts or len(counts) < _MOST_WAITING:
                counts[place] += times

    def flush(self) -> None:
        """Writes what was counted, and puts into quarantine what has matched too much.

        Raises:
            UnavailableError: the database does not answer; the counts are kept for the next time.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, _Waiting()
        if not waiting:
            return
        try:
            with self._store.write(durable=False) as transaction:
                caught = self._write(transaction, waiting)
        except BaseException:
            with self._lock:
                self._waiting.lookups += waiting.lookups
                self._waiting.matches += waiting.matches
                self._waiting.shadow += waiting.shadow
                self._waiting.sources += waiting.sources
            raise
        if caught:
            self._tell()

    def _write(self, transaction: Transaction, waiting: _Waiting) -> int:
        now = int(self._clock())
        gates, rule = transaction.gates, self._policy.current().gates.quarantine
        lookups = gates.add_lookups(waiting.lookups, now=now)
        gates.add_sources(waiting.sources, now=now)
        transaction.journal.count_matches(waiting.shadow, SHADOW, at=now)
        rates = gates.add_matches(waiting.matches, now=now)
        many = [one for one in rates if one.count >= rule.min_matches]
        known = gates.quarantines_of((one.log_index, one.item) for one in many)
        caught = 0
        for rate in many:
            before = known.get((rate.log_index, rate.item))
            after = _judge(rate, before, rule, lookups=lookups, now=now)
            if after is None or after == before:
                continue
            gates.put_quarantine(after)
            if before is None or before.state != after.state:
                caught += 1
                _tell_operator(transaction, after, now)
        if caught:
            gates.changed()
        return caught

    def _flush_or_wait(self) -> None:
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001  # the database may be away; the counts are kept
            _log.warning("counts_wait", error=type(error).__name__)

    def _run(self) -> None:
        self._tell()  # a crash may have kept an issuer from being told
        while not self._stopping.wait(_FLUSH_EVERY_S):
            self._flush_or_wait()


def _nothing() -> None:
    """Tells nobody."""


def _judge(
    rate: Rate, before: Quarantined | None, rule: Quarantine, *, lookups: int, now: int
) -> Quarantined | None:
    """Returns what is known of an entry after this hour's matches; None for nothing special."""
    if before is not None and before.state == "quarantined":
        return replace(before, matches=max(before.matches, rate.count))
    if before is not None and before.state == "rejected":
        return before
    level = 0 if before is None else before.level
    # What a person has looked at is left alone until it matches far more than what they saw.
    if level and rate.count <= max(2, rule.growth) * level:
        return before
    usual = max(rate.usual(now), level)
    reason = rule.reason(matches=rate.count, usual=usual, lookups=lookups)
    if reason is None:
        return before
    return Quarantined(
        rate.log_index,
        rate.item,
        "quarantined",
        reason,
        since=now,
        matches=rate.count,
        usual=usual,
        lookups=lookups,
        level=level,
    )


def _tell_operator(transaction: Transaction, one: Quarantined, now: int) -> None:
    record = transaction.statements.by_indices([one.log_index]).get(one.log_index)
    transaction.journal.audit(
        "node",
        "quarantine.begin",
        at=now,
        subject=None if record is None else record.id,
        detail=f"item={one.item} reason={one.reason} matches={one.matches} lookups={one.lookups}",
    )
