"""Bans made again under a newer key: the same ban, once, of the same account, and taken back whole."""

from typing import Any

import pytest
from msgspec.structs import replace

from desks import PLATFORM_PROGRAM, Desk, fake_fingerprint
from protocol.encoding import format_time, from_base64url, to_base64url
from protocol.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from protocol.identifiers import normalise
from protocol.messages import Receipt
from protocol.statements import AccountBan
from simulator import DAY_S, NOW, account_ban
from unit.node.test_services_accounts import (
    EMAIL,
    NORMAL,
    PHONE,
    SAME_PHONE,
    ban,
    check,
    stored_ban,
)
from worlds import CIRCLE, HOTLINE, PLATFORM, circle_descriptor, dispute


def reissue(desk: Desk, receipt: Receipt, *identifiers: tuple[str, str]) -> Receipt:
    return desk.reissues.reissue(receipt.id, identifiers, client=PLATFORM_PROGRAM)


def roll_over(desk: Desk, first: Receipt, *, ends: int = NOW + 2 * DAY_S) -> Receipt:
    """A new key, which overlaps with the old one until `ends`."""
    (old,) = circle_descriptor().epochs
    key = (to_base64url(b"\1" * 32),) * 2
    new = replace(old, epoch=2, commitments=key, not_after=format_time(NOW + 300 * DAY_S))
    epochs = (replace(old, not_after=format_time(ends)), new)
    receipt = desk.world.submit(circle_descriptor(version=2, previous=first.id, epochs=epochs))
    desk.join(CIRCLE)
    return receipt


@pytest.fixture
def banned(either_desk: Desk) -> Receipt:
    """A ban under the first key, after which a second one came."""
    first = either_desk.join_circle()
    made = ban(either_desk, EMAIL, PHONE)
    roll_over(either_desk, first)
    return made


def test_the_same_ban_is_made_again_under_the_newest_key(desk: Desk) -> None:
    first = desk.join_circle()
    banned = ban(desk, EMAIL, PHONE, jurisdictions=("DE",))
    roll_over(desk, first)
    desk.clock.now += DAY_S
    old, new = stored_ban(desk, banned), stored_ban(desk, reissue(desk, banned, SAME_PHONE, EMAIL))
    named = ("category", "basis", "scope", "purpose", "legal_basis", "expires", "audience")
    for name in (*named, "jurisdictions", "issuer_code"):
        assert getattr(new, name) == getattr(old, name), name
    assert {(one.circle, one.epoch) for one in new.fingerprints} == {(CIRCLE, 2)}
    expected = [fake_fingerprint(CIRCLE, 2, normalise(*one)) for one in (SAME_PHONE, EMAIL)]
    assert [from_base64url(one.value) for one in new.fingerprints] == expected
    assert new.nonce != old.nonce


def test_until_the_old_key_is_over_both_are_met_and_count_for_one_organisation(
    either_desk: Desk, banned: Receipt
) -> None:
    desk = either_desk
    again = reissue(desk, banned, EMAIL, PHONE)
    found = check(desk, EMAIL).leads
    assert {one.statement for one in found} == {banned.id, again.id}
    assert {one.independent for one in found} == {1}
    desk.clock.now = NOW + 2 * DAY_S + 1
    assert [one.statement for one in check(desk, EMAIL).leads] == [again.id]
    assert desk.maintenance.expire() == 1
    assert [one.statement for one in check(desk, PHONE).leads] == [again.id]


def test_a_run_that_broke_off_is_run_once_more_and_costs_nothing_for_what_is_done(
    either_desk: Desk, banned: Receipt
) -> None:
    desk = either_desk
    made = reissue(desk, banned, EMAIL)
    asked = list(desk.circle.asked)
    again = reissue(desk, banned, EMAIL)
    assert (again.id, again.index, again.duplicate) == (made.id, made.index, True)
    newest = reissue(desk, made, EMAIL)
    assert (newest.id, newest.duplicate) == (made.id, True)
    assert desk.circle.asked == asked
    # After the old one is gone too.
    desk.clock.now = NOW + 2 * DAY_S + 1
    desk.maintenance.expire()
    assert reissue(desk, banned, EMAIL).id == made.id


