"""Hashing of strangers' pictures in processes of their own, at bounded cost.

A picture file is the most dangerous thing that a node is handed: decoders have bugs, and a few
kilobytes may declare gigabytes. So a picture is decoded in a worker that holds nothing of value,
may use so much memory and so much time, and is killed and replaced when it exceeds either. The
caller of that picture gets a sentence; nobody else notices.

Not concurrent.futures: its pool cannot end one stuck worker, breaks as a whole when one dies, and
reads pickles from the process that a hostile file may have taken over (docs/adr/0004).
"""

import math
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Collection
from types import TracebackType
from typing import Final, Self

from node.matching import frames
from node.matching.media import DEFAULT_MAX_PIXELS, MediaHashes, check_size
from protocol.errors import (
    InvalidError,
    LimitError,
    MalformedError,
    RateLimitedError,
    UnavailableError,
)

_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 10.0

# measured (docs/adr/0004): an idle worker reserves 124 MiB, a file is held twice, a pixel costs 27
_BASE_MIB: Final = 320
_BYTES_PER_PIXEL: Final = 30
_KERNEL_MIB: Final = 320  # numba and LLVM reserve 275 MiB while they compile (docs/adr/0010)


def memory_for(max_pixels: int, *, kernel: bool = False) -> int:
    """MiB of address space in which a worker can hash a picture of `max_pixels`.

    Args:
        max_pixels: width × height.
        kernel: whether the worker loads the compiled PDQ.
    """
    base = _BASE_MIB + _KERNEL_MIB if kernel else _BASE_MIB
    return base + (max_pixels * _BYTES_PER_PIXEL >> 20)


class _WorkerLostError(Exception):
    """The worker died, closed its socket, or sent what no worker sends."""


class _Worker:
    """One process and the socket to it; used by one thread at a time."""

    def __init__(self, *, max_pixels: int, memory_mib: int, timeout_s: float, kernel: bool) -> None:
        self._connection, theirs = socket.socketpair()
        environment = {
            # settings may name secrets: no worker needs one
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SCHUTZNETZ_")
        }
        # each OpenBLAS thread would reserve address space, and nothing here multiplies matrices
        environment["OPENBLAS_NUM_THREADS"] = "1"
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [
                    *(sys.executable, "-P", "-m", "node.matching.worker"),
                    *(str(max_pixels), str(memory_mib), str(timeout_s)),
                    "kernel" if kernel else "plain",
                ],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                # what a decoder prints may quote the picture
                stderr=subprocess.DEVNULL,
                env=environment,
                # Ctrl-C is for the node, which ends its workers when they have answered
                process_group=0,
            )

    def wait_until_ready(self) -> None:
        """The worker has limited itself and its pdqhash is exact.

        Raises:
            UnavailableError: neither now nor at the next attempt.
        """
        try:
            answer = self._answer(_START_TIMEOUT_S)
        except (TimeoutError, _WorkerLostError):
            answer = None
        if isinstance(answer, frames.Ready):
            return
        self.kill()
        if isinstance(answer, frames.Refused):
            raise UnavailableError(answer.sentence)
        raise UnavailableError("a process that hashes pictures could not be started")

    def ask(
        self, data: bytes, timeout_s: float, *, draft: bool, variants: Collection[str]
    ) -> frames.Answer:
        """What the worker says about the picture file `data`.

        Raises:
            TimeoutError: nothing within `timeout_s`; the worker must be killed.
            _WorkerLostError: the worker is gone, and must be replaced.
        """
        try:
            self._connection.settimeout(timeout_s)
            frames.send_request(self._connection, data, draft=draft, variants=variants)
        except TimeoutError:
            raise
        except OSError:
            raise _WorkerLostError from None
        return self._answer(timeout_s)

    def _answer(self, timeout_s: float) -> frames.Answer:
        try:
            payload = frames.receive(
                self._connection, max_bytes=frames.MAX_ANSWER_BYTES, timeout_s=timeout_s
            )
            return frames.decode_answer(payload)
        except TimeoutError:
            raise
        except (OSError, EOFError, MalformedError):
            raise _WorkerLostError from None

    @property
    def is_running(self) -> bool:
        """False once the process has ended, for whatever reason."""
        return self._process.poll() is None

    def stop(self) -> None:
        """The worker has ended by itself, or was killed after ten seconds."""
        self._connection.close()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """The process is gone and leaves no zombie."""
        self._connection.close()
        self._process.kill()
        self._process.wait()


