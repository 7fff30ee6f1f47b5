"""The three nodes of the demo: made, introduced to one another, started, and ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx

from node.app import Services, open_services
from node.demo.ports import free_port
from node.demo.wire import Wire
from node.services.keys import save_share
from node.setup import NewNode, init_node
from protocol.errors import UnavailableError
from signing.keys import KeyUse, SigningKey
from signing.keystore import Cost

HOTLINE = "hotline.example"
PLATFORM_A = "platform-a.example"
PLATFORM_B = "platform-b.example"
NAMES = (HOTLINE, PLATFORM_A, PLATFORM_B)
CIRCLE_LABEL = "demo-1"
CIRCLE = f"{HOTLINE}/{CIRCLE_LABEL}"
FLAGGER = f"{HOTLINE}/anna"

CHEAP = Cost(1, 8192)
"""Cost of opening the demo's key files, which are deleted with it."""

PROGRAM = "from node.cli.main import run; run()"
"""The command, in the words of the interpreter."""

_BUDGET = 5_000
_DAYS = 30
_THRESHOLD = 2
_START_WAIT_S = 300.0
_STOP_WAIT_S = 60.0
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Member:
    """One organisation: its node's directory, ports and keys, and the process that serves it.

    Attributes:
        name: of the node.
        directory: where it lives.
        local: address for the organisation's own programs; what goes there stays in the house.
        public: address for other organisations, through the relay.
        node: what `node init` made.
        process: the node.
    """

    name: str
    directory: Path
    local: str
    public: str
    node: NewNode
    process: subprocess.Popen[bytes]

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """Calls the node as the organisation's own program does; returns the answer's JSON.

        Raises:
            UnavailableError: the node refused, with its own words.
        """
        answer = httpx.request(
            method,
            self.local + path,
            headers={"Authorization": f"Bearer {self.node.api_key}"},
            timeout=_START_WAIT_S,
            trust_env=False,
            **arguments,
        )
        if answer.is_error:
            raise UnavailableError(f"{self.name} answered {answer.status_code}: {answer.text}")
        return cast("Any", answer.json())


@contextmanager
def on_stage(
    place: Path, wire: Wire, flagger: SigningKey, *, clock: Callable[[], float] = time.time
) -> Iterator[dict[str, Member]]:
    """Makes three nodes, introduces them, starts them, and ends them when the block ends."""
    ports = {name: free_port() for name in NAMES}
    urls = {name: f"http://127.0.0.1:{wire.relay_to(ports[name])}" for name in NAMES}

    def make(name: str) -> NewNode:
        return init_node(
            place / name, name=name, url=urls[name], passphrase=None, clock=clock, cost=CHEAP
        )

    with ThreadPoolExecutor(len(NAMES)) as pool:
        nodes = dict(zip(NAMES, pool.map(make, NAMES), strict=True))
    _introduce(place, nodes, flagger)
    with ExitStack() as stack:
        members = {}
        for name in NAMES:
            process = stack.enter_context(_serving(place / name, ports[name]))
            local = f"http://127.0.0.1:{ports[name]}"
            members[name] = Member(name, place / name, local, urls[name], nodes[name], process)
        for member in members.values():
            _wait_until_ready(member)
        _join_circle(members)
        yield members


@contextmanager
def alone(
    directory: Path,
    node: NewNode,
    *,
    hash_workers: int = 1,
    port: int | None = None,
    poll_interval_s: int = 1,
    program: str = PROGRAM,
) -> Iterator[Member]:
    """Starts one node that was made, and ends it when the block ends."""
    port = port or free_port()
    local = f"http://127.0.0.1:{port}"
    with _serving(
        directory,
        port,
        hash_workers=hash_workers,
        poll_interval_s=poll_interval_s,
        program=program,
    ) as process:
        member = Member(directory.name, directory, local, local, node, process)
        _wait_until_ready(member)
        yield member


def _introduce(place: Path, nodes: Mapping[str, NewNode], flagger: SigningKey) -> None:
    """Does what the operators do once: pin one another, accredit the flagger, make the circle."""
    for name in NAMES:
        with open_services(place / name, environ={}) as services:
            for other in NAMES:
                if other != name:
                    services.peers.add(
                        nodes[other].descriptor_file.read_bytes(),
                        nodes[other].fingerprint,
                        authority=other == HOTLINE,
                    )
            if name == HOTLINE:
                services.flaggers.add(flagger.public.to_text(), FLAGGER, ["csam.*"], _DAYS)
                budgets = {PLATFORM_A: _BUDGET, PLATFORM_B: _BUDGET}
                _, shares = services.circles.deal(
                    CIRCLE_LABEL, budgets, _DAYS, holders=NAMES, threshold=_THRESHOLD
                )
                for holder, share in shares.items():
                    keep_share(place / holder, CIRCLE, 1, share)


def keep_share(directory: Path, circle: str, epoch: int, share: bytes) -> None:
    """Puts a dealt share of a circle's key where a node finds it when it starts."""
    passphrase = (directory / "secrets" / "passphrase").read_bytes().strip()
    save_share(directory, circle, epoch, share, passphrase, cost=CHEAP)


def _join_circle(members: Mapping[str, Member]) -> None:
    """Has the platforms join the circle as soon as its descriptor has reached them."""
    for name in (PLATFORM_A, PLATFORM_B):
        with open_services(members[name].directory, environ={}) as services:
            wait_for(
                partial(_knows_circle, services), "the circle's descriptor reaches the platforms"
            )
            services.circles.join(CIRCLE)


def _knows_circle(services: Services) -> bool:
    return any(one.name == CIRCLE for one in services.circles.list())


@contextmanager
def _serving(
    directory: Path,
    port: int,
    *,
    hash_workers: int = 1,
    poll_interval_s: int = 1,
    program: str = PROGRAM,
) -> Iterator[subprocess.Popen[bytes]]:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("SCHUTZNETZ_")
    }
    environ |= {
        "SCHUTZNETZ_PORT": str(port),
        "SCHUTZNETZ_POLL_INTERVAL_S": str(poll_interval_s),
        "SCHUTZNETZ_HASH_WORKERS": str(hash_workers),
    }
    with (directory / "log.jsonl").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # this very program
            [sys.executable, "-c", program, "node", "serve", str(directory)],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C at the terminal goes to the demo, which ends the nodes in order.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(member: Member) -> None:
    def is_ready() -> bool:
        if member.process.poll() is not None:
            raise UnavailableError(
                f"The node of {member.name} ended by itself: see log.jsonl in its directory."
            )
        try:
            return httpx.get(f"{member.local}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    wait_for(is_ready, f"the node of {member.name} answers")


def wait_for(holds: Callable[[], bool], what: str, *, at_most_s: float = _START_WAIT_S) -> None:
    """Returns as soon as `holds` says so.

    Raises:
        UnavailableError: it does not within the time.
    """
    end = time.monotonic() + at_most_s
    while not holds():
        if time.monotonic() > end:
            raise UnavailableError(f"Waited {at_most_s:.0f} s in vain until {what}.")
        time.sleep(_LOOK_EVERY_S)


def new_flagger() -> SigningKey:
    """Returns the key of the hotline's flagger; it stays on the flagger's machine."""
    return SigningKey.generate(KeyUse.FLAGGER)
