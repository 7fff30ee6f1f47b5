"""`bench upload`: the upload check as a platform sees it, over loopback, on a node of its own.

Three questions, each beside what it is measured against in the same run and in turns with it:

- a look-up of one pdq that resembles nothing, beside an endpoint of the same framework that does
  nothing (node.bench.empty_server), with one and with two serving processes;
- a file of 0.3, 1 and 12 million pixels, beside Pillow and pdqhash in this process, which is what
  a platform without a node would do;
- 32 uploads of 12 million pixels at once: what the node and its hash workers hold, and what those
  are told for whom there is no room.

Who asks shares the machine with who answers.
"""

import io
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pdqhash
from PIL import Image

from node.bench.empty_server import PATH as EMPTY
from node.bench.machine import MachineWatch
from node.bench.report import Figure, Report, at_most
from node.bench.streams import flag_pictures
from node.bench.upload_load import (
    Connection,
    MemoryWatch,
    Reply,
    latencies_s,
    rate_per_s,
    request,
    tree_bytes,
)
from node.demo.cast import CHEAP, alone
from node.demo_pictures import picture_paths
from node.setup import NewNode, init_node

Say = Callable[[str], None]

UPLOADS: Final = 32
"""Files of 12 million pixels that are sent at once."""

MEGAPIXELS: Final = (0.3, 1.0, 12.0)
PROCESSES: Final = (1, 2)
ROUNDS: Final = 5

_MATCH: Final = "/v1/media/match"
_FILE: Final = "/v1/media/match-file?surface=public"
_ASKED: Final = 400  # look-ups of one round
_CONNECTIONS: Final = 8
_RATE_S: Final = 1.5
_MS: Final = 1_000
_MIB: Final = 1 << 20
_SETTLE_S: Final = 120.0
_SETTLED: Final = 10  # rounds without a gain
_QUICKER: Final = 0.8
_OK: Final = 200
_LATER: Final = (429, 503)
_GROWTH_MIB: Final = 512  # two workers' pixels and compilers, and every file twice
_WARM_S: Final = 8.0  # in which the workers load or compile the kernel
_GRAIN: Final = 3.0  # standard deviation in levels, as a camera's sensor adds it
_BARS: Final = {0.3: at_most(1.2), 1.0: at_most(1.2), 12.0: at_most(1.2, 0.4)}


def measure(entries: int, *, say: Say) -> Report:
    """Returns what `bench upload` measured on a node with so many entries.

    Args:
        entries: media hashes of the list.
        say: is told what is being done.
    """
    machine = MachineWatch.start()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="schutznetz-bench-") as place:
        directory = Path(place) / "node"
        made = init_node(
            directory, name="bench.example", url="http://127.0.0.1:1", passphrase=None,
            clock=time.time, cost=CHEAP,
        )  # fmt: skip
        say(f"Flagging {entries} pictures")
        flag_pictures(directory, entries)
        settings = directory / "schutznetz.toml"
        plain = settings.read_text("utf-8")
        for processes in PROCESSES:
            settings.write_text(f"processes = {processes}\n{plain}", "utf-8")
            with _node(directory, made) as node:
                say(f"Look-ups, {processes} process(es)")
                figures += _look_ups(node, processes, entries)
                if processes == 1:
                    say("Files")
                    figures += _files(node)
                    say(f"{UPLOADS} uploads at once")
                    figures += _memory(node)
    packages = ("fastapi", "uvicorn", "numpy", "numba", "pillow", "pdqhash", "simplejpeg")
    return Report(machine.describe(packages), tuple(figures))


@dataclass(frozen=True)
class _Node:
    """The node that is asked."""

    port: int
    pid: int
    token: str


@contextmanager
def _node(directory: Path, made: NewNode) -> Iterator[_Node]:
    with alone(directory, made, hash_workers=os.cpu_count() or 1) as member:
        port = int(member.local.rpartition(":")[2])
        yield _Node(port, member.process.pid, made.api_key)


