"""Where an index keeps its segments: a folder, a manifest that names them, and a lock.

The manifest is replaced whole, by a rename, after everything that it names is durable. A crash
before leaves the old set of segments and perhaps files that nothing names, which the next writer
deletes; a crash after, the new set. Writers hold the lock; readers need none, because what they
have mapped stays readable after its name is gone.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_LOCK: Final = "lock"
_SUFFIX: Final = ".segment"


class SegmentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One segment that the manifest names; `sha256` is of the body, in hexadecimal."""

    file: str
    rows: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The segments in force.

    Attributes:
        format: 1.
        generation: counts the manifests.
        upto: every key below was given to the index before these segments were made.
        mark: what the caller knows that place in its sequence by.
        segments: the greatest first.
    """

    format: int
    generation: int
    upto: int
    mark: str
    segments: tuple[SegmentFile, ...]


EMPTY: Final = Manifest(FORMAT, 0, 0, "", ())
"""What there is where nothing was written yet."""


class Folder:
    """The folder of one index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None

    def read(self) -> Manifest:
        """Returns the manifest in force; EMPTY where there is none, or none that can be read.

        Nothing is lost with it: the database holds what the segments hold.
        """
        try:
            with (self.path / _MANIFEST).open("rb") as file:
                found = os.fstat(file.fileno())
                manifest = msgspec.json.decode(file.read(), type=Manifest)
        except (FileNotFoundError, msgspec.DecodeError):
            self._seen = None
            return EMPTY
        self._seen = (found.st_ino, found.st_mtime_ns)
        return manifest if manifest.format == FORMAT else EMPTY

    def holds_segments(self) -> bool:
        """Says whether the manifest in force names any; does not count as having read it."""
        seen, manifest = self._seen, self.read()
        self._seen = seen
        return bool(manifest.segments)

    def has_changed(self) -> bool:
        """Says whether another process has written a manifest since this one read or wrote it."""
        try:
            found = (self.path / _MANIFEST).stat()
        except FileNotFoundError:
            return self._seen is not None
        return (found.st_ino, found.st_mtime_ns) != self._seen

    def new_file(self) -> Path:
        """Returns a path for a new segment."""
        return self.path / f"{secrets.token_hex(8)}{_SUFFIX}"

    def file(self, name: str) -> Path:
        """Returns the path of a segment that a manifest names."""
        return self.path / Path(name).name

    def publish(self, manifest: Manifest) -> None:
        """The manifest is in force, and durable; the caller holds the lock.

        What it names was durable before. Files that it does not name are deleted afterwards.
        """
        fresh = self.path / f"{_MANIFEST}.new"
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(manifest))
            file.flush()
            os.fsync(file.fileno())
        self._sync()  # the segments' names, before the name of what speaks of them
        fresh.rename(self.path / _MANIFEST)
        self._sync()
        found = (self.path / _MANIFEST).stat()
        self._seen = (found.st_ino, found.st_mtime_ns)
        named = {one.file for one in manifest.segments}
        for path in self.path.glob(f"*{_SUFFIX}"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Holds the lock, if no other process does; gives whether it is held.

        The system gives it back when a process dies.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(handle)

    def _sync(self) -> None:
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
