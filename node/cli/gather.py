"""From what was named on the command line to media hashes: files, folders, thousands of them.

Pictures are decoded in `node.matching.pool`'s processes, since they may be hostile. One that cannot
be read is reported with a sentence and never stops the others.
"""

import os
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import typer

from node.cli.output import progress, readable
from node.matching.containers import HEAD_BYTES, container_of
from node.matching.film import DEFAULT_INTERVAL_MS
from node.matching.film_process import FilmHasher, FilmHashes
from node.matching.media import MediaHashes, read_picture
from protocol.errors import SchutznetzError, UnavailableError

if TYPE_CHECKING:
    from node.matching.pool import HashPool

_AHEAD: Final = 4
_FILM_TIMEOUT_S: Final = 4 * 3_600.0
_MANY_BYTES: Final = 64 << 20  # files for which loading the compiled PDQ pays
_NOT_PICTURES: Final = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Read:
    """A file, and its media hashes or the sentence why it has none.

    Attributes:
        name: of the file, as a person reads it.
        hashes: None exactly if `problem` says why.
        problem: one sentence.
    """

    name: str
    hashes: MediaHashes | FilmHashes | None = field(default=None, repr=False)
    problem: str | None = None


class Hasher(Protocol):
    """What computes media hashes from the bytes of a file: `node.matching.pool`'s HashPool."""

    def hash(self, data: bytes) -> MediaHashes:
        """Returns the media hashes of a picture."""


class _WithVariants:
    """Computes the media hashes of pictures, and some of their variants."""

    def __init__(self, pool: "HashPool", variants: Collection[str]) -> None:
        self._pool = pool
        self._variants = variants

    def hash(self, data: bytes) -> MediaHashes:
        """Returns the media hashes of a picture."""
        return self._pool.hash(data, variants=self._variants)


def find_pictures(named: Sequence[Path]) -> list[Path]:
    """Returns the files that were named, and every file in the folders that were, sorted.

    Hidden files, and the lists of small pictures that Windows leaves behind, are passed over in
    folders; links to folders are not followed. A file that was named twice is there once.

    Raises:
        typer.BadParameter: something is not there, or a folder holds nothing.
    """
    found: dict[Path, None] = {}
    for path in named:
        if path.is_dir():
            inside = sorted(_files_in(path))
            if not inside:
                raise typer.BadParameter(f"{readable(str(path))}: there is no file in this folder")
            found |= dict.fromkeys(inside)
        elif path.exists():
            found[path] = None
        else:
            raise typer.BadParameter(f"{readable(str(path))}: there is no such file")
    return list(found)


def hash_pictures(
    files: Sequence[Path],
    *,
    workers: int,
    interval_ms: int = DEFAULT_INTERVAL_MS,
    variants: Collection[str] = (),
) -> list[Read]:
    """Returns the media hashes of each picture and film, in order, with a progress bar.

    Args:
        files: the files.
        workers: how many are read at the same time.
        interval_ms: time from one frame of a film to the next.
        variants: families of variants of pictures to be computed as well; never for a flag.

    Raises:
        UnavailableError: pictures cannot be hashed on this machine at all.
    """
    from node.matching.pool import HashPool

    read = []
    films = FilmHasher(
        workers, interval_ms=interval_ms, timeout_s=_FILM_TIMEOUT_S, max_waiting=workers
    )
    with (
        HashPool(
            workers=min(workers, len(files)),
            max_waiting=workers * _AHEAD,
            kernel=_size_of(files) >= _MANY_BYTES,
        ) as pool,
        progress("Reading pictures", len(files)) as step,
    ):
        hasher = _WithVariants(pool, variants)
        for one in read_all(files, hasher, workers=workers, films=films):
            read.append(one)
            step()
    return read


def read_all(
    files: Sequence[Path], hasher: Hasher, *, workers: int, films: FilmHasher | None = None
) -> Iterator[Read]:
    """Gives each file's media hashes, in order; only a few files are in memory at any time."""
    waiting: deque[Future[Read]] = deque()
    with ThreadPoolExecutor(workers) as threads:
        try:
            for path in files:
                waiting.append(threads.submit(_read, path, hasher.hash, films))
                if len(waiting) >= workers * 2:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # On Ctrl-C nothing new is begun.
            for future in waiting:
                future.cancel()


def _size_of(files: Sequence[Path]) -> int:
    """Returns how many bytes the files hold; one that cannot be looked at counts for nothing."""
    total = 0
    for path in files:
        with suppress(OSError):
            total += path.stat().st_size
    return total


def _read(
    path: Path, hash_picture: Callable[[bytes], MediaHashes], films: FilmHasher | None
) -> Read:
    name = readable(str(path))
    try:
        if films is not None and _is_film(path):
            return Read(name, films.hash_file(path))
        return Read(name, hash_picture(read_picture(path)))
    except UnavailableError:
        # Nothing is wrong with the picture: no other can be hashed either.
        raise
    except SchutznetzError as error:
        return Read(name, problem=str(error))


def _is_film(path: Path) -> bool:
    try:
        # a pipe would wait for ever
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123  # a descriptor
            return container_of(file.read(HEAD_BYTES) or b"") is not None
    except OSError:
        # whoever reads it as a picture says in words what is wrong
        return False


def _files_in(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and name.lower() not in _NOT_PICTURES:
                yield Path(place, name)
