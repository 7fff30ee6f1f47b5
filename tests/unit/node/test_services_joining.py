"""How a node joins: an invite is not trust, a fingerprint is typed, and what a newcomer says waits."""

from itertools import count

import pytest

from desks import Desk
from node.services.joining import Joining
from node.services.once import Once
from protocol.errors import (
    ConflictError,
    InvalidError,
    LimitError,
    MalformedError,
    NewcomerError,
    NotFoundError,
    ReplayedError,
    RevokedError,
    UnknownKeyError,
)
from protocol.joining import Invite
from protocol.memberships import Membership
from protocol.messages import JoinRequest
from signing.envelopes import verify_envelope
from signing.keys import KeyUse
from simulator import DAY_S, NOW, Peer, fields, make_key, media_flag
from worlds import HOTLINE, PLATFORM

NEW = "new.example"
THIRD = "third.example"
DAYS = 14
_nonces = count()


def once(name: str = NEW) -> Once:
    return Once(make_key(KeyUse.REQUEST, name).kid, f"nonce {next(_nonces)}", NOW)


@pytest.fixture
def joining(desk: Desk) -> Joining:
    return Joining(
        desk.world.store,
        desk.peers,
        desk.author,
        desk.audit,
        desk.keys,
        name=HOTLINE,
        newcomer_days=DAYS,
        clock=desk.clock,
    )


def read(data: bytes) -> Invite:
    key = make_key(KeyUse.STATEMENT, HOTLINE).public
    found = verify_envelope(data, lambda _one, _kid: key, kinds={Invite.KIND: Invite})
    assert isinstance(found.statement, Invite)
    return found.statement


def request(invite: Invite, peer: Peer | None = None) -> JoinRequest:
    envelope = (peer or Peer(NEW)).descriptor_envelope
    return JoinRequest(code=invite.code, descriptors=(envelope.decode(),))


def apply(joining: Joining) -> None:
    joining.apply(request(read(joining.invite())), once())


def say(desk: Desk, by: str, event: str, about: str = NEW) -> None:
    """A member's word about another one arrives."""
    how = "telephone" if event in ("verified", "admitted") else None
    statement = Membership(
        **fields(by, next(_nonces) + 5_000, at=int(desk.clock())),
        node=about,
        fingerprint=Peer(about).pinned().fingerprint,
        event=event,  # type: ignore[arg-type]  # the test's own
        at="2026-11-22T10:00:00Z",
        how=how,
    )
    with desk.world.store.write() as transaction:
        desk.world.ingest.believe(
            transaction, Peer(by).sign(statement), source=by, now=int(desk.clock())
        )


def publish(desk: Desk, number: int = 1, *, by: str = NEW) -> None:
    envelope = Peer(by).sign(media_flag(by, number))
    with desk.world.store.write() as transaction:
        desk.world.ingest.believe(transaction, envelope, source=by, now=int(desk.clock()))


def test_an_invite_lets_one_node_apply_once_and_pins_nobody(desk: Desk, joining: Joining) -> None:
    invite = read(joining.invite(circle="hotline.example/minors-1"))
    assert (invite.issuer, invite.circle) == (HOTLINE, "hotline.example/minors-1")
    joining.apply(request(invite), once())
    (applicant,) = joining.applicants()
    assert (applicant.name, applicant.circle) == (NEW, "hotline.example/minors-1")
    assert NEW not in {one.name for one in desk.peers.list()}
    with pytest.raises(UnknownKeyError):
        desk.peers.find_caller(make_key(KeyUse.REQUEST, NEW).kid)
    with pytest.raises(NotFoundError, match="No invite"):
        joining.apply(request(invite, Peer(THIRD)), once(THIRD))


def test_the_code_of_an_invite_is_nowhere_in_the_database(desk: Desk, joining: Joining) -> None:
    invite = read(joining.invite())
    assert invite.code not in repr(desk.world.contents())


def test_an_invite_ends_and_lasts_three_days_at_most(desk: Desk, joining: Joining) -> None:
    invite = read(joining.invite())
    desk.world.clock.tick(3 * DAY_S + 1)
    with pytest.raises(NotFoundError, match="No invite"):
        joining.apply(request(invite), once())
    with pytest.raises(LimitError, match="three days"):
        joining.invite(for_s=3 * DAY_S + 1)


def test_a_request_is_answered_once_and_signed_by_the_key_of_its_own_descriptor(
    joining: Joining,
) -> None:
    asked = request(read(joining.invite()))
    latest, key = joining.applicant(asked)
    assert (latest.descriptor.issuer, key) == (NEW, make_key(KeyUse.REQUEST, NEW).public)
    seen = once()
    joining.apply(asked, seen)
    with pytest.raises((NotFoundError, ReplayedError)):
        joining.apply(asked, seen)


def test_nobody_applies_under_the_name_of_a_member(joining: Joining) -> None:
    invite = read(joining.invite())
    for name in (PLATFORM, HOTLINE):
        with pytest.raises(ConflictError, match="member already"):
            joining.apply(request(invite, Peer(name, generation=7)), once())


