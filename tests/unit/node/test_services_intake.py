"""How much of one issuer, category and organisation is taken in on one day."""

import asyncio

import pytest

from desks import Desk, ban_of, picture
from federation.sync import sync_peer
from node.policy.gates import Limits
from node.services import replica as module
from node.services.replica import StoredReplica
from protocol.errors import RateLimitedError
from simulator import DAY_S, Peer, accredit, media_flag
from uploads import flag
from worlds import ANNA, HOTLINE, PLATFORM, erase, items, retract

BERTA = f"{HOTLINE}/berta"


def pull(desk: Desk, peer: Peer) -> int:
    replica = StoredReplica(desk.world.store, desk.world.ingest, node=peer.name, clock=desk.clock)
    return asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread)).set_aside


def here(desk: Desk, *ids: str) -> list[bool]:
    with desk.world.store.read() as transaction:
        found = transaction.statements.by_ids(ids)
    return [one in found for one in ids]


def test_an_issuer_is_told_how_much_is_left_today(either_desk: Desk) -> None:
    either_desk.world.limits = Limits(issuer_per_day=5)
    flag(either_desk, 1, items=items(3))
    sentence = r"takes 5 entries a day of hotline.example/anna; 2 are left .* has 3\."
    with pytest.raises(RateLimitedError, match=sentence) as refused:
        flag(either_desk, 2, items=items(3))
    assert 0 < refused.value.retry_after_s <= DAY_S
    flag(either_desk, 3, items=items(2))
    with pytest.raises(RateLimitedError, match="0 are left"):
        flag(either_desk, 4)


def test_tomorrow_is_another_day(desk: Desk) -> None:
    desk.world.limits = Limits(issuer_per_day=1)
    flag(desk, 1)
    with pytest.raises(RateLimitedError, match="0 are left") as refused:
        flag(desk, 2)
    desk.world.clock.tick(refused.value.retry_after_s)
    flag(desk, 2)


def test_each_category_of_an_issuer_has_a_limit_of_its_own(desk: Desk) -> None:
    desk.world.limits = Limits(category_per_day=1)
    flag(desk, 1, category="ncii.adult")
    with pytest.raises(RateLimitedError, match="in this category"):
        flag(desk, 2, category="ncii.adult")
    flag(desk, 3, category="ncii.minor")


def test_more_flaggers_give_an_organisation_no_more(desk: Desk) -> None:
    desk.world.limits = Limits(organisation_per_day=2)
    desk.world.submit(accredit(BERTA, 90, categories=("*",)))
    flag(desk, 1)
    flag(desk, 2, by=BERTA)
    with pytest.raises(RateLimitedError, match=r"of hotline.example and its flaggers"):
        flag(desk, 3, by=HOTLINE)
    flag(desk, 4, by=PLATFORM)


def test_what_was_erased_was_taken_in_all_the_same(desk: Desk) -> None:
    desk.world.limits = Limits(issuer_per_day=1)
    desk.world.submit(erase(flag(desk, 1).id))
    with pytest.raises(RateLimitedError, match="0 are left"):
        flag(desk, 2)


def test_a_ban_is_one_entry_and_taking_back_is_none(desk: Desk) -> None:
    desk.join_circle()
    desk.world.limits = Limits(issuer_per_day=1)
    receipt = desk.world.submit(ban_of(HOTLINE, 1, ("email", "a@example.com")))
    with pytest.raises(RateLimitedError, match="0 are left"):
        desk.world.submit(ban_of(HOTLINE, 2, ("email", "b@example.com")))
    desk.world.submit(retract(receipt.id))


def test_the_same_again_and_what_is_refused_cost_nothing(desk: Desk) -> None:
    desk.world.limits = Limits(issuer_per_day=2)
    envelope = desk.world.sign(media_flag(ANNA, 1, items=(picture(),)))
    for _ in range(3):
        desk.world.ingest.submit(envelope, caller=ANNA)
    with pytest.raises(RateLimitedError, match="1 are left"):
        flag(desk, 2, items=items(2))
    flag(desk, 3)


def test_what_a_peer_brings_beyond_it_is_set_aside_and_taken_in_tomorrow(
    either_desk: Desk,
) -> None:
    peer = either_desk.world.nodes[PLATFORM]
    either_desk.world.limits = Limits(issuer_per_day=2)
    flags = [media_flag(PLATFORM, number, items=(picture(),)) for number in range(4)]
    ids = peer.append(*flags)
    assert pull(either_desk, peer) == 2
    assert here(either_desk, *ids) == [True, True, False, False]
    waiting = either_desk.peers.set_aside()
    assert {one.id for one in waiting} == set(ids[2:])
    assert all(one.retry and "entries a day" in one.reason for one in waiting)
    assert either_desk.maintenance.retry() == 0
    either_desk.world.clock.tick(DAY_S)
    assert either_desk.maintenance.retry() == 2
    assert here(either_desk, *ids) == [True] * 4
    assert not either_desk.peers.set_aside()


@pytest.mark.parametrize("bound", ["_MAX_KEPT_BYTES", "_MOST_KEPT"])
def test_what_is_too_much_to_keep_is_asked_for_again_tomorrow(
    either_desk: Desk, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(module, bound, 0)
    peer = either_desk.world.nodes[PLATFORM]
    either_desk.world.limits = Limits(issuer_per_day=1)
    ids = peer.append(*(media_flag(PLATFORM, number) for number in range(3)))
    pull(either_desk, peer)
    pull(either_desk, peer)
    assert here(either_desk, *ids) == [True, False, False]
    for known in (2, 3):
        either_desk.world.clock.tick(DAY_S)
        pull(either_desk, peer)
        assert sum(here(either_desk, *ids)) == known


def test_counters_are_forgotten_when_their_day_is_long_over(desk: Desk) -> None:
    flag(desk)
    assert desk.world.contents()["intake"]
    desk.world.clock.tick(8 * DAY_S)
    desk.maintenance.forget()
    assert not desk.world.contents()["intake"]
