"""A real PostgreSQL for tests: one server per test process, and a fresh database for each test.

The server is `node.bench.postgres_server`'s, which leaves nothing behind however the tests end.
What it is not: safe. Durability is off, and whoever reaches the socket's folder is let in.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

from node.bench.postgres_server import open_server

URL_VARIABLE = "SCHUTZNETZ_TEST_DATABASE_URL"
"""Where this is set, that server is used: a database on it whose user may create others."""


class Postgres:
    """A running server that gives out databases."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT")
        self._prefix = f"schutznetz_test_{secrets.token_hex(4)}"
        self._count = 0
        self._template: str | None = None

    def empty(self) -> str:
        """Returns the URL of a new, empty database."""
        return self._create("template0")

    def fresh(self) -> str:
        """Returns the URL of a new database with the node's schema."""
        if self._template is None:
            from node.storage.engine import Store

            url = self.empty()
            store = Store(url)
            store.migrate()
            store.close()  # a template may have no connection
            self._template = make_url(url).database
        return self._create(self._template)

    def drop(self, url: str) -> None:
        """Deletes a database; connections to it are cut."""
        self._run(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    def close(self) -> None:
        """Deletes the database that `fresh` copies, since the server may live on."""
        if self._template is not None:
            self.drop(self._url_of(self._template))
        self._engine.dispose()

    def _create(self, template: str | None) -> str:
        self._count += 1
        name = f"{self._prefix}_{self._count}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self._url_of(name)

    def _url_of(self, name: str | None) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def open_postgres() -> Iterator[Postgres]:
    """Gives a server: the one that `URL_VARIABLE` names, else one that is started here.

    Raises:
        RuntimeError: there are no binaries, or the server does not start.
    """
    outside = os.environ.get(URL_VARIABLE)
    if outside:
        with closing(Postgres(make_url(outside))) as given:
            yield given
        return
    with open_server(durable=False) as url, closing(Postgres(url)) as started:
        yield started
