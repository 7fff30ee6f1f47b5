"""Backups of a node: what it may read in one folder, its identity in another.

The order of a restore is the reverse. What this is not: leave to go on. A restored node asks its
peers and witnesses where its log was (`node.standing_talk`) before it signs anything.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.services.directory import descriptor_of
from node.services.fsck import Check, Fsck
from node.services.fsck_log import LogCheck
from node.services.fsck_mirrors import MirrorsCheck
from node.services.fsck_statements import StatementsCheck
from node.services.webhooks import KEY_FILE
from node.settings import Settings
from node.storage.backup import copy_database, sync
from node.storage.engine import Store
from protocol.errors import ConflictError, SettingsError, UnavailableError

DATABASE: Final = "node.db"
FILES: Final = ("schutznetz.toml", "policy.toml", "descriptor.json", "witness-policy.txt")
"""Beside the database, as far as there are such files."""

KEYS: Final = "keys"
"""Folder of the sealed keys."""

BY_HAND: Final = (
    "The database is PostgreSQL's own to copy: run pg_dump --format=custom, restore it with "
    "pg_restore into an empty database, and check that with schutznetz node fsck."
)


@dataclass(frozen=True)
class Backup:
    """What was copied.

    Attributes:
        entries: of the log that is in the copy.
        files: names of what was copied, without the keys.
        has_keys: whether the keys were copied too.
    """

    entries: int
    files: tuple[str, ...]
    has_keys: bool


def back_up(settings: Settings, folder: Path, *, keys: Path | None = None) -> Backup:
    """Copies a node, which may be running, into a new folder, and checks the copy.

    Args:
        settings: of the node.
        folder: new or empty; gets the database and the settings.
        keys: another one, for the sealed keys; None leaves them out. The passphrase is never in it.

    Raises:
        ConflictError: there is something in a folder already, or both are one.
        SettingsError: the database is no file in the node's directory.
        UnavailableError: something cannot be copied, or the copy is not whole.
    """
    _check_place(settings)
    _check_apart(folder, keys)
    source = settings.directory
    files = [DATABASE]
    named = named_files(settings)
    _make(folder)
    if keys is not None:
        _make(keys)
    copy_database(source / DATABASE, folder / DATABASE)
    with _emptied_unless_whole(folder):
        entries = check_copy(folder / DATABASE, settings.name)
        files += _copy(source, folder, _beside(named))
        if keys is not None:
            _copy_keys(source, keys)
    return Backup(entries, tuple(files), keys is not None)


def named_files(settings: Settings) -> tuple[Path, ...]:
    """Returns the policies that the settings name; in the node's directory as seen from there.

    A node that has lost the file with its witnesses would ask none of them where its log was.
    """
    found = []
    for path in (settings.policy_file, settings.witness_policy_file):
        inside = path.is_relative_to(settings.directory) and ".." not in path.parts
        found.append(path.relative_to(settings.directory) if inside else path)
    return tuple(found)


def restore(
    folder: Path,
    directory: Path,
    *,
    name: str,
    keys: Path | None = None,
    named: tuple[Path, ...] = (),
) -> Backup:
    """Makes a node's directory from a backup, and checks it; starts nothing.

    Args:
        folder: as `back_up` wrote it.
        directory: new or empty.
        name: of the node, as the settings in `folder` have it.
        keys: likewise; None where they are brought by hand.
        named: `named_files` of these settings.

    Raises:
        ConflictError: there is something in the directory already.
        SettingsError: the settings name a file elsewhere that is not there.
        UnavailableError: something cannot be copied, or the backup is not whole.
    """
    if not (folder / DATABASE).is_file():
        raise UnavailableError("There is no database in that backup.")
    if not all(one.is_file() for one in named if one.is_absolute()):
        raise SettingsError("The settings name a policy outside of the backup: bring that first.")
    _make(directory)
    copy_database(folder / DATABASE, directory / DATABASE)
    with _emptied_unless_whole(directory):
        entries = check_copy(directory / DATABASE, name)
        files = [DATABASE, *_copy(folder, directory, _beside(named))]
        if keys is not None:
            _copy_keys(keys, directory)
    return Backup(entries, tuple(files), keys is not None)


def check_copy(database: Path, name: str) -> int:
    """Returns the size of the log in a copy, once it agrees with itself (`node.services.fsck`).

    Raises:
        UnavailableError: it does not, or it is another node's.
    """
    store = Store(f"sqlite:///{_quoted(database)}")
    try:
        store.migrate()
        with store.read() as transaction:
            own = transaction.peers.get(name)
            if own is None:
                raise UnavailableError(f"The database is not that of {name}.")
            origin = descriptor_of(own).log_origin
            entries = transaction.logs.size(origin)
        log = LogCheck(store, origin=origin)
        checks = {
            "log": Check(log.look, log.mend),
            "statements": Check(StatementsCheck(store, origin=origin).look),
            "mirrors": Check(MirrorsCheck(store, origin=origin).look),
        }
        findings = Fsck(checks).run()
    finally:
        store.close()
    sync(database)
    if wrong := [one.sentence for one in findings if not one.ok]:
        raise UnavailableError(" ".join(("The copy is not whole.", *wrong)))
    return entries


def _check_place(settings: Settings) -> None:
    url = settings.database_url.get_secret_value()
    if not url.startswith("sqlite"):
        raise SettingsError(BY_HAND)
    if url.partition("///")[2] != _quoted(settings.directory / DATABASE):
        raise SettingsError("The setting database_url names another file: copy it by hand.")


def _quoted(database: Path) -> str:
    """Returns the path of a database as it stands in a URL (`node.settings`)."""
    return str(database.absolute()).replace("%", "%25").replace("?", "%3F")


def _check_apart(folder: Path, keys: Path | None) -> None:
    if keys is None:
        return
    one, other = folder.resolve(), keys.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise ConflictError("Keep the keys apart from the rest: name another folder for them.")


def _make(folder: Path) -> None:
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ConflictError("There is something in that folder already: choose a new one.")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise UnavailableError(f"The folder cannot be made: {error.strerror}.") from None


@contextmanager
def _emptied_unless_whole(folder: Path) -> Iterator[None]:
    """Leaves nothing of what was put into a folder if the block raises: nobody starts a part of it.

    For who has made the first thing in it, where nothing was before: so all of it is theirs.
    """
    try:
        yield
    except BaseException:
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def _beside(named: tuple[Path, ...]) -> tuple[str, ...]:
    """Returns what is copied beside the database, each once."""
    return tuple(dict.fromkeys((*FILES, *(str(one) for one in named if not one.is_absolute()))))


def _copy(source: Path, target: Path, names: tuple[str, ...]) -> list[str]:
    found = [one for one in names if (source / one).is_file()]
    for one in found:
        (target / one).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy_file(source / one, target / one)
    return found


def _copy_keys(source: Path, target: Path) -> None:
    try:
        (target / KEYS).mkdir(mode=0o700)
        found = sorted(path for path in (source / KEYS).iterdir() if path.is_file())
    except OSError as error:
        raise UnavailableError(f"The keys cannot be copied: {error.strerror}.") from None
    with _emptied_unless_whole(target):
        for path in found:
            _copy_file(path, target / KEYS / path.name)
        _copy(source, target, (KEY_FILE,))


def _copy_file(source: Path, target: Path) -> None:
    """Copies one file for its owner alone: nobody reads it in the moment before it is made so."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as there, source.open("rb") as here:
            shutil.copyfileobj(here, there)
        sync(target)
    except OSError as error:
        raise UnavailableError(f"A file cannot be copied: {error.strerror}.") from None