class HashPool:
    """A fixed number of worker processes that hash pictures for any number of threads.

    Args:
        workers: processes, each of which may use `memory_mib`.
        max_pixels: as hash_picture.
        timeout_s: wall-clock seconds for one picture, once a worker has it.
        memory_mib: address space of one worker; memory_for(max_pixels) if not given.
        max_waiting: callers that may wait for a free worker; each holds a file in memory.
        kernel: the workers load the compiled PDQ, each once it is ready. Many times faster and the
            same bits, but half a second of a processor for each worker: not for a few pictures.

    Raises:
        UnavailableError: a worker does not start, or its pdqhash is not exact.
    """

    def __init__(
        self,
        workers: int = 2,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        timeout_s: float = 30.0,
        memory_mib: int | None = None,
        *,
        max_waiting: int = 64,
        kernel: bool = False,
    ) -> None:
        self._workers = workers
        self._max_pixels = max_pixels
        self._timeout_s = timeout_s
        self._kernel = kernel
        self._memory_mib = memory_mib or memory_for(max_pixels, kernel=kernel)
        self._max_waiting = max_waiting
        self._changed = threading.Condition()  # guards the four below
        self._idle: list[_Worker | None] = []  # None: a place whose worker is to be started
        self._waiting = 0
        self._busy = 0
        self._closed = False
        started = [self._new_worker() for _ in range(workers)]
        try:
            for worker in started:
                worker.wait_until_ready()
        except UnavailableError:
            for worker in started:
                worker.kill()
            raise
        self._idle += started

    def hash(
        self, data: bytes, *, draft: bool = False, variants: Collection[str] = ()
    ) -> MediaHashes:
        """The media hashes of the picture file `data`; waits for a worker and for its answer.

        Safe from any thread. The bytes reach the worker through a socket, never a file.

        Args:
            data: the whole file.
            draft: as hash_picture; never for what becomes a flag.
            variants: likewise.

        Raises:
            InvalidError: as hash_picture; or the picture made its worker die.
            LimitError: as hash_picture; or it needs more time or memory than it may have.
            RateLimitedError: too many pictures are waiting already.
            UnavailableError: the pool is closed, or no worker can be started.
        """
        check_size(len(data))
        place = self._take()
        worker: _Worker | None = None
        keep = False
        try:
            worker = self._ready(place)
            answer = worker.ask(data, self._timeout_s, draft=draft, variants=variants)
            keep = not isinstance(answer, frames.Exhausted)
        except TimeoutError:
            raise LimitError(
                f"the picture took longer than {self._timeout_s:g} s to read; save it smaller"
            ) from None
        except _WorkerLostError:
            raise InvalidError(
                "the picture cannot be read: its decoder failed; save it again from its source"
            ) from None
        finally:
            # also on KeyboardInterrupt: a worker with an answer outstanding is of no use
            if worker is not None and not keep:
                worker.kill()
            self._give_back(worker if keep else None)
        return self._hashes(answer)

    def close(self) -> None:
        """Every picture under way is answered, every worker has ended, and no more are taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._busy == 0)
            idle, self._idle = self._idle, []
        for worker in idle:
            if worker is not None:
                worker.stop()

    def __enter__(self) -> Self:
        """The pool itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the pool."""
        self.close()

    def _take(self) -> _Worker | None:
        """A place among the workers is the caller's until _give_back."""
        with self._changed:
            if not self._idle and self._waiting >= self._max_waiting:
                raise RateLimitedError(
                    "too many pictures are waiting to be hashed; try again later",
                    retry_after_s=math.ceil(self._timeout_s),
                )
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._idle or self._closed)
            finally:
                self._waiting -= 1
            if self._closed:
                raise UnavailableError("pictures are no longer hashed: the node is stopping")
            self._busy += 1
            return self._idle.pop()

    def _give_back(self, place: _Worker | None) -> None:
        with self._changed:
            self._idle.append(place)
            self._busy -= 1
            self._changed.notify_all()

    def _ready(self, place: _Worker | None) -> _Worker:
        """A running worker: the place's own, or a new one where there is none or it died idle."""
        if place is not None:
            if place.is_running:
                return place
            place.kill()
        worker = self._new_worker()
        worker.wait_until_ready()
        return worker

    def _new_worker(self) -> _Worker:
        return _Worker(
            max_pixels=self._max_pixels,
            memory_mib=self._memory_mib,
            timeout_s=self._timeout_s,
            kernel=self._kernel,
        )

    def _hashes(self, answer: frames.Answer) -> MediaHashes:
        match answer:
            case frames.Hashed(hashes):
                return hashes
            case frames.Refused("limit", sentence):
                raise LimitError(sentence)
            case frames.Refused(_, sentence):
                raise InvalidError(sentence)
            case _:
                raise LimitError(
                    f"the picture needs more than {self._memory_mib} MiB to read; save it smaller"
                )
