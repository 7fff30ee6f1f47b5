"""The connection to SQLite or PostgreSQL, its transactions and its migrations.

SQLite runs in WAL mode with ``synchronous=FULL``: when a write transaction returns, what it wrote
survives the death of the process and of the machine. A crash before the commit leaves nothing of
it: SQLite drops the unfinished tail of the log at the next open, PostgreSQL replays its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from node.storage.transaction import Transaction
from protocol.errors import SettingsError, UnavailableError

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOG_LOCK = 0x5C4E  # any number, as long as every process of every version takes the same
_BUSY_TIMEOUT_MS = 20_000


class Store:
    """The database of one node.

    `read` gives a snapshot; `write` serialises with every other writer, in this process and in
    others, so that the log's places are given out in the order in which they become visible: a
    reader that follows the log can never skip one.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._sqlite = self._engine.dialect.name == "sqlite"

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Opens a transaction for reading; nothing is written."""
        with self._engine.connect() as connection:
            yield Transaction(connection)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Opens a transaction that commits when the block ends, and leaves nothing if it raises."""
        with self._writing() as connection:
            if not self._sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOG_LOCK})
            yield Transaction(connection)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        connection = self._engine.connect().execution_options(schutznetz_write=True)
        with connection, connection.begin():
            yield connection

    def migrate(self) -> None:
        """Brings the schema to this version's; running it again changes nothing.

        Raises:
            SettingsError: the database is newer than this program, or cannot be opened.
        """
        try:
            with self._writing() as connection:
                _upgrade(connection)
        except SQLAlchemyError as error:
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

    def forget_deleted(self) -> None:
        """Empties SQLite's write-ahead log, where deleted bodies would linger."""
        if self._sqlite:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.exec_driver_sql("BEGIN")

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, hide_parameters=True, pool_size=10)
    # hide_parameters: an error of the database must not carry a pdq or a fingerprint into a log.
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: _begin_sqlite says which kind is meant.
    connection.isolation_level = None
    cursor = connection.cursor()
    mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode not in ("wal", "memory"):
        # Seen when the file system fails in that moment: SQLite answers with another mode and
        # raises nothing.
        raise SettingsError(f"SQLite could not switch to its write-ahead log (it stays in {mode}).")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # Erasure: freed pages are overwritten, so that a thief of the file finds nothing deleted.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading a read transaction later could fail half-way.
    write = connection.get_execution_options().get("schutznetz_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise SettingsError("The database was made by a newer version: upgrade this program first.")
    command.upgrade(config, "head")
