"""A node's services over a real database, and the parties around it, at a fixed time.

The parties are those of `simulator`: every key follows from a name. Here are the statements that
point at others, and `World`, the part of a node that takes statements in. What `World` is not: an
application. It has no HTTP, no jobs and no matching.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, create_engine, insert, select

from federation.descriptors import open_descriptor
from federation.sync import Pulled
from node.policy.gates import Limits
from node.services.ingest import Ingest
from node.services.log import OwnLog
from node.services.replica import StoredReplica
from node.storage import rows
from node.storage.engine import Store
from node.storage.peers import PeerRecord
from node.storage.transaction import Transaction
from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import format_time, to_base64url
from protocol.envelope import parse_envelope
from protocol.fields import StatementId, organisation_of
from protocol.merkle import Frontier
from protocol.messages import Receipt
from protocol.statements import (
    Dispute,
    Erase,
    Feedback,
    FeedbackRow,
    MediaItem,
    Resolve,
    Retract,
    Statement,
)
from signing.envelopes import add_signature
from signing.keys import KeyUse
from simulator import DAY_S, NOW, Peer, accredit, fields, make_key

HOTLINE = "hotline.example"
PLATFORM = "platform.example"
ANNA = f"{HOTLINE}/anna"
"""A flagger of the hotline."""

CIRCLE = "hotline.example/minors-1"
PDQ = "".join(f"{(40503 * (row + 1)) % 65536:04x}" for row in range(16))
"""A pdq that passes the gates: half of its bits are set, and no two rows are equal."""

_numbers = itertools.count(1_000)


@dataclass
class Clock:
    """A clock that moves when it is told to."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += seconds


def _fields(issuer: str, changes: dict[str, Any]) -> dict[str, Any]:
    return {**fields(issuer, next(_numbers)), **changes}


def retract(target: str, *, by: str = HOTLINE, **changes: Any) -> Retract:
    return Retract(**_fields(by, {"target": target, "reason": "wrong"} | changes))


def erase(target: str, *, by: str = HOTLINE, **changes: Any) -> Erase:
    return Erase(**_fields(by, {"target": target, "reason": "subject-request"} | changes))


def dispute(target: str, *, by: str = PLATFORM, **changes: Any) -> Dispute:
    return Dispute(**_fields(by, {"target": target, "reason": "not-illegal"} | changes))


def resolve(
    target: str, disputed: str, outcome: str, *, by: str = HOTLINE, **changes: Any
) -> Resolve:
    values = {"target": target, "dispute": disputed, "outcome": outcome}
    return Resolve(**_fields(by, values | changes))


def feedback(target: str, *, by: str = PLATFORM, **changes: Any) -> Feedback:
    rows = (FeedbackRow(item=0, confirmed=3, refuted=1, unreviewed=2),)
    return Feedback(**_fields(by, {"target": target, "day": "2026-11-21", "rows": rows} | changes))


def circle_descriptor(*, by: str = HOTLINE, **changes: Any) -> CircleDescriptor:
    """A circle of the hotline and the platform, 2-of-2 under a key of no use."""
    epoch = Epoch(
        epoch=1,
        not_before=format_time(NOW - DAY_S),
        not_after=format_time(NOW + 90 * DAY_S),
        threshold=2,
        commitments=(to_base64url(bytes(32)),) * 2,
        holders=(Holder(index=1, node=HOTLINE), Holder(index=2, node=PLATFORM)),
    )
    values = {
        "circle": CIRCLE,
        "version": 1,
        "members": (
            Member(node=HOTLINE, budget_per_day=1_000),
            Member(node=PLATFORM, budget_per_day=1_000),
        ),
        "admins": (by,),
        "admin_threshold": 1,
        "epochs": (epoch,),
    }
    values |= changes
    # Who signs decides, unless it is said otherwise or is no member at all.
    if by not in {member.node for member in values["members"]}:
        values |= {"admins": (values["members"][0].node,)} | changes
    return CircleDescriptor(**_fields(by, values))


def items(count: int) -> tuple[MediaItem, ...]:
    """Pictures whose media hashes differ, each under all of them; they pass the gates."""
    return tuple(
        MediaItem(
            pdq=f"{number:04x}{PDQ[4:60]}{number:04x}",
            quality=90,
            sha256=f"{number:064x}",
            sha1=f"{number:040x}",
            md5=f"{number:032x}",
        )
        for number in range(1, count + 1)
    )


