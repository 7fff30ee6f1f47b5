"""The nodes of the sign-up bench: five holders, and platforms that ask under keys of their own.

Two keys are shared among the holders, 3 of 5 and 5 of 5. The third belongs to one platform alone,
which holds it itself: nobody else may be member of such a circle, and nobody is asked over the
network.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.app import Services, open_services
from node.demo.cast import CHEAP, PROGRAM, Member, alone, keep_share, wait_for
from node.demo.ports import free_port
from node.setup import NewNode, init_node
from protocol.errors import SchutznetzError
from protocol.limits import MAX_BUDGET

HOLDERS: Final = tuple(f"holder-{number}.example" for number in range(1, 6))
PLATFORMS: Final = {threshold: f"platform-{threshold}.example" for threshold in (1, 3, 5)}
"""Who asks, by how many have to answer."""

PORTABLE: Final = "from node.bench.portable import run; run()"
"""A node without libsodium, in the words of the interpreter."""

_SETTINGS: Final = (
    "oprf_budget_per_day = 100000\n"
    "oprf_burst_per_minute = 100000\n"
    "peer_requests_per_minute = 1000000\n"
)
_DAYS: Final = 2
_POLL_EVERY_S: Final = 300  # as a node does that pokes reach: eight that poll each second are work


@dataclass(frozen=True)
class Place:
    """Nodes that were made and introduced to one another, and where each will listen."""

    folder: Path
    made: dict[str, NewNode]
    ports: dict[str, int]
    holders: tuple[str, ...]
    program: str

    @contextmanager
    def serve(self, name: str) -> Iterator[Member]:
        """Serves one of them until the block ends."""
        with alone(
            self.folder / name,
            self.made[name],
            port=self.ports[name],
            poll_interval_s=_POLL_EVERY_S,
            program=self.program,
        ) as member:
            yield member

    def join(self, threshold: int) -> None:
        """Has a platform that runs join its circle as soon as it knows it."""
        with open_services(self.folder / PLATFORMS[threshold], environ={}) as services:
            circle = _circle(threshold)

            def joined() -> bool:
                try:
                    services.circles.join(circle)
                except SchutznetzError:
                    return False
                return True

            wait_for(joined, "the circle's descriptor reaches the platform")


@contextmanager
def made_nodes(
    folder: Path, thresholds: Collection[int], *, program: str = PROGRAM
) -> Iterator[Place]:
    """Makes all nodes in a folder and has them know each other; none is served yet.

    Args:
        folder: an empty one.
        thresholds: of the keys, among those of `PLATFORMS`.
        program: which serves them.
    """
    holders = HOLDERS if max(thresholds) > 1 else ()
    names = (*holders, *(PLATFORMS[threshold] for threshold in thresholds))
    ports = {name: free_port() for name in names}
    made = {
        name: init_node(
            folder / name,
            name=name,
            url=f"http://127.0.0.1:{ports[name]}",
            passphrase=None,
            clock=time.time,
            cost=CHEAP,
        )
        for name in names
    }
    for name in names:
        settings = folder / name / "schutznetz.toml"
        settings.write_text(_SETTINGS + settings.read_text("utf-8"), "utf-8")
        with open_services(folder / name, environ={}) as services:
            for other in names:
                if other != name:
                    services.peers.add(
                        made[other].descriptor_file.read_bytes(),
                        made[other].fingerprint,
                        authority=False,
                    )
            for threshold in thresholds:
                if _holders(threshold)[0] == name:
                    _deal(folder, services, threshold)
    yield Place(folder, made, ports, holders, program)


def _deal(folder: Path, services: Services, threshold: int) -> None:
    """Makes one key; its shares lie at its holders."""
    _receipt, shares = services.circles.deal(
        _label(threshold),
        {PLATFORMS[threshold]: MAX_BUDGET},
        _DAYS,
        holders=_holders(threshold),
        threshold=threshold,
        burst_per_minute=MAX_BUDGET,
    )
    for holder, share in shares.items():
        keep_share(folder / holder, _circle(threshold), 1, share)


def _holders(threshold: int) -> tuple[str, ...]:
    return HOLDERS if threshold > 1 else (PLATFORMS[threshold],)


def _label(threshold: int) -> str:
    return f"bench-{threshold}"


def _circle(threshold: int) -> str:
    return f"{_holders(threshold)[0]}/{_label(threshold)}"
