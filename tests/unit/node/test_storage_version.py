"""The database's version: what was read under it holds until it changes."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event

from node.storage.engine import Store
from protocol.errors import ConflictError


def add_clients(store: Store, *names: str) -> None:
    with store.write() as transaction:
        for name in names:
            transaction.access.add_client(name, name.encode(), frozenset({"match"}), now=1)


def migrated(path: Path) -> Store:
    store = Store(f"sqlite:///{path}")
    store.migrate()
    return store


def test_a_version_stays_until_something_is_written_by_anybody(tmp_path: Path) -> None:
    one, other = (migrated(tmp_path / "node.db") for _ in range(2))
    first = one.version()
    with one.read() as transaction:
        assert transaction.access.clients() == []
    assert one.version() == first
    add_clients(one, "own")
    second = one.version()
    assert second != first
    add_clients(other, "elsewhere")
    assert one.version() not in {first, second}
    one.close()
    other.close()


def test_what_was_rolled_back_changes_no_version(tmp_path: Path) -> None:
    store = migrated(tmp_path / "node.db")
    before = store.version()
    with pytest.raises(ConflictError):
        add_clients(store, "one", "one")
    assert store.version() == before
    store.close()


def test_a_version_that_cannot_be_had_is_none(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'not there' / 'node.db'}")
    assert store.version() is None
    store.close()


def test_the_version_of_a_closed_store_can_be_asked_for_anew(tmp_path: Path) -> None:
    store = migrated(tmp_path / "node.db")
    assert store.version() is not None
    store.close()
    assert store.version() is not None
    store.close()


def test_postgresql_has_no_version() -> None:
    store = Store("postgresql+psycopg://nobody@localhost/nowhere")
    assert store.version() is None
    store.close()


def test_a_transaction_that_asks_nothing_does_not_speak_to_the_database(tmp_path: Path) -> None:
    store = migrated(tmp_path / "node.db")
    begun: list[object] = []
    event.listen(store._engine, "begin", begun.append)
    with store.read():
        pass
    assert begun == []
    with store.read() as transaction:
        assert transaction.access.clients() == []
        assert transaction.journal.audit_after(0, limit=1) == []
    assert len(begun) == 1
    store.close()


def test_the_connection_that_watches_cannot_write(tmp_path: Path) -> None:
    store = migrated(tmp_path / "node.db")
    store.version()
    assert store._watch is not None
    watching = store._watch._connection
    assert watching is not None
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        watching.execute("DELETE FROM client")
    store.close()
