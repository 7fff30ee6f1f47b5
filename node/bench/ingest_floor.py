"""The least that taking in a list can cost: its envelopes verified and its rows written in bulk.

Nothing is judged there, no log is kept, nothing is counted, and nothing can be matched. The
databases have the node's schema, and are written by the drivers themselves.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, create_engine, text
from sqlalchemy.engine import make_url

from node.storage.engine import Store, prepare_sqlite
from node.storage.rows import EnvelopeRow, MediaHashRow, StatementRow
from node.storage.sql import insert_text, table
from protocol.kinds import KINDS
from signing.envelopes import Verified, verify_envelope
from signing.keys import SigningKey

TABLES: Final = tuple(table(one) for one in (StatementRow, EnvelopeRow, MediaHashRow))
_INSERTS: Final = tuple(insert_text("sqlite", one, tuple(one.c.keys())) for one in TABLES)

Rows = tuple[list[tuple[Any, ...]], ...]
"""The rows of one statement in each of `TABLES`."""


def stored_rows(database: Path, places: range) -> list[Rows]:
    """Returns the rows of the statements at some places of a SQLite database's log."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [
            tuple(connection.execute(_rows_at(one, place)).fetchall() for one in TABLES)
            for place in places
        ]


def _rows_at(one: Table, place: int) -> str:
    chosen = one.select().where(one.c.log_index == place)
    return str(chosen.compile(compile_kwargs={"literal_binds": True}))


class SqliteFloor:
    """A database of the node's schema, and nothing of the node."""

    def __init__(self, path: Path, key: SigningKey) -> None:
        """Makes the database; `key` has signed every statement."""
        store = Store(f"sqlite:///{path}")
        store.migrate()
        store.close()
        self._key = key
        self._connection = sqlite3.connect(path)
        prepare_sqlite(self._connection, None)

    def take_in(self, envelopes: Sequence[bytes], rows: Sequence[Rows]) -> None:
        """One durable transaction for each statement."""
        for envelope, of_it in zip(envelopes, rows, strict=True):
            self._connection.execute("BEGIN IMMEDIATE")
            self._take_one(envelope, of_it)
            self._connection.execute("COMMIT")

    def take_in_at_once(self, envelopes: Sequence[bytes], rows: Sequence[Rows]) -> None:
        """One durable transaction for all."""
        self._connection.execute("BEGIN IMMEDIATE")
        for envelope, of_it in zip(envelopes, rows, strict=True):
            self._take_one(envelope, of_it)
        self._connection.execute("COMMIT")

    def _take_one(self, envelope: bytes, rows: Rows) -> None:
        _verify(envelope, self._key)
        for insert, of_table in zip(_INSERTS, rows, strict=True):
            self._connection.executemany(insert, of_table)

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()


class PostgresFloor:
    """The same in PostgreSQL, written with COPY, which nothing there is faster than."""

    def __init__(self, url: str, key: SigningKey) -> None:
        """Makes the schema in an empty database; `key` has signed every statement."""
        store = Store(url)
        store.migrate()
        store.close()
        self._key = key
        self._engine = create_engine(url)

    def take_in_at_once(self, envelopes: Sequence[bytes], rows: Sequence[Rows]) -> None:
        """One durable transaction for all."""
        for envelope in envelopes:
            _verify(envelope, self._key)
        with self._engine.connect() as connection, connection.begin():
            driver: Any = connection.connection.driver_connection
            for place, one in enumerate(TABLES):
                columns = ", ".join(one.c.keys())
                with driver.cursor().copy(f"COPY {one.name} ({columns}) FROM STDIN") as copy:
                    for of_it in rows:
                        for row in of_it[place]:
                            copy.write_row(row)

    def close(self) -> None:
        """Closes the database."""
        self._engine.dispose()


def new_database(server: str, name: str) -> str:
    """Returns the URL of a new, empty database on a PostgreSQL server."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template0'))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _verify(envelope: bytes, key: SigningKey) -> Verified:
    return verify_envelope(envelope, lambda _statement, _keyid: key.public, kinds=KINDS)
