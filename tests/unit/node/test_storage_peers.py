"""Pinned nodes, what was set aside of theirs, accreditations, circles and logs."""

from contextlib import suppress
from dataclasses import replace

import pytest

from node.storage.engine import Store
from node.storage.logs import LogRecord
from node.storage.peers import PeerRecord, SetAsideRecord
from node.storage.trust import CircleRecord
from protocol.errors import ConflictError
from protocol.fields import StatementId
from protocol.merkle import Frontier
from worlds import contents

ONE, TWO = StatementId("01" * 32), StatementId("02" * 32)
PEER = PeerRecord(
    name="platform.example",
    descriptor=b'{"any":"bytes"}',
    descriptor_id=StatementId("ab" * 32),
    fingerprint="aaaa-bbbb",
    request_keyid="cd" * 16,
    authority=False,
    state="active",
    added=100,
)
ASIDE = SetAsideRecord(ONE, "platform.example", "no target", retry=True, seen=5, envelope=b"body")


def test_a_pinned_node_is_found_by_name_and_by_key(store: Store) -> None:
    other = replace(PEER, name="aaa.example", request_keyid="ef" * 16, authority=True)
    with store.write() as transaction:
        transaction.peers.put(PEER)
        transaction.peers.put(other)
        assert transaction.peers.get("platform.example") == PEER
        assert transaction.peers.get("unknown.example") is None
        assert transaction.peers.by_request_key("ef" * 16) == other
        assert transaction.peers.by_request_key("00" * 16) is None
        assert transaction.peers.all() == [other, PEER]
        transaction.peers.put(replace(PEER, state="frozen"))
        assert transaction.peers.all() == [other, replace(PEER, state="frozen")]


def test_two_nodes_cannot_be_pinned_with_one_request_key(database_url: str, store: Store) -> None:
    with store.write() as transaction:
        transaction.peers.put(PEER)
    before = contents(database_url)
    with pytest.raises(ConflictError, match="same request key"), store.write() as transaction:
        transaction.peers.put(replace(PEER, name="liar.example"))
    assert contents(database_url) == before


def test_each_note_about_a_node_leaves_the_others_alone(store: Store) -> None:
    with store.write() as transaction:
        peers = transaction.peers
        peers.put(PEER)
        peers.note_sync(PEER.name, at=200, problem=None)
        peers.note_acknowledgement(PEER.name, size=7, at=201)
        peers.note_sync(PEER.name, at=None, problem="does not answer")
        assert peers.set_state(PEER.name, "frozen")
        assert not peers.set_state("unknown.example", "frozen")
        assert peers.get(PEER.name) == replace(
            PEER,
            state="frozen",
            synced=200,
            problem="does not answer",
            acked_size=7,
            acked_at=201,
        )
        assert peers.remove(PEER.name)
        assert not peers.remove(PEER.name)
        assert peers.all() == []


def test_a_peers_refusal_is_known_with_its_latest_reason(store: Store) -> None:
    with store.write() as transaction:
        peers = transaction.peers
        peers.add_refusals("a.example", [(ONE, "first"), (TWO, "other")])
        peers.add_refusals("b.example", [(ONE, "third")])
        peers.add_refusals("a.example", [(ONE, "second")])
        assert peers.refusals(ONE) == {"a.example": "second", "b.example": "third"}
        assert peers.refusals("03" * 32) == {}


def test_what_was_set_aside_keeps_the_time_it_was_first_seen(store: Store) -> None:
    with store.write() as transaction:
        peers = transaction.peers
        peers.set_aside(ASIDE)
        peers.set_aside(replace(ASIDE, reason="no key", seen=9))
        assert peers.all_set_aside() == [replace(ASIDE, reason="no key")]
        peers.set_aside(replace(ASIDE, origin="b.example", seen=4, retry=False, envelope=None))
        peers.set_aside(replace(ASIDE, id=TWO, seen=3))
        assert [one.seen for one in peers.all_set_aside()] == [3, 4, 5]
        assert [one.seen for one in peers.all_set_aside(retry_only=True)] == [3, 5]
        assert [one.seen for one in peers.all_set_aside(origin="b.example")] == [4]
        assert [one.seen for one in peers.all_set_aside(limit=1)] == [3]
        assert peers.count_set_aside("platform.example") == 2
        peers.take_back(ONE)
        assert [one.id for one in peers.all_set_aside()] == [TWO]