@dataclass
class World:
    """One node's way in for statements, and everybody it knows.

    Attributes:
        name: of the node whose database this is.
        store: its database, migrated.
        clock: what the services see as the time.
        log: its log.
        ingest: its one way in.
        nodes: it, and the nodes that it has pinned, by name.
        limits: of what it takes in; a test may set others.
    """

    name: str
    url: str
    store: Store
    clock: Clock = field(default_factory=Clock)
    nodes: dict[str, Peer] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.log = OwnLog(self.store, make_key(KeyUse.LOG, self.name), origin=f"{self.name}/log/1")
        self.ingest = Ingest(
            self.store, self.log, name=self.name, clock=self.clock, limits=lambda: self.limits
        )

    def know(self, name: str, *, authority: bool = False, state: str = "active") -> Peer:
        """Pins a node; the node itself has to be pinned too."""
        peer = Peer(name)
        descriptor, descriptor_id = open_descriptor(peer.descriptor_envelope, now=NOW)
        pinned = peer.pinned()
        with self.store.write() as transaction:
            transaction.peers.put(
                PeerRecord(
                    name=descriptor.issuer,
                    descriptor=peer.descriptor_envelope,
                    descriptor_id=descriptor_id,
                    fingerprint=pinned.fingerprint,
                    request_keyid=pinned.request_key.kid,
                    authority=authority,
                    state=state,
                    added=NOW,
                )
            )
        self.nodes[name] = peer
        return peer

    def sign(self, statement: Statement) -> bytes:
        """The envelope of a statement, signed by whoever it names as its issuer.

        A circle's descriptor is signed by all its admins too.
        """
        envelope = self._peer(statement.issuer).sign(statement)
        if isinstance(statement, CircleDescriptor):
            for name in statement.admins:
                if name != statement.issuer:
                    envelope = add_signature(envelope, self._peer(name).key(KeyUse.STATEMENT))
        return envelope

    def _peer(self, name: str) -> Peer:
        organisation = organisation_of(name)
        return self.nodes.get(organisation, Peer(organisation))

    def submit(self, statement: Statement) -> Receipt:
        """Signs a statement and takes it in, as if its issuer sent it."""
        return self.ingest.submit(self.sign(statement), caller=statement.issuer)

    def submit_all(self, statements: Sequence[Statement]) -> list[Receipt]:
        return [self.submit(one) for one in statements]

    def set_aside(self, envelope: bytes, *, source: str) -> None:
        """Keeps a statement that was not believed, as a sync with that peer does."""
        pulled = [Pulled(parse_envelope(envelope).statement_id, envelope)]
        replica = StoredReplica(self.store, self.ingest, node=source, clock=self.clock)
        replica.take(f"{source}/log/1", pulled, Frontier.EMPTY, None)

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, to compare before and after."""
        with self.store.read() as transaction:
            return _rows(transaction._connection)


def append_entries(transaction: Transaction, log: OwnLog, ids: Sequence[StatementId]) -> None:
    """Appends ids to a log as statements without bodies."""
    first = log.append(transaction, ids)
    transaction._connection.execute(
        insert(rows.StatementRow),
        [
            {
                "log_index": first + at,
                "id": bytes.fromhex(one),
                "kind": "media-flag",
                "issuer": HOTLINE,
                "keyid": "00" * 16,
                "issued": NOW,
                "audience": "peers",
                "received": NOW,
                "received_from": HOTLINE,
                "state": "erased",
            }
            for at, one in enumerate(ids)
        ],
    )


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of a database, in a stable order."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = _rows(connection)
    engine.dispose()
    return found


def _rows(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
        for table in rows.StatementRow.metadata.sorted_tables
    }


@contextmanager
def open_world(url: str, *, name: str = HOTLINE) -> Iterator[World]:
    """Gives a node over a migrated database: the hotline and the platform know each other, the
    hotline is an authority, and Anna is accredited if the node is the hotline.
    """
    store = Store(url)
    world = World(name, url, store)
    try:
        world.know(HOTLINE, authority=True)
        world.know(PLATFORM)
        if name == HOTLINE:
            world.submit(accredit(ANNA, next(_numbers), categories=("*",)))
        yield world
    finally:
        store.close()