def test_an_account_with_fewer_identifiers_than_before_is_banned_by_those(
    either_desk: Desk, banned: Receipt
) -> None:
    made = stored_ban(either_desk, reissue(either_desk, banned, PHONE))
    assert [one.kind for one in made.fingerprints] == ["phone"]


def test_the_identifier_of_somebody_else_is_named_by_its_place_and_nothing_is_made(
    either_desk: Desk, banned: Receipt
) -> None:
    before = either_desk.world.log.size()
    with pytest.raises(InvalidError, match="not of an account with this") as caught:
        reissue(either_desk, banned, EMAIL, NORMAL)
    assert caught.value.where == "identifiers[1].value"
    assert NORMAL[1] not in str(caught.value)
    assert either_desk.world.log.size() == before


def test_what_is_taken_back_disputed_or_not_ours_is_not_made_again(
    either_desk: Desk, banned: Receipt
) -> None:
    desk = either_desk
    other = desk.world.submit(account_ban(PLATFORM, 1, audience=("peers",)))
    with pytest.raises(InvalidError, match="this node has issued"):
        reissue(desk, other, EMAIL)
    with pytest.raises(NotFoundError):
        desk.reissues.reissue("ab" * 32, [EMAIL], client=PLATFORM_PROGRAM)
    desk.world.submit(dispute(banned.id))
    with pytest.raises(ConflictError, match="disputed"):
        reissue(desk, banned, EMAIL)
    desk.flags.retract(banned.id, items=(), reason="wrong", client=PLATFORM_PROGRAM)
    with pytest.raises(ConflictError, match="taken back"):
        reissue(desk, banned, EMAIL)


def test_a_ban_whose_key_is_over_is_not_compared_and_not_made_again(
    either_desk: Desk, banned: Receipt
) -> None:
    either_desk.clock.now = NOW + 2 * DAY_S + 1
    with pytest.raises(ConflictError, match="not in use here any more"):
        reissue(either_desk, banned, EMAIL)


def test_when_the_circle_does_not_answer_no_ban_is_made(desk: Desk) -> None:
    first = desk.join_circle()
    made = ban(desk, EMAIL)
    roll_over(desk, first)
    desk.circle.down = True
    with pytest.raises(UnavailableError):
        reissue(desk, made, EMAIL)


@pytest.mark.parametrize("by", ["the old one", "the new one"])
@pytest.mark.parametrize("how", ["retract", "erase", "upheld"])
def test_who_takes_back_one_of_the_two_takes_back_both(
    either_desk: Desk, banned: Receipt, by: str, how: str
) -> None:
    desk = either_desk
    again = reissue(desk, banned, EMAIL, PHONE)
    target = (banned if by == "the old one" else again).id
    said: dict[str, Any] = {"client": PLATFORM_PROGRAM}
    if how == "retract":
        desk.flags.retract(target, items=(), reason="wrong", **said)
    elif how == "erase":
        desk.flags.erase(target, reason="subject-request", **said)
    else:
        disputed = desk.world.submit(dispute(target))
        desk.flags.resolve(target, dispute=disputed.id, outcome="upheld", **said)
    with desk.world.store.read() as transaction:
        found = transaction.statements.by_ids([banned.id, again.id]).values()
    assert {one.state for one in found} == {"erased" if how == "erase" else "retracted"}
    assert check(desk, EMAIL).leads == ()


def test_the_audit_tells_which_ban_was_made_again_and_no_identifier(
    either_desk: Desk, banned: Receipt
) -> None:
    made = reissue(either_desk, banned, EMAIL)
    acts = [one for one in either_desk.audited() if one[1] == "account.reissue"]
    assert acts == [(PLATFORM_PROGRAM.name, "account.reissue", made.id, banned.id)]
    assert stored_ban(either_desk, made).issuer == HOTLINE
    assert isinstance(stored_ban(either_desk, made), AccountBan)
