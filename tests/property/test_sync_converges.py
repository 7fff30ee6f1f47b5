"""Three nodes over real databases, in any interleaving of what may happen to them, converge.

Hypothesis chooses who says what, who hears whom, who is cut off, who dies in the middle of a sync
and who comes back from a backup. A model of a few lines says what has to be at every node in the
end. Nothing runs by itself and no clock moves: a failure is repeated exactly.
"""

import asyncio
import itertools
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace
from sqlalchemy import text

from federation.chains import Version
from federation.descriptors import PinnedNode, parse_descriptor
from federation.sync import sync_peer
from mortal_worlds import KilledError, Line, MortalReplica, inline
from node.services.directory import log_name, pinned
from node.services.replica import retry_set_aside
from node.services.successions import Successions, advance
from node.storage.engine import Store
from protocol.checkpoint import parse_checkpoint, parse_note
from protocol.descriptors import NodeKey
from protocol.encoding import format_time, to_base64url
from protocol.envelope import parse_envelope
from protocol.errors import PeerUnreachableError
from protocol.fields import StatementId
from protocol.merkle import Frontier
from protocol.statements import Statement
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from simulator import NOW, Peer, make_key, media_flag
from worlds import HOTLINE, PLATFORM, World, erase, retract

THIRD = "third.example"
NAMES = (HOTLINE, PLATFORM, THIRD)
PAIRS = list(itertools.permutations(NAMES, 2))
MOST_ROTATIONS = 2
ROUNDS = 5
"""How often everybody may hear everybody until nothing is new to anybody."""

_PROFILES = {"quick": (6, 30, 0.0), "soak": (10, 80, 300.0)}
_EXAMPLES, _STEPS, _SECONDS = _PROFILES[os.environ.get("SYNC_PROFILE", "quick")]
"""Interleavings in a round, steps in each at most, and for how long there is another round.

The long profile goes by the clock: how many interleavings a machine does is not known beforehand.
"""

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

names = st.sampled_from(NAMES)
moments = st.none() | st.integers(0, 8)


@dataclass
class Known:
    """What the model knows of one statement.

    Attributes:
        state: that it has to have everywhere in the end; a node may lack what was erased.
        target: what it is about.
    """

    home: str
    envelope: bytes
    state: str = "active"
    target: str | None = None


@dataclass
class Backup:
    """A copy of a node's database, and the size of the node's log in it."""

    path: Path
    size: int


