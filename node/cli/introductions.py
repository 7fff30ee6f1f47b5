"""Meeting another node for the first time: what it says of itself, not yet believed."""

import asyncio
import time

from federation.chains import Version, open_chain
from federation.client import PeerClient, connect
from protocol.errors import PeerMisbehavedError


def fetch_descriptors(url: str, *, insecure: bool, now: int) -> list[Version]:
    """Returns the descriptors that a node serves, from its first to its latest.

    They are signed by the keys that they name, which proves nothing about who holds these.

    Args:
        url: address of the node.
        insecure: whether plain HTTP may leave this machine, as the node's own settings say.
        now: Unix time in seconds.

    Raises:
        FederationError: nothing there answers as a node does.
        ProtocolError, SigningError: what it says does not hold together.
    """

    async def ask() -> list[bytes]:
        async with connect() as http:
            client = PeerClient(http, url=url, clock=time.time, allow_insecure_http=insecure)
            try:
                return await client.descriptors(0)
            except PeerMisbehavedError:
                # A release that has no later descriptors gives its one, whatever it is asked.
                return [await client.descriptor()]

    return open_chain(asyncio.run(ask()), now=now)
