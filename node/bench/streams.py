"""How many streams a node watches at once: with frames hashed elsewhere, and with pictures.

A real node answers over loopback, as the command serves it, and shares the machine with whoever
asks. Each stream sends one frame each second, at its own moment of the second; one in ten shows a
flagged film after three seconds, and what is measured of it is the time from sending the frame that
completes the match to the answer that says so. A frame that is answered more than a second after
it was due is late; with more than 1 % of them late the node does not keep up.
"""

import asyncio
import io
import os
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from node.app import open_services
from node.bench.machine import MachineWatch
from node.bench.plain_http import PlainClient
from node.bench.report import Figure, Report, at_least, at_most
from node.demo.cast import CHEAP, alone
from node.demo_pictures import picture_paths
from node.services.clients import Client
from node.setup import init_node
from protocol.pdq import is_degenerate, parse_pdq
from protocol.statements import Frame, MediaItem

NAME: Final = "bench.example"
FILM_FRAMES: Final = 20
SHOWN_AFTER: Final = 3
NEEDED: Final = 3
"""Frames that the first version of the policy asks for."""

LATE_S: Final = 1.0
MAY_BE_LATE: Final = 0.01
STEPS: Final = (10, 20, 40, 60, 80, 120, 160, 240)
"""Streams with pictures that are tried, one number after another."""

_ONE_SHOWS: Final = 10
_PICTURE_PX: Final = (640, 360)
_ITEMS: Final = 1_000
_STEP_S: Final = 6
_MS: Final = 1_000
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """What came of one load.

    Attributes:
        latencies_s: from the moment a frame was due to its answer, of every frame.
        decided_s: from sending the frame that completes a match to the decision.
        undecided: streams that showed the film and were not decided by the frame that should.
        wrong: decisions about streams that showed nothing.
        cpu_s: processor time that the node used, its hash workers included.
        wall_s: how long it took.
    """

    latencies_s: list[float] = field(default_factory=list)
    decided_s: list[float] = field(default_factory=list)
    undecided: int = 0
    wrong: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @property
    def late(self) -> float:
        """The share of frames that were answered too late."""
        return sum(one > LATE_S for one in self.latencies_s) / max(1, len(self.latencies_s))

    def percentile_ms(self, share: float) -> float:
        """The time within which `share` per cent of the frames were answered, in ms."""
        return float(np.percentile(self.latencies_s, share)) * _MS


def measure(streams: int, *, entries: int, seconds: int, say: Callable[[str], None]) -> Report:
    """Measures a node with `streams` streams of hashes, and how many it watches with pictures.

    Args:
        streams: at once.
        entries: media hashes of the list, beside the film.
        seconds: how long.
        say: is told what is being done.
    """
    machine = MachineWatch.start()
    with tempfile.TemporaryDirectory(prefix="schutznetz-bench-") as place:
        directory = Path(place) / "node"
        made = init_node(
            directory, name=NAME, url="http://127.0.0.1:1", passphrase=None, clock=time.time,
            cost=CHEAP,
        )  # fmt: skip
        say(f"Flagging a film and {entries} pictures")
        film = _random_pdqs(FILM_FRAMES)
        _flag(directory, film, entries)
        with alone(directory, made, hash_workers=os.cpu_count() or 1) as member:
            load = _Load(member.local, made.api_key, member.process.pid, film)
            say(f"{streams} streams, frames hashed elsewhere, {seconds} s")
            hashes = asyncio.run(load.run(streams, seconds, pictures=None))
            pictures = _pictures(film_at=SHOWN_AFTER, seconds=_STEP_S)
            kept_up, with_pictures = 0, Run()
            for step in STEPS:
                say(f"{step} streams of JPEG pictures, {_STEP_S} s")
                run = asyncio.run(load.run(step, _STEP_S, pictures=pictures))
                if run.late > MAY_BE_LATE:
                    break
                kept_up, with_pictures = step, run
    return Report(
        machine.describe(("fastapi", "uvicorn", "numpy", "numba")),
        _figures(streams, entries, hashes, kept_up, with_pictures),
    )


def _figures(
    streams: int, entries: int, hashes: Run, kept_up: int, pictures: Run
) -> tuple[Figure, ...]:
    frames = len(hashes.latencies_s)
    return (
        Figure(
            "streams.hashes_kept_up",
            float(streams if hashes.late <= MAY_BE_LATE else 0),
            "streams",
            at_least(streams),
            {"frames": frames, "late_share": hashes.late, "list_entries": entries},
        ),
        Figure("streams.hashes_p50_ms", hashes.percentile_ms(50), "ms"),
        Figure("streams.hashes_p99_ms", hashes.percentile_ms(99), "ms"),
        Figure(
            "streams.decision_worst_s",
            max(hashes.decided_s, default=None),
            "s",
            at_most(LATE_S),
            {"decided": len(hashes.decided_s), "undecided": hashes.undecided},
        ),
        Figure("streams.wrong_decisions", float(hashes.wrong), "", at_most(0)),
        Figure(
            "streams.hashes_processors",
            hashes.cpu_s / max(hashes.wall_s, 1e-9),
            "processors",
            None,
            {"per_frame_ms": hashes.cpu_s / max(1, frames) * _MS},
        ),
        Figure(
            "streams.jpeg_kept_up",
            float(kept_up),
            "streams",
            None,
            {
                "picture": "640 x 360",
                "p99_ms": pictures.percentile_ms(99) if kept_up else None,
                "processors": pictures.cpu_s / max(pictures.wall_s, 1e-9),
            },
        ),
    )


