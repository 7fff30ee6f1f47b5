"""The connection to SQLite or PostgreSQL, its transactions and its migrations.

SQLite runs in WAL mode with ``synchronous=FULL``: when a write transaction returns, what it wrote
survives the death of the process and of the machine. A crash before the commit leaves nothing of
it: SQLite drops the unfinished tail of the log at the next open, PostgreSQL replays its own.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from node.storage.lane import Lane, LaneConnection
from node.storage.transaction import Transaction
from node.storage.watch import Watch
from protocol.errors import SettingsError, UnavailableError

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOG_LOCK = 0x5C4E  # any number, as long as every process of every version takes the same
_BUSY_TIMEOUT_MS = 20_000
_MIGRATING = threading.Lock()  # Alembic keeps its context in a module: one at a time
_CHECKPOINT_TIMEOUT_MS = 1_000  # other writers wait as long, so it is short

_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
"""SQLite's errors that say something of the machine and nothing of the statement."""


class Store:
    """The database of one node.

    `read` gives a snapshot; `write` serialises with every other writer, in this process and in
    others, so that the log's places are given out in the order in which they become visible: a
    reader that follows the log can never skip one. A write inside a write of the same thread
    waits for itself, and fails.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._sqlite = self._engine.dialect.name == "sqlite"
        # SQLite lets waiting writers poll, which starves some for seconds; threads queue here.
        self._turn = threading.Lock()
        self._owes_emptying = False
        self._watch = Watch(self._engine.url.database) if self._sqlite else None
        self._lanes = _lanes(self._engine.url.database) if self._sqlite else ()

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    def version(self) -> int | None:
        """Returns a number that changes with every commit of any process; None if there is none.

        What was read after a version was asked for still holds while the same version is given. It
        costs a few microseconds, where the smallest transaction costs some hundred. PostgreSQL has
        nothing of the kind: there everything is asked for anew.
        """
        return None if self._watch is None else self._watch.version()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Opens a transaction that sees one state of the database, and cannot write.

        Raises:
            UnavailableError: the database does not answer.
        """
        options = {"schutznetz_begin": "BEGIN"} if self._sqlite else _SNAPSHOT
        with _answering(), ExitStack() as stack:
            yield Transaction(
                lambda: stack.enter_context(self._engine.connect().execution_options(**options))
            )

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Transaction]:
        """Opens a transaction that commits when the block ends, and leaves nothing if it raises.

        Args:
            durable: whether it is on the disk when the block ends. If not, a failure of power, but
                not a crash of the program, may undo it; a later durable one makes it so.

        Raises:
            UnavailableError: the database does not answer, or other writers do not end. Where that
                happened in the commit, the transaction may have been kept all the same.
        """
        with _answering(), self._writing(durable=durable) as connection:
            yield Transaction(lambda: connection)
        self._empty_if_owed()

    @contextmanager
    def read_soon(self, *, wait: bool = True) -> Iterator[Transaction]:
        """Opens what `read` does, at less cost, for what every signed request asks.

        On SQLite the transaction has the few repositories' methods that `node.storage.lane` says.

        Args:
            wait: for a server, or for a lock. If not, whoever would have to wait is refused; with
                PostgreSQL that is everybody.

        Raises:
            UnavailableError: the database does not answer, or nothing is waited for.
        """
        if not self._lanes:
            if not wait:
                raise UnavailableError("The database has to be waited for.")
            with self.read() as transaction:
                yield transaction
            return
        with _answering(), self._lanes[0 if wait else 2].open("BEGIN") as connection:
            yield _transaction_over(connection)

    @contextmanager
    def write_soon(self, *, durable: bool = False, wait: bool = True) -> Iterator[Transaction]:
        """Opens what `write` does, as `read_soon` does for `read`.

        Args:
            durable: as for `write`. Only for who waits.
            wait: as for `read_soon`; also for other writers, and for the disk to keep up.

        Raises:
            UnavailableError: as `write`; or nothing is waited for.
        """
        if not self._lanes:
            if not wait:
                raise UnavailableError("The database has to be waited for.")
            with self.write(durable=durable) as transaction:
                yield transaction
            return
        lane = self._lanes[3 if durable else 1 if wait else 2]
        turn = self._waiting_turn(_BUSY_TIMEOUT_MS / 1000 if wait else 0)
        with _answering(), turn, lane.open("BEGIN IMMEDIATE") as connection:
            yield _transaction_over(connection)
        if wait:
            self._empty_if_owed()

    @contextmanager
    def _waiting_turn(self, timeout_s: float = _BUSY_TIMEOUT_MS / 1000) -> Iterator[None]:
        if not self._turn.acquire(timeout=timeout_s):
            raise UnavailableError("Another writer holds the database for too long.")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[Connection]:
        if not self._sqlite:
            with self._engine.connect() as connection, connection.begin():
                # Held until after the commit is visible, as the order of the log asks for. A
                # server that answers before the disk does would let a signed log shrink in a crash.
                connection.execute(text(_TAKE_TURN), {"key": _LOG_LOCK})
                if not durable:
                    connection.execute(text(_ANSWER_AT_ONCE))
                yield connection
            return
        with self._waiting_turn():
            # A writer takes SQLite's lock at once: upgrading a read later could fail half-way.
            connection = self._engine.connect()
            connection = connection.execution_options(schutznetz_begin="BEGIN IMMEDIATE")
            with connection, _synchronous(connection, durable=durable), connection.begin():
                yield connection

    def migrate(self) -> None:
        """Brings the schema to this version's; running it again changes nothing.

        Several processes may do it at once. A crash leaves the schema as it was.

        Raises:
            SettingsError: the database is newer than this program, or cannot be opened.
        """
        try:
            if self._sqlite:
                _create_private(self._engine.url.database)
            with _MIGRATING, self._writing() as connection:
                _upgrade(connection)
            # A crash after a deletion has left the deleted in the write-ahead log.
            self.forget_deleted()
        except (SQLAlchemyError, OSError) as error:
            raise SettingsError(
                f"The database cannot be opened ({type(error).__name__}): check database_url, "
                "that the server runs and that the folder may be written to."
            ) from None

    def check(self) -> None:
        """Returns if the database answers.

        Raises:
            UnavailableError: it does not.
        """
        try:
            with self._engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            raise UnavailableError("The database does not answer.") from None

    def owe_emptying(self) -> None:
        """Has every later write that may wait try to empty the write-ahead log, until one has."""
        self._owes_emptying = self._sqlite

    def forget_deleted(self) -> bool:
        """Empties SQLite's write-ahead log, where deleted bodies would linger.

        Returns:
            Whether it is empty now. It is not while somebody reads an older state: then every
            later write of this store, and the next `migrate`, tries again.
        """
        return self._empty_log(wait_ms=_CHECKPOINT_TIMEOUT_MS) if self._sqlite else True

    def _empty_if_owed(self) -> None:
        if self._owes_emptying:
            # Committed already, so whatever happens here must not look like a failed write.
            with suppress(SQLAlchemyError):
                self._empty_log(wait_ms=0)

    def _empty_log(self, *, wait_ms: int) -> bool:
        self._owes_emptying = True
        options = {"schutznetz_begin": None}
        with self._engine.connect().execution_options(**options) as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={wait_ms}")
            try:
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        self._owes_emptying = bool(busy)
        return not busy

    def close(self) -> None:
        """Closes every connection."""
        if self._watch is not None:
            self._watch.close()
        for lane in self._lanes:
            lane.close()
        self._engine.dispose()


def _lanes(path: str | None) -> tuple[Lane, ...]:
    """Returns the lanes for who reads, for who writes, for who never waits, and for who is durable.

    They are several, so that nobody who reads waits for somebody who waits for other writers.
    """
    return (
        Lane(path, prepare_sqlite, ("query_only=ON",), wait_ms=_BUSY_TIMEOUT_MS),
        Lane(path, prepare_sqlite, ("synchronous=NORMAL",), wait_ms=_BUSY_TIMEOUT_MS),
        # Whoever commits next, and may wait, brings the write-ahead log into the database.
        Lane(path, prepare_sqlite, ("synchronous=NORMAL", "wal_autocheckpoint=0"), wait_ms=0),
        Lane(path, prepare_sqlite, (), wait_ms=_BUSY_TIMEOUT_MS),
    )


def _transaction_over(connection: LaneConnection) -> Transaction:
    return Transaction(lambda: cast("Connection", connection))


_ANSWER_AT_ONCE = "SET LOCAL synchronous_commit = off"
_TAKE_TURN = (
    "SELECT pg_advisory_xact_lock(:key), CASE current_setting('synchronous_commit') "
    "WHEN 'off' THEN set_config('synchronous_commit', 'local', true) END"
)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        driver_error = getattr(error, "orig", None)
        if isinstance(driver_error, sqlite3.Error) and not _is_passing(driver_error):
            raise
        raise UnavailableError("The database does not answer.") from error
    except sqlite3.Error as error:
        if not _is_passing(error):
            raise
        raise UnavailableError("The database does not answer.") from error


def _is_passing(error: Any) -> bool:
    # The low byte is the class of the error; the rest is detail.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING


def _engine(url: str) -> Engine:
    # hide_parameters: an error of the database must not carry a pdq or a fingerprint into a log.
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_size=10,
        )
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
    )
    event.listen(engine, "connect", prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def _synchronous(connection: Connection, *, durable: bool) -> Iterator[None]:
    """Has SQLite not wait for the disk at the end of the block's transaction, unless `durable`."""
    if durable:
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        driver.execute("PRAGMA synchronous=FULL")


def _create_private(path: str | None) -> None:
    """Makes the file, readable by nobody else; SQLite gives its other files the same mode."""
    if path:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def prepare_sqlite(connection: Any, _record: object) -> None:
    """A new connection of SQLite's driver writes durably, and keeps nothing that was deleted.

    Raises:
        SettingsError: the file system does not allow it.
    """
    # The driver must not begin transactions by itself: _begin_sqlite says which kind is meant.
    connection.isolation_level = None
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        # Seen when the file system fails in that moment: SQLite answers with another mode and
        # raises nothing.
        connection.close()
        raise SettingsError(f"SQLite could not switch to its write-ahead log (it stays in {mode}).")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # Erasure: freed pages are overwritten, so that a thief of the file finds nothing deleted; and
    # nothing is sorted in a file that nobody overwrites.
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA temp_store=MEMORY")


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get("schutznetz_begin", "BEGIN")
    if begin is not None:
        # A write in a read is a mistake that PostgreSQL would refuse; here it is refused as well.
        # Said to the driver itself: it asks for no lock, so there is no failure to translate.
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA query_only={'ON' if begin == 'BEGIN' else 'OFF'}")
        connection.exec_driver_sql(begin)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise SettingsError("The database was made by a newer version: upgrade this program first.")
    command.upgrade(config, "head")
