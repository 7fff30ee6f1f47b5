"""Fixtures of the tests of services."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from desks import Desk


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """URL of a fresh SQLite database with the node's schema."""
    shutil.copy(migrated_sqlite, tmp_path / "node.db")
    return f"sqlite:///{tmp_path / 'node.db'}"


@pytest.fixture
def desk(sqlite_url: str, tmp_path: Path) -> Iterator["Desk"]:
    """The hotline's services over SQLite."""
    from desks import open_desk

    with open_desk(sqlite_url, tmp_path / "home") as desk:
        yield desk


@pytest.fixture
def either_desk(database_url: str, tmp_path: Path) -> Iterator["Desk"]:
    """The hotline's services, over SQLite and over PostgreSQL."""
    from desks import open_desk

    with open_desk(database_url, tmp_path / "home") as desk:
        yield desk
