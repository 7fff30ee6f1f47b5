"""What a node knows, as the decision to believe looks it up."""

from collections.abc import Callable

import pytest

from desks import Desk
from federation.trust import Target
from node.services.directory import StoredDirectory
from protocol.circles import Member
from protocol.errors import NotFoundError, RevokedError, UnknownKeyError
from protocol.fields import StatementId
from protocol.statements import Statement
from simulator import Peer, account_ban, accredit, media_flag
from worlds import (
    ANNA,
    CIRCLE,
    HOTLINE,
    PLATFORM,
    circle_descriptor,
    dispute,
    erase,
    feedback,
    items,
)

UNKNOWN = StatementId("ab" * 32)


def test_a_pinned_node_is_known_with_its_keys_and_what_the_operator_said_of_it(
    either_desk: Desk,
) -> None:
    either_desk.peers.freeze(PLATFORM)
    with either_desk.world.store.read() as transaction:
        directory = StoredDirectory(transaction)
        hotline, platform = directory.node(HOTLINE), directory.node(PLATFORM)
        assert directory.node("third.example") is None
        assert directory.node(HOTLINE) is hotline, "looked up once in a transaction"
    assert hotline == Peer(HOTLINE).pinned(authority=True)
    assert platform is not None
    assert (platform.state, platform.authority) == ("frozen", False)


def test_the_latest_accreditation_of_each_key_is_known(either_desk: Desk) -> None:
    either_desk.world.submit(accredit(ANNA, 7, status="suspended"))
    with either_desk.world.store.read() as transaction:
        directory = StoredDirectory(transaction)
        (found,) = directory.accreditations(ANNA)
        assert directory.accreditations("hotline.example/nobody") == []
    assert (found.flagger, found.status) == (ANNA, "suspended")


def test_a_target_is_known_also_after_it_was_erased(either_desk: Desk) -> None:
    world = either_desk.world
    flag, ban = world.submit(media_flag(ANNA, items=items(3))), world.submit(account_ban(PLATFORM))
    world.submit(erase(flag.id, by=ANNA))
    with world.store.read() as transaction:
        directory = StoredDirectory(transaction)
        assert directory.target(StatementId(flag.id)) == Target(ANNA, "media-flag", 3)
        assert directory.target(StatementId(ban.id)) == Target(PLATFORM, "account-ban", 1)
        assert directory.target(UNKNOWN) is None


def test_what_a_dispute_is_about_is_known_of_disputes_alone(desk: Desk) -> None:
    flag = desk.world.submit(media_flag(ANNA))
    disputed = desk.world.submit(dispute(flag.id))
    with desk.world.store.read() as transaction:
        directory = StoredDirectory(transaction)
        assert directory.dispute_target(StatementId(disputed.id)) == flag.id
        assert directory.dispute_target(StatementId(flag.id)) is None
        assert directory.dispute_target(UNKNOWN) is None


def test_a_circle_is_known_by_its_latest_descriptor(either_desk: Desk) -> None:
    world = either_desk.world
    with world.store.read() as transaction:
        directory = StoredDirectory(transaction)
        assert (directory.circle(CIRCLE), directory.circle_version(CIRCLE, 1)) == (None, None)
    first = world.submit(circle_descriptor())
    second = world.submit(circle_descriptor(version=2, previous=first.id))
    with world.store.read() as transaction:
        directory = StoredDirectory(transaction)
        found = directory.circle(CIRCLE)
        versions = [directory.circle_version(CIRCLE, one) for one in (1, 2, 3)]
    assert found is not None
    assert (found.version, found.previous) == (2, first.id)
    assert [one and one[0] for one in versions] == [first.id, second.id, None]


def test_nobody_is_believed_whom_nobody_pinned(desk: Desk) -> None:
    with pytest.raises(UnknownKeyError):
        desk.world.submit(media_flag("third.example"))


@pytest.mark.parametrize("speak", [dispute, feedback])
def test_a_peer_neither_disputes_nor_rates_what_it_may_not_read(
    either_desk: Desk, speak: Callable[..., Statement]
) -> None:
    world = either_desk.world
    world.know("outsider.example")
    world.submit(circle_descriptor())
    for audience in ((f"node:{PLATFORM}",), (f"circle:{CIRCLE}",)):
        flag = world.submit(media_flag(ANNA, items=items(1), audience=audience))
        with pytest.raises(RevokedError, match="not addressed to it"):
            world.submit(speak(flag.id, by="outsider.example", audience=("peers",)))
        world.submit(speak(flag.id, by=PLATFORM))


def test_an_erased_statement_keeps_its_readers(desk: Desk) -> None:
    flag = desk.world.submit(media_flag(ANNA, audience=(f"node:{PLATFORM}",)))
    desk.world.submit(erase(flag.id, by=ANNA))
    with desk.world.store.read() as transaction:
        directory = StoredDirectory(transaction)
        readers = (HOTLINE, PLATFORM, "outsider.example")
        may = [directory.may_read(one, StatementId(flag.id)) for one in readers]
        assert may == [True, True, False]
        assert not directory.may_read(HOTLINE, UNKNOWN)


def pin_anew(desk: Desk, generation: int) -> Peer:
    """Pins a node of the same name with other keys, as after a theft."""
    peer = Peer("third.example", generation=generation)
    if desk.peers.list()[-1].name == peer.name:
        desk.peers.remove(peer.name)
    desk.peers.add(peer.descriptor_envelope, peer.pinned().fingerprint, authority=True)
    return peer


def test_who_was_vouched_for_by_a_stolen_key_is_nobody_once_the_node_is_pinned_anew(
    either_desk: Desk,
) -> None:
    ingest = either_desk.world.ingest
    thief, evil = "third.example", "third.example/evil"
    before = pin_anew(either_desk, 1)
    ingest.submit(before.sign(accredit(evil, 1)), caller=thief)
    ingest.submit(before.sign(media_flag(evil, 2)), caller=evil)
    after = pin_anew(either_desk, 2)
    with either_desk.world.store.read() as transaction:
        assert StoredDirectory(transaction).accreditations(evil) == []
    with pytest.raises(UnknownKeyError):
        ingest.submit(after.sign(media_flag(evil, 3)), caller=evil)
    ingest.submit(after.sign(accredit(evil, 4)), caller=thief)
    ingest.submit(after.sign(media_flag(evil, 3)), caller=evil)


def test_a_circle_of_a_stolen_key_is_unknown_once_its_founder_is_pinned_anew(
    either_desk: Desk,
) -> None:
    ingest, name = either_desk.world.ingest, "third.example/ring-1"
    members = tuple(Member(node=one, budget_per_day=1) for one in ("third.example", HOTLINE))
    founded = circle_descriptor(by="third.example", circle=name, members=members)
    ingest.submit(pin_anew(either_desk, 1).sign(founded), caller="third.example")
    either_desk.circles.join(name)
    after = pin_anew(either_desk, 2)
    with either_desk.world.store.read() as transaction:
        directory = StoredDirectory(transaction)
        assert (directory.circle(name), directory.circle_version(name, 1)) == (None, None)
    assert either_desk.circles.list() == []
    with pytest.raises(NotFoundError, match="no longer one of its founder"):
        either_desk.circles.join(name)
    founded = circle_descriptor(by="third.example", circle=name, members=members)
    ingest.submit(after.sign(founded), caller="third.example")
    assert [(one.name, one.version) for one in either_desk.circles.list()] == [(name, 1)]
