"""One process that decodes and hashes pictures for HashPool, and nothing else.

Started as ``python -m node.matching.worker MAX_PIXELS MEMORY_MIB TIMEOUT_S plain|kernel`` with a
socket as its standard input. It imports node.matching.media and no part of the server, holds no key
and no setting, and limits itself before it reads the first byte of a picture: address space, CPU
seconds for each picture, no core dumps (a dump would write the picture to disk).
"""

import contextlib
import math
import resource
import socket
import sys
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from node.matching import frames
from node.matching.media import MAX_FILE_BYTES, check_pdqhash, hash_picture
from protocol.errors import InvalidError, LimitError, UnavailableError

if TYPE_CHECKING:
    from node.matching.pixels import PdqFunction

_COMPILING_S: Final = 60  # CPU seconds that compiling the kernel may cost beside a picture


class Kernel:
    """The compiled PDQ, loaded beside the pictures: none of them waits for it."""

    def __init__(self) -> None:
        self.pdq_of: PdqFunction | None = None
        self._loading = threading.Thread(target=self._load, name="kernel", daemon=True)

    def load_soon(self) -> None:
        """Begins to load; until it is done, `pdq_of` stays None."""
        self._loading.start()

    def is_loading(self) -> bool:
        """Whether the processor is at work for it."""
        return self._loading.is_alive()

    def wait(self) -> None:
        """It is loaded, or never will be."""
        self._loading.join()

    def _load(self) -> None:
        from node.matching import pixels  # noqa: PLC0415 - Pillow and NumPy only in a worker

        # MemoryError: the limits were set too low for it; pdqhash goes on
        with contextlib.suppress(MemoryError):
            self.pdq_of = pixels.load_kernel()


def serve(
    connection: socket.socket,
    *,
    max_pixels: int,
    memory_mib: int,
    timeout_s: float,
    kernel: Kernel | None = None,
) -> None:
    """Every picture that came over `connection` was answered; the other side has closed it.

    Ends the process's life as anything but a worker: its limits stay.

    Args:
        connection: to the pool.
        max_pixels: as hash_picture.
        memory_mib: address space that the process may use.
        timeout_s: CPU seconds that a picture may cost.
        kernel: loaded once the worker is ready, and used from when it is; None for pdqhash alone.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_AS, memory_mib << 20)
    try:
        check_pdqhash()
    except UnavailableError as error:
        frames.send(connection, frames.encode_answer(frames.Refused("unavailable", str(error))))
        return
    frames.send(connection, frames.encode_answer(frames.Ready()))
    if kernel is not None:
        kernel.load_soon()
    while True:
        try:
            data, draft, variants = frames.receive_request(connection, max_bytes=MAX_FILE_BYTES)
        except EOFError:
            return
        is_loading = kernel is not None and kernel.is_loading()
        _allow_cpu(timeout_s + _COMPILING_S if is_loading else timeout_s)
        pdq_of = None if kernel is None else kernel.pdq_of
        answer = answer_to(
            data, max_pixels=max_pixels, draft=draft, pdq_of=pdq_of, variants=variants
        )
        del data
        frames.send(connection, frames.encode_answer(answer))


def answer_to(
    data: bytes,
    *,
    max_pixels: int,
    draft: bool = False,
    pdq_of: "PdqFunction | None" = None,
    variants: Collection[str] = (),
) -> frames.Answer:
    """What is said about the picture file `data`; the arguments are hash_picture's."""
    try:
        return frames.Hashed(
            hash_picture(data, max_pixels=max_pixels, draft=draft, pdq_of=pdq_of, variants=variants)
        )
    except InvalidError as error:
        return frames.Refused("invalid", str(error))
    except LimitError as error:
        return frames.Refused("limit", str(error))
    except MemoryError:
        return frames.Exhausted()


def _allow_cpu(timeout_s: float) -> None:
    """The kernel ends this process if one picture costs more CPU time than the caller waits.

    The caller kills a late worker itself; this holds where the caller is gone.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = usage.ru_utime + usage.ru_stime
    _limit(resource.RLIMIT_CPU, math.ceil(used_s + timeout_s) + 1)


def _limit(what: int, value: int) -> None:
    """Sets the soft limit, which is the one that acts; never above the hard limit."""
    _soft, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, hard))


if __name__ == "__main__":
    with socket.socket(fileno=0) as standard_input:
        serve(
            standard_input,
            max_pixels=int(sys.argv[1]),
            memory_mib=int(sys.argv[2]),
            timeout_s=float(sys.argv[3]),
            kernel=Kernel() if sys.argv[4] == "kernel" else None,
        )
