"""A hotline and two platforms that run: what most tests of the whole begin with."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.demo.cast import HOTLINE, PLATFORM_A, PLATFORM_B, keep_share
from nodes import ANNA, CIRCLE, Node, introduce, make_node, media_flag, serving
from protocol.statements import MediaItem
from signing.keys import KeyUse, SigningKey
from waiting import wait_for


@dataclass
class Trio:
    """A hotline and two platforms that know one another, and the hotline's flagger."""

    hotline: Node
    first: Node
    second: Node
    anna: SigningKey

    @property
    def nodes(self) -> tuple[Node, Node, Node]:
        return (self.hotline, self.first, self.second)

    @property
    def platforms(self) -> tuple[Node, Node]:
        return (self.first, self.second)

    def flag(self, *items: MediaItem, **changes: Any) -> str:
        """Has Anna flag pictures; returns the statement's id."""
        return self.hotline.submit(media_flag(*items, **changes), self.anna)

    def everywhere(self, statement: str) -> None:
        """Waits until both platforms have acknowledged a statement to the hotline."""
        wanted = {node.name for node in self.platforms}
        wait_for(
            lambda: wanted <= self.hotline.acknowledged_by(statement), "both platforms acknowledge"
        )


@contextmanager
def open_trio(
    place: Path,
    *,
    budgets: Mapping[str, int] | None = None,
    settings: Mapping[str, object] | None = None,
    threshold: int = 2,
) -> Iterator[Trio]:
    """Makes and starts three nodes; every platform has joined the hotline's circle.

    Args:
        place: an empty folder.
        budgets: evaluations a day, by name of platform.
        settings: of all three. Unless said otherwise they poll once an hour, so that what arrives
            in a test arrives by a poke.
        threshold: how many of the three have to answer for a fingerprint.
    """
    chosen = {"poll_interval_s": 3_600, **(settings or {})}
    names = (HOTLINE, PLATFORM_A, PLATFORM_B)
    with ThreadPoolExecutor(3) as pool:
        nodes = list(pool.map(lambda one: make_node(place / one, one, settings=chosen), names))
    anna = SigningKey.generate(KeyUse.FLAGGER)
    introduce(*nodes)
    with nodes[0].services() as services:
        services.flaggers.add(anna.public.to_text(), ANNA, ["csam.*"], 30)
        _, shares = services.circles.deal(
            CIRCLE.partition("/")[2],
            budgets or {PLATFORM_A: 5_000, PLATFORM_B: 5_000},
            30,
            holders=names,
            threshold=threshold,
        )
    for name, share in shares.items():
        keep_share(place / name, CIRCLE, 1, share)
    with ExitStack() as stack:
        # The hotline first: who asks it in vain at the start asks again at the next poll only.
        stack.enter_context(serving(nodes[0]))
        stack.enter_context(serving(*nodes[1:]))
        for node in nodes[1:]:
            join_circle(node)
        yield Trio(*nodes, anna)


def join_circle(node: Node) -> None:
    """Joins the hotline's circle as soon as its descriptor has reached the node."""
    with node.services() as services:
        wait_for(
            lambda: any(one.name == CIRCLE for one in services.circles.list()),
            "the circle's descriptor arrives",
        )
        services.circles.join(CIRCLE)
