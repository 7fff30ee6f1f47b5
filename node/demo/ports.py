"""Ports on loopback for processes that begin to listen some time after their port was chosen.

Used by the demo, the benches and the tests; a node that serves in earnest has its port set.
"""

import itertools
import secrets
import socket
from typing import Final

from protocol.errors import UnavailableError

_FIRST: Final = 16_384
_COUNT: Final = 16_384
"""They end where the ports begin (32768) that Linux hands out by itself."""

_numbers = itertools.count(secrets.randbelow(_COUNT))


def free_port() -> int:
    """Returns a port on loopback that nobody listens on now; another one each time.

    The kernel gives ports of this range only to who names them. A port that was asked for as number
    0 and let go would be handed to the next one who asks, before its process listens on it.

    Raises:
        UnavailableError: somebody listens on all of them.
    """
    for number in itertools.islice(_numbers, _COUNT):
        port = _FIRST + number % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise UnavailableError("Somebody listens on every port of loopback that could be used.")
