"""The sign-up check as a whole: real holders, real HTTP, signed requests, budgets, all on loopback.

Five nodes hold the shares of two keys, 3 of 5 and 5 of 5, and a platform of its own asks under
each; a third platform holds a key of its own, for comparison. All of it runs on one machine: who
asks and who answers share its processors. Both backends are measured: the one of this machine
here, the portable one by a process that finds no other (`node.bench.portable`). What the protocol
alone costs, beside the group operations that it cannot avoid, is measured by
`node.bench.signup_floor` in the same run.
"""

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from node.app import Services, open_services
from node.bench import signup_floor
from node.bench.machine import MachineWatch
from node.bench.plain_http import PlainClient
from node.bench.report import Figure, Report, at_most
from node.bench.signup_place import HOLDERS, PLATFORMS, Place, made_nodes
from node.demo.cast import PROGRAM, Member
from node.services.epochs import newest_key
from protocol.identifiers import NormalisedIdentifier, normalise
from signing.oprf.group import default_group
from signing.oprf.group_pynacl import PyNaClGroup

_CHECK: Final = "/v1/accounts/check"
_BAN: Final = "/v1/accounts/ban"
_BANNED: Final = 10
_APART: Final = "signup.hit_miss_auc"
_WARM_UP: Final = 20
_MS: Final = 1_000
_US: Final = 1_000_000
_TICKS: Final = os.sysconf("SC_CLK_TCK")

Say = Callable[[str], object]


@dataclass(frozen=True)
class Load:
    """How much is asked.

    Attributes:
        checks: over HTTP, under each key; every other one is a hit.
        rounds: of each batch, by its size.
        thresholds: of the keys, among those of `PLATFORMS`.
    """

    checks: int = 300
    rounds: dict[int, int] = field(default_factory=lambda: {1: 60, 8: 40, 64: 12})
    thresholds: tuple[int, ...] = tuple(PLATFORMS)


PORTABLE_LOAD: Final = Load(checks=60, rounds={1: 20, 8: 10, 64: 4})
"""For the portable backend, which takes up to ten times as long."""


def measure(*, say: Say, load: Load | None = None, portable: Load | None = PORTABLE_LOAD) -> Report:
    """Returns what `bench signup` measured; takes about five minutes.

    Args:
        say: is told what is being done.
        load: for this machine's own backend.
        portable: for the portable one; None to leave it out.
    """
    machine = MachineWatch.start()
    say("The protocol beside the group operations that it cannot avoid")
    figures = signup_floor.figures()
    figures += by_processes(load or Load(), say=say)
    if portable is not None and default_group().name != PyNaClGroup.name:
        figures += _portable(portable, say=say)
    return Report(machine.describe(("pynacl", "h11", "fastapi", "uvicorn")), tuple(figures))


def by_processes(load: Load, *, say: Say, program: str = PROGRAM) -> list[Figure]:
    """Returns what nodes of their own take, served by a program that has this process's backend."""
    found = []
    with tempfile.TemporaryDirectory(prefix="schutznetz-bench-") as folder:
        say("Making holders and platforms")
        with (
            made_nodes(Path(folder), load.thresholds, program=program) as place,
            ExitStack() as stack,
        ):
            holders = [stack.enter_context(place.serve(name)) for name in place.holders]
            for threshold in load.thresholds:
                with place.serve(PLATFORMS[threshold]) as platform:
                    place.join(threshold)
                    say(f"{load.checks} sign-up checks, {threshold} holders have to answer")
                    found += asyncio.run(_over_http(platform, threshold, load))
                say(f"Batches, {threshold} holders have to answer")
                found += _batches(place, threshold, holders, load)
    return found


