"""Whether anybody has committed to SQLite since the last look, for some microseconds."""

import sqlite3
import threading
from urllib.parse import quote


class Watch:
    """A connection to SQLite that never writes, and so sees every commit as somebody else's."""

    def __init__(self, path: str | None) -> None:
        """Watches the database at a path; the connection is opened when it is first needed."""
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def version(self) -> int | None:
        """SQLite's ``data_version``; None while it cannot be had, which no cache can outlive."""
        try:
            with self._lock:
                if self._connection is None:
                    self._connection = sqlite3.connect(
                        f"file:{quote(self._path or '')}?mode=ro",
                        uri=True,
                        check_same_thread=False,
                        isolation_level=None,
                    )
                found: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            return None
        return found

    def close(self) -> None:
        """Closes the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
