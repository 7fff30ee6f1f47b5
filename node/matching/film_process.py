"""Hashing of strangers' films: one process for one film, at bounded cost.

What `node.matching.pool` is for pictures. A film costs seconds where a picture costs milliseconds,
so a process of its own, which knows nothing of other films and ends with this one, costs little.
The film reaches it as an open file: a film that was uploaded lies in memory under no name.
"""

import hashlib
import math
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from node.matching import frames
from node.matching.containers import CONTAINER_NAMES, HEAD_BYTES, container_of
from node.matching.film import (
    DEFAULT_INTERVAL_MS,
    MAX_FRAME_PIXELS,
    FilmFrame,
    check_video,
)
from node.matching.film_worker import Answer, Filmed
from protocol.errors import InvalidError, LimitError, RateLimitedError, UnavailableError

MAX_FILM_BYTES: Final = 16 << 30
"""Size of a film on the flagger's machine; an upload has its own limit."""

_MAX_ANSWER_BYTES: Final = 1 << 20
_START_TIMEOUT_S: Final = 60.0
_BLOCK_BYTES: Final = 1 << 20

# measured (docs/adr/0011): what is loaded reserves 275 MiB; a decoder keeps some 16 frames at 1.5
# or 3 bytes a pixel, and a picture that is hashed costs 30 to 35
_BASE_MIB: Final = 512
_BYTES_PER_PIXEL: Final = 96


@dataclass(frozen=True)
class FilmHashes:
    """What a film is looked up by. The `repr` holds none of it.

    Attributes:
        frames: those that tell it from others; none if it is black or of one colour throughout.
        sha256: of the file's bytes, 64 lower-case hexadecimal digits.
        sha1: of the file's bytes, 40 digits.
        md5: of the file's bytes, 32 digits.
        width: pixels, as displayed.
        height: likewise.
        duration_ms: where the last frame stands.
        format: one of `node.matching.containers.CONTAINERS`.
    """

    frames: tuple[FilmFrame, ...] = field(repr=False)
    sha256: str = field(repr=False)
    sha1: str = field(repr=False)
    md5: str = field(repr=False)
    width: int = field(repr=False)
    height: int = field(repr=False)
    duration_ms: int = field(repr=False)
    format: str = field(repr=False)


