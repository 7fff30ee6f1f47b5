"""The clock's work, done by one process and survived by all."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from node import jobs as module
from node.jobs import Jobs
from node.settings import Settings
from protocol.errors import UnavailableError
from waiting import WITHIN_S


class FakeMaintenance:
    """Leads if nobody else does; counts what it was told to do, and can be without its database.

    Attributes:
        done: what was done, in order.
    """

    def __init__(self, lease: dict[str, object], *, away: bool = False) -> None:
        self._lease = lease
        self.away = away
        self.done: list[str] = []
        self.asked = threading.Event()
        self.retried = threading.Event()
        self.tidied = threading.Event()

    def lead(self, *, for_s: int) -> bool:
        self.asked.set()
        assert for_s > 0
        if self.away:
            raise UnavailableError("The database does not answer.")
        return self._lease.setdefault("holder", self) is self

    def step_down(self) -> None:
        if self.away:
            raise UnavailableError("The database does not answer.")
        if self._lease.get("holder") is self:
            del self._lease["holder"]

    def expire(self) -> int:
        self.done.append("expire")
        return 3

    def forget(self) -> None:
        self.done.append("forget")

    def retry(self) -> int:
        self.done.append("retry")
        self.retried.set()
        return 0

    def tidy(self) -> int:
        self.done.append("tidy")
        self.tidied.set()
        return 2


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        directory=tmp_path,
        name="hotline.example",
        url="https://hotline.example",
        poll_interval_s=0.1,
        expire_interval_s=0.1,
    )


Start = Callable[..., tuple[Jobs, FakeMaintenance, threading.Event]]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Starts the jobs of one process; all end with the test."""
    lease: dict[str, object] = {}
    running: list[Jobs] = []

    def begin(*, away: bool = False) -> tuple[Jobs, FakeMaintenance, threading.Event]:
        maintenance, polled = FakeMaintenance(lease, away=away), threading.Event()
        fake: Any = maintenance
        jobs = Jobs(fake, polled.set, settings, tidy=maintenance.tidy)
        jobs.start()
        running.append(jobs)
        return jobs, maintenance, polled

    yield begin
    for jobs in running:
        if jobs._scheduler.running:
            jobs.close()


def test_the_process_that_leads_polls_expires_forgets_and_retries(start: Start) -> None:
    _jobs, maintenance, polled = start()
    assert polled.wait(WITHIN_S)
    assert maintenance.retried.wait(WITHIN_S)
    assert maintenance.done[:3] == ["expire", "forget", "retry"]


def test_what_is_due_at_once_is_done_at_once(
    settings: Settings, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.__dict__, "expire_interval_s", 10_000.0)
    _jobs, maintenance, _polled = start()
    assert maintenance.retried.wait(WITHIN_S)


def test_withdrawn_entries_leave_the_files_of_the_index_now_and_then(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TIDY_EVERY_H", 0.1 / 3600)
    _jobs, maintenance, _polled = start()
    assert maintenance.tidied.wait(WITHIN_S)


def test_two_processes_never_both_do_the_work(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RENEW_EVERY_S", 0.05)
    first, leading, polled = start()
    assert leading.retried.wait(WITHIN_S)
    assert polled.wait(WITHIN_S)
    _second, waiting, other_polled = start()
    assert waiting.asked.wait(WITHIN_S)
    assert (waiting.done, other_polled.is_set()) == ([], False)
    first.close()
    assert waiting.retried.wait(WITHIN_S), "the other takes over"
    assert other_polled.wait(WITHIN_S)


def test_a_clock_that_was_set_makes_everything_due(
    settings: Settings, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.__dict__, "poll_interval_s", 10_000.0)
    jobs, maintenance, polled = start()
    assert maintenance.retried.wait(WITHIN_S)
    assert not polled.is_set()
    jobs.clock_was_set()
    assert polled.wait(WITHIN_S)
    assert maintenance.tidied.wait(WITHIN_S)


def test_a_database_that_is_away_ends_nothing(start: Start) -> None:
    _jobs, maintenance, polled = start(away=True)
    assert maintenance.asked.wait(WITHIN_S)
    assert (maintenance.done, polled.is_set()) == ([], False)
    maintenance.away = False
    assert maintenance.retried.wait(WITHIN_S)
    assert polled.wait(WITHIN_S)


def test_jobs_end_also_where_the_lease_cannot_be_given_back(start: Start) -> None:
    jobs, maintenance, _polled = start()
    assert maintenance.retried.wait(WITHIN_S)
    maintenance.away = True
    jobs.close()
    assert not jobs._scheduler.running


def test_a_job_that_fails_is_done_again_the_next_time(start: Start) -> None:
    _jobs, maintenance, _polled = start()
    assert maintenance.retried.wait(WITHIN_S)
    maintenance.retried.clear()
    failed = threading.Event()

    def fail() -> int:
        failed.set()
        del maintenance.expire  # the next time it is itself again
        raise UnavailableError("The database does not answer.")

    maintenance.expire = fail  # type: ignore[method-assign]  # once
    assert failed.wait(WITHIN_S)
    maintenance.retried.clear()
    assert maintenance.retried.wait(WITHIN_S)
