"""Circles: made by their holder, joined by their members, and shown with what to beware of."""

import pytest
from msgspec.structs import replace

from desks import Desk
from node.services.circles import ONE_HOLDER_WARNING, confirmed_epochs
from node.services.directory import StoredDirectory
from node.services.keys import create_keys, open_keys, save_share, share_file
from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import format_time, from_base64url
from protocol.errors import (
    ConflictError,
    KeystoreError,
    MalformedError,
    NotAllowedError,
    NotFoundError,
    ProtocolError,
)
from signing.keystore import Cost
from signing.oprf.shares import verify_share
from simulator import DAY_S, NOW
from worlds import CIRCLE, HOTLINE, PLATFORM, circle_descriptor

LABEL = "minors-9"
MADE = f"{HOTLINE}/{LABEL}"
PASSPHRASE = b"a passphrase of the tests"


def create(desk: Desk, label: str = LABEL, *, budget: int = 500, days: int = 90) -> None:
    desk.circles.create(label, {HOTLINE: budget}, days)


def test_a_circle_says_who_belongs_to_it_and_who_holds_its_key(desk: Desk) -> None:
    create(desk)
    (state,) = desk.circles.list()
    assert (state.name, state.version, state.joined) == (MADE, 1, False)
    assert (state.members, state.holders) == ((HOTLINE,), (HOTLINE,))
    assert (state.threshold, state.epoch) == (1, 1)
    assert state.not_after == format_time(NOW + 90 * DAY_S)
    assert state.warning == ONE_HOLDER_WARNING
    assert desk.audited() == [("operator", "circle.create", MADE, None)]


def test_the_share_lies_encrypted_where_the_node_finds_it_and_is_the_one_described(
    desk: Desk,
) -> None:
    create_keys(desk.directory, PASSPHRASE, cost=Cost(1, 8192))
    create(desk)
    shares = open_keys(desk.directory, PASSPHRASE).shares
    assert set(shares) == {(MADE, 1)}
    with desk.world.store.read() as transaction:
        descriptor = StoredDirectory(transaction).circle(MADE)
    assert descriptor is not None
    commitments = [from_base64url(one) for one in descriptor.epochs[0].commitments]
    verify_share(commitments, 1, shares[MADE, 1])
    file = share_file(desk.directory, MADE, 1)
    assert shares[MADE, 1] not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_circle_of_several_members_has_a_dealt_key_or_none(desk: Desk) -> None:
    with pytest.raises(MalformedError, match="no one node's alone"):
        desk.circles.create(LABEL, {PLATFORM: 1}, 90)
    _, shares = desk.circles.deal(
        LABEL, {PLATFORM: 1}, 90, holders=(HOTLINE, PLATFORM), threshold=2
    )
    assert shares.keys() == {PLATFORM}
    (state,) = desk.circles.list()
    assert (state.members, state.holders) == ((HOTLINE, PLATFORM),) * 2
    assert state.warning is None


def test_a_circle_is_made_once(desk: Desk) -> None:
    create(desk)
    with pytest.raises(ConflictError, match="circle of this name"):
        create(desk)