def test_what_is_set_aside_after_nothing_was_is_found_and_taken_back(store: Store) -> None:
    waits = replace(ASIDE, waits_for="node:b.example")
    with store.write() as transaction:
        peers = transaction.peers
        assert peers.waiting_for("node:b.example", limit=9) == []
        with suppress(ConflictError), transaction.savepoint():
            peers.set_aside(waits)
            raise ConflictError("so that it is undone")
        assert peers.waiting_for("node:b.example", limit=9) == []
        peers.set_aside(waits)
        assert peers.waiting_for("node:b.example", limit=9) == [waits]
        peers.take_back(ONE)
        assert peers.all_set_aside() == []


def test_what_is_tried_again_in_vain_goes_to_the_end_of_the_line(store: Store) -> None:
    with store.write() as transaction:
        transaction.peers.set_aside(ASIDE)
        transaction.peers.set_aside(replace(ASIDE, id=TWO, seen=6))
        transaction.peers.postpone(ONE, at=7)
        waiting = transaction.peers.all_set_aside(retry_only=True)
    assert [(one.id, one.seen) for one in waiting] == [(TWO, 6), (ONE, 5)]


def test_what_found_no_cure_is_forgotten_in_the_end(store: Store) -> None:
    with store.write() as transaction:
        transaction.peers.set_aside(ASIDE)
        transaction.peers.set_aside(replace(ASIDE, id=TWO, seen=6))
        transaction.peers.postpone(ONE, at=9)
        quiet = StatementId("ee" * 32)
        transaction.peers.set_aside(replace(ASIDE, id=quiet, quiet=True))
        transaction.peers.forget_set_aside(before=6, quiet_before=5)
        assert transaction.peers.count_set_aside(ASIDE.origin, quiet=True) == 1
        assert [one.id for one in transaction.peers.all_set_aside()] == [TWO]


def test_any_number_of_ids_is_asked_for_what_was_skipped_or_set_aside(store: Store) -> None:
    many = [StatementId(f"{at:064x}") for at in range(10, 1_213)]
    with store.write() as transaction:
        peers = transaction.peers
        peers.set_aside(ASIDE)
        for one in (TWO, TWO, *many[::2]):
            peers.skip(PEER.name, one)
        assert peers.skipped(PEER.name, [ONE, TWO, *many]) == {ONE, TWO, *many[::2]}
        assert peers.skipped(PEER.name, []) == set()
        assert peers.was_skipped(PEER.name, TWO)
        assert not peers.was_skipped(PEER.name, many[1])


def test_a_peer_cannot_have_a_statement_skipped_that_another_one_serves(store: Store) -> None:
    with store.write() as transaction:
        peers = transaction.peers
        peers.set_aside(replace(ASIDE, origin="liar.example"))
        peers.skip("liar.example", TWO)
        assert peers.skipped(PEER.name, [ONE, TWO]) == set()
        assert not peers.was_skipped(PEER.name, TWO)


def test_evidence_is_kept_in_order_and_does_not_fill_the_disk(store: Store) -> None:
    with store.write() as transaction:
        peers = transaction.peers
        for number in range(120):
            peers.keep_evidence("liar.example", f"{number}", b"two checkpoints", at=1)
        peers.keep_evidence("other.example", "long", b"x" * 2**20, at=1)
        kept = peers.evidence("liar.example")
        assert kept == [(f"{number}", b"two checkpoints") for number in range(100)]
        assert [len(body) for _, body in peers.evidence("other.example")] == [256 << 10]
        assert peers.evidence(PEER.name) == []
        # An erase reads it all: a liar does not make that long.
        for number in range(100):
            peers.keep_evidence("long.example", f"{number}", b"x" * 2**20, at=1)
        lengths = [len(body) for _, body in peers.evidence("long.example")]
        assert lengths == [256 << 10] * 4 + [4 << 10] * 96
        peers.keep_evidence("long.example", "grave", b"x" * 2**20, at=1, grave=True)
        assert len(peers.evidence("long.example")[-1][1]) == 256 << 10


