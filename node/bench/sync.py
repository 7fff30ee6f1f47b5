"""`bench sync`: a list that a peer has, taken over as a whole, beside the least that it could cost.

One node, a process of its own, publishes a list in statements of 1000 media hashes; this process
is the node that has nothing yet. It takes the log over by loopback HTTP: proves it, verifies every
statement, stores it with its own log and mirrors how far the peer's was read, and can match it.
The floor does only what cannot be left out: it verifies the same envelopes and writes the same rows
in bulk, in as large transactions. Half of it runs before and half after, so that both meet the same
machine. The same with PostgreSQL, on a server of the bench's own.

Then the same two nodes sync with nothing new, and six others pass single flags on
(node.bench.flag_latency).
"""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from federation.client import PeerClient, connect
from federation.sync import SyncReport, sync_peer
from node.app import Services, open_services
from node.bench import flag_latency
from node.bench.corpus import Generator
from node.bench.ingest import Spent, list_statements
from node.bench.ingest_floor import PostgresFloor, SqliteFloor, new_database, stored_rows
from node.bench.machine import MachineWatch, resident_bytes
from node.bench.postgres_server import open_server
from node.bench.report import Figure, Report, at_most
from node.demo.cast import CHEAP, Member, alone
from node.demo.ports import free_port
from node.matching.kernels import warm_up
from node.services.directory import pinned
from node.services.keys import key_file
from node.services.replica import StoredReplica
from node.setup import NewNode, init_node
from protocol.limits import MAX_ITEMS
from signing.keys import KeyUse, SigningKey
from signing.keystore import load_key

Say = Callable[[str], None]

PUBLISHER: Final = "publisher.example"
READERS: Final = {"sqlite": "sqlite.example", "postgresql": "postgresql.example"}

_SEED: Final = 7
_TURN: Final = 32  # statements of 118 kB: what one answer holds, and one transaction takes over
_IDLE: Final = 400
_POLL_EVERY_S: Final = 3_600
_LOOK_EVERY_S: Final = 0.02
_MS: Final = 1_000
_NS: Final = 1_000_000_000
_MIB: Final = 1 << 20


def measure(hashes: int, *, flags: int, say: Say) -> Report:
    """Returns what `bench sync` measured.

    Args:
        hashes: pdqs of the list, at least 1000.
        flags: single flags whose way is timed.
        say: is told what is being done.
    """
    machine = MachineWatch.start()
    figures: list[Figure] = []
    warm_up(None)  # a node that has a list has its kernels in memory, and one that grows loads them
    with tempfile.TemporaryDirectory(prefix="schutznetz-bench-") as folder:
        say(f"Making a list of {hashes:,} media hashes")
        place = _make(Path(folder), hashes)
        with alone(
            place.folder / PUBLISHER,
            place.publisher,
            port=place.port,
            poll_interval_s=_POLL_EVERY_S,
        ) as publisher:
            say("The first sync, SQLite")
            figures += _sqlite(place, publisher)
            say("The first sync, PostgreSQL")
            figures += _postgresql(place, publisher)
        if flags:
            say(f"{flags} single flags, five peers")
            figures += flag_latency.figures(Path(folder) / "flags", flags)
    packages = ("sqlalchemy", "psycopg", "pynacl", "msgspec", "h11", "uvicorn", "numba")
    return Report(machine.describe(packages), tuple(figures))


@dataclass(frozen=True)
class _Place:
    """The nodes that were made, and what the publisher has.

    Attributes:
        folder: one directory for each node.
        publisher: what `node init` made.
        port: of the publisher.
        key: that signed the list.
        statements: of the list.
        last: the last pdq of the list.
    """

    folder: Path
    publisher: NewNode
    port: int
    key: SigningKey
    statements: int
    last: bytes


@dataclass
class _Taken:
    """What a first sync took, and its floor."""

    ours: Spent = field(default_factory=Spent)
    floor: Spent = field(default_factory=Spent)
    matchable: Spent = field(default_factory=Spent)
    served_s: float = 0.0
    peak_bytes: int = 0
    before_bytes: int = 0
    report: SyncReport | None = None


