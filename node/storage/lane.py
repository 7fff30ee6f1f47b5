"""A short way to SQLite for what every signed request asks: a tenth of what the usual way costs.

SQLAlchemy takes a connection out of its pool, begins, and makes for each question objects that
take longer to make than the answer takes to find. Here one connection of the driver's own is kept
open, and executes what SQLAlchemy has compiled once. The repositories work on it as on any
connection, as far as `LaneConnection` goes, which is what a peer's request for the checkpoint and a
sign-up check ask first: whatever else a method needs is an AttributeError in the first test that
tries. A statement that is built anew each time gains nothing here.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy.dialects import sqlite

_DIALECT: Final = sqlite.dialect()
_MOST_KEPT: Final = 64


class Lane:
    """One connection, which threads use one after the other; opened when it is first needed."""

    def __init__(
        self,
        path: str | None,
        prepare: Callable[[sqlite3.Connection, object], None],
        pragmas: Sequence[str],
        *,
        wait_ms: int,
    ) -> None:
        """Keeps what is needed.

        Args:
            path: of the database.
            prepare: is given each connection that is opened.
            pragmas: what is said to it after that.
            wait_ms: how long others' locks are waited for.
        """
        self._path = path
        self._prepare = prepare
        self._pragmas = pragmas
        self._wait_s = wait_ms / 1000
        self._lock = threading.Lock()
        self._connection: LaneConnection | None = None

    @contextmanager
    def open(self, begin: str) -> Iterator["LaneConnection"]:
        """Opens a transaction that commits when the block ends, and leaves nothing if it raises.

        Args:
            begin: what begins it.

        Raises:
            sqlite3.Error: the database does not answer; nothing was kept.
        """
        with self._lock:
            connection = self._connected()
            try:
                connection.driver.execute(begin)
                yield connection
                connection.driver.execute("COMMIT")
            finally:
                if connection.driver.in_transaction:
                    self._undo(connection)

    def close(self) -> None:
        """Closes the connection; whoever asks again opens another."""
        with self._lock:
            self._disconnect()

    def _connected(self) -> "LaneConnection":
        if self._connection is None:
            driver = sqlite3.connect(
                self._path or "", timeout=self._wait_s, check_same_thread=False
            )
            try:
                self._prepare(driver, None)
                for pragma in self._pragmas:
                    driver.execute(f"PRAGMA {pragma}")
            except BaseException:
                driver.close()
                raise
            self._connection = LaneConnection(driver)
        return self._connection

    def _undo(self, connection: "LaneConnection") -> None:
        try:
            connection.driver.execute("ROLLBACK")
        except sqlite3.Error:
            # Whatever is left of it, the next one begins with a connection of its own.
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.driver.close()
            self._connection = None


class LaneConnection:
    """What the repositories see of the driver's connection."""

    dialect = _DIALECT

    def __init__(self, driver: sqlite3.Connection) -> None:
        self.driver = driver
        # By identity: a statement that is built once is the same object each time.
        self._compiled: dict[int, _Compiled] = {}

    def execute(self, statement: Any, parameters: Mapping[str, Any] | None = None) -> "_Result":
        """Returns what a statement finds; the values that it was not built with are given here."""
        known = self._compiled.get(id(statement))
        if known is None:
            if len(self._compiled) >= _MOST_KEPT:
                self._compiled.clear()
            known = self._compiled[id(statement)] = _Compiled(statement)
        return known.execute(self.driver, parameters or {})


class _Compiled:
    """A statement as SQLite's driver executes it."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement  # kept alive, so that nothing else gets its identity
        compiled = statement.compile(dialect=_DIALECT)
        self._text = str(compiled)
        self._defaults = dict(compiled.params)
        self._places: tuple[str, ...] = tuple(compiled.positiontup or ())
        columns = getattr(statement, "selected_columns", ())
        self._columns = [(one.key, one.type.result_processor(_DIALECT, None)) for one in columns]

    def execute(self, driver: sqlite3.Connection, parameters: Mapping[str, Any]) -> "_Result":
        values = {**self._defaults, **parameters}
        cursor = driver.execute(self._text, [values[name] for name in self._places])
        rows = cursor.fetchall() if self._columns else []
        return _Result([self._row(row) for row in rows], cursor.rowcount)

    def _row(self, row: tuple[Any, ...]) -> dict[str, Any]:
        return {
            name: value if process is None else process(value)
            for (name, process), value in zip(self._columns, row, strict=True)
        }


class _Result:
    """What a statement found, or how many rows it changed."""

    def __init__(self, rows: list[dict[str, Any]], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[SimpleNamespace]:
        return (SimpleNamespace(**row) for row in self._rows)

    def first(self) -> SimpleNamespace | None:
        """Returns the first row, by attributes."""
        return next(iter(self), None)

    def mappings(self) -> "_Mappings":
        """Returns the rows by key."""
        return _Mappings(self._rows)


class _Mappings:
    """Rows by key."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def first(self) -> dict[str, Any] | None:
        """Returns the first row."""
        return self._rows[0] if self._rows else None
