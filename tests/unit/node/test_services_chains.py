"""Circles by version: the chain that a new member gets, and versions that contradict each other."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from desks import Desk, ban_of, marks
from federation.sync import sync_peer
from node.services.circles import CONTRADICTED
from node.services.directory import StoredDirectory
from node.services.replica import StoredReplica
from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import format_time, parse_time
from protocol.errors import ConflictError, EquivocationError, InvalidError, UnavailableError
from protocol.messages import EnvelopeAnswer
from signing.envelopes import add_signature
from signing.keys import KeyUse
from simulator import DAY_S, NOW, Peer, account_ban
from unit.node.test_services_accounts import EMAIL, ban, check
from worlds import ANNA, CIRCLE, HOTLINE, PLATFORM, circle_descriptor

RING = f"{PLATFORM}/ring-1"
OTHERS = (Member(node=PLATFORM, budget_per_day=1),)
BOTH = (*OTHERS, Member(node=HOTLINE, budget_per_day=1))


@pytest.fixture
def peer(either_desk: Desk) -> Peer:
    """The platform, which founds a circle; this node becomes a member later."""
    return either_desk.world.nodes[PLATFORM]


def pull(desk: Desk, peer: Peer) -> None:
    replica = StoredReplica(desk.world.store, desk.world.ingest, node=peer.name, clock=desk.clock)
    asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread))


def ring(version: int, previous: str | None, members: tuple[Member, ...]) -> CircleDescriptor:
    return circle_descriptor(
        by=PLATFORM, circle=RING, version=version, previous=previous, members=members
    )


def withhold(peer: Peer, *ids: str) -> None:
    peer.lies |= {one: EnvelopeAnswer(id=one, state="withheld") for one in ids}  # type: ignore[misc]  # ids are statement ids


def known(desk: Desk, *versions: int) -> list[bool]:
    with desk.world.store.read() as transaction:
        directory = StoredDirectory(transaction)
        return [directory.circle_version(RING, one) is not None for one in versions]


def grow(desk: Desk, peer: Peer) -> str:
    """A circle of others with three versions and a ban; this node is in the third. Returns the ban."""
    (first,) = peer.append(ring(1, None, OTHERS))
    (ban,) = peer.append(account_ban(PLATFORM, audience=(f"circle:{RING}",)))
    (second,) = peer.append(ring(2, first, OTHERS))
    withhold(peer, first, ban, second)
    pull(desk, peer)
    assert known(desk, 1, 2, 3) == [False] * 3
    peer.append(ring(3, second, BOTH))
    return ban


def test_a_new_member_gets_the_versions_from_before_its_time_and_what_was_for_the_circle(
    either_desk: Desk, peer: Peer
) -> None:
    ban = grow(either_desk, peer)
    peer.lies.clear()
    pull(either_desk, peer)
    assert known(either_desk, 1, 2, 3) == [True] * 3
    with either_desk.world.store.read() as transaction:
        assert transaction.statements.by_id(ban) is not None
    assert either_desk.peers.set_aside() == []


def test_what_a_peer_does_not_serve_yet_is_asked_for_at_the_next_sync(
    either_desk: Desk, peer: Peer
) -> None:
    grow(either_desk, peer)
    pull(either_desk, peer)
    assert known(either_desk, 1, 2, 3) == [False] * 3
    peer.lies.clear()
    pull(either_desk, peer)
    assert known(either_desk, 1, 2, 3) == [True] * 3


def held_by(node: str) -> tuple[Epoch, ...]:
    """The key of a circle, half of it with a holder that is not here."""
    (epoch,) = circle_descriptor().epochs
    holders = (Holder(index=1, node=node), Holder(index=2, node="holder.example"))
    return (replace(epoch, holders=holders),)


def test_nobody_takes_in_the_versions_of_a_circle_that_is_not_its_own(
    either_desk: Desk, peer: Peer
) -> None:
    audience = (f"circle:{RING}",)
    (first,) = peer.append(
        circle_descriptor(
            by=PLATFORM, circle=RING, members=OTHERS, audience=audience, epochs=held_by(PLATFORM)
        )
    )
    pull(either_desk, peer)
    assert known(either_desk, 1) == [False]
    assert [one.id for one in either_desk.peers.set_aside()] == [first]


def test_every_version_is_served_to_the_members_of_later_ones_and_to_no_earlier(desk: Desk) -> None:
    world, third = desk.world, Member(node="third.example", budget_per_day=1)
    hotline = Member(node=HOTLINE, budget_per_day=1)
    epochs = held_by(HOTLINE)
    first = world.submit(circle_descriptor(audience=(f"circle:{CIRCLE}",), epochs=epochs))
    values: dict[str, Any] = {"audience": (f"circle:{CIRCLE}",), "admins": (HOTLINE,)}
    values["epochs"] = epochs
    second = world.submit(
        circle_descriptor(version=2, previous=first.id, members=(hotline, third), **values)
    )

    def served(reader: str) -> list[str]:
        found = desk.serving.envelopes([first.id, second.id], reader=reader)
        return [one.state for one in found.envelopes]

    assert served("third.example") == ["present", "present"]
    assert served(PLATFORM) == ["present", "withheld"]
    assert served("stranger.example") == ["withheld", "withheld"]


# contradictions


def contradicting(desk: Desk) -> tuple[str, CircleDescriptor]:
    first = desk.join_circle()
    second = desk.world.submit(circle_descriptor(version=2, previous=first.id))
    return second.id, circle_descriptor(version=2, previous=first.id)


def test_two_versions_of_one_number_are_kept_as_evidence_and_the_circle_is_not_used(
    either_desk: Desk,
) -> None:
    desk = either_desk
    first, other = contradicting(desk)
    for _ in range(2):
        with pytest.raises(EquivocationError, match="Two different versions 2"):
            desk.world.submit(other)
    with desk.world.store.read() as transaction:
        ((message, body),) = transaction.peers.evidence(HOTLINE)
        assert transaction.statements.by_id(first) is not None
    assert CIRCLE in message
    assert body.endswith(desk.world.sign(other))
    assert ("node", "circle.contradicted", CIRCLE, message) in desk.audited()
    assert [one.contradicted for one in desk.circles.list()] == [True]
    with pytest.raises(UnavailableError, match="two different versions"):
        check(desk, EMAIL)


@pytest.mark.parametrize("kept_back", [False, True])
def test_a_circle_that_contradicts_itself_does_not_stop_the_others(
    desk: Desk, *, kept_back: bool
) -> None:
    desk.review_unchecked = kept_back
    _, other = contradicting(desk)
    ring = f"{HOTLINE}/other-1"
    desk.world.submit(circle_descriptor(circle=ring))
    desk.join(ring)
    assert check(desk, EMAIL).unavailable_circles == ()
    with pytest.raises(EquivocationError):
        desk.world.submit(other)
    unfound = check(desk, EMAIL)
    assert unfound.unavailable_circles == (CIRCLE,)
    assert CONTRADICTED in unfound.why[-1]
    assert unfound.decision == ("review" if kept_back else "none")
    assert desk.audited()[-1][3] == f"identifiers=1 decision={unfound.decision} without={CIRCLE}"
    desk.world.submit(ban_of(ANNA, 1, EMAIL, **marks(EMAIL, circle=ring)))
    found = check(desk, EMAIL)
    assert len(found.leads) == 1
    assert found.rule is not None
    with pytest.raises(UnavailableError, match="two different versions"):
        ban(desk, EMAIL)


def test_a_contradiction_that_a_sync_brings_is_kept_as_well(desk: Desk) -> None:
    _, other = contradicting(desk)
    peer = desk.world.nodes[PLATFORM]
    peer.append(desk.world.sign(other))
    pull(desk, peer)
    assert [one.contradicted for one in desk.circles.list()] == [True]
    ((_, reason),) = [(one.id, one.reason) for one in desk.peers.set_aside()]
    assert reason.startswith("Equivocation: Two different versions 2")


def test_the_operator_goes_on_with_the_version_that_is_here_in_so_many_words(desk: Desk) -> None:
    _, other = contradicting(desk)
    with pytest.raises(EquivocationError):
        desk.world.submit(other)
    with pytest.raises(ConflictError, match="over the telephone") as caught:
        desk.circles.join(CIRCLE)
    assert str(caught.value) == CONTRADICTED
    assert not desk.circles.join(CIRCLE, despite_contradiction=True).contradicted
    assert check(desk, EMAIL).decision == "none"
    # The same again, from wherever, is judged already.
    with pytest.raises(EquivocationError):
        desk.world.submit(other)
    assert check(desk, EMAIL).decision == "none"


def test_a_chain_lives_as_long_as_one_who_signed_it_is_pinned(desk: Desk) -> None:
    new = circle_descriptor(admins=(HOTLINE, PLATFORM), admin_threshold=2)
    envelope = desk.world.nodes[HOTLINE].sign(new)
    envelope = add_signature(envelope, desk.world.nodes[PLATFORM].key(KeyUse.STATEMENT))
    desk.world.ingest.submit(envelope, caller=HOTLINE)
    with desk.world.store.write() as transaction:
        transaction.peers.remove(PLATFORM)
        assert StoredDirectory(transaction).circle(CIRCLE) == new


# bans of keys that are over


@pytest.mark.parametrize("how", ["its end has come", "it is listed no more"])
def test_bans_of_a_closed_key_are_forgotten_and_their_place_in_the_log_stays(
    either_desk: Desk, how: str
) -> None:
    desk = either_desk
    first = desk.join_circle()
    (old,) = circle_descriptor().epochs
    new = replace(old, epoch=2, not_after=format_time(NOW + 900 * DAY_S))
    second = desk.world.submit(circle_descriptor(version=2, previous=first.id, epochs=(old, new)))
    bans = {
        number: desk.world.submit(ban_of(PLATFORM, number, EMAIL, **marks(EMAIL, epoch=number)))
        for number in (1, 2)
    }
    both = (*marks(EMAIL, epoch=1)["fingerprints"], *marks(EMAIL, epoch=2)["fingerprints"])
    bans[3] = desk.world.submit(ban_of(PLATFORM, 3, EMAIL, fingerprints=both))
    unknown = marks(EMAIL, epoch=3)
    bans[4] = desk.world.submit(ban_of(PLATFORM, 4, EMAIL, **unknown))
    desk.clock.now = parse_time(old.not_after)
    assert desk.maintenance.expire() == 0
    desk.clock.now += 1
    if how == "it is listed no more":
        changes: dict[str, Any] = {"issued": format_time(int(desk.clock.now))}
        desk.world.submit(
            circle_descriptor(version=3, previous=second.id, epochs=(new,), **changes)
        )
    assert desk.maintenance.expire() == 1
    with desk.world.store.read() as transaction:
        bodies = transaction.statements.envelopes([one.index for one in bans.values()])
        record = transaction.statements.by_id(bans[1].id)
    assert [one.index in bodies for one in bans.values()] == [False, True, True, True]
    assert record is not None
    assert (record.state, record.log_index) == ("expired", bans[1].index)
    assert desk.maintenance.expire() == 0


def test_no_ban_of_a_key_that_is_over_is_taken_in(desk: Desk) -> None:
    desk.join_circle()
    desk.clock.now = parse_time(circle_descriptor().epochs[0].not_after) + 1
    issued = format_time(int(desk.clock.now))
    with pytest.raises(InvalidError, match="ban again under the newest") as caught:
        desk.world.submit(ban_of(PLATFORM, 1, EMAIL, issued=issued))
    assert caught.value.where == "ended"
    peer = desk.world.nodes[PLATFORM]
    peer.append(desk.world.sign(ban_of(PLATFORM, 1, EMAIL, issued=issued)))
    pull(desk, peer)
    assert desk.peers.set_aside() == []
