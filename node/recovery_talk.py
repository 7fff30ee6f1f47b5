"""Fetching back from peers what a restored node lacks of its own log.

The order of the entries proves itself against what the node has signed. A body is known by its id,
but its signatures are not: so what one peer serves and nobody would believe, another is asked for,
before it is given up. Whoever is slow is asked last.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from federation.descriptors import PinnedNode
from node.services.recovery import Recovery
from protocol import limits
from protocol.checkpoint import Checkpoint
from protocol.envelope import parse_envelope
from protocol.errors import FederationError, ProofError, ProtocolError
from protocol.fields import StatementId
from protocol.messages import Envelopes, OwnLogAnswer


class AskedForOwn(Protocol):
    """A peer that is asked for what it has of this node's log; `PeerClient` is one."""

    async def own_log(self, start: int, limit: int) -> OwnLogAnswer:
        """Returns entries of the caller's log."""

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        """Returns the envelopes of statements, or why there is none."""


class RecoveryTalk:
    """Asks a number of peers, none of which is believed in anything."""

    def __init__(
        self,
        recovery: Recovery,
        *,
        size: Callable[[], int],
        peers: Sequence[PinnedNode],
        client_of: Callable[[PinnedNode], AskedForOwn],
    ) -> None:
        """Asks nobody yet.

        Args:
            recovery: appends what is missing.
            size: of the log.
            peers: may have bodies.
            client_of: asks one of them.
        """
        self._recovery = recovery
        self._size = size
        self._peers = peers
        self._client_of = client_of
        self._spent_s = {node.name: 0.0 for node in peers}

    async def recover(self, node: PinnedNode, target: Checkpoint) -> None:
        """Takes back the entries up to a checkpoint that this node has signed.

        Args:
            node: gives the order of the entries.
            target: the checkpoint.

        Raises:
            FederationError, ProtocolError: the peer does not have them, or serves others.
        """
        size = await asyncio.to_thread(self._size)
        ids: list[StatementId] = []
        while size + len(ids) < target.size:
            limit = min(target.size - size - len(ids), limits.MAX_ENTRIES_PER_REQUEST)
            page = await self._client_of(node).own_log(size + len(ids), limit)
            # As many as asked: one that serves them singly would hold the node up for good.
            if page.start != size + len(ids) or len(page.entries) != limit:
                raise ProofError("The peer serves less of this node's log than it said.")
            ids += [StatementId(one) for one in page.entries]
        missing = await asyncio.to_thread(self._recovery.check, ids, target)
        lost = 0
        step = limits.MAX_ENVELOPES_PER_REQUEST
        for at in range(0, len(missing.ids), step):
            lost += await self._take(missing.start + at, missing.ids[at : at + step])
        await asyncio.to_thread(self._recovery.done, len(missing.ids), lost)

    async def _take(self, start: int, part: Sequence[StatementId]) -> int:
        """Appends some entries, with the bodies that are believed; returns how many have none."""
        bodies: dict[StatementId, bytes] = {}
        lacking = list(part)
        peers = sorted(self._peers, key=lambda node: self._spent_s[node.name])
        for at, node in enumerate(peers, 1):
            bodies |= await self._bodies(node, lacking)
            page = [(one, bodies.get(one)) for one in part]
            lacking = await asyncio.to_thread(
                self._recovery.take, start, page, whole=at < len(peers)
            )
            if not lacking:
                return 0
        return len(lacking)

    async def _bodies(
        self, node: PinnedNode, wanted: Sequence[StatementId]
    ) -> dict[StatementId, bytes]:
        """Returns the bodies that a peer has; each is known by its id, and no more is known."""
        found: dict[StatementId, bytes] = {}
        left = tuple(wanted)
        since = time.monotonic()
        with suppress(FederationError):
            while left:
                answers = (await self._client_of(node).envelopes(left)).envelopes
                if not answers:
                    break
                for answer in answers:
                    if answer.envelope is not None:
                        await asyncio.to_thread(_keep, found, answer.envelope.encode())
                left = left[len(answers) :]
        self._spent_s[node.name] += time.monotonic() - since
        return {one: found[one] for one in wanted if one in found}


def _keep(found: dict[StatementId, bytes], envelope: bytes) -> None:
    with suppress(ProtocolError):
        found[parse_envelope(envelope).statement_id] = envelope
