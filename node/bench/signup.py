"""The sign-up check as a whole: real holders, real HTTP, signed requests, budgets, all on loopback.

Five nodes hold the shares of two keys, 3 of 5 and 5 of 5, and a platform of its own asks under
each. All of it runs on one machine: who asks and who answers share its processors. What the
protocol alone costs, beside the group operations that it cannot avoid, is measured by
`node.bench.signup_floor` in the same run.
"""

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from node.app import Services, open_services
from node.bench import signup_floor
from node.bench.machine import MachineWatch
from node.bench.plain_http import PlainClient
from node.bench.report import Figure, Report, at_most
from node.demo.cast import CHEAP, Member, alone, free_port, keep_share, wait_for
from node.services.epochs import newest_key
from node.setup import NewNode, init_node
from protocol.errors import SchutznetzError
from protocol.identifiers import NormalisedIdentifier, normalise
from protocol.limits import MAX_BUDGET

HOLDERS: Final = tuple(f"holder-{number}.example" for number in range(1, 6))
PLATFORMS: Final = {3: "platform-3.example", 5: "platform-5.example"}
BATCHES: Final = (1, 8, 64)

_SETTINGS: Final = "oprf_budget_per_day = 100000\noprf_burst_per_minute = 100000\n"
_CHECK: Final = "/v1/accounts/check"
_CHECKS: Final = 150
_ROUNDS: Final = {1: 60, 8: 40, 64: 12}
_WARM_UP: Final = 15
_DAYS: Final = 2
_POLL_EVERY_S: Final = 300  # as a node does that pokes reach: seven that poll each second are work
_MS: Final = 1_000
_US: Final = 1_000_000
_TICKS: Final = os.sysconf("SC_CLK_TCK")

Say = Callable[[str], None]


def measure(*, say: Say) -> Report:
    """Returns what `bench signup` measured; takes about two minutes.

    Args:
        say: is told what is being done.
    """
    machine = MachineWatch.start()
    say("The protocol beside the group operations that it cannot avoid")
    figures = signup_floor.figures()
    with tempfile.TemporaryDirectory(prefix="schutznetz-bench-") as folder:
        say(f"Making {len(HOLDERS)} holders and {len(PLATFORMS)} platforms")
        with _nodes(Path(folder)) as place, ExitStack() as stack:
            holders = [stack.enter_context(place.serve(name)) for name in HOLDERS]
            for threshold, name in PLATFORMS.items():
                with place.serve(name) as platform:
                    place.join(threshold)
                    say(f"{_CHECKS} sign-up checks, {threshold} of {len(HOLDERS)} holders")
                    figures += asyncio.run(_over_http(platform, threshold))
                say(f"Batches, {threshold} of {len(HOLDERS)} holders")
                figures += _batches(place, threshold, holders)
    return Report(machine.describe(("pynacl", "h11", "fastapi", "uvicorn")), tuple(figures))


@dataclass(frozen=True)
class _Place:
    """Nodes that were made and introduced to one another, and where each will listen."""

    folder: Path
    made: dict[str, NewNode]
    ports: dict[str, int]

    @contextmanager
    def serve(self, name: str) -> Iterator[Member]:
        """Serves one of them until the block ends."""
        with alone(
            self.folder / name,
            self.made[name],
            port=self.ports[name],
            poll_interval_s=_POLL_EVERY_S,
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
def _nodes(folder: Path) -> Iterator[_Place]:
    names = (*HOLDERS, *PLATFORMS.values())
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
            if name == HOLDERS[0]:
                _deal(folder, services)
    yield _Place(folder, made, ports)


def _deal(folder: Path, services: Services) -> None:
    """Makes a key for each threshold; its shares lie at all holders."""
    for threshold, platform in PLATFORMS.items():
        _receipt, shares = services.circles.deal(
            _label(threshold),
            {platform: MAX_BUDGET},
            _DAYS,
            holders=HOLDERS,
            threshold=threshold,
            burst_per_minute=MAX_BUDGET,
        )
        for holder, share in shares.items():
            keep_share(folder / holder, _circle(threshold), 1, share)


def _label(threshold: int) -> str:
    return f"bench-{threshold}"


def _circle(threshold: int) -> str:
    return f"{HOLDERS[0]}/{_label(threshold)}"


async def _over_http(platform: Member, threshold: int) -> list[Figure]:
    """Asks a platform's node as its sign-up form would, one question after the other."""
    times, failed = [], 0
    async with PlainClient(platform.local, platform.node.api_key, connections=1) as http:
        for number in range(_WARM_UP + _CHECKS):
            body = {"identifiers": [{"kind": "device", "value": _device()}]}
            before = time.perf_counter()
            try:
                await http.ask("POST", _CHECK, body)
            except RuntimeError:
                failed += 1
                continue
            if number >= _WARM_UP:
                times.append((time.perf_counter() - before) * _MS)
    p50, p99 = (float(np.percentile(times or [0.0], share)) for share in (50, 99))
    about = {
        "unanswered": failed,
        "holders": len(HOLDERS),
        "identifiers": 1,
        "checks": len(times),
        "p99_ms": p99,
    }
    bar = at_most(15.0) if threshold == signup_floor.MAIN[0] else None
    return [Figure(f"signup.p50_ms_t{threshold}", p50, "ms", bar, about)]


def _batches(place: _Place, threshold: int, holders: Sequence[Member]) -> list[Figure]:
    """Asks the circle as the platform's node does, from this process, in every size of batch."""
    directory = place.folder / PLATFORMS[threshold]
    with open_services(directory, environ={}) as services:
        services.asking.start()
        return [_batch(services, threshold, batch, holders) for batch in BATCHES]


def _batch(services: Services, threshold: int, batch: int, holders: Sequence[Member]) -> Figure:
    key = newest_key(services.store, now=int(time.time()))
    rounds = _ROUNDS[batch]
    asked = [_identifiers(batch) for _ in range(rounds + 2)]
    for one in asked[rounds:]:
        services.asking.ask_circles([key], one)
    times = []
    before, own = _cpu_s(holders), time.process_time()
    for one in asked[:rounds]:
        begun = time.perf_counter()
        services.asking.ask_circles([key], one)
        times.append((time.perf_counter() - begun) * _MS)
    own, theirs = time.process_time() - own, _cpu_s(holders) - before
    return Figure(
        f"signup.batch_p50_ms_t{threshold}_m{batch}",
        float(np.percentile(times, 50)),
        "ms",
        None,
        {
            "p99_ms": float(np.percentile(times, 99)),
            "client_process_ms_per_check": own / rounds * _MS,
            "holders_process_us_per_element": theirs / (rounds * batch * threshold) * _US,
            "holders_elements_per_s_of_a_core": rounds * batch * threshold / max(theirs, 1e-9),
            "rounds": rounds,
            "of": "whole processes: HTTP, signatures, JSON, budget and their polling included",
        },
    )


def _identifiers(count: int) -> list[NormalisedIdentifier]:
    return [normalise("device", _device()) for _ in range(count)]


def _device() -> str:
    """A device nobody has: a random UUID of version 4."""
    raw = bytearray(secrets.token_bytes(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _cpu_s(members: Sequence[Member]) -> float:
    """What the processes of nodes have used of the processors so far, in seconds."""
    ticks = 0
    for one in members:
        fields = Path(f"/proc/{one.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS
