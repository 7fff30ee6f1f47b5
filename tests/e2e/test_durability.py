"""kill -9 at any moment of a bulk submission: what was acknowledged is there, and nothing is half."""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from nodes import (
    ANNA,
    HOTLINE,
    Node,
    introduce,
    make_node,
    media_flag,
    new_item,
    serving,
)
from postgres import Postgres
from protocol.checkpoint import Checkpoint
from protocol.endpoints import STATEMENTS
from protocol.envelope import parse_envelope
from protocol.merkle import Frontier
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey
from signing.notes import open_checkpoint
from signing.requests import sign_request
from waiting import WITHIN_S

ITEMS = 4
HASHES = 3 * ITEMS
SUBMITTERS = 3
MOST_PER_ROUND = 40
ROUNDS = {"sqlite": 12, "postgresql": 4}


@dataclass
class Submission:
    """What was said to the node, and what it has acknowledged.

    Attributes:
        anna: key of the flagger.
        peer: key of a node that may read checkpoints.
        acknowledged: place in the log by id of the statement, as the receipts said.
        envelopes: every envelope that was sent, by id.
    """

    node: Node
    anna: SigningKey
    peer: SigningKey
    acknowledged: dict[str, int] = field(default_factory=dict)
    envelopes: dict[str, bytes] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def send(self, envelope: bytes, http: httpx.Client) -> None:
        url = self.node.made.url + STATEMENTS
        now = int(time.time())
        fields = sign_request(method="POST", url=url, body=envelope, key=self.anna, now=now)
        answer = http.post(url, content=envelope, headers=fields | {"Content-Type": JSON})
        assert answer.is_success, answer.text
        receipt = answer.json()
        with self.changed:
            self.acknowledged[receipt["id"]] = receipt["index"]
            self.changed.notify_all()

    def bulk(self) -> None:
        """Submits until the node is gone."""
        with httpx.Client(trust_env=False, timeout=WITHIN_S) as http:
            for _ in range(10 * MOST_PER_ROUND):
                flag = media_flag(*(new_item() for _ in range(ITEMS)))
                envelope = sign_statement(flag, self.anna)
                self.envelopes[parse_envelope(envelope).statement_id] = envelope
                try:
                    self.send(envelope, http)
                except httpx.TransportError:
                    return

    def wait_for_more(self, count: int) -> None:
        """Returns in the moment in which so many more were acknowledged."""
        with self.changed:
            wanted = len(self.acknowledged) + count
            assert self.changed.wait_for(lambda: len(self.acknowledged) >= wanted, timeout=WITHIN_S)

    def send_unanswered_again(self) -> None:
        """Whoever got no receipt asks again; it costs nothing."""
        with httpx.Client(trust_env=False, timeout=WITHIN_S) as http:
            for statement in self.envelopes.keys() - self.acknowledged.keys():
                self.send(self.envelopes[statement], http)


JSON = "application/json"


@pytest.fixture(params=["sqlite", "postgresql"])
def submission(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Submission]:
    database_url = None
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        database_url = postgres.fresh()
    hotline = make_node(tmp_path / "hotline", HOTLINE, database_url=database_url)
    reader = make_node(tmp_path / "reader", "platform-a.example")
    anna = SigningKey.generate(KeyUse.FLAGGER)
    introduce(hotline, reader)
    with hotline.services() as services:
        services.flaggers.add(anna.public.to_text(), ANNA, ["csam.*"], 30)
    with serving(hotline):
        yield Submission(hotline, anna, reader.key(KeyUse.REQUEST))
    if database_url is not None:
        postgres.drop(database_url)


def test_a_node_that_is_killed_keeps_what_it_acknowledged_and_nothing_by_half(
    submission: Submission,
) -> None:
    node = submission.node
    chance = random.Random(2)
    seen: list[Checkpoint] = [checkpoint(submission)]
    unanswered = kept = 0
    rounds = ROUNDS[node.database_url.partition(":")[0].partition("+")[0]]
    for _ in range(rounds):
        threads = [threading.Thread(target=submission.bulk) for _ in range(SUBMITTERS)]
        for thread in threads:
            thread.start()
        submission.wait_for_more(chance.randrange(MOST_PER_ROUND))
        seen.append(checkpoint(submission))
        submission.wait_for_more(chance.randrange(3))
        node.kill()
        for thread in threads:
            thread.join()
        node.start()
        node.wait_until_ready()
        missing = submission.envelopes.keys() - submission.acknowledged.keys()
        unanswered += len(missing)
        kept += len(missing & check_whole(submission))
        seen.append(checkpoint(submission))
        check_consistent(node, seen)
        submission.send_unanswered_again()
    check_whole(submission)
    assert submission.acknowledged.keys() == submission.envelopes.keys()
    # The moments were such that answers were lost, else the test shows little.
    assert unanswered >= rounds / 2
    print(
        f"{rounds} kills, {len(submission.acknowledged)} acknowledged; "
        f"{unanswered} without an answer, of which {kept} were kept, each whole"
    )


def checkpoint(submission: Submission) -> Checkpoint:
    note = submission.node.talk(lambda client: client.checkpoint(), submission.peer)
    pinned = submission.node.pinned
    return open_checkpoint(note, origin=pinned.log_origin, key=pinned.log_key)


def check_whole(submission: Submission) -> set[str]:
    """Looks into the database; returns the ids of all statements that are there."""
    with submission.node.store() as store, store.read() as transaction:

        def all_of(query: str) -> list[tuple[object, ...]]:
            return [tuple(row) for row in transaction._connection.execute(text(query))]

        places = transaction.statements.by_ids(submission.envelopes)
        bodies = transaction.statements.envelopes(one.log_index for one in places.values())
        # 1. What was acknowledged is there, at its place, byte for byte.
        for statement, index in submission.acknowledged.items():
            assert places[statement].log_index == index
        # 2. What is there is whole: envelope, items, and a place in the log without a gap.
        for statement, record in places.items():
            assert bodies[record.log_index] == submission.envelopes[statement]
            assert record.items == ITEMS
        counted = all_of("SELECT log_index, COUNT(*) FROM media_hash GROUP BY log_index")
        assert sorted(counted) == sorted((one.log_index, HASHES) for one in places.values())
        statements = all_of("SELECT log_index FROM statement ORDER BY log_index")
        assert statements == [(place,) for place in range(len(statements))]
        assert all_of("SELECT log_index FROM envelope ORDER BY log_index") == statements
        # 3. The log's state is that of its entries.
        origin = submission.node.pinned.log_origin
        entries = transaction.statements.entries(0, len(statements) + 1)
        frontier = Frontier.EMPTY.append(bytes.fromhex(one) for one in entries)
        assert transaction.logs.get(origin).frontier == frontier
        return set(places)


def check_consistent(node: Node, seen: list[Checkpoint]) -> None:
    """Every checkpoint ever shown is one of the log as it stands."""
    with node.store() as store, store.read() as transaction:
        entries = transaction.statements.entries(0, seen[-1].size)
    frontier = Frontier.EMPTY
    for one in seen:
        assert one.size >= frontier.size
        frontier = frontier.append(bytes.fromhex(e) for e in entries[frontier.size : one.size])
        assert (frontier.size, frontier.root()) == (one.size, one.root)
