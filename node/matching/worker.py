"""One process that decodes and hashes pictures for HashPool, and nothing else.

Started as ``python -m node.matching.worker MAX_PIXELS MEMORY_MIB TIMEOUT_S`` with a socket as its
standard input. It imports node.matching.media and no part of the server, holds no key and no
setting, and limits itself before it reads the first byte of a picture: address space, CPU seconds
for each picture, no core dumps (a dump would write the picture to disk).
"""

import math
import resource
import socket
import sys

from node.matching import frames
from node.matching.media import MAX_FILE_BYTES, check_pdqhash, hash_picture
from protocol.errors import InvalidError, LimitError, UnavailableError


def serve(connection: socket.socket, *, max_pixels: int, memory_mib: int, timeout_s: float) -> None:
    """Every picture that came over `connection` was answered; the other side has closed it.

    Ends the process's life as anything but a worker: its limits stay.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_AS, memory_mib << 20)
    try:
        check_pdqhash()
    except UnavailableError as error:
        frames.send(connection, frames.encode_answer(frames.Refused("unavailable", str(error))))
        return
    frames.send(connection, frames.encode_answer(frames.Ready()))
    while True:
        try:
            data = frames.receive(connection, max_bytes=MAX_FILE_BYTES)
        except EOFError:
            return
        _allow_cpu(timeout_s)
        answer = answer_to(data, max_pixels=max_pixels)
        del data
        frames.send(connection, frames.encode_answer(answer))


def answer_to(data: bytes, *, max_pixels: int) -> frames.Answer:
    """What is said about the picture file `data`."""
    try:
        return frames.Hashed(hash_picture(data, max_pixels=max_pixels))
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
        )