@pytest.mark.parametrize(
    ("issued", "latest"), [(9, 1), (10, 2), (11, 2)], ids=["older", "of the same second", "later"]
)
def test_the_later_accreditation_of_a_key_counts(store: Store, issued: int, latest: int) -> None:
    with store.write() as transaction:
        trust = transaction.trust
        trust.accredit("a.example/anna", "key", log_index=1, issued=10)
        trust.accredit("a.example/anna", "key", log_index=2, issued=issued)
        assert trust.accreditations("a.example/anna") == [latest]


def test_accreditations_are_found_by_flagger_and_by_key(store: Store) -> None:
    with store.write() as transaction:
        trust = transaction.trust
        trust.accredit("a.example/anna", "key-1", log_index=1, issued=10)
        trust.accredit("a.example/anna", "key-2", log_index=2, issued=11)
        trust.accredit("b.example/bert", "key-2", log_index=3, issued=12)
        assert sorted(trust.accreditations("a.example/anna")) == [1, 2]
        assert trust.accreditations("a.example") == []
        assert sorted(trust.flagger_with_key("key-2")) == [
            ("a.example/anna", 2),
            ("b.example/bert", 3),
        ]
        assert trust.all_accreditations() == [
            ("a.example/anna", 1),
            ("a.example/anna", 2),
            ("b.example/bert", 3),
        ]


def test_a_new_version_of_a_circle_leaves_it_to_the_operator_who_joined(store: Store) -> None:
    with store.write() as transaction:
        trust = transaction.trust
        trust.put_circle("hotline.example/minors-1", version=1, log_index=4)
        trust.put_circle("adults-1", version=1, log_index=5)
        assert trust.circle("hotline.example/minors-1") == CircleRecord(
            "hotline.example/minors-1", 1, 4, joined=False
        )
        assert trust.join("hotline.example/minors-1", ["1:ab"], follows=True)
        assert not trust.join("unknown-1", [], follows=False)
        trust.put_circle("hotline.example/minors-1", version=2, log_index=6)
        assert trust.circle("hotline.example/minors-1") == CircleRecord(
            "hotline.example/minors-1", 2, 6, joined=True, confirmed=("1:ab",), follows=True
        )
        assert trust.circle_versions("hotline.example/minors-1") == {1: 4, 2: 6}
        trust.put_circle("hotline.example/minors-1", version=1, log_index=7)
        begun_anew = trust.circle("hotline.example/minors-1")
        assert begun_anew is not None
        assert (begun_anew.joined, begun_anew.follows) == (True, False)
        assert trust.circle_versions("hotline.example/minors-1") == {1: 7}
        assert trust.circle("unknown-1") is None
        assert [(one.name, one.joined) for one in trust.circles()] == [
            ("adults-1", False),
            ("hotline.example/minors-1", True),
        ]


def test_the_state_of_a_log_comes_back_as_it_was_stored(store: Store) -> None:
    grown = Frontier.EMPTY.append([bytes([one]) * 32 for one in range(5)])
    with store.write() as transaction:
        logs = transaction.logs
        assert logs.get("unknown") == LogRecord("unknown", Frontier.EMPTY, None)
        assert logs.size("unknown") == 0
        logs.put(LogRecord("a.example/log/1", grown, b"note"))
        assert logs.size("a.example/log/1") == 5
        assert logs.get("a.example/log/1").frontier.root() == grown.root()
        further = grown.append([bytes(32)])
        logs.put(LogRecord("a.example/log/1", further, None))
        assert logs.get("a.example/log/1") == LogRecord("a.example/log/1", further, None)