class FilmHasher:
    """Hashes films for any number of threads, a fixed number of them at a time.

    Args:
        workers: films that are decoded at the same time.
        interval_ms: time from one frame to the next.
        max_pixels: width times height of a film.
        timeout_s: wall-clock seconds for one film, once its process has begun.
        max_waiting: callers that may wait for their turn; each holds a film in memory.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        interval_ms: int = DEFAULT_INTERVAL_MS,
        max_pixels: int = MAX_FRAME_PIXELS,
        timeout_s: float = 60.0,
        max_waiting: int = 8,
    ) -> None:
        self._interval_ms = interval_ms
        self._max_pixels = min(max_pixels, MAX_FRAME_PIXELS)
        self._memory_mib = _BASE_MIB + (self._max_pixels * _BYTES_PER_PIXEL >> 20)
        self._timeout_s = timeout_s
        self._max_waiting = max_waiting
        self._free = workers
        self._waiting = 0
        self._changed = threading.Condition()

    def hash(self, data: bytes) -> FilmHashes:
        """The media hashes of the film file `data`, which touches no disk.

        Raises:
            InvalidError: no film, or nothing in it can be read.
            LimitError: it needs more time, memory, pixels or hours than it may have.
            RateLimitedError: too many films are waiting already.
            UnavailableError: films cannot be read on this machine.
        """
        with self._turn():
            film_fd = os.memfd_create("film")
            with open(film_fd, "wb", buffering=0) as file:  # noqa: PTH123  # a descriptor, no path
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
                return self._hash(film_fd)

    def hash_file(self, path: Path) -> FilmHashes:
        """The media hashes of the film at `path`; raises as `hash` does, and names no path."""
        with self._turn():
            try:
                film_fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                raise InvalidError("the file cannot be read; check its permissions") from None
            with open(film_fd, "rb", buffering=0):  # noqa: PTH123  # a descriptor, no path
                status = os.fstat(film_fd)
                if not stat.S_ISREG(status.st_mode):
                    raise InvalidError("this is not an ordinary file; name a film")
                if status.st_size > MAX_FILM_BYTES:
                    raise LimitError(f"the film is larger than {MAX_FILM_BYTES >> 30} GiB")
                return self._hash(film_fd)

    def _hash(self, film_fd: int) -> FilmHashes:
        container = container_of(os.pread(film_fd, HEAD_BYTES, 0))
        if container is None:
            raise InvalidError(
                f"the file is not a film that can be read here; use {CONTAINER_NAMES}"
            )
        check_video()
        film = self._ask(film_fd, container).film
        sha256, sha1, md5 = _digests(film_fd)
        return FilmHashes(
            frames=film.frames,
            sha256=sha256,
            sha1=sha1,
            md5=md5,
            width=film.width,
            height=film.height,
            duration_ms=film.duration_ms,
            format=container,
        )

    def _ask(self, film_fd: int, container: str) -> Filmed:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = self._start(theirs, film_fd, container)
            try:
                answer = _receive(ours, _START_TIMEOUT_S)
                if isinstance(answer, frames.Ready):
                    answer = _receive(ours, self._timeout_s)
            except TimeoutError:
                raise LimitError(
                    f"the film took longer than {self._timeout_s:g} s to read; "
                    "look up a shorter piece, or its frames"
                ) from None
            except (OSError, EOFError, msgspec.MsgspecError):
                raise InvalidError(
                    "the film cannot be read: its decoder failed; save it again from its source"
                ) from None
            finally:
                # also on KeyboardInterrupt; a process that has answered has nothing more to do
                process.kill()
                process.wait()
        match answer:
            case Filmed():
                return answer
            case frames.Refused("limit", sentence):
                raise LimitError(sentence)
            case frames.Refused("unavailable", sentence):
                raise UnavailableError(sentence)
            case frames.Refused(_, sentence):
                raise InvalidError(sentence)
            case _:
                raise LimitError(
                    f"the film needs more than {self._memory_mib} MiB to read; save it smaller"
                )

    def _start(
        self, connection: socket.socket, film_fd: int, container: str
    ) -> "subprocess.Popen[bytes]":
        environment = {
            # settings may name secrets, and a name may point FFmpeg at something: none is needed
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SCHUTZNETZ_", "OPENCV_", "AV_", "LIBVA_"))
        }
        # each OpenBLAS thread would reserve address space, and nothing here multiplies matrices
        environment["OPENBLAS_NUM_THREADS"] = "1"
        limits = (self._interval_ms, self._max_pixels, self._memory_mib, self._timeout_s)
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [
                *(sys.executable, "-P", "-m", "node.matching.film_worker"),
                *(str(film_fd), container, *map(str, limits)),
            ],
            stdin=connection.fileno(),
            stdout=subprocess.DEVNULL,
            # what a decoder prints may quote the film
            stderr=subprocess.DEVNULL,
            pass_fds=(film_fd,),
            env=environment,
            process_group=0,
        )

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A place among the workers is the caller's inside the block."""
        with self._changed:
            if not self._free and self._waiting >= self._max_waiting:
                raise RateLimitedError(
                    "too many films are waiting to be hashed; try again later",
                    retry_after_s=math.ceil(self._timeout_s),
                )
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._free > 0)
            finally:
                self._waiting -= 1
            self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify()


def _receive(connection: socket.socket, timeout_s: float) -> Answer:
    payload = frames.receive(connection, max_bytes=_MAX_ANSWER_BYTES, timeout_s=timeout_s)
    answer: Answer = msgspec.json.decode(payload, type=Answer)
    return answer


def _digests(film_fd: int) -> tuple[str, str, str]:
    """SHA-256, SHA-1 and MD5 of the whole file, in hexadecimal."""
    digests = (
        hashlib.sha256(),
        hashlib.sha1(usedforsecurity=False),
        hashlib.md5(usedforsecurity=False),
    )
    at = 0
    while block := os.pread(film_fd, _BLOCK_BYTES, at):
        at += len(block)
        for digest in digests:
            digest.update(block)
    sha256, sha1, md5 = (digest.hexdigest() for digest in digests)
    return sha256, sha1, md5