def test_only_a_fingerprint_that_was_typed_makes_a_member(desk: Desk, joining: Joining) -> None:
    apply(joining)
    for typed, kind in (
        ("", MalformedError),
        ("yes", MalformedError),
        (Peer(THIRD).pinned().fingerprint, InvalidError),
    ):
        with pytest.raises(kind):
            joining.accept(NEW, typed, "telephone")
    assert NEW not in {one.name for one in desk.peers.list()}
    joining.accept(NEW, Peer(NEW).pinned().fingerprint, "telephone")
    assert joining.applicants() == []
    (standing,) = (one for one in joining.members() if one.name == NEW)
    assert standing.is_newcomer
    assert [(one.issuer, one.event, one.how) for one in standing.said] == [
        (HOTLINE, "verified", "telephone")
    ]
    with pytest.raises(NotFoundError):
        joining.accept(NEW, Peer(NEW).pinned().fingerprint, "telephone")


@pytest.fixture
def newcomer(desk: Desk, joining: Joining) -> Joining:
    apply(joining)
    joining.accept(NEW, Peer(NEW).pinned().fingerprint, "telephone")
    return joining


def test_a_newcomer_may_read_and_what_it_says_waits(desk: Desk, newcomer: Joining) -> None:
    assert desk.peers.find_caller(make_key(KeyUse.REQUEST, NEW).kid)[1].name == NEW
    with pytest.raises(NewcomerError):
        publish(desk)
    publish(desk, by=PLATFORM)


def test_its_time_ends_when_it_is_over_and_a_second_member_has_compared(
    desk: Desk, newcomer: Joining
) -> None:
    desk.world.clock.tick(DAYS * DAY_S)
    with pytest.raises(NewcomerError):
        publish(desk)
    say(desk, PLATFORM, "verified")
    publish(desk)
    assert not any(one.is_newcomer for one in newcomer.members())


def test_two_members_end_it_at_once_and_one_does_not(desk: Desk, newcomer: Joining) -> None:
    say(desk, PLATFORM, "verified")
    with pytest.raises(NewcomerError):
        publish(desk)
    say(desk, PLATFORM, "admitted")
    with pytest.raises(NewcomerError):
        publish(desk)
    newcomer.say(NEW, "admitted", how="in-person")
    publish(desk)


def test_newcomers_do_not_vote_and_nor_do_frozen_members(desk: Desk, newcomer: Joining) -> None:
    desk.world.know(THIRD)
    newcomer.begin_as_newcomer(THIRD)
    newcomer.say(NEW, "admitted", how="telephone")
    with pytest.raises(NewcomerError):
        say(desk, THIRD, "admitted")
    say(desk, PLATFORM, "admitted")
    publish(desk)
    desk.peers.freeze(PLATFORM)
    desk.world.know("fourth.example")
    with pytest.raises(NewcomerError):
        publish(desk, 2)


def test_what_waited_is_taken_in_once_the_time_has_ended(desk: Desk, newcomer: Joining) -> None:
    envelope = Peer(NEW).sign(media_flag(NEW, 3))
    desk.world.set_aside(envelope, source=NEW)
    (aside,) = desk.peers.set_aside()
    assert (aside.retry, aside.reason.partition(":")[0]) == (True, "Newcomer")
    size = desk.world.log.size()
    say(desk, PLATFORM, "admitted")
    newcomer.say(NEW, "admitted", how="telephone")
    desk.maintenance.retry()
    assert desk.world.log.size() == size + 3
    assert desk.peers.set_aside() == []


def test_who_leaves_is_believed_nothing_new_and_only_by_its_own_word(
    desk: Desk, newcomer: Joining
) -> None:
    with pytest.raises(MalformedError, match="of itself"):
        say(desk, PLATFORM, "left")
    publish(desk, by=PLATFORM)
    say(desk, PLATFORM, "left", about=PLATFORM)
    peer = desk.peers.get(PLATFORM)
    assert (peer.state, peer.problem) == ("frozen", "It has left the network.")
    with pytest.raises(RevokedError, match="frozen"):
        publish(desk, 2, by=PLATFORM)


def test_a_node_that_leaves_does_not_freeze_itself(desk: Desk, joining: Joining) -> None:
    joining.say(HOTLINE, "left")
    assert desk.peers.node(HOTLINE).state == "active"


def test_expelling_freezes_here_and_is_advice_elsewhere(desk: Desk, joining: Joining) -> None:
    desk.world.know(THIRD)
    say(desk, PLATFORM, "expelled", about=THIRD)
    assert desk.peers.get(THIRD).state == "active"
    joining.say(THIRD, "expelled")
    assert desk.peers.get(THIRD).state == "frozen"


def test_a_request_is_forgotten_when_it_is_refused(joining: Joining) -> None:
    apply(joining)
    joining.refuse(NEW)
    assert joining.applicants() == []
    with pytest.raises(NotFoundError):
        joining.refuse(NEW)


def test_an_invite_is_read_only_under_the_key_of_a_node_that_is_pinned(
    desk: Desk, joining: Joining
) -> None:
    invite = joining.invite()
    assert joining.read_invite(invite).issuer == HOTLINE
    desk.world.clock.tick(3 * DAY_S + 1)
    with pytest.raises(InvalidError, match="over"):
        joining.read_invite(invite)
    assert joining.request(read(invite)).code == read(invite).code
