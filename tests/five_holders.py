"""Five holders of a circle's key as processes, 3 of 5, and a platform that asks them from here.

The platform's node lives in the test's own process, so that a test sees what it remembers; the
holders are processes that can be killed, stopped and slowed down.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi.testclient import TestClient

from liars import open_lines
from node.api.app import build_api
from node.app import Services, open_services, running
from node.demo.cast import HOTLINE, PLATFORM_A
from node.demo.ports import free_port
from node.services.keys import save_share
from nodes import CIRCLE, Node, introduce, make_node, serving
from protocol import endpoints
from relays import Relay
from waiting import wait_for

HOLDERS = (HOTLINE, *(f"holder-{index}.example" for index in range(2, 6)))
THRESHOLD = 3
BETWEEN: Final = 2
"""Index of the holder that something stands before."""

_PROOF: Final = re.compile(rb'"proof":"....')

ELEMENTS = 100_000
"""Budget of the platform at every holder."""


class Falsifier(Relay):
    """Stands before a holder and, while it lies, garbles the proof in every answer.

    Attributes:
        lies: whether it does.
        seen: how many evaluations have passed here.
    """

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.lies = False
        self.seen = 0

    async def asked(self, data: bytes) -> bytes:
        self.seen += data.count(f"POST {endpoints.OPRF} ".encode())
        return data

    async def answered(self, data: bytes) -> bytes:
        return _PROOF.sub(b'"proof":"AAAA', data) if self.lies else data


@dataclass
class Quintet:
    """Five holders that run, and the platform.

    Attributes:
        holders: by index, from 1.
        platform: its node, which has joined the circle; not a process.
        services: of the platform, with its conversations running.
        between: what stands before the holder with the index `BETWEEN`.
    """

    holders: dict[int, Node]
    platform: Node
    services: Services
    between: Falsifier

    @contextmanager
    def surface(self) -> Iterator[TestClient]:
        """The platform's API, as its own program calls it."""
        headers = {"Authorization": f"Bearer {self.platform.made.api_key}"}
        with TestClient(build_api(self.services), headers=headers) as client:
            yield client

    @contextmanager
    def platform_with(self, **settings: object) -> Iterator["Quintet"]:
        """The same platform under other settings, with nothing remembered."""
        environ = self.platform.environ | _environ(settings)
        with (
            open_services(self.platform.directory, environ=environ) as services,
            running(services),
        ):
            yield Quintet(self.holders, self.platform, services, self.between)


@contextmanager
def open_quintet(place: Path, **settings: object) -> Iterator[Quintet]:
    """Makes and starts five holders, and opens the platform's node in this process.

    Args:
        place: an empty folder.
        settings: of the platform.
    """
    with ExitStack() as stack:
        lines = stack.enter_context(open_lines())
        between = Falsifier(free_port())
        address = f"http://127.0.0.1:{lines.listen(between.handle)}"
        holding = {"poll_interval_s": 3_600, "oprf_budget_per_day": ELEMENTS}
        asking = {
            "poll_interval_s": 3_600,
            "hash_workers": 1,
            "peer_timeout_s": 60,
            "account_check_deadline_s": 60,
            **settings,
        }

        def make(name: str) -> Node:
            if name == HOLDERS[BETWEEN - 1]:
                how: dict[str, Any] = {"port": between.target, "url": address}
            else:
                how = {}
            chosen = asking if name == PLATFORM_A else holding
            return make_node(place / name, name, settings=chosen, **how)

        with ThreadPoolExecutor(3) as pool:
            *nodes, platform = pool.map(make, (*HOLDERS, PLATFORM_A))
        _deal(nodes, platform)
        # The dealer first: who asks it in vain at the start asks again at the next poll only.
        stack.enter_context(serving(nodes[0]))
        stack.enter_context(serving(*nodes[1:]))
        services = stack.enter_context(open_services(platform.directory, environ=platform.environ))
        stack.enter_context(running(services))
        wait_for(lambda: bool(services.circles.list()), "the circle's descriptor arrives")
        services.circles.join(CIRCLE)
        for node in nodes[1:]:
            _wait_until_it_knows_the_circle(node)
        yield Quintet(dict(enumerate(nodes, 1)), platform, services, between)


def _deal(nodes: Sequence[Node], platform: Node) -> None:
    """Has the first node make the circle, and puts every share where its holder finds it."""
    introduce(*nodes, platform)
    members = dict.fromkeys((*HOLDERS[1:], PLATFORM_A), ELEMENTS)
    with nodes[0].services() as services:
        _, shares = services.circles.deal(
            CIRCLE.partition("/")[2], members, 30, holders=HOLDERS, threshold=THRESHOLD
        )
    for node in nodes[1:]:
        passphrase = (node.directory / "secrets" / "passphrase").read_bytes().strip()
        save_share(node.directory, CIRCLE, 1, shares[node.name], passphrase)


def _wait_until_it_knows_the_circle(node: Node) -> None:
    with node.store() as store:

        def knows() -> bool:
            with store.read() as transaction:
                return transaction.trust.circle(CIRCLE) is not None

        wait_for(knows, f"the circle's descriptor reaches {node.name}")


def _environ(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"SCHUTZNETZ_{name.upper()}": str(value) for name, value in settings.items()}
