"""What must happen without anybody asking: expiry, and forgetting what is no longer needed.

Storage limitation is enforced here and not by good will. Matching does not wait for these jobs: an
entry whose end has come counts no more from that instant.
"""

import secrets
from collections.abc import Callable

from node.services import forgetting
from node.services.ageing import Ageing
from node.services.budgets import REPEAT_S
from node.services.ingest import Ingest
from node.services.rates import WINDOW_S
from node.services.replica import retry_set_aside
from node.storage.engine import Store
from protocol.limits import MAX_REVIEW_DAYS, NONCE_KEPT_S

_BATCH = 200
_SET_ASIDE_KEPT_S = 30 * 86_400
_QUIET_KEPT_S = MAX_REVIEW_DAYS * 86_400  # as long as the body that it is about may turn up
_STREAMS_KEPT_S = 3_600
_COUNTERS_KEPT_S = 7 * 86_400
_RATES_KEPT_S = 90 * 86_400
_UPLOADS_KEPT_DAYS = 90
_MESSAGES_KEPT_S = 30 * 86_400
_UPLOADS_AT_ONCE = 5_000
_LEASE = "jobs"


class Maintenance:
    """Jobs; one process at a time runs them."""

    def __init__(
        self,
        store: Store,
        ingest: Ingest,
        *,
        clock: Callable[[], float],
        streams_kept_s: int = _STREAMS_KEPT_S,
        uploads_kept_days: int = _UPLOADS_KEPT_DAYS,
        end_late: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep what is needed; `end_late` ends what lasts no longer than a time, with its keys."""
        self._end_late = end_late
        self._uploads_kept_s = uploads_kept_days * 86_400
        self._streams_kept_s = streams_kept_s
        self._store = store
        self._ingest = ingest
        self._clock = clock
        self._ageing = Ageing(store, clock=clock)
        self._holder = secrets.token_hex(8)

    def lead(self, *, for_s: int) -> bool:
        """Takes or renews the lease of the jobs; returns False while another process has it."""
        now = int(self._clock())
        with self._store.write() as transaction:
            return transaction.access.hold_lease(_LEASE, self._holder, now=now, until=now + for_s)

    def step_down(self) -> None:
        """Gives the lease back, so that another process need not wait for its end."""
        with self._store.write() as transaction:
            transaction.access.drop_lease(_LEASE, self._holder)

    def expire(self) -> int:
        """Deletes the bodies of statements whose end, or whose last key's, has come.

        Returns how many.
        """
        total = 0
        while True:
            with self._store.write() as transaction:
                ended = transaction.statements.ended(int(self._clock()), limit=_BATCH)
                forgetting.forget(transaction, [one.log_index for one in ended], "expired")
            total += len(ended)
            if len(ended) < _BATCH:
                break
        total += self._ageing.forget()
        # Also where nothing ended now: after an earlier deletion somebody may have been reading.
        self._store.forget_deleted()
        return total

    def retry(self) -> int:
        """Tries again what was set aside and may be cured by now; returns how many are accepted."""
        accepted = retry_set_aside(self._store, self._ingest, now=int(self._clock()))
        fresh = [one for one in accepted if one.is_new]
        if fresh:
            self._ingest.settle(fresh, synced=True)
        return len(fresh)

    def forget(self) -> None:
        """Deletes nonces, counters, streams and what was set aside, once too old to matter."""
        now = int(self._clock())
        with self._store.write() as transaction:
            transaction.streams.forget(before=now - self._streams_kept_s)
            transaction.gates.forget_counters(
                before=now - _COUNTERS_KEPT_S, rates_before=now - _RATES_KEPT_S
            )
            transaction.gates.forget_allowed(before=now - _RATES_KEPT_S)
            transaction.access.forget_requests(before=now // WINDOW_S)
            transaction.access.forget_nonces(before=now - NONCE_KEPT_S)
            transaction.budgets.forget_paid(before=now - REPEAT_S)
            transaction.peers.forget_set_aside(
                before=now - _SET_ASIDE_KEPT_S, quiet_before=now - _QUIET_KEPT_S
            )
            transaction.remedies.forget_deeds(before=now - self._uploads_kept_s)
            transaction.retro.forget(before=now - self._uploads_kept_s)
            transaction.webhooks.forget(before=now - _MESSAGES_KEPT_S)
        self._forget_uploads(now)
        self._end_late()

    def _forget_uploads(self, now: int) -> None:
        """Deletes the registered uploads whose time is over, a few at a time."""
        while True:
            with self._store.write() as transaction:
                ended = transaction.uploads.ended(now, limit=_UPLOADS_AT_ONCE)
                transaction.uploads.remove(ended)
            if len(ended) < _UPLOADS_AT_ONCE:
                return