def _make(folder: Path, hashes: int) -> _Place:
    port = free_port()
    publisher = _new_node(folder / PUBLISHER, port)
    key = _key(folder / PUBLISHER, KeyUse.STATEMENT)
    pdqs = Generator(_SEED).photographs(hashes)
    with open_services(folder / PUBLISHER, environ={}) as services:
        for envelope in list_statements(pdqs, key, issuer=PUBLISHER):
            services.ingest.submit(envelope, caller=PUBLISHER)
    statements = -(-hashes // MAX_ITEMS)
    return _Place(folder, publisher, port, key, statements, pdqs[-1].tobytes())


def _new_node(directory: Path, port: int, database_url: str | None = None) -> NewNode:
    return init_node(
        directory, name=directory.name, url=f"http://127.0.0.1:{port}", passphrase=None,
        clock=time.time, database_url=database_url, cost=CHEAP,
    )  # fmt: skip


def _introduce(services: Services, node: NewNode) -> None:
    services.peers.add(node.descriptor_file.read_bytes(), node.fingerprint, authority=False)


def _key(directory: Path, use: KeyUse) -> SigningKey:
    passphrase = (directory / "secrets" / "passphrase").read_bytes().strip()
    return load_key(key_file(directory, use), passphrase, use=use)


def _sqlite(place: _Place, publisher: Member) -> Iterator[Figure]:
    with _new_reader(place, publisher, READERS["sqlite"]) as reader:
        taken = _first_sync(place, reader, SqliteFloor(place.folder / "floor.db", place.key))
        yield from _figures("sqlite", place, taken)
        growth = (taken.peak_bytes - taken.before_bytes) / _MIB
        beside = {"before_mb": taken.before_bytes / _MIB, "media_hashes": _hashes(place)}
        yield Figure("sync.rss_growth_mb", growth, "MiB", at_most(300), beside)
        yield from _idle(reader)


def _postgresql(place: _Place, publisher: Member) -> Iterator[Figure]:
    try:
        with open_server(durable=True) as server:
            url = server.render_as_string(hide_password=False)
            name, database = READERS["postgresql"], new_database(url, "reader")
            with _new_reader(place, publisher, name, database) as reader:
                floor = PostgresFloor(new_database(url, "floor"), place.key)
                yield from _figures("postgresql", place, _first_sync(place, reader, floor))
    except RuntimeError as error:
        why = {"why": f"No server: {error}."}
        yield Figure("sync.ratio_floor_postgresql", None, "×", at_most(2.5), why)


@contextmanager
def _new_reader(
    place: _Place, publisher: Member, name: str, database_url: str | None = None
) -> "Iterator[_Reader]":
    """Makes a node that has nothing, and has the two pin each other."""
    made = _new_node(place.folder / name, free_port(), database_url)
    with open_services(place.folder / PUBLISHER, environ={}) as services:
        _introduce(services, made)
    with open_services(place.folder / name, environ={}) as services:
        _introduce(services, place.publisher)
        yield _Reader(services, _key(place.folder / name, KeyUse.REQUEST), publisher)


class _Reader:
    """The node that has nothing yet, in this process."""

    def __init__(self, services: Services, key: SigningKey, publisher: Member) -> None:
        self.services = services
        self.publisher = publisher
        self._key = key
        self._replica = StoredReplica(
            services.store, services.ingest, node=PUBLISHER, clock=time.time
        )
        with services.store.read() as transaction:
            record = transaction.peers.get(PUBLISHER)
        assert record is not None
        self._peer = pinned(record)

    def sync(self, *, times: int = 1, told: int | None = None) -> SyncReport:
        """Syncs so many times; returns how the last one went."""
        return asyncio.run(self._sync(times, told))

    async def _sync(self, times: int, told: int | None) -> SyncReport:
        async with connect() as lines:
            client = PeerClient(lines, url=self.publisher.local, key=self._key, clock=time.time)
            for _ in range(times):
                report = await sync_peer(
                    client, self._peer, self._replica, run=asyncio.to_thread, told=told
                )
        return report

    def until_matchable(self, pdq: bytes) -> None:
        """The index answers with what was taken over last."""
        self.services.catalogue.refresh()
        (found,) = self.services.catalogue.found([pdq], max_distance=0)
        if not found:
            raise RuntimeError("what was taken over is not found")


def _first_sync(place: _Place, reader: _Reader, floor: SqliteFloor | PostgresFloor) -> _Taken:
    taken = _Taken()
    half = place.statements // 2
    _floor(place, floor, range(half), taken.floor)
    served, taken.before_bytes = processor_s(reader.publisher), resident_bytes()
    with _watching(taken):
        taken.report = taken.ours.take(reader.sync)
        taken.served_s = processor_s(reader.publisher) - served
        taken.matchable.take(reader.until_matchable, place.last)
    if taken.report.accepted != place.statements:
        raise RuntimeError("not all that the peer has was taken over")
    _floor(place, floor, range(half, place.statements), taken.floor)
    floor.close()
    return taken


def _floor(place: _Place, floor: SqliteFloor | PostgresFloor, places: range, spent: Spent) -> None:
    """Does the floor's work for some statements; reading what it writes does not count."""
    database = place.folder / PUBLISHER / "node.db"
    envelopes_at = 1  # in a statement's rows: those of the second table, whose last column is bytes
    for at in range(0, len(places), _TURN):
        rows = stored_rows(database, places[at : at + _TURN])
        envelopes = [of_it[envelopes_at][0][-1] for of_it in rows]
        spent.take(floor.take_in_at_once, envelopes, rows)


@contextmanager
def _watching(taken: _Taken) -> Iterator[None]:
    """Notes the most memory that this process holds meanwhile."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_EVERY_S):
            taken.peak_bytes = max(taken.peak_bytes, resident_bytes())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        done.set()
        looking.join()


def _figures(database: str, place: _Place, taken: _Taken) -> Iterator[Figure]:
    ours = taken.ours.wall + taken.matchable.wall
    processor = taken.ours.processor + taken.matchable.processor
    assert taken.report is not None
    yield Figure(
        f"sync.ratio_floor_{database}",
        ours / taken.floor.wall,
        "×",
        at_most(2.5),
        {
            "processor_ratio": processor / taken.floor.processor,
            "ours_s": ours,
            "floor_s": taken.floor.wall,
            "ours_processor_s": processor,
            "floor_processor_s": taken.floor.processor,
            "matchable_s": taken.matchable.wall,
            "serving_processor_s": taken.served_s,
            "statements": place.statements,
            "statements_a_transaction": _TURN,
            "received_mb": taken.report.bytes_received / _MIB,
        },
    )
    rate = _hashes(place) / ours
    yield Figure(f"sync.hashes_per_s_{database}", rate, "1/s", None, {"hashes": _hashes(place)})


def _idle(reader: _Reader) -> Iterator[Figure]:
    """What the serving side spends on a sync with nothing new, less what it spends anyway."""
    size = reader.services.log.size()
    reader.sync(times=_IDLE // 10, told=size)
    before, begun = processor_s(reader.publisher), time.perf_counter()
    time.sleep(1)
    anyway = (processor_s(reader.publisher) - before) / (time.perf_counter() - begun)
    before, begun = processor_s(reader.publisher), time.perf_counter()
    reader.sync(times=_IDLE, told=size)
    wall = time.perf_counter() - begun
    spent = max(0.0, processor_s(reader.publisher) - before - anyway * wall)
    beside = {
        "syncs": _IDLE,
        "requests_a_sync": 1,
        "wall_ms": wall / _IDLE * _MS,
        "anyway_ms_per_s": anyway * _MS,
    }
    yield Figure("sync.idle_serving_ms", spent / _IDLE * _MS, "ms", at_most(1.0), beside)


def _hashes(place: _Place) -> int:
    return place.statements * MAX_ITEMS


def processor_s(member: Member) -> float:
    """What a node's process has used of the processors so far, in seconds."""
    spent = 0
    for task in Path(f"/proc/{member.process.pid}/task").iterdir():
        with suppress(OSError):  # the thread has ended
            spent += int((task / "schedstat").read_text("ascii").split()[0])
    return spent / _NS
