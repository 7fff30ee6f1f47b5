"""Migrations: from nothing to this version, on both back ends, once and only once."""

import stat
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlmodel import SQLModel

from films import film
from node.storage import engine as engine_module
from node.storage import rows
from node.storage.engine import Store
from protocol.errors import SettingsError, UnavailableError
from protocol.fields import StatementId
from simulator import media_flag
from worlds import ANNA, PLATFORM, append_entries, contents, items, open_world

CONFIG = Config()
CONFIG.set_main_option("script_location", str(Path(engine_module.__file__).parent / "migrations"))
SCRIPTS = ScriptDirectory.from_config(CONFIG)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


def migrate(url: str) -> None:
    store = Store(url)
    try:
        store.migrate()
    finally:
        store.close()


def test_an_empty_database_gets_every_table_and_no_row(empty_database_url: str) -> None:
    migrate(empty_database_url)
    assert set(contents(empty_database_url)) == set(SQLModel.metadata.tables)
    assert not any(contents(empty_database_url).values())


def test_migrating_again_changes_nothing(database_url: str) -> None:
    store = Store(database_url)
    with store.write() as transaction:
        transaction.access.use_nonce("key", "nonce", now=1)
    before = contents(database_url)
    store.migrate()
    assert contents(database_url) == before
    store.close()


def test_the_rows_declare_what_the_migrations_make(engine: Engine) -> None:
    assert rows.StatementRow.__tablename__ == "statement"
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    database_url: str, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="newer version"):
        migrate(database_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    assert found == "9999"


def test_a_migration_that_fails_leaves_no_table(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("the machine stops")

    monkeypatch.setattr("alembic.runtime.migration.HeadMaintainer._insert_version", fail)
    with pytest.raises(RuntimeError, match="the machine stops"):
        migrate(empty_database_url)
    engine = create_engine(empty_database_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_many_processes_may_migrate_at_once(empty_database_url: str) -> None:
    # Each Store has connections of its own, as a process has.
    stores = [Store(empty_database_url) for _ in range(4)]
    barrier = threading.Barrier(len(stores))
    failed: list[BaseException] = []

    def start(store: Store) -> None:
        barrier.wait()
        try:
            store.migrate()
        except SettingsError as error:
            failed.append(error)

    threads = [threading.Thread(target=start, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert failed == []
    assert not any(contents(empty_database_url).values())


def test_the_frames_of_films_that_are_here_already_learn_where_they_stand(
    database_url: str, engine: Engine
) -> None:
    with open_world(database_url) as world:
        receipt = world.submit(media_flag(ANNA, items=(*items(1), film(range(3)), film([9]))))
    with engine.begin() as connection:
        connection.execute(text("UPDATE media_hash SET at_ms = NULL"))
        # This step alone: the steps after it have no way back.
        SCRIPTS.get_revision("0002").module._place_frames(connection)
    store = Store(database_url)
    with store.read() as transaction:
        frames = transaction.media.pdqs_from(receipt.index, limit=100)
    store.close()
    assert [one.at_ms for one in frames if one.kind == "frame"] == [0, 1_000, 2_000, 0]


def test_an_upgrade_does_not_refill_a_budget(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        CONFIG.attributes["connection"] = connection
        command.upgrade(CONFIG, SCRIPTS.get_revision("0006").down_revision)
        connection.execute(text("INSERT INTO budget VALUES ('c', 'a.example', '2026-11-22', 7)"))
    engine.dispose()
    store = Store(empty_database_url)
    store.migrate()
    with store.read() as transaction:
        (use,) = transaction.budgets.uses_of_day("2026-11-22")
    store.close()
    assert (use.circle, use.party, use.member, use.used) == ("c", "a.example", "a.example", 7)


def test_the_log_that_is_there_already_gets_its_tiles(database_url: str, engine: Engine) -> None:
    with open_world(database_url, name=PLATFORM) as world:
        ids = [StatementId(sha256(b"%d" % at).hexdigest()) for at in range(600)]
        with world.store.write() as transaction:
            append_entries(transaction, world.log, ids)
        before = world.contents()["log_tile"]
    assert len(before) == 2
    step = SCRIPTS.get_revision("0016").module
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            step.downgrade()
            step.upgrade()
    assert contents(database_url)["log_tile"] == before


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////nowhere/at/all/node.db",
        "postgresql+psycopg://nobody@/none?host=/nowhere/at/all",
    ],
)
def test_a_database_that_cannot_be_opened_is_named_without_its_address(url: str) -> None:
    store = Store(url)
    with pytest.raises(SettingsError, match="check database_url") as caught:
        store.migrate()
    assert "nowhere" not in str(caught.value)
    with pytest.raises(UnavailableError, match="does not answer"):
        store.check()
    store.close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    path.write_bytes(b"a letter to my aunt" * 100)
    with pytest.raises(SettingsError, match="cannot be opened"):
        migrate(f"sqlite:///{path}")
    assert path.read_bytes() == b"a letter to my aunt" * 100


def test_the_files_of_sqlite_are_for_their_owner_alone(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'node.db'}")
    store.migrate()
    with store.write() as transaction:
        transaction.access.use_nonce("key", "nonce", now=1)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    store.close()
    assert modes == {"node.db": 0o600, "node.db-wal": 0o600, "node.db-shm": 0o600}