class Network(RuleBasedStateMachine):
    """Three nodes, and what ought to be at all of them."""

    migrated: Path

    def __init__(self) -> None:
        super().__init__()
        # In memory where there is any: nothing here is about the disk.
        self.folder = Path(tempfile.mkdtemp(prefix="network-", dir=MEMORY))
        self.numbers = itertools.count(1)
        self.worlds: dict[str, World] = {}
        self.known: dict[str, Known] = {}
        self.backups: dict[str, Backup] = {}
        self.cut: set[frozenset[str]] = set()
        self.chains = {name: [Peer(name).descriptor_envelope] for name in NAMES}
        for name in NAMES:
            shutil.copy(self.migrated, self.folder / f"{name}.db")
            self._open(name)
            for other in NAMES:
                self.worlds[name].know(other)

    def _open(self, name: str) -> None:
        store = Store(f"sqlite:///{self.folder / f'{name}.db'}")
        # Who is pinned, and who is frozen, stands in the database.
        self.worlds[name] = World(name, "", store, nodes={one: Peer(one) for one in NAMES})
        self.worlds[name].nodes[name].generation = len(self.chains[name])

    # What is said

    def _say(self, home: str, statement: Statement, target: str | None = None) -> None:
        envelope = self.worlds[home].sign(statement)
        self.worlds[home].ingest.submit(envelope, caller=home)
        found = parse_envelope(envelope).statement_id
        self.known[found] = Known(home, envelope, target=target)

    @rule(home=names)
    def flag(self, home: str) -> None:
        self._say(home, media_flag(home, next(self.numbers)))

    def _flags(self, home: str) -> list[str]:
        found = [one for one, known in self.known.items() if known.home == home]
        return [one for one in found if not self.known[one].target and self._is(one, "active")]

    def _is(self, statement: str, state: str) -> bool:
        return self.known[statement].state == state

    @rule(home=names, data=st.data(), how=st.sampled_from([retract, erase]))
    def take_back(self, home: str, data: st.DataObject, how: Any) -> None:
        flags = self._flags(home)
        if flags:
            target = data.draw(st.sampled_from(flags))
            self._say(home, how(target, by=home), target)
            self.known[target].state = "retracted" if how is retract else "erased"

    @rule(data=st.data())
    def say_again(self, data: st.DataObject) -> None:
        if self.known:
            one = data.draw(st.sampled_from(sorted(self.known)))
            home = self.known[one].home
            receipt = self.worlds[home].ingest.submit(self.known[one].envelope, caller=home)
            assert receipt.duplicate

    @rule(home=names)
    def rotate(self, home: str) -> None:
        """The node's statements are signed with a new key from now on."""
        chain = self.chains[home]
        if len(chain) > MOST_ROTATIONS:
            return
        old, old_id = parse_descriptor(chain[-1])
        key = make_key(KeyUse.STATEMENT, home, len(chain) + 1)
        new = NodeKey(
            use="statement",
            key=to_base64url(key.public.raw),
            not_before=format_time(NOW),
            not_after=old.keys[0].not_after,
        )
        following = replace(
            old,
            version=old.version + 1,
            previous=old_id,
            nonce=to_base64url(next(self.numbers).to_bytes(16, "big")),
            keys=(*old.keys, new),
        )
        chain.append(sign_statement(following, make_key(KeyUse.ROOT, home)))
        self._install_chain(home)

    def _install_chain(self, home: str) -> None:
        """Has the node itself go on to its latest descriptor."""
        with self.worlds[home].store.write() as transaction:
            record, latest = transaction.peers.get(home), transaction.descriptors.latest(home)
            assert record is not None
            assert latest is not None
            for envelope in self.chains[home][latest.version :]:
                version = Version(*parse_descriptor(envelope), envelope)
                advance(transaction, version, record.descriptor_id, now=NOW)
        self.worlds[home].nodes[home].generation = len(self.chains[home])

    # What happens to lines and machines

    @rule(pair=st.sampled_from(PAIRS))
    def part(self, pair: tuple[str, str]) -> None:
        self.cut.add(frozenset(pair))

    @rule()
    def heal(self) -> None:
        self.cut.clear()

    def _tell_chain(self, here: str, there: str) -> None:
        """Has one node take over the descriptors of another that it has not yet."""
        world, other = self.worlds[here], self.worlds[there]
        with world.store.read() as transaction:
            latest = transaction.descriptors.latest(there)
        assert latest is not None
        serving = Successions(other.store, other.ingest, name=there, clock=other.clock)
        news = [one.encode() for one in serving.own_after(latest.version).descriptors]
        if news:
            taking = Successions(world.store, world.ingest, name=here, clock=world.clock)
            taking.take(there, news, answered=True)

    def _pinned(self, here: str, there: str) -> PinnedNode:
        with self.worlds[here].store.read() as transaction:
            record = transaction.peers.get(there)
        assert record is not None
        return pinned(record)

    @rule(
        pair=st.sampled_from(PAIRS),
        patience=moments,
        dies_in=moments,
        kept=st.booleans(),
        told=st.booleans(),
    )
    def sync(
        self,
        pair: tuple[str, str],
        patience: int | None,
        dies_in: int | None,
        kept: bool,
        told: bool,
    ) -> None:
        """One node pulls another's log; it may not have heard of the other's new keys."""
        here, there = pair
        if told and frozenset(pair) not in self.cut:
            self._tell_chain(here, there)
        line = Line(self.worlds[there], here, 0 if frozenset(pair) in self.cut else patience)
        replica = MortalReplica(self.worlds[here], there, dies_in=dies_in, kept=kept)
        peer = self._pinned(here, there)
        try:
            asyncio.run(sync_peer(line, peer, replica, run=inline))
        except PeerUnreachableError:
            assert line.patience is not None
        except KilledError:
            self.crash(here)

    @rule(name=names)
    def crash(self, name: str) -> None:
        self.worlds[name].store.close()
        self._open(name)

    @rule(name=names)
    def back_up(self, name: str) -> None:
        path = self.folder / f"{name}.{next(self.numbers)}.backup"
        size = self._size(self.worlds[name])
        with closing(sqlite3.connect(self.folder / f"{name}.db")) as connection:
            connection.execute("VACUUM INTO ?", [str(path)])
        self.backups[name] = Backup(path, size)

    def _may_restore(self, name: str) -> bool:
        """Whether no peer has seen more of the node's log than its backup has.

        That is what docs/operating.md asks for; a node that comes back with less signs a fork.
        """
        others = [self.worlds[other].store for other in NAMES if other != name]
        return name in self.backups and all(
            self._seen(store, name) <= self.backups[name].size for store in others
        )

    @staticmethod
    def _size(world: World) -> int:
        with world.store.read() as transaction:
            return transaction.logs.size(world.log.origin)

    @staticmethod
    def _seen(store: Store, name: str) -> int:
        with store.read() as transaction:
            record = transaction.peers.get(name)
            assert record is not None
            known = transaction.logs.get(log_name(pinned(record)))
        # Where a sync was interrupted, the checkpoint that was believed is ahead of what was taken.
        note = known.checkpoint
        shown = parse_checkpoint(parse_note(note).text).size if note else 0
        return max(known.frontier.size, shown)

    @precondition(lambda self: any(map(self._may_restore, NAMES)))
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([one for one in NAMES if self._may_restore(one)]))
        backup = self.backups[name]
        self.worlds[name].store.close()
        for suffix in ("-wal", "-shm"):
            (self.folder / f"{name}.db{suffix}").unlink(missing_ok=True)
        shutil.copy(backup.path, self.folder / f"{name}.db")
        self._open(name)
        # Its descriptors are files, and what it said since, nobody else has: it is said again.
        self._install_chain(name)
        for known in self.known.values():
            if known.home == name:
                self.worlds[name].ingest.submit(known.envelope, caller=name)

    # What has to hold in the end

    def teardown(self) -> None:
        try:
            self._converge()
        finally:
            for world in self.worlds.values():
                world.store.close()
            shutil.rmtree(self.folder)

    def _converge(self) -> None:
        self.heal()
        sizes: list[int] = []
        while len(sizes) < 2 or sizes[-1] != sizes[-2]:
            assert len(sizes) < ROUNDS
            sizes.append(sum(map(self._size, self.worlds.values())))
            for pair in PAIRS:
                self.sync(pair, None, None, False, True)
            for world in self.worlds.values():
                fresh = retry_set_aside(world.store, world.ingest, now=NOW)
                world.ingest.settle(fresh, synced=True)
        for world in self.worlds.values():
            self._check(world)

    def _check(self, world: World) -> None:
        with world.store.read() as transaction:
            here = transaction.statements.by_ids(self.known)
            bodies = transaction.statements.envelopes(one.log_index for one in here.values())
            for statement, known in self.known.items():
                record = here.get(StatementId(statement))
                if record is None:
                    # Erased before this node had it: it needs neither the body nor the erasure.
                    erased = known.target or statement
                    assert self._is(erased, "erased")
                    assert erased not in here
                    continue
                assert record.state == known.state
                is_erased = known.state == "erased"
                assert bodies.get(record.log_index) == (None if is_erased else known.envelope)
            # Each place of the log has one statement, and the log's state is that of its entries.
            count = transaction._connection.execute(text("SELECT COUNT(*) FROM statement"))
            entries = transaction.statements.entries(0, len(self.known) + 1)
            assert count.scalar_one() == len(entries) == len(here)
            frontier = Frontier.EMPTY.append(bytes.fromhex(one) for one in entries)
            assert transaction.logs.get(f"{world.name}/log/1").frontier == frontier
            # Nobody has done wrong, so nobody is blamed.
            for peer in transaction.peers.all():
                assert peer.state == "active"
                assert not transaction.peers.evidence(peer.name)


@pytest.mark.timeout(7_200)
def test_any_interleaving_of_statements_partitions_crashes_restores_and_new_keys_converges(
    migrated_sqlite: Path,
) -> None:
    class Opened(Network):
        migrated = migrated_sqlite

    end = time.monotonic() + _SECONDS
    for number in itertools.count(1):
        # Every round has a number of its own to begin from, so that a failure can be had again.
        run_state_machine_as_test(
            seed(number)(Opened),
            settings=settings(
                max_examples=_EXAMPLES,
                stateful_step_count=_STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        if time.monotonic() >= end:
            print(f"{number} rounds of {_EXAMPLES} interleavings of at most {_STEPS} steps")
            break
