"""What the steps of the story share: the organisations, the wire, and how a step is told."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from federation.client import PeerClient, connect
from node.demo.cast import HOTLINE, PLATFORM_A, PLATFORM_B, Member
from node.demo.wire import Wire
from signing.keys import SigningKey

T = TypeVar("T")


@dataclass
class Step:
    """One step: what it showed, what crossed the wire, how long it took."""

    name: str
    title: str
    ok: bool = False
    ms: int = 0
    bytes: int = 0
    lines: list[str] = field(default_factory=list)
    kept: str = ""
    """What did not cross, in words."""


@dataclass
class Scene:
    """What the steps share.

    Attributes:
        members: the three organisations.
        wire: what crosses between them.
        flagger: the hotline's flagger's key.
        pictures: file contents: two to be flagged, then an unrelated one.
        done: the steps so far.
        on_step: told of every finished step.
    """

    members: dict[str, Member]
    wire: Wire
    flagger: SigningKey
    pictures: list[bytes]
    on_step: Callable[[Step], None]
    done: list[Step] = field(default_factory=list)
    flag_id: str = ""
    ban_id: str = ""

    @property
    def hotline(self) -> Member:
        """The hotline's node."""
        return self.members[HOTLINE]

    @property
    def first(self) -> Member:
        """Platform A's node."""
        return self.members[PLATFORM_A]

    @property
    def second(self) -> Member:
        """Platform B's node."""
        return self.members[PLATFORM_B]

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Step]:
        """Times one step and counts its bytes; its `ok` is what the block left there."""
        step = Step(name, title)
        before, start = self.wire.bytes_so_far(), time.perf_counter()
        yield step
        step.ms = round((time.perf_counter() - start) * 1000)
        step.bytes = self.wire.bytes_so_far() - before
        self.done.append(step)
        self.on_step(step)

    def talk(self, speak: Callable[[PeerClient], Awaitable[T]], to: Member, key: SigningKey) -> T:
        """Has one signed conversation with a node, over the wire."""

        async def run() -> T:
            async with connect() as http:
                return await speak(PeerClient(http, url=to.public, key=key, clock=time.time))

        return asyncio.run(run())
