"""What was set aside waits for what it needs, and is tried again when that comes."""

import asyncio
from typing import Any

import pytest

from desks import Desk
from federation.sync import SyncReport, sync_peer
from node.services import replica as module
from node.services.replica import StoredReplica
from node.storage.engine import Store
from node.storage.peers import SetAsideRecord
from protocol.circles import Member
from protocol.encoding import format_time
from protocol.envelope import parse_envelope
from protocol.fields import StatementId
from protocol.messages import EnvelopeAnswer
from simulator import NOW, Peer, accredit, media_flag
from worlds import HOTLINE, PLATFORM, circle_descriptor, erase, items, retract

THIRD = "third.example"
CARL = f"{PLATFORM}/carl"
ORIGIN = f"{PLATFORM}/log/1"


@pytest.fixture
def peer(either_desk: Desk) -> Peer:
    """The platform, whose log the hotline takes over."""
    return either_desk.world.nodes[PLATFORM]


def pull(desk: Desk, peer: Peer, *, store: Store | None = None) -> SyncReport:
    replica = StoredReplica(
        store or desk.world.store, desk.world.ingest, node=peer.name, clock=desk.clock
    )
    return asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread))


def here(desk: Desk, *ids: str) -> list[bool]:
    with desk.world.store.read() as transaction:
        found = transaction.statements.by_ids(ids)
    return [one in found for one in ids]


def set_aside(desk: Desk) -> dict[str, str]:
    return {one.id: one.reason for one in desk.peers.set_aside()}


def gone(statement: str, state: Any) -> EnvelopeAnswer:
    return EnvelopeAnswer(id=statement, state=state)


def test_a_flag_whose_flagger_is_vouched_for_later_is_taken_in_then(
    either_desk: Desk, peer: Peer
) -> None:
    ids = peer.append(media_flag(CARL, 1))
    assert pull(either_desk, peer).set_aside == 1
    assert set_aside(either_desk)[ids[0]].startswith("UnknownKey: ")
    peer.append(accredit(CARL, 2))
    pull(either_desk, peer)
    assert here(either_desk, *ids) == [True]
    assert set_aside(either_desk) == {}


def test_what_points_at_what_comes_behind_it_is_taken_in_and_called_taken(
    either_desk: Desk, peer: Peer
) -> None:
    flag = media_flag(PLATFORM, 1)
    target = parse_envelope(peer.sign(flag)).statement_id
    ids = peer.append(retract(target, by=PLATFORM), flag)
    report = pull(either_desk, peer)
    assert here(either_desk, *ids) == [True, True]
    assert either_desk.flags.status(target).state == "retracted"
    assert set_aside(either_desk) == {}
    assert (report.accepted, report.set_aside) == (2, 0)
    assert peer.acknowledged[-1].set_aside == ()


def test_a_statement_that_is_dated_ahead_is_taken_in_when_its_time_has_come(
    either_desk: Desk, peer: Peer
) -> None:
    ids = peer.append(media_flag(PLATFORM, 1, issued=format_time(NOW + 3600)))
    assert pull(either_desk, peer).set_aside == 1
    either_desk.world.clock.tick(3000)
    assert either_desk.maintenance.retry() == 0
    either_desk.world.clock.tick(300)
    assert either_desk.maintenance.retry() == 1
    assert here(either_desk, *ids) == [True]


def test_what_a_frozen_node_said_is_taken_in_once_it_is_thawed(
    either_desk: Desk, peer: Peer
) -> None:
    third = either_desk.world.know(THIRD, state="frozen")
    ids = peer.append(third.sign(media_flag(THIRD)))
    pull(either_desk, peer)
    assert set_aside(either_desk)[ids[0]].startswith("Revoked: ")
    either_desk.peers.thaw(THIRD)
    assert either_desk.maintenance.retry() == 1
    assert here(either_desk, *ids) == [True]


