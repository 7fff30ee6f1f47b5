"""Pokes: telling the peers that this node's log has grown, so that they need not wait for a poll.

A poke carries nothing to believe and is not repeated: a peer that missed it syncs at its next poll.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from protocol.errors import FederationError
from protocol.messages import Poke

MAX_AT_ONCE: Final = 16
"""How many peers are poked at the same time."""


class Poked(Protocol):
    """A peer that can be poked."""

    async def poke(self, poke: Poke) -> None:
        """Tells the peer; raises `FederationError` where that fails."""


async def poke_all(peers: Mapping[str, Poked], poke: Poke) -> dict[str, FederationError]:
    """Returns once every peer was poked or could not be; the result has those that could not.

    Args:
        peers: by the name of the node.
        poke: what to tell.
    """
    turns = asyncio.Semaphore(MAX_AT_ONCE)
    failed: dict[str, FederationError] = {}

    async def tell(name: str, peer: Poked) -> None:
        async with turns:
            try:
                await peer.poke(poke)
            except FederationError as error:
                failed[name] = error

    async with asyncio.TaskGroup() as tasks:
        for name, peer in peers.items():
            tasks.create_task(tell(name, peer))
    return failed
