"""Whether a node answers at an address, under which name, and what its clock says. Unsigned."""

import ssl
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

import httpx

from protocol.endpoints import WELL_KNOWN
from protocol.errors import PeerMisbehavedError, PeerUnreachableError, ProtocolError
from protocol.messages import WellKnown, parse_message

_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 4 << 10


class Reached(NamedTuple):
    """Who answers.

    Attributes:
        name: as the node says.
        time: of its clock, Unix time in seconds; None where it does not say.
    """

    name: str
    time: int | None


def reach(url: str, *, transport: httpx.BaseTransport | None = None) -> Reached:
    """Returns who answers at an address.

    Args:
        url: of a node.
        transport: what carries the request; a test's own, or None for the network.

    Raises:
        PeerUnreachableError: nobody answers.
        PeerMisbehavedError: it is no node that answers.
    """
    try:
        with (
            httpx.Client(
                timeout=_TIMEOUT_S,
                follow_redirects=False,
                trust_env=False,
                verify=ssl.create_default_context(),
                transport=transport,
            ) as http,
            http.stream("GET", url + WELL_KNOWN, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            data = b""
            for piece in answer.iter_raw():
                data += piece
                if len(data) > _MAX_BYTES:
                    break
            found = parse_message(WellKnown, data, max_bytes=_MAX_BYTES)
            return Reached(found.name, _time(answer.headers.get("date")))
    except ProtocolError:
        raise PeerMisbehavedError("What answers there is no node.", evidence=b"") from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise PeerUnreachableError("Nobody answers within five seconds.") from None


def _time(text: str | None) -> int | None:
    try:
        return None if text is None else int(parsedate_to_datetime(text).timestamp())
    except ValueError:
        return None
