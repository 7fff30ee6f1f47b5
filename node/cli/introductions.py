"""Meeting another node for the first time: what it says of itself, not yet believed."""

import asyncio
import time

from federation.client import PeerClient, connect
from federation.descriptors import open_descriptor
from protocol.descriptors import NodeDescriptor


def fetch_descriptor(url: str, *, insecure: bool, now: int) -> tuple[bytes, NodeDescriptor]:
    """Returns the descriptor that a node serves, as bytes and as what it says.

    It is signed by the key that it names, which proves nothing about who holds that key.

    Args:
        url: address of the node.
        insecure: whether plain HTTP may leave this machine, as the node's own settings say.
        now: Unix time in seconds.

    Raises:
        FederationError: nothing there answers as a node does.
        ProtocolError, SigningError: what it says does not hold together.
    """

    async def ask() -> bytes:
        async with connect() as http:
            client = PeerClient(http, url=url, clock=time.time, allow_insecure_http=insecure)
            return await client.descriptor()

    data = asyncio.run(ask())
    descriptor, _ = open_descriptor(data, now=now)
    return data, descriptor
