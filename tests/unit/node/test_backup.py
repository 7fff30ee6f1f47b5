"""A backup is whole and checked, holds no key unless it is asked for, and becomes a node again."""

import shutil
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from node.app import open_services
from node.backup import Backup, back_up, named_files, restore
from node.cli.main import main
from node.settings import Settings, load_settings
from node.setup import init_node
from protocol.errors import ConflictError, SettingsError, UnavailableError
from signing.keys import KeyUse, SigningKey
from signing.keystore import Cost

NAME = "hotline.example"
PASSPHRASE = b"four cats on a roof"
ENVIRON = {"SCHUTZNETZ_PASSPHRASE": PASSPHRASE.decode()}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    directory = tmp_path / "node"
    init_node(
        directory,
        name=NAME,
        url="http://127.0.0.1:8441",
        passphrase=PASSPHRASE,
        clock=time.time,
        cost=Cost(1, 8192),
    )
    add_flagger(directory, "anna")
    return load_settings(directory, ENVIRON)


def add_flagger(directory: Path, name: str) -> None:
    key = SigningKey.generate(KeyUse.FLAGGER).public.to_text()
    with open_services(directory, environ=ENVIRON) as services:
        services.flaggers.add(key, f"{NAME}/{name}", ["csam.*"], 30)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_backup_beside_an_open_node_becomes_the_same_node_again(
    settings: Settings, tmp_path: Path
) -> None:
    folder, keys = tmp_path / "backup", tmp_path / "backup-keys"
    with open_services(settings.directory, environ=ENVIRON) as services:
        made = back_up(settings, folder, keys=keys)
        signed = services.log.checkpoint()
    expected = ("node.db", "schutznetz.toml", "policy.toml", "descriptor.json")
    assert made == Backup(1, expected, has_keys=True)
    assert restore(folder, tmp_path / "again", name=NAME, keys=keys) == made
    with open_services(tmp_path / "again", environ=ENVIRON) as services:
        assert services.log.checkpoint() == signed
        assert [one.name for one in services.flaggers.list()] == [f"{NAME}/anna"]
        assert all(one.ok for one in services.fsck.run())
    add_flagger(tmp_path / "again", "ben")


def test_neither_folder_has_the_passphrase_and_only_the_second_the_keys(
    settings: Settings, tmp_path: Path
) -> None:
    folder, keys = tmp_path / "backup", tmp_path / "keys-alone"
    assert not back_up(settings, tmp_path / "without").has_keys
    back_up(settings, folder, keys=keys)
    assert names(folder) == {"node.db", "schutznetz.toml", "policy.toml", "descriptor.json"}
    assert names(folder) == names(tmp_path / "without")
    assert all(one.startswith("keys/") for one in names(keys))
    sealed = sorted(path.name for path in (settings.directory / "keys").iterdir())
    assert sorted(Path(one).name for one in names(keys)) == sealed
    for path in (*folder.rglob("*"), *keys.rglob("*")):
        private = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == private
        assert path.is_dir() or PASSPHRASE not in path.read_bytes()