def _portable(load: Load, *, say: Say) -> list[Figure]:
    """Has a process without libsodium measure the same, and returns its figures."""
    say("The same without libsodium")
    done = subprocess.run(  # noqa: S603  # this very program
        [sys.executable, "-m", "node.bench.portable", msgspec.json.encode(load)],
        check=True,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    return [
        Figure(f"{one['name']}_{PyNaClGroup.name}", one["value"], one["unit"], None, one["beside"])
        for one in msgspec.json.decode(done.stdout)
        if one["name"] != _APART  # of so few checks it says nothing
    ]


async def _over_http(platform: Member, threshold: int, load: Load) -> list[Figure]:
    """Asks a platform's node as its sign-up form would, one question after the other.

    Every other one is about an account that it has banned.
    """
    hits: list[float] = []
    misses: list[float] = []
    failed = 0
    async with PlainClient(platform.local, platform.node.api_key, connections=1) as http:
        banned = [_device() for _ in range(_BANNED)]
        for one in banned:
            await http.ask("POST", _BAN, _ban(one, platform.name))
        for number in range(_WARM_UP + load.checks):
            is_hit = number % 2 == 0
            device = banned[number // 2 % _BANNED] if is_hit else _device()
            body = {"identifiers": [{"kind": "device", "value": device}]}
            before = time.perf_counter()
            try:
                found = await http.ask("POST", _CHECK, body)
            except RuntimeError:
                failed += 1
                continue
            taken = (time.perf_counter() - before) * _MS
            if bool(found["leads"]) != is_hit:
                raise RuntimeError("a check found what is not banned, or missed what is")
            if number >= _WARM_UP:
                (hits if is_hit else misses).append(taken)
    return _http_figures(threshold, hits, misses, failed)


def _http_figures(
    threshold: int, hits: Sequence[float], misses: Sequence[float], failed: int
) -> list[Figure]:
    is_main = threshold == signup_floor.MAIN[0]
    times = [*hits, *misses] or [0.0]
    p50, p99 = (float(np.percentile(times, share)) for share in (50, 99))
    about = {
        "unanswered": failed,
        "holders": len(HOLDERS) if threshold > 1 else 1,
        "identifiers": 1,
        "checks": len(times),
        "p99_ms": p99,
    }
    found = [
        Figure(f"signup.p50_ms_t{threshold}", p50, "ms", at_most(15.0) if is_main else None, about)
    ]
    if is_main:
        found.append(_told_apart(hits, misses))
    return found


def _told_apart(hits: Sequence[float], misses: Sequence[float]) -> Figure:
    """How often the longer of two answers, a hit's and a miss's, is the one that is longer as ever.

    That is the statistic of Mann and Whitney's test as a share: 0.5 where nobody can tell, 1 where
    one answer is enough. With 150 of each, chance alone stays below 0.57 nineteen times in twenty.
    """
    one, other = np.array(hits)[:, None], np.array(misses)[None, :]
    share = float((one > other).mean() + (one == other).mean() / 2)
    return Figure(
        _APART,
        max(share, 1 - share),
        "",
        at_most(0.6),
        {
            "hits": len(hits),
            "misses": len(misses),
            "hits_p50_ms": float(np.median(hits)),
            "misses_p50_ms": float(np.median(misses)),
            "of": "the time of one answer to a platform's own check; 0.5 tells nothing",
        },
    )


def _ban(device: str, name: str) -> dict[str, Any]:
    return {
        "identifiers": [{"kind": "device", "value": device}],
        "category": "account.grooming",
        "reviewers": 1,
        "scope": "person",
        "purpose": "prevention",
        "legal_basis": "gdpr-6-1-f",
        "expires_days": 1,
        "audience": [f"node:{name}"],
    }


def _batches(place: Place, threshold: int, holders: Sequence[Member], load: Load) -> list[Figure]:
    """Asks the circle as the platform's node does, from this process, in every size of batch."""
    directory = place.folder / PLATFORMS[threshold]
    with open_services(directory, environ={}) as services:
        services.asking.start()
        return [
            _batch(services, threshold, batch, holders, rounds)
            for batch, rounds in sorted(load.rounds.items())
        ]


def _batch(
    services: Services, threshold: int, batch: int, holders: Sequence[Member], rounds: int
) -> Figure:
    key = newest_key(services.store, now=int(time.time()))
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
    elements = rounds * batch * threshold
    about = {
        "p99_ms": float(np.percentile(times, 99)),
        "client_process_ms_per_check": own / rounds * _MS,
        "rounds": rounds,
        "of": "whole processes: HTTP, signatures, JSON, budget and their polling included",
    }
    if threshold > 1:  # else the platform's own process evaluates
        about["holders_process_us_per_element"] = theirs / elements * _US
        about["holders_elements_per_s_of_a_core"] = elements / max(theirs, 1e-9)
    name = f"signup.batch_p50_ms_t{threshold}_m{batch}"
    return Figure(name, float(np.percentile(times, 50)), "ms", None, about)


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
