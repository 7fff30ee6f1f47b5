"""`bench ingest`: statements of 1000 media hashes from bytes to matchable, beside the floor.

The way in is the node's own: `Ingest.submit`, a durable transaction for each statement, and the
index brought up to date from the database. The floor does only what cannot be left out, in turns
with it: it verifies the same envelopes and inserts the same rows in bulk into the same schema, a
durable transaction for each statement, by SQLite's driver itself. Nothing is judged there, no log
is kept, nothing is counted, and nothing can be matched.

What the same floor takes when all of a turn is one transaction stands beside it.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from node.app import Services, open_services
from node.bench.corpus import Generator
from node.bench.ingest_floor import SqliteFloor, stored_rows
from node.bench.machine import MachineWatch, resident_bytes
from node.bench.report import Figure, Report, at_most
from node.demo.cast import CHEAP
from node.services.keys import key_file
from node.setup import init_node
from protocol.encoding import format_time
from protocol.limits import MAX_ITEMS, PDQ_BITS
from protocol.statements import Basis, MediaFlag, MediaItem
from signing.envelopes import new_nonce, sign_statement
from signing.keys import KeyUse, SigningKey
from signing.keystore import load_key

Say = Callable[[str], None]

NAME: Final = "bench.example"
_TURN: Final = 25  # statements
_MIB: Final = 1 << 20
_SEED: Final = 7
_DAY_S: Final = 86_400


@dataclass
class Spent:
    """What one side took, in seconds."""

    wall: float = 0.0
    processor: float = 0.0

    def take(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """Returns what the action returns, and adds what it took."""
        before = time.perf_counter(), time.process_time()
        result = action(*arguments)
        self.wall += time.perf_counter() - before[0]
        self.processor += time.process_time() - before[1]
        return result


@dataclass
class _Result:
    """What was spent by whom, and the rest of the figures."""

    statements: int = 0
    stored: Spent = field(default_factory=Spent)
    indexed: Spent = field(default_factory=Spent)
    floor: Spent = field(default_factory=Spent)
    floor_at_once: Spent = field(default_factory=Spent)
    matchable_s: float = 0.0
    growth_bytes: int = 0


def measure(hashes: int, *, say: Say) -> Report:
    """Returns what `bench ingest` measured.

    Args:
        hashes: pdqs to take in, at least 1000.
        say: is told what is being done.
    """
    machine = MachineWatch.start()
    with tempfile.TemporaryDirectory(prefix="schutznetz-bench-") as place:
        directory = Path(place) / "node"
        init_node(
            directory, name=NAME, url="http://127.0.0.1:1", passphrase=None,
            clock=time.time, cost=CHEAP,
        )  # fmt: skip
        passphrase = (directory / "secrets" / "passphrase").read_bytes().strip()
        key = load_key(key_file(directory, KeyUse.STATEMENT), passphrase, use=KeyUse.STATEMENT)
        say(f"Making {hashes:,} media hashes")
        pdqs = Generator(_SEED).photographs(hashes)
        floors = [SqliteFloor(Path(place) / name, key) for name in ("floor.db", "at_once.db")]
        with open_services(directory, environ={}) as services:
            result = _run(services, key, pdqs, floors, say=say)
        for floor in floors:
            floor.close()
    packages = ("sqlalchemy", "pynacl", "msgspec", "numpy", "numba")
    return Report(
        machine.describe(packages) | {"sqlite": sqlite3.sqlite_version},
        tuple(_figures(hashes, result)),
    )


def _run(
    services: Services,
    key: SigningKey,
    pdqs: "np.ndarray[Any, np.dtype[np.uint8]]",
    floors: Sequence[SqliteFloor],
    *,
    say: Say,
) -> _Result:
    result = _Result()
    before = resident_bytes()
    turn = _TURN * MAX_ITEMS
    for at in range(0, len(pdqs), turn):
        say(f"Taking in, from {at:,}")
        part = pdqs[at : at + turn]
        envelopes = list(list_statements(part, key))
        result.statements += len(envelopes)
        result.stored.take(_submit, services, envelopes)
        last = part[-1].tobytes()
        waited = time.perf_counter()
        result.indexed.take(_until_matchable, services, last)
        result.matchable_s = time.perf_counter() - waited
        # Read before the clock runs: the floor is given what ours had to work out.
        size = services.log.size()
        database = services.settings.directory / "node.db"
        rows = stored_rows(database, range(size - len(envelopes), size))
        result.floor.take(floors[0].take_in, envelopes, rows)
        result.floor_at_once.take(floors[1].take_in_at_once, envelopes, rows)
    result.growth_bytes = resident_bytes() - before
    return result


def list_statements(
    pdqs: "np.ndarray[Any, np.dtype[np.uint8]]", key: SigningKey, *, issuer: str = NAME
) -> Iterator[bytes]:
    """Returns envelopes of 1000 pdqs each, as a hotline's list has them."""
    for at in range(0, len(pdqs), MAX_ITEMS):
        now = int(time.time())
        yield sign_statement(
            MediaFlag(
                issuer=issuer,
                nonce=new_nonce(),
                issued=format_time(now),
                audience=("peers",),
                items=tuple(
                    MediaItem(pdq=row.tobytes().hex(), quality=90)
                    for row in pdqs[at : at + MAX_ITEMS]
                ),
                category="csam.act.prepub",
                basis=Basis(reviewers=1, reviewed=format_time(now)),
                purpose="removal",
                legal_basis="dsa-art-16",
                review_by=format_time(now + _DAY_S),
            ),
            key,
        )


def _submit(services: Services, envelopes: Sequence[bytes]) -> None:
    for envelope in envelopes:
        services.ingest.submit(envelope, caller=NAME)


def _until_matchable(services: Services, pdq: bytes) -> None:
    """The index answers with what was taken in last."""
    services.catalogue.refresh()
    (found,) = services.catalogue.found([pdq], max_distance=0)
    if not found:
        raise RuntimeError("what was taken in is not found")


def _figures(hashes: int, result: _Result) -> Iterator[Figure]:
    stored, indexed, floor, at_once = (
        result.stored,
        result.indexed,
        result.floor,
        result.floor_at_once,
    )
    wall, processor = stored.wall + indexed.wall, stored.processor + indexed.processor
    beside = {
        "processor_ratio": processor / floor.processor,
        "ours_s": wall,
        "floor_s": floor.wall,
        "ours_processor_s": processor,
        "floor_processor_s": floor.processor,
        "index_processor_s": indexed.processor,
        "floor_in_one_transaction_a_turn_s": at_once.wall,
        "floor_in_one_transaction_a_turn_processor_s": at_once.processor,
        "statements": result.statements,
        "statements_a_turn": _TURN,
    }
    yield Figure("ingest.ratio_floor", wall / floor.wall, "×", at_most(2.0), beside)
    rates = {"floor_per_s": hashes / floor.wall, "hashes": hashes}
    yield Figure("ingest.hashes_per_s", hashes / wall, "1/s", None, rates)
    held = {"bits_of_all_pdqs_mb": hashes * PDQ_BITS / 8 / _MIB}
    yield Figure("ingest.rss_growth_mb", result.growth_bytes / _MIB, "MiB", None, held)
    waited = {"index_s": indexed.wall, "store_s": stored.wall}
    yield Figure("ingest.matchable_s", result.matchable_s, "s", None, waited)