BAD: dict[str, dict[str, object]] = {
    "a name with capitals": {"label": "Minors"},
    "a name that leads elsewhere": {"label": "../../x"},
    "no name": {"label": ""},
    "a name too long": {"label": "x" * 64},
    "no days": {"days": 0},
    "a budget below nothing": {"budget": -1},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_cannot_become_a_circle_leaves_no_share(desk: Desk, bad: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        create(desk, **bad)  # type: ignore[arg-type]  # the test's own fields
    assert not (desk.directory / "keys").exists()
    assert desk.circles.list() == []
    create(desk)


def test_a_share_that_lies_there_is_never_overwritten(desk: Desk) -> None:
    """As after a crash between share and descriptor."""
    save_share(desk.directory, MADE, 1, b"\1" * 32, PASSPHRASE)
    before = share_file(desk.directory, MADE, 1).read_bytes()
    with pytest.raises(KeystoreError, match="never overwritten"):
        create(desk)
    assert share_file(desk.directory, MADE, 1).read_bytes() == before
    assert desk.circles.list() == []


def test_a_member_joins_the_circle_whose_descriptor_has_arrived(either_desk: Desk) -> None:
    either_desk.world.submit(circle_descriptor())
    state = either_desk.circles.join(CIRCLE)
    assert (state.name, state.joined) == (CIRCLE, True)
    assert [one.joined for one in either_desk.circles.list()] == [True]
    assert either_desk.audited() == [("operator", "circle.join", CIRCLE, None)]


def test_a_circle_that_has_not_arrived_cannot_be_joined(desk: Desk) -> None:
    with pytest.raises(NotFoundError, match="No descriptor of a circle"):
        desk.circles.join(CIRCLE)


def test_who_is_no_longer_a_member_cannot_join(desk: Desk) -> None:
    founded = circle_descriptor(by=PLATFORM, circle=f"{PLATFORM}/ring-1")
    first = desk.world.submit(founded)
    alone = (Member(node=PLATFORM, budget_per_day=1),)
    changes = {"version": 2, "previous": first.id, "members": alone}
    later = circle_descriptor(by=PLATFORM, circle=founded.circle, **changes)
    record(desk, later, first.index)
    with pytest.raises(NotAllowedError, match="not among the circle's members"):
        desk.circles.join(founded.circle)


def record(desk: Desk, descriptor: CircleDescriptor, place: int) -> None:
    """Puts a descriptor into the database that this node would not take in any more."""
    envelope = desk.world.sign(descriptor)
    with desk.world.store.write() as transaction:
        transaction.statements.forget(place, "active")
        transaction.statements.keep_envelope(place, envelope)


def test_a_later_version_keeps_what_was_joined(desk: Desk) -> None:
    first = desk.world.submit(circle_descriptor())
    desk.circles.join(CIRCLE)
    desk.world.submit(circle_descriptor(version=2, previous=first.id))
    (state,) = desk.circles.list()
    assert (state.version, state.joined, state.unconfirmed) == (2, True, ())


def test_a_key_that_came_later_is_shown_as_unconfirmed_until_the_operator_joins_again(
    either_desk: Desk,
) -> None:
    desk = either_desk
    first = desk.world.submit(circle_descriptor())
    desk.circles.join(CIRCLE)
    (old,) = circle_descriptor().epochs
    moved = (Holder(index=1, node=PLATFORM), Holder(index=2, node="third.example"))
    new = replace(old, epoch=2, holders=moved)
    desk.world.submit(circle_descriptor(version=2, previous=first.id, epochs=(old, new)))
    (state,) = desk.circles.list()
    assert (state.joined, state.unconfirmed) == (True, (2,))
    with desk.world.store.read() as transaction:
        descriptor = StoredDirectory(transaction).circle(CIRCLE)
        assert descriptor is not None
        assert confirmed_epochs(transaction, descriptor) == (old,)
    assert desk.circles.join(CIRCLE).unconfirmed == ()
    with desk.world.store.read() as transaction:
        assert confirmed_epochs(transaction, descriptor) == (old, new)


def test_a_key_that_several_must_use_together_needs_no_warning(desk: Desk) -> None:
    holders = tuple(Holder(index=at, node=node) for at, node in enumerate((HOTLINE, PLATFORM), 1))
    epoch = Epoch(
        epoch=4,
        not_before=format_time(NOW),
        not_after=format_time(NOW + DAY_S),
        threshold=2,
        commitments=("A" * 43, "A" * 43),
        holders=holders,
    )
    desk.world.submit(circle_descriptor(epochs=(epoch,)))
    (state,) = desk.circles.list()
    assert (state.threshold, state.epoch, state.warning) == (2, 4, None)
    assert state.holders == (HOTLINE, PLATFORM)


def test_a_frozen_holder_is_shown_with_its_circle_until_it_is_thawed(desk: Desk) -> None:
    create(desk)
    with desk.world.store.write() as transaction:
        transaction.trust.freeze_holder(MADE, HOTLINE, since=NOW, message="it lied")
        assert not transaction.trust.freeze_holder(MADE, HOTLINE, since=NOW + 1, message="again")
    (state,) = desk.circles.list()
    assert state.frozen == (HOTLINE,)
    (one,) = desk.circles.frozen_holders()
    assert (one.since, one.message) == (NOW, "it lied")
    desk.circles.thaw_holder(MADE, HOTLINE)
    (state,) = desk.circles.list()
    assert state.frozen == ()
    with pytest.raises(NotFoundError, match="is frozen"):
        desk.circles.thaw_holder(MADE, HOTLINE)
    assert desk.audited()[-1] == ("operator", "circle.thaw-holder", HOTLINE, MADE)


def test_the_operator_is_told_of_a_share_that_is_not_here_and_of_a_key_that_ends_soon(
    desk: Desk,
) -> None:
    desk.world.submit(circle_descriptor())
    (missing,) = desk.circles.list()[0].advice
    assert "share of key 1 is not here" in missing
    assert "while 2 holders have theirs" in missing
    save_share(desk.directory, CIRCLE, 1, b"\1" * 32, PASSPHRASE)
    assert desk.circles.list()[0].advice == ()
    desk.clock.now += 60 * DAY_S + 1
    (ends,) = desk.circles.list()[0].advice
    assert "schutznetz reissue" in ends