def test_those_that_wait_are_tried_in_turn(
    either_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many that nothing can cure must not keep one that something can from its turn."""
    monkeypatch.setattr(module, "_RETRIES", 3)
    desk = either_desk
    curable = desk.world.sign(media_flag(HOTLINE, 99))
    hopeless = [desk.world.sign(media_flag(THIRD, number)) for number in range(7)]
    with desk.world.store.write() as transaction:
        for envelope in (*hopeless, curable):
            transaction.peers.set_aside(
                SetAsideRecord(
                    parse_envelope(envelope).statement_id,
                    PLATFORM,
                    "UnknownKey: nobody",
                    True,
                    NOW,
                    envelope,
                )
            )
    taken = 0
    for _ in range(3):
        desk.world.clock.tick(1)
        taken += desk.maintenance.retry()
    assert taken == 1
    assert len(desk.peers.set_aside()) == 7


def test_what_is_too_large_to_keep_is_not_tried_again(desk: Desk) -> None:
    peer = desk.world.nodes[PLATFORM]
    (statement,) = peer.append(media_flag(CARL, 1, items=items(1000)))
    assert len(peer.held[statement]) > 256 << 10
    pull(desk, peer)
    (record,) = desk.peers.set_aside()
    assert (record.retry, record.envelope) == (False, None)


def test_a_record_without_its_bytes_is_not_tried(desk: Desk) -> None:
    with desk.world.store.write() as transaction:
        transaction.peers.set_aside(
            SetAsideRecord(StatementId("ab" * 32), PLATFORM, "odd", True, NOW, None)
        )
    assert desk.maintenance.retry() == 0
    assert len(desk.peers.set_aside()) == 1


def test_a_body_that_was_erased_before_this_node_came_does_not_count_whoever_serves_it(
    either_desk: Desk, peer: Peer
) -> None:
    keeper = either_desk.world.know(THIRD)
    (target,) = peer.append(media_flag(PLATFORM, 1))
    body = peer.held[target]
    peer.lies[target] = gone(target, "erased")
    (taken_back,) = peer.append(erase(target, by=PLATFORM))
    assert pull(either_desk, peer).set_aside == 0
    assert set_aside(either_desk) == {}, "nobody is troubled with it"
    keeper.append(body)
    pull(either_desk, keeper)
    assert here(either_desk, target, taken_back) == [True, True]
    with either_desk.world.store.read() as transaction:
        record = transaction.statements.by_id(target)
        assert record is not None
        assert record.state == "erased"
        assert transaction.media.count() == 0


def test_what_is_for_a_circle_that_comes_later_is_taken_in_then(
    either_desk: Desk, peer: Peer
) -> None:
    founder = either_desk.world.know(THIRD)
    circle = f"{THIRD}/later-1"
    ids = peer.append(media_flag(PLATFORM, 1, audience=(f"circle:{circle}",)))
    pull(either_desk, peer)
    assert here(either_desk, *ids) == [False]
    members = tuple(
        Member(node=one, budget_per_day=1) for one in (THIRD, PLATFORM, either_desk.world.name)
    )
    founder.append(circle_descriptor(by=THIRD, circle=circle, members=members))
    pull(either_desk, founder)
    assert here(either_desk, *ids) == [True]


def test_what_waits_is_tried_when_its_cure_comes_and_not_whenever_anything_does(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = desk.world.know(PLATFORM)
    peer.append(*(media_flag(f"{PLATFORM}/eve", number) for number in range(5)))
    pull(desk, peer)
    assert len(set_aside(desk)) == 5
    tried: list[str] = []
    monkeypatch.setattr(
        type(desk.world.ingest), "retry", lambda *_arguments, **_more: tried.append("again") or []
    )
    peer.append(media_flag(PLATFORM, 50), media_flag(PLATFORM, 51))
    pull(desk, peer)
    assert tried == []
    peer.append(accredit(f"{PLATFORM}/eve"))
    pull(desk, peer)
    assert tried == ["again"] * 5
