"""Conversations with mirrors: reading the log of a peer that does not answer, by way of others.

They run on the loop of `node.exchange`, in the place of the sync that failed.
"""

import asyncio
from collections.abc import Callable

import structlog

from federation.client import PeerClient
from federation.descriptors import PinnedNode
from federation.mirrors import MirrorSource, sync_by_mirrors
from federation.sync import Source
from federation.witness import WitnessedSource
from node.services.directory import log_name
from node.services.ingest import Ingest
from node.services.mirror_sources import MirrorSources
from node.services.mirrored_replica import MirroredReplica
from node.storage.engine import Store
from protocol.errors import FederationError
from protocol.witness_policy import WitnessPolicy

_log = structlog.get_logger("node.mirror_talk")

ClientOf = Callable[[PinnedNode], PeerClient]


class MirrorTalk:
    """Reads logs by way of mirrors."""

    def __init__(
        self,
        store: Store,
        ingest: Ingest,
        *,
        name: str,
        required: WitnessPolicy | None,
        clock: Callable[[], float],
    ) -> None:
        """Keeps what is needed.

        Args:
            store: the database.
            ingest: the one way in.
            name: of this node.
            required: whose cosignatures a checkpoint has to carry; None for nobody's.
            clock: Unix time in seconds.
        """
        self._store = store
        self._ingest = ingest
        self._required = required
        self._clock = clock
        self._sources = MirrorSources(store, name=name, clock=clock)

    async def sync(self, origin: PinnedNode, client_of: ClientOf) -> bool:
        """Takes over what mirrors have of a peer's log; returns whether one of them was read."""
        mirrors: dict[str, PeerClient] = {}
        for node in await asyncio.to_thread(self._sources.to_ask, origin.name):
            try:
                mirrors[node.name] = client_of(node)
            except FederationError as error:  # an address that must not be called
                _log.info("mirror_out_of_reach", peer=node.name, error=type(error).__name__)
        if not mirrors:
            return False
        turns = await sync_by_mirrors(
            mirrors,
            origin,
            lambda name: self._replica(origin, name),
            wrap=self._wrap,
            run=asyncio.to_thread,
        )
        await asyncio.to_thread(self._sources.note, origin.name, turns)
        for turn in turns:
            if turn.lie is not None:
                _log.warning("mirror_lied", peer=turn.mirror, origin=origin.name, lie=turn.lie)
        return any(turn.report is not None for turn in turns)

    def _replica(self, origin: PinnedNode, mirror: str) -> MirroredReplica:
        return MirroredReplica(
            self._store,
            self._ingest,
            node=origin.name,
            mirror=mirror,
            clock=self._clock,
            log=log_name(origin),
        )

    def _wrap(self, source: MirrorSource, least: int) -> Source:
        if self._required is None:
            return source
        return WitnessedSource(source, self._required, least=least)