def test_nothing_is_written_over_and_the_keys_are_kept_apart(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    for keys in (folder, folder / "keys", tmp_path):
        with pytest.raises(ConflictError, match="apart"):
            back_up(settings, folder, keys=keys)
    back_up(settings, folder)
    with pytest.raises(ConflictError, match="something in that folder"):
        back_up(settings, folder)
    with pytest.raises(ConflictError, match="something in that folder"):
        restore(folder, settings.directory, name=NAME)
    with pytest.raises(UnavailableError, match="no database"):
        restore(tmp_path, tmp_path / "new", name=NAME)


def test_the_copy_of_another_node_is_refused(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    back_up(settings, folder)
    with pytest.raises(UnavailableError, match=r"not that of other\.example"):
        restore(folder, tmp_path / "other", name="other.example")


def set_witness_policy(settings: Settings, path: str) -> Settings:
    with (settings.directory / "schutznetz.toml").open("a") as file:
        file.write(f'\nwitness_policy_file = "{path}"\n')
    return load_settings(settings.directory, ENVIRON)


def test_the_policy_that_the_settings_name_comes_along(settings: Settings, tmp_path: Path) -> None:
    folder, again = tmp_path / "backup", tmp_path / "again"
    changed = set_witness_policy(settings, "policies/witnesses.txt")
    (settings.directory / "policies").mkdir()
    (settings.directory / "policies/witnesses.txt").write_text("quorum none\n")
    assert "policies/witnesses.txt" in back_up(changed, folder).files
    named = named_files(load_settings(folder, ENVIRON))
    restore(folder, again, name=NAME, named=named)
    assert load_settings(again, ENVIRON).witness_policy_file.read_text() == "quorum none\n"
    for path in (folder, again):
        assert stat.S_IMODE((path / "policies").stat().st_mode) == 0o700


def test_without_a_policy_that_the_settings_name_elsewhere_nothing_is_restored(
    settings: Settings, tmp_path: Path
) -> None:
    folder, again = tmp_path / "backup", tmp_path / "again"
    for path in (str(tmp_path / "witnesses.txt"), "../witnesses.txt"):
        changed = set_witness_policy(settings, path)
        back_up(changed, folder)
        assert "witnesses.txt" not in " ".join(names(folder))
        named = named_files(load_settings(folder, ENVIRON))
        with pytest.raises(SettingsError, match="bring that first"):
            restore(folder, again, name=NAME, named=named)
        assert not again.exists()
        shutil.rmtree(folder)
        text = (settings.directory / "schutznetz.toml").read_text()
        (settings.directory / "schutznetz.toml").write_text(text.rpartition("witness_policy")[0])


def overwrite_pages(database: Path) -> None:
    """Puts other bytes over all of it but its beginning."""
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\x5a" * (size - 4_096))


def lose_a_statement(database: Path) -> None:
    """Leaves a database that SQLite finds nothing wrong with."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM envelope")


def break_a_rule(database: Path) -> None:
    """Leaves a database that opens, and of which SQLite says that it is damaged."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE more (one INTEGER)")
        connection.execute("INSERT INTO more VALUES (NULL)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = 'CREATE TABLE more (one INTEGER NOT NULL)' "
            "WHERE name = 'more'"
        )


def cut_off(database: Path) -> None:
    """Keeps the first half."""
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size // 8_192 * 4_096)


@pytest.mark.parametrize("damage", [overwrite_pages, lose_a_statement, break_a_rule, cut_off])
def test_a_damaged_copy_is_refused_and_nothing_of_it_is_left(
    settings: Settings, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder, keys, again = tmp_path / "backup", tmp_path / "keys-alone", tmp_path / "again"
    add_flagger(settings.directory, "ben")
    back_up(settings, folder, keys=keys)
    whole = (folder / "node.db").read_bytes()
    damage(folder / "node.db")
    with pytest.raises(UnavailableError, match=r"copied|damaged|not whole"):
        restore(folder, again, name=NAME, keys=keys)
    assert not any(again.iterdir())
    (folder / "node.db").write_bytes(whole)
    assert restore(folder, again, name=NAME, keys=keys).entries > 0


def test_a_damaged_node_leaves_no_part_of_a_backup(settings: Settings, tmp_path: Path) -> None:
    folder, keys = tmp_path / "backup", tmp_path / "keys-alone"
    lose_a_statement(settings.directory / "node.db")
    with pytest.raises(UnavailableError, match="not whole"):
        back_up(settings, folder, keys=keys)
    assert not any(folder.iterdir())
    assert not any(keys.iterdir())


def test_without_the_keys_that_were_named_nothing_is_left(
    settings: Settings, tmp_path: Path
) -> None:
    folder, empty, again = tmp_path / "backup", tmp_path / "empty", tmp_path / "again"
    back_up(settings, folder)
    empty.mkdir()
    with pytest.raises(UnavailableError, match="keys cannot be copied"):
        restore(folder, again, name=NAME, keys=empty)
    assert not any(again.iterdir())


def test_of_postgresql_the_operator_is_told_what_to_run(settings: Settings, tmp_path: Path) -> None:
    environ = {**ENVIRON, "SCHUTZNETZ_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1/none"}
    other = load_settings(settings.directory, environ)
    with pytest.raises(SettingsError, match="pg_dump"):
        back_up(other, tmp_path / "backup")
    elsewhere = {**ENVIRON, "SCHUTZNETZ_DATABASE_URL": f"sqlite:///{tmp_path}/elsewhere.db"}
    with pytest.raises(SettingsError, match="by hand"):
        back_up(load_settings(settings.directory, elsewhere), tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_the_verbs_say_what_they_did_and_what_to_do(
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCHUTZNETZ_PASSPHRASE", PASSPHRASE.decode())
    folder = str(tmp_path / "backup")
    assert main(["node", "backup", str(settings.directory), folder]) == 0
    assert "The keys are not in it" in capsys.readouterr().out
    assert main(["node", "restore", folder, str(tmp_path / "again")]) == 0
    assert "before it signs anything" in capsys.readouterr().out
    assert main(["node", "restore", folder, str(tmp_path / "again")]) == 1
    assert "something in that folder" in capsys.readouterr().err
