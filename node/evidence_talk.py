"""Telling the peers what proves that a node has contradicted itself.

A peer that cannot be reached is told later; one that says no is not asked again: it does not know
that node, or knows it under another fingerprint.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from federation.client import PeerClient
from federation.descriptors import PinnedNode
from node.services.accusations import Accusations
from node.services.directory import pinned
from node.storage.engine import Store
from protocol.errors import FederationError, PeerRefusedError

_TRY_AGAIN_S: Final = 30.0
_REFUSED: Final = range(400, 429)

_log = structlog.get_logger("node.evidence")


class EvidenceTalk:
    """Tells what is untold; runs on the loop of `node.witness_talk`."""

    def __init__(
        self,
        store: Store,
        accusations: Accusations,
        *,
        name: str,
        leads: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._accusations = accusations
        self._name = name
        self._leads = leads
        self._clock = clock
        self._not_before: dict[str, float] = {}

    async def look(self, client_of: Callable[[PinnedNode], PeerClient]) -> None:
        """Tells every peer what it was not told, as far as it can be reached now."""
        now = asyncio.get_running_loop().time()
        found = await asyncio.to_thread(self._untold)
        due = {
            node.name: (node, pieces)
            for node, pieces in found
            if pieces and self._not_before.get(node.name, now) <= now
        }
        if not due or not await asyncio.to_thread(self._leads):
            return
        async with asyncio.TaskGroup() as tasks:
            for node, pieces in due.values():
                tasks.create_task(self._tell(node, pieces, client_of))

    def _untold(self) -> list[tuple[PinnedNode, list[tuple[int, bytes]]]]:
        now = self._clock()
        with self._store.read() as transaction:
            if not transaction.evidence.count_documents():
                return []
            nodes = [pinned(record) for record in transaction.peers.all()]
            return [
                (node, transaction.evidence.untold(node.name))
                for node in nodes
                if node.name != self._name and node.state == "active" and node.expires > now
            ]

    async def _tell(
        self,
        node: PinnedNode,
        pieces: list[tuple[int, bytes]],
        client_of: Callable[[PinnedNode], PeerClient],
    ) -> None:
        try:
            for number, document in pieces:
                try:
                    await client_of(node).tell_evidence(document)
                except PeerRefusedError as error:
                    if error.status not in _REFUSED:
                        raise
                    _log.info("evidence_refused", peer=node.name, status=error.status)
                await asyncio.to_thread(self._accusations.told, number, node.name)
        except FederationError as error:
            _log.info("evidence_not_told", peer=node.name, error=type(error).__name__)
            again = asyncio.get_running_loop().time() + _TRY_AGAIN_S
            self._not_before[node.name] = again