@contextmanager
def _empty_server(processes: int) -> Iterator[int]:
    """The port of a server with the empty endpoint."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        begun = [
            subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-P", "-m", "node.bench.empty_server", str(listening.fileno())],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(listening.fileno(),),
            )
            for _ in range(processes)
        ]
        try:
            yield int(listening.getsockname()[1])
        finally:
            for process in begun:
                process.terminate()
            for process in begun:
                process.wait()


def _look_ups(node: _Node, processes: int, entries: int) -> list[Figure]:
    bodies = [
        json.dumps({"surface": "public", "items": [{"pdq": os.urandom(32).hex(), "quality": 90}]})
        for _ in range(_ASKED)
    ]
    ours = [request(_MATCH, node.token, one.encode()) for one in bodies]
    theirs = [request(EMPTY, node.token, one.encode()) for one in bodies]
    spent: dict[str, list[float]] = {"ours": [], "empty": []}
    ratios, rates, empty_rates = [], [], []
    with _empty_server(processes) as port:
        _settle(node, ours)
        latencies_s(port, theirs)
        for _ in range(ROUNDS):
            one, other = latencies_s(node.port, ours), latencies_s(port, theirs)
            ratios.append(statistics.median(one) / statistics.median(other))
            spent["ours"] += one
            spent["empty"] += other
            rates.append(_rate(node.port, ours))
            empty_rates.append(_rate(port, theirs))
    beside = {
        "list_entries": entries,
        "p50_ms": _percentile_ms(spent["ours"], 50),
        "p99_ms": _percentile_ms(spent["ours"], 99),
        "empty_p50_ms": _percentile_ms(spent["empty"], 50),
        "empty_p99_ms": _percentile_ms(spent["empty"], 99),
    }
    tail = "" if processes == 1 else f"_{processes}_processes"
    ratio, rate = statistics.median(ratios), statistics.median(rates)
    at_once = {"connections": _CONNECTIONS, "empty_per_s": statistics.median(empty_rates)}
    return [
        Figure(f"api.match_ratio_empty{tail}", ratio, "×", at_most(1.3), beside),
        Figure(f"api.match_per_s{tail}", rate, "1/s", None, at_once),
    ]


def _settle(node: _Node, requests: list[bytes]) -> None:
    """The list is taken in and lies in segments: look-ups have not become quicker for a while."""
    best, alike, until = math.inf, 0, time.monotonic() + _SETTLE_S
    while alike < _SETTLED and time.monotonic() < until:
        median = statistics.median(latencies_s(node.port, requests))
        alike = alike + 1 if median > best * _QUICKER else 0
        best = min(best, median)
        time.sleep(_SETTLE_S / 120)


def _rate(port: int, requests: list[bytes]) -> float:
    return rate_per_s(port, requests, connections=_CONNECTIONS, seconds=_RATE_S)


def _files(node: _Node) -> list[Figure]:
    figures = []
    _warm(node)
    for mpx in MEGAPIXELS:
        data = photograph(mpx)
        asked = request(_FILE, node.token, data, kind="image/jpeg")
        ratios, ours, plain = [], [], []
        with Connection(node.port) as connection:
            for _ in range(ROUNDS * 2):
                before = time.perf_counter()
                reply = connection.ask(asked)
                between = time.perf_counter()
                pdq = hash_plainly(data)
                after = time.perf_counter()
                ours.append(between - before)
                plain.append(after - between)
                ratios.append(ours[-1] / plain[-1])
                if reply.status != _OK or json.loads(reply.body)["hashes"]["pdq"] != pdq:
                    raise RuntimeError("the node's pdq is not the plain one")
        beside = {
            "file_kib": len(data) >> 10,
            "p50_ms": _percentile_ms(ours, 50),
            "plain_p50_ms": _percentile_ms(plain, 50),
        }
        name = f"api.file_ratio_plain_{mpx:g}_mpx"
        figures.append(Figure(name, statistics.median(ratios), "×", _BARS[mpx], beside))
    return figures


def _warm(node: _Node) -> None:
    """Every hash worker has had time to load its kernel; until then pdqhash answers."""
    asked = request(_FILE, node.token, photograph(MEGAPIXELS[0]), kind="image/jpeg")
    until = time.monotonic() + _WARM_S
    with Connection(node.port) as connection:
        while time.monotonic() < until:
            connection.ask(asked)
            time.sleep(0.1)


def _memory(node: _Node) -> list[Figure]:
    asked = request(_FILE, node.token, photograph(MEGAPIXELS[-1]), kind="image/jpeg")
    idle = tree_bytes(node.pid)
    watch = MemoryWatch(node.pid)
    before = time.perf_counter()
    with watch.watching(), ThreadPoolExecutor(UPLOADS) as pool:
        replies = list(pool.map(lambda _: _upload(node.port, asked), range(UPLOADS)))
    taken = time.perf_counter() - before
    answered = sum(one.status == _OK for one in replies)
    told = sum(one.status in _LATER and one.says_when for one in replies)
    beside = {
        "uploads": UPLOADS,
        "file_mb": len(asked) / _MIB,
        "idle_mb": idle / _MIB,
        "answered": answered,
        "told_to_come_back": told,
        "otherwise": UPLOADS - answered - told,
        "hash_workers": os.cpu_count() or 1,
        "seconds": taken,
    }
    return [
        Figure("api.rss_peak_mb", watch.peak_bytes / _MIB, "MiB", None, beside),
        Figure(
            "api.rss_growth_mb", (watch.peak_bytes - idle) / _MIB, "MiB", at_most(_GROWTH_MIB),
            {"all_decoded_at_once_mb": UPLOADS * 36e6 / _MIB},
        ),
    ]  # fmt: skip


def _upload(port: int, asked: bytes) -> Reply:
    with Connection(port) as connection:
        return connection.ask(asked)


def photograph(megapixels: float) -> bytes:
    """A photograph of the demo in 4:3, enlarged, with some grain, as a JPEG of quality 85."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = width * 3 // 4
    with Image.open(picture_paths()[0]) as opened:
        large = opened.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(1).normal(0, _GRAIN, (height, width, 1)).astype(np.float32)
    values = (np.asarray(large) + grain).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def hash_plainly(data: bytes) -> str:
    """The pdq as a platform without a node computes it, in hexadecimal."""
    with Image.open(io.BytesIO(data)) as image:
        bits, _quality = pdqhash.compute(np.asarray(image.convert("RGB")))
    return np.packbits(bits).tobytes().hex()


def _percentile_ms(times_s: list[float], share: float) -> float:
    return float(np.percentile(times_s, share)) * _MS
