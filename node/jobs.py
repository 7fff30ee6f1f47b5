"""What the clock does: APScheduler is the timer, a lease in the database says which process acts.

APScheduler 3 fires in every process that has it (measured); so each run first takes or renews the
lease, and only the one that has it goes on. The lease is short whatever the intervals of the jobs
are: when its holder dies, another process takes over within `LEASE_S`.

APScheduler goes by the clock on the wall, and stands still when that is put back; so after it was
set (`node.clock_watch`), everything is due at once.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from node.clock_watch import ClockWatch
from node.services.maintenance import Maintenance
from node.settings import Settings

_log = structlog.get_logger("node.jobs")
LEASE_S: Final = 15
"""How long the process that runs the jobs has it, unless it renews."""

_RENEW_EVERY_S = 5
_TIDY_EVERY_H = 12


class Jobs:
    """Polls the peers and enforces the ends of statements, in one process at a time."""

    def __init__(
        self,
        maintenance: Maintenance,
        sync_all: Callable[[], None],
        settings: Settings,
        *,
        tidy: Callable[[], int],
    ) -> None:
        self._maintenance = maintenance
        self._sync_all = sync_all
        self._settings = settings
        self._tidy_index = tidy
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(2)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        self._watch = ClockWatch(self.clock_was_set)

    def start(self) -> None:
        """Begins; what is due at once runs at once."""
        self._scheduler.add_job(self._leads, "interval", seconds=_RENEW_EVERY_S, id="lease")
        self._scheduler.add_job(
            self._poll, "interval", seconds=self._settings.poll_interval_s, id="poll"
        )
        # Its first run is due at once. A job of its own for it would be removed when done, which
        # APScheduler 3 cannot do while it shuts down: its thread would die of it.
        self._scheduler.add_job(
            self._clean,
            "interval",
            seconds=self._settings.expire_interval_s,
            id="clean",
            next_run_time=datetime.fromtimestamp(time.time(), UTC),
        )
        self._scheduler.add_job(self._tidy, "interval", hours=_TIDY_EVERY_H, id="tidy")
        self._scheduler.start()
        self._watch.start()

    def clock_was_set(self) -> None:
        """Makes everything due now: the times it was due at belong to another clock."""
        _log.warning("clock_was_set")
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=datetime.fromtimestamp(time.time(), UTC))

    def close(self) -> None:
        """Ends the timer, lets a running job finish, and gives the lease back."""
        self._watch.close()
        self._scheduler.shutdown(wait=True)
        try:
            self._maintenance.step_down()
        except Exception as error:  # noqa: BLE001  # the lease ends by itself; the node must end too
            _log.warning("lease_not_given_back", error=type(error).__name__)

    def _poll(self) -> None:
        if self._leads():
            self._sync_all()

    def _clean(self) -> None:
        if not self._leads():
            return
        expired = self._maintenance.expire()
        self._maintenance.forget()
        self._maintenance.retry()
        if expired:
            _log.info("expired", statements=expired)

    def _tidy(self) -> None:
        if self._leads():
            _log.info("tidied", entries=self._tidy_index())

    def _leads(self) -> bool:
        try:
            return self._maintenance.lead(for_s=LEASE_S)
        except Exception as error:  # noqa: BLE001  # the database may be away; the timer goes on
            _log.warning("no_lease", error=type(error).__name__)
            return False
