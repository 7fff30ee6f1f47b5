"""Several nodes that hold ceremonies with one another, in one process and without a network.

Every node is real: its own directory, keys and database. What would go over HTTP is a call of
`Participation.answer`, and a test may stand in the way of it (`Ring.between`).
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from federation.conduct import Asker, Progress, conduct
from node.app import Services
from nodes import Node, introduce, make_node
from protocol.ceremonies import CeremonyAnswer, CeremonyRequest, NewEpoch, Plan
from protocol.circles import Holder, Member
from protocol.encoding import convert, encode_json, format_time, parse_json
from protocol.errors import PeerUnreachableError
from signing.envelopes import new_nonce

Between = Callable[[str, CeremonyRequest, Asker], Any]

LABEL = "ring-1"
DAY_S = 86_400


@dataclass
class Ring:
    """Nodes by name, the first of which coordinates."""

    nodes: dict[str, Node]
    services: dict[str, Services]
    between: Between | None = None
    down: set[str] = field(default_factory=set)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.services)

    @property
    def first(self) -> Services:
        return self.services[self.names[0]]

    @property
    def circle(self) -> str:
        return f"{self.names[0]}/{LABEL}"

    def plan(self, threshold: int = 2, **changes: Any) -> Plan:
        """A plan for version 1 with all nodes as members, holders and admins."""
        now = int(time.time())
        values: dict[str, Any] = {
            "circle": self.circle,
            "version": 1,
            "coordinator": self.names[0],
            "nonce": new_nonce(),
            "issued": format_time(now),
            "expires": format_time(now + DAY_S),
            "members": tuple(Member(node=name, budget_per_day=100) for name in self.names),
            "admins": self.names,
            "admin_threshold": 2,
            "generate": new_epoch(self.names, threshold),
        }
        return Plan(**(values | changes))

    def propose(self, plan: Plan | None = None) -> str:
        return self.first.coordination.propose(plan or self.plan())

    def confirm(self, ceremony: str, *names: str) -> None:
        for name in names or self.names[1:]:
            self.services[name].ceremonies.confirm(ceremony)

    def drive(self, ceremony: str) -> Progress:
        """Goes as far as it goes without waiting."""
        ask = {name: self._asker(name) for name in self.first.coordination.participants(ceremony)}
        return asyncio.run(
            conduct(
                self.first.coordination,
                ceremony,
                ask,
                report=lambda progress: None,
                wait_s=None,
                run=asyncio.to_thread,
            )
        )

    def state(self, name: str, ceremony: str) -> str:
        return self.services[name].ceremonies.get(ceremony).state

    def _asker(self, name: str) -> Asker:
        async def direct(request: CeremonyRequest) -> CeremonyAnswer:
            # Through bytes and back, as on the wire.
            received = convert(parse_json(encode_json(request), max_bytes=1 << 22), CeremonyRequest)
            services = self.services[name]
            return await asyncio.to_thread(
                services.participation.answer, received, caller=self.names[0]
            )

        async def ask(request: CeremonyRequest) -> CeremonyAnswer:
            if name in self.down:
                raise PeerUnreachableError("The peer cannot be reached, or broke off.")
            if self.between is None:
                return await direct(request)
            answer: CeremonyAnswer = await self.between(name, request, direct)
            return answer

        return ask


def new_epoch(names: tuple[str, ...], threshold: int, **changes: Any) -> NewEpoch:
    now = int(time.time())
    values: dict[str, Any] = {
        "epoch": 1,
        "not_before": format_time(now),
        "not_after": format_time(now + 30 * DAY_S),
        "threshold": threshold,
        "holders": tuple(Holder(index=at, node=name) for at, name in enumerate(names, 1)),
    }
    return NewEpoch(**(values | changes))


@contextmanager
def open_ring(place: Path, count: int) -> Iterator[Ring]:
    """Makes nodes that have pinned one another, and opens their services."""
    names = [f"holder-{at}.example" for at in range(1, count + 1)]
    nodes = [make_node(place / name, name) for name in names]
    introduce(*nodes)
    with ExitStack() as stack:
        services = {node.name: stack.enter_context(node.services()) for node in nodes}
        yield Ring({node.name: node for node in nodes}, services)