class _Load:
    """Streams that send a frame each second, against one node."""

    def __init__(self, url: str, token: str, pid: int, film: list[str]) -> None:
        self._url = url
        self._token = token
        self._pid = pid
        self._film = film

    async def run(self, streams: int, seconds: int, *, pictures: list[bytes] | None) -> Run:
        """Sends frames of so many streams for so long.

        Args:
            streams: at once.
            seconds: how long.
            pictures: one after another, sent in place of frames; none of them is flagged.
        """
        run = Run()
        async with PlainClient(self._url, self._token) as http:
            opened = [
                (await http.ask("POST", "/v1/streams", {"surface": "public"}))["id"]
                for _ in range(streams)
            ]
            before, began = _cpu_of(self._pid), time.monotonic()
            made = [
                _Stream(one, number, shows=pictures is None and number % _ONE_SHOWS == 0)
                for number, one in enumerate(opened)
            ]

            def ask(stream: _Stream, second: int) -> Awaitable[Any]:
                if pictures is None:
                    return self._frame(http, stream, second)
                path = f"/v1/streams/{stream.id}/frame-file?at_ms={second * _MS}"
                return http.ask("POST", path, pictures[(stream.number + second) % len(pictures)])

            await asyncio.gather(
                *(
                    self._stream(ask, run, one, seconds=seconds, begin=began + one.number / streams)
                    for one in made
                )
            )
            run.wall_s = time.monotonic() - began
            run.cpu_s = _cpu_of(self._pid) - before
            for one in opened:
                await http.ask("DELETE", f"/v1/streams/{one}")
        return run

    async def _stream(
        self, ask: "_Ask", run: Run, stream: "_Stream", *, seconds: int, begin: float
    ) -> None:
        """Sends a frame of one stream each second, and notes what became of it."""
        for second in range(seconds):
            due = begin + second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent = time.monotonic()
            decision = (await ask(stream, second))["decision"]
            done = time.monotonic()
            run.latencies_s.append(done - due)
            completes = SHOWN_AFTER + NEEDED - 1
            if decision != "none" and not (stream.shows and second >= completes):
                run.wrong += 1
            if stream.shows and second == completes:
                run.undecided += decision == "none"
                if decision != "none":
                    run.decided_s.append(done - sent)

    def _frame(self, http: PlainClient, stream: "_Stream", second: int) -> Awaitable[Any]:
        """Sends the hashes of one frame; of a stream that shows the film, one of the film's."""
        pdq = secrets.token_hex(32)
        if stream.shows and second >= SHOWN_AFTER:
            pdq = self._film[(second - SHOWN_AFTER) % FILM_FRAMES]
        frame = {"pdq": pdq, "quality": 100, "at_ms": second * _MS}
        return http.ask("POST", f"/v1/streams/{stream.id}/frames", {"frames": [frame]})


@dataclass(frozen=True)
class _Stream:
    """One stream of a load; `shows` says whether the flagged film is in it."""

    id: str
    number: int
    shows: bool


_Ask = Callable[[_Stream, int], Awaitable[Any]]


def flag_pictures(directory: Path, entries: int) -> None:
    """A node that is not running has flagged so many pictures that resemble nothing."""
    _flag_items(directory, [MediaItem(pdq=pdq, quality=90) for pdq in _random_pdqs(entries)])


def _flag(directory: Path, film: list[str], entries: int) -> None:
    """Flags the film, and as many pictures as the list is to have."""
    frames = tuple(Frame(pdq=pdq, quality=90, at_ms=at * _MS) for at, pdq in enumerate(film))
    _flag_items(directory, [MediaItem(frames=frames)])
    flag_pictures(directory, entries)


def _flag_items(directory: Path, items: list[MediaItem]) -> None:
    client = Client(0, "bench", frozenset({"flag"}))
    with open_services(directory, environ={}) as services:
        for at in range(0, len(items), _ITEMS):
            services.flags.flag_media(
                items[at : at + _ITEMS],
                category="csam.act.prepub",
                reviewers=1,
                purpose="removal",
                legal_basis="dsa-art-16",
                review_days=1,
                issuer_code=None,
                flags=(),
                surfaces=(),
                jurisdictions=(),
                audience=("peers",),
                client=client,
            )


def _random_pdqs(count: int) -> list[str]:
    """Pdqs that are like no other, each with about as many ones as a photograph's."""
    made: list[str] = []
    while len(made) < count:
        pdq = secrets.token_hex(32)
        if not is_degenerate(parse_pdq(pdq)):
            made.append(pdq)
    return made


def _pictures(*, film_at: int, seconds: int) -> list[bytes]:
    """JPEG pictures as a stream has them: pieces of the demo's photographs."""
    from PIL import Image  # noqa: PLC0415  # only for pictures

    made = []
    for path in picture_paths():
        with Image.open(path) as photograph:
            larger = photograph.convert("RGB").resize((960, 720))
        for at in range(film_at + seconds):
            left, top = at * 20, at * 30
            piece = larger.crop((left, top, left + _PICTURE_PX[0], top + _PICTURE_PX[1]))
            data = io.BytesIO()
            piece.save(data, "JPEG", quality=80)
            made.append(data.getvalue())
    return made


def _cpu_of(pid: int) -> float:
    """Seconds of processor time that a process and its children have used (proc(5))."""
    ticks = 0
    for task in (pid, *_children(pid)):
        try:
            fields = Path(f"/proc/{task}/stat").read_text("ascii").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text("ascii").split())
    return found
