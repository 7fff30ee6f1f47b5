"""Fixtures that more than one folder of tests needs."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from node.storage.engine import Store
    from postgres import Postgres
    from worlds import World

# The same examples on every run, so that a run that failed fails again, and none depends on how
# quick the machine is. `make soak` looks for new ones.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def postgres() -> Iterator["Postgres"]:
    """A running PostgreSQL, started when the first test asks."""
    from postgres import open_postgres

    with open_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the node's schema, to be copied."""
    from node.storage.engine import Store

    path = tmp_path_factory.mktemp("migrated") / "node.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a fresh database with the node's schema, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "node.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres")
    url = server.fresh()
    yield url
    server.drop(url)


@pytest.fixture
def store(database_url: str) -> Iterator["Store"]:
    """A fresh, migrated database."""
    from node.storage.engine import Store

    store = Store(database_url)
    yield store
    store.close()


@pytest.fixture
def world(database_url: str) -> Iterator["World"]:
    """The hotline's way in for statements, and the parties that it knows."""
    from worlds import open_world

    with open_world(database_url) as world:
        yield world


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without any table, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'node.db'}"
        return
    server = request.getfixturevalue("postgres")
    url = server.empty()
    yield url
    server.drop(url)
