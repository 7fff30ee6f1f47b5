"""One node's services as another one's peer, without HTTP, on lines and machines that may die."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from node.services.peers import Peers
from node.services.replica import StoredReplica
from node.services.serving import Serving
from protocol.errors import PeerUnreachableError
from protocol.fields import StatementId
from protocol.messages import Acknowledgement, Entries, EntriesRequest, Envelopes, SetAside
from worlds import World

PAGE = 3
"""Entries, and envelopes, in one answer: small logs take several."""


class KilledError(Exception):
    """The process is no more."""


async def inline(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


@dataclass
class Line:
    """What one node hears of another: its services, asked without HTTP; as `PeerClient`.

    Attributes:
        patience: how many more requests pass before the line is dead; None: all.
    """

    world: World
    reader: str
    patience: int | None = None
    bytes_received: int = 0

    def _pass(self) -> None:
        if self.patience is not None:
            self.patience -= 1
            if self.patience < 0:
                raise PeerUnreachableError("The line is dead.")

    async def checkpoint(self) -> bytes:
        self._pass()
        return self.world.log.checkpoint()

    async def entries(self, start: int, limit: int) -> Entries:
        self._pass()
        return self.world.log.entries(EntriesRequest(start=start, limit=min(limit, PAGE)))

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        self._pass()
        serving = Serving(self.world.store, clock=self.world.clock)
        return serving.envelopes(ids[:PAGE], reader=self.reader)

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        self._pass()
        world = self.world
        peers = Peers(world.store, world.log, name=world.name, clock=world.clock)
        peers.acknowledge(self.reader, acknowledgement)


class MortalReplica(StoredReplica):
    """A replica whose process may die around a commit.

    Attributes:
        dies_in: number of the batch at which it does; None: it lives.
        kept: whether that batch was committed by then.
    """

    def __init__(self, world: World, peer: str, *, dies_in: int | None, kept: bool) -> None:
        super().__init__(world.store, world.ingest, node=peer, clock=world.clock)
        self.dies_in = dies_in
        self.kept = kept

    def take(self, *arguments: Any) -> Sequence[SetAside]:
        dies = self.dies_in == 0
        if self.dies_in is not None:
            self.dies_in -= 1
        if dies and not self.kept:
            raise KilledError
        refused = super().take(*arguments)
        if dies:
            raise KilledError
        return refused
