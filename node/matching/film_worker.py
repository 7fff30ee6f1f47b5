"""One process that decodes one film for `node.matching.film_process`, and then ends.

Started as ``python -m node.matching.film_worker FD CONTAINER INTERVAL_MS MAX_PIXELS MEMORY_MIB
TIMEOUT_S`` with a socket as its standard input and the open film as descriptor FD. It holds no key
and no setting. Before FFmpeg sees a byte of the film it has taken from itself whatever it does not
need: address space and CPU time beyond what a film may cost, writing any file, and opening anything
but the film, which leaves no descriptor for a connection to anywhere.
"""

import math
import os
import resource
import socket
import sys

import msgspec

from node.matching import frames
from node.matching.film import Sampled, import_decoder, sample
from node.matching.media import check_pdqhash
from protocol.errors import InvalidError, LimitError, UnavailableError

FILM_FD = 3
"""Where the film stands once everything else was closed."""


class Filmed(msgspec.Struct, tag="filmed", frozen=True):
    """The film was seen."""

    film: Sampled


Answer = frames.Ready | Filmed | frames.Refused | frames.Exhausted


def serve(
    connection: socket.socket,
    film_fd: int,
    *,
    container: str,
    interval_ms: int,
    max_pixels: int,
    memory_mib: int,
    timeout_s: float,
) -> None:
    """What is seen of the film was sent over `connection`.

    Ends the process's life as anything but a worker: its limits stay.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, memory_mib << 20)
    try:
        cv2 = import_decoder(container)
        check_pdqhash()
    except UnavailableError as error:
        _send(connection, frames.Refused("unavailable", str(error)))
        return
    path = _keep_only(film_fd)
    _limit(resource.RLIMIT_FSIZE, 0)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, math.ceil(usage.ru_utime + usage.ru_stime + timeout_s) + 1)
    _send(connection, frames.Ready())
    try:
        film = sample(cv2, path, interval_ms=interval_ms, max_pixels=max_pixels)
    except InvalidError as error:
        _send(connection, frames.Refused("invalid", str(error)))
    except LimitError as error:
        _send(connection, frames.Refused("limit", str(error)))
    except MemoryError:
        _send(connection, frames.Exhausted())
    else:
        _send(connection, Filmed(film))


def _keep_only(film_fd: int) -> str:
    """Closes all but the standard streams and the film; returns where FFmpeg may open it.

    From here on one descriptor is left, and FFmpeg needs it for the film.
    """
    os.dup2(film_fd, FILM_FD)
    os.closerange(FILM_FD + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    _limit(resource.RLIMIT_NOFILE, FILM_FD + 2)
    return f"/proc/self/fd/{FILM_FD}"


def _limit(what: int, value: int) -> None:
    """Sets both limits, so that nothing in this process can lift them; never above the present."""
    _soft, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


def _send(connection: socket.socket, answer: Answer) -> None:
    frames.send(connection, msgspec.json.encode(answer))


if __name__ == "__main__":
    with socket.socket(fileno=0) as standard_input:
        serve(
            standard_input,
            int(sys.argv[1]),
            container=sys.argv[2],
            interval_ms=int(sys.argv[3]),
            max_pixels=int(sys.argv[4]),
            memory_mib=int(sys.argv[5]),
            timeout_s=float(sys.argv[6]),
        )
