"""A whole copy of a SQLite database, made while others write to it.

What it is: SQLite's online backup into one file, with nothing left in a write-ahead log. What it is
not: a copy of a PostgreSQL database, for which the server has its own tools.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from protocol.errors import ConflictError, UnavailableError


def copy_database(source: Path, target: Path) -> int:
    """Copies a database as it is at one instant, durably; returns how many bytes that is.

    Args:
        source: the database, which may be in use.
        target: a new file, for its owner alone.

    Raises:
        ConflictError: there is something at `target` already.
        UnavailableError: it cannot be read or written, or the copy is damaged.
    """
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise ConflictError("There is a database at that place already.") from None
    except OSError as error:
        raise UnavailableError(f"The copy cannot be written: {error.strerror}.") from None
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            # All pages in one step: a reader of SQLite's log holds up nobody who writes.
            here.backup(there)
            # Read from one file alone from now on, until a node opens it.
            there.execute("PRAGMA journal_mode = DELETE")
            (said,) = there.execute("PRAGMA integrity_check(1)").fetchone()
        size = sync(target)
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise UnavailableError(f"The database cannot be copied ({type(error).__name__}).") from None
    if said != "ok":
        target.unlink(missing_ok=True)
        raise UnavailableError("The copy of the database is damaged, and so may the original.")
    return size


def sync(path: Path) -> int:
    """Returns once a file, and its name in its folder, are on the disk; returns its bytes."""
    for one in (path, path.parent):
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return path.stat().st_size
