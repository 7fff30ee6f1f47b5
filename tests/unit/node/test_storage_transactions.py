"""Transactions: all or nothing, one writer at a time, and a reader that never skips an entry."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError

from node.services.log import OwnLog
from node.storage import engine as engine_module
from node.storage.engine import Store
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from postgres import Postgres
from protocol.errors import UnavailableError
from protocol.fields import StatementId
from signing.keys import KeyUse
from simulator import make_key
from waiting import WITHIN_S
from worlds import contents

ORIGIN = "hotline.example/log/1"


class CrashError(Exception):
    """The process dies here."""


def record(log_index: int, name: str) -> StatementRecord:
    return StatementRecord(
        log_index=log_index,
        id=StatementId(hashlib.sha256(name.encode()).hexdigest()),
        kind="media-flag",
        issuer="hotline.example",
        issued=1,
        ends=None,
        target_index=None,
        audience=("peers",),
        state="active",
        category=None,
        issuer_code=None,
        flags=(),
        surfaces=(),
        jurisdictions=(),
        items=1,
    )


def append(store: Store, transaction: Transaction, name: str) -> None:
    log = OwnLog(store, make_key(KeyUse.LOG, "hotline.example"), origin=ORIGIN)
    at = log.append(transaction, [record(0, name).id])
    transaction.statements.append(record(at, name), keyid="00", received=1, source="test")


def run_all(jobs: list[Callable[[], None]]) -> list[BaseException]:
    """Runs all jobs at once, and returns what they raised."""
    barrier = threading.Barrier(len(jobs))
    raised: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        barrier.wait()
        try:
            job()
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            raised.append(error)

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_a_block_that_raises_leaves_nothing(database_url: str, store: Store) -> None:
    before = contents(database_url)

    def write_and_crash() -> None:
        with store.write() as transaction:
            append(store, transaction, "one")
            transaction.access.use_nonce("key", "nonce", now=1)
            raise CrashError

    with pytest.raises(CrashError):
        write_and_crash()
    assert contents(database_url) == before


def test_a_commit_that_fails_leaves_nothing_and_frees_the_way(
    database_url: str, store: Store
) -> None:
    def fail(_connection: object) -> None:
        raise CrashError

    before = contents(database_url)
    event.listen(store._engine, "commit", fail)
    with pytest.raises(CrashError), store.write() as transaction:
        append(store, transaction, "one")
    event.remove(store._engine, "commit", fail)
    assert contents(database_url) == before
    with store.write() as transaction:
        append(store, transaction, "one")
    assert len(contents(database_url)["statement"]) == 1


def test_a_reading_transaction_cannot_write(database_url: str, store: Store) -> None:
    with pytest.raises(DBAPIError, match=r"read.?only"), store.read() as transaction:
        transaction.access.use_nonce("key", "nonce", now=1)
    # and the connection that it used can be used for writing again
    for nonce in "abc":
        with store.write() as transaction:
            assert transaction.access.use_nonce("key", nonce, now=1)
    assert len(contents(database_url)["nonce"]) == 3


def test_a_reader_sees_one_state_whatever_is_written_meanwhile(store: Store) -> None:
    with store.read() as reader:
        assert reader.logs.size(ORIGIN) == 0
        with store.write() as transaction:
            append(store, transaction, "one")
        assert reader.logs.size(ORIGIN) == 0
        assert reader.statements.entries(0, 10) == []
    with store.read() as reader:
        assert reader.logs.size(ORIGIN) == 1


def test_a_writer_sees_what_the_writer_before_it_wrote(store: Store) -> None:
    def write(number: int) -> None:
        with store.write() as transaction:
            append(store, transaction, f"{number}")

    assert run_all([lambda number=number: write(number) for number in range(8)]) == []  # type: ignore[misc]
    with store.read() as transaction:
        assert transaction.logs.size(ORIGIN) == 8
        assert len(transaction.statements.entries(0, 100)) == 8


def test_a_server_that_answers_before_the_disk_does_is_overruled(postgres: Postgres) -> None:
    url = postgres.fresh()
    store = Store(url + "&options=-csynchronous_commit%3Doff")
    with store.write() as transaction:
        shown = transaction._connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
    assert shown == "local"
    store.close()
    postgres.drop(url)


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("secret")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "cause",
    [
        sqlite_error(sqlite3.SQLITE_BUSY),
        sqlite_error(sqlite3.SQLITE_IOERR | 12 << 8),
        sqlite_error(sqlite3.SQLITE_FULL),
        psycopg.OperationalError("secret"),
    ],
    ids=["busy", "disk-error", "disk-full", "connection-lost"],
)
def test_a_failure_of_the_machine_is_unavailable_and_says_nothing_of_it(
    store: Store, cause: Exception
) -> None:
    with (
        pytest.raises(UnavailableError, match=r"^The database does not answer\.$"),
        store.read(),
    ):
        raise OperationalError("SELECT secret", None, cause)


def test_a_mistake_in_a_statement_is_no_unavailability(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(OperationalError, match="no such table"), store.read() as transaction:
        transaction.logs.size(ORIGIN)
    store.close()


_WRITER = """
import sys
from node.storage import engine
from test_writer import append, PATIENT_MS
engine._BUSY_TIMEOUT_MS = PATIENT_MS
store = engine.Store(sys.argv[1])
for number in range(int(sys.argv[3])):
    with store.write() as transaction:
        append(store, transaction, f"{sys.argv[2]}-{number}")
store.close()
"""


PATIENT_MS = int(WITHIN_S * 1_000)
"""SQLite lets nobody queue: where the disk is slow, bad luck may keep a writer waiting for long."""


def test_a_reader_that_follows_the_log_never_skips_an_entry(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_BUSY_TIMEOUT_MS", PATIENT_MS)
    with closing(Store(database_url)) as store:
        follow_while_others_write(database_url, store)


def follow_while_others_write(database_url: str, store: Store) -> None:
    threads, processes, each = 4, 2, 15
    total = (threads + processes) * each

    def write(name: str) -> None:
        for number in range(each):
            with store.write() as transaction:
                append(store, transaction, f"{name}-{number}")

    followed: list[StatementId] = []

    def follow() -> None:
        while len(followed) < total:
            with store.read() as transaction:
                size = transaction.logs.size(ORIGIN)
                page = transaction.statements.entries(len(followed), 7)
            followed.extend(page)
            # What the log's state counts is there to be read.
            assert len(page) == min(7, size - len(followed) + len(page))

    here = Path(__file__)
    script = _WRITER.replace("from test_writer", f"from {here.stem}")
    folders = [str(here.parent), str(here.parents[2]), str(here.parents[3])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    jobs: list[Callable[[], object]] = [follow]
    jobs += [lambda name=f"t{one}": write(name) for one in range(threads)]  # type: ignore[misc]
    jobs += [
        lambda name=f"p{one}": subprocess.run(  # type: ignore[misc]
            [sys.executable, "-c", script, database_url, name, str(each)],
            check=True,
            env=environment,
        )
        for one in range(processes)
    ]
    assert run_all(jobs) == []  # type: ignore[arg-type]
    with store.read() as transaction:
        assert transaction.statements.entries(0, total + 1) == followed
        found = transaction.statements.by_indices(range(total))
    assert [found[at].id for at in range(total)] == followed
    assert len(set(followed)) == total
