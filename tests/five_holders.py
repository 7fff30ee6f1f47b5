"""Five holders of a circle's key as processes, 3 of 5, and a platform that asks them from here.

The platform's node lives in the test's own process, so that a test sees what it remembers; the
holders are processes that can be killed, stopped and slowed down.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi.testclient import TestClient

from node.api.app import build_api
from node.app import Services, open_services, running
from node.demo.cast import HOTLINE, PLATFORM_A, wait_for
from node.services.keys import save_share
from nodes import CIRCLE, Node, introduce, make_node, serving

HOLDERS = (HOTLINE, *(f"holder-{index}.example" for index in range(2, 6)))
THRESHOLD = 3
ELEMENTS = 100_000
"""Budget of the platform at every holder."""


@dataclass
class Quintet:
    """Five holders that run, and the platform.

    Attributes:
        holders: by index, from 1.
        platform: its node, which has joined the circle; not a process.
        services: of the platform, with its conversations running.
    """

    holders: dict[int, Node]
    platform: Node
    services: Services

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
            yield Quintet(self.holders, self.platform, services)


@contextmanager
def open_quintet(
    place: Path, *, holders: Mapping[int, Node] | None = None, **settings: object
) -> Iterator[Quintet]:
    """Makes and starts five holders, and opens the platform's node in this process.

    Args:
        place: an empty folder.
        holders: made before, in place of new ones.
        settings: of the platform.
    """
    holding = {"poll_interval_s": 3_600, "oprf_budget_per_day": ELEMENTS}
    asking = {"poll_interval_s": 3_600, "hash_workers": 1, **settings}
    with ThreadPoolExecutor(3) as pool:
        made = list(
            pool.map(
                lambda one: make_node(
                    place / one, one, settings=asking if one == PLATFORM_A else holding
                ),
                (*HOLDERS, PLATFORM_A),
            )
        )
    *nodes, platform = made
    introduce(*nodes, platform)
    members = dict.fromkeys((*HOLDERS[1:], PLATFORM_A), ELEMENTS)
    with nodes[0].services() as services:
        _, shares = services.circles.deal(
            CIRCLE.partition("/")[2], members, 30, holders=HOLDERS, threshold=THRESHOLD
        )
    for node in nodes[1:]:
        passphrase = (node.directory / "secrets" / "passphrase").read_bytes().strip()
        save_share(node.directory, CIRCLE, 1, shares[node.name], passphrase)
    with ExitStack() as stack:
        # The dealer first: who asks it in vain at the start asks again at the next poll only.
        stack.enter_context(serving(nodes[0]))
        stack.enter_context(serving(*nodes[1:]))
        services = stack.enter_context(open_services(platform.directory, environ=platform.environ))
        stack.enter_context(running(services))
        wait_for(lambda: bool(services.circles.list()), "the circle's descriptor arrives")
        services.circles.join(CIRCLE)
        for node in nodes[1:]:
            _wait_until_it_knows_the_circle(node)
        yield Quintet(dict(enumerate(nodes, 1)), platform, services)


def _wait_until_it_knows_the_circle(node: Node) -> None:
    with node.store() as store:

        def knows() -> bool:
            with store.read() as transaction:
                return transaction.trust.circle(CIRCLE) is not None

        wait_for(knows, f"the circle's descriptor reaches {node.name}")


def _environ(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"SCHUTZNETZ_{name.upper()}": str(value) for name, value in settings.items()}
