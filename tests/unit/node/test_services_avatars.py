"""The avatar of a banned account: one more weak signal beside an identifier, and nothing alone."""

from typing import Any

import pytest
from msgspec.structs import replace

from desks import OPEN_POLICY, PLATFORM_PROGRAM, Desk, ban_of, pdq_at
from node.services.accounts import CheckAnswer
from protocol.envelope import parse_envelope
from protocol.errors import InvalidError
from protocol.statements import AccountBan, Avatar, parse_as
from simulator import DAY_S
from unit.node.test_services_accounts import EMAIL, NORMAL, PHONE, ban, check
from worlds import ANNA, PDQ, erase, retract

AVATAR = Avatar(pdq=PDQ, quality=80)
FLAT = Avatar(pdq="0" * 64, quality=100)
NAME = ("username", "wolf")

TOGETHER = OPEN_POLICY.replace(
    'name = "review-accounts"\napplies_to = "account"\ncategories = ["*"]',
    'name = "review-accounts"\napplies_to = "account"\ncategories = ["*"]\n'
    'kinds_all = ["username", "avatar"]',
)


@pytest.fixture
def circle_desk(desk: Desk) -> Desk:
    desk.join_circle()
    return desk


def like(distance: int) -> Avatar:
    return Avatar(pdq=pdq_at(distance), quality=80)


def kinds(answer: CheckAnswer | InvalidError) -> list[tuple[str, ...]]:
    assert isinstance(answer, CheckAnswer)
    return [lead.kinds for lead in answer.leads]


def stored_pdqs(desk: Desk) -> list[bytes]:
    with desk.world.store.read() as transaction:
        return [pdq for _, pdq in transaction.accounts.avatars_from(0, limit=100)]


@pytest.mark.parametrize(("distance", "found"), [(0, True), (31, True), (32, False)])
def test_an_avatar_adds_a_kind_to_a_lead_up_to_the_distance_of_an_upload(
    either_desk: Desk, distance: int, found: bool
) -> None:
    either_desk.join_circle()
    ban(either_desk, EMAIL, avatar=AVATAR)
    expected = ("avatar", "email") if found else ("email",)
    assert kinds(check(either_desk, EMAIL, avatar=like(distance))) == [expected]
    assert kinds(check(either_desk, EMAIL)) == [("email",)]


def test_an_avatar_alone_is_no_lead(circle_desk: Desk) -> None:
    ban(circle_desk, EMAIL, avatar=AVATAR)
    assert check(circle_desk, NORMAL, avatar=AVATAR) == check(circle_desk, NORMAL)


def test_an_avatar_of_one_ban_adds_nothing_to_another(circle_desk: Desk) -> None:
    ban(circle_desk, EMAIL, avatar=AVATAR)
    ban(circle_desk, PHONE)
    assert kinds(check(circle_desk, PHONE, avatar=AVATAR)) == [("phone",)]


def test_each_account_of_a_batch_has_its_own_avatar(circle_desk: Desk) -> None:
    ban(circle_desk, EMAIL, avatar=AVATAR)
    answers = circle_desk.accounts.check_batch(
        [[EMAIL], [("email", "no address")], [EMAIL], [NORMAL]],
        [None, None, AVATAR, AVATAR],
        client=PLATFORM_PROGRAM,
    )
    assert [kinds(answers[at]) for at in (0, 2, 3)] == [[("email",)], [("avatar", "email")], []]


def test_a_rule_may_want_an_avatar_together_with_an_identifier(circle_desk: Desk) -> None:
    circle_desk.set_policy(TOGETHER)
    ban(circle_desk, NAME, EMAIL, avatar=AVATAR)
    assert check(circle_desk, NAME).decision == "none"
    assert check(circle_desk, NAME, avatar=AVATAR).decision == "review"
    assert check(circle_desk, EMAIL, avatar=AVATAR).decision == "none"


def test_an_avatar_ends_with_its_ban(circle_desk: Desk) -> None:
    one, two = (ban(circle_desk, EMAIL, avatar=AVATAR) for _ in range(2))
    assert len(kinds(check(circle_desk, EMAIL, avatar=AVATAR))) == 2
    circle_desk.world.submit(retract(one.id))
    assert kinds(check(circle_desk, EMAIL, avatar=AVATAR)) == [("avatar", "email")]
    circle_desk.world.submit(erase(two.id))
    assert check(circle_desk, EMAIL, avatar=AVATAR).leads == ()
    circle_desk.world.submit(erase(one.id))
    assert stored_pdqs(circle_desk) == []


def test_an_avatar_of_an_erased_ban_leaves_the_memory_when_it_is_met(circle_desk: Desk) -> None:
    receipt = ban(circle_desk, EMAIL, avatar=AVATAR)
    check(circle_desk, NORMAL, avatar=AVATAR)
    index = circle_desk.accounts._leads._avatars._index
    assert len(index) == 1
    circle_desk.world.submit(erase(receipt.id))
    check(circle_desk, NORMAL, avatar=AVATAR)
    assert len(index) == 0


def test_an_avatar_is_forgotten_when_its_ban_expires(circle_desk: Desk) -> None:
    ban(circle_desk, EMAIL, avatar=AVATAR)
    circle_desk.world.clock.now += 91 * DAY_S
    circle_desk.maintenance.expire()
    assert stored_pdqs(circle_desk) == []


def test_avatars_that_came_meanwhile_are_met(circle_desk: Desk) -> None:
    for number in range(1, 4):
        circle_desk.world.submit(ban_of(ANNA, number, EMAIL, avatar=like(number)))
        assert kinds(check(circle_desk, EMAIL, avatar=AVATAR)) == [("avatar", "email")] * number


def test_a_ban_says_the_avatar_and_goes_to_whom_it_would_go_without(circle_desk: Desk) -> None:
    receipts = [ban(circle_desk, EMAIL), ban(circle_desk, EMAIL, avatar=AVATAR)]
    with circle_desk.world.store.read() as transaction:
        bodies = transaction.statements.envelopes([one.index for one in receipts])
    without, told = (
        parse_as(AccountBan, parse_envelope(bodies[one.index]).payload) for one in receipts
    )
    assert told.avatar == AVATAR
    assert replace(told, avatar=None, nonce=without.nonce) == without
    assert circle_desk.circle.asked == [1, 1]  # it does not pass the circle


@pytest.mark.parametrize("avatar", [Avatar(pdq=PDQ, quality=49), FLAT])
def test_an_avatar_of_too_little_detail_is_neither_taken_nor_compared(
    circle_desk: Desk, avatar: Avatar
) -> None:
    with pytest.raises(InvalidError, match="too little detail") as caught:
        ban(circle_desk, EMAIL, avatar=avatar)
    assert caught.value.where == "avatar.pdq"
    assert circle_desk.circle.asked == []
    with pytest.raises(InvalidError, match="too little detail"):
        circle_desk.world.submit(ban_of(ANNA, 1, EMAIL, avatar=avatar))
    ban(circle_desk, EMAIL, avatar=Avatar(pdq=PDQ, quality=50))
    assert kinds(check(circle_desk, EMAIL, avatar=avatar)) == [("email",)]


def test_neither_the_audit_nor_a_repr_shows_an_avatar(circle_desk: Desk) -> None:
    ban(circle_desk, EMAIL, avatar=AVATAR)
    check(circle_desk, EMAIL, avatar=AVATAR)
    assert PDQ not in f"{circle_desk.audited()}{AVATAR!r}"


def test_a_check_with_an_avatar_asks_the_database_the_same_whatever_lies_near(
    circle_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ban(circle_desk, EMAIL, avatar=AVATAR)
    check(circle_desk, EMAIL, avatar=AVATAR)
    asked: list[int] = []
    with circle_desk.world.store.read() as transaction:
        repository = type(transaction.accounts)
    before = repository.avatars_at

    def avatars_at(self: Any, places: Any) -> set[int]:
        asked.append(len(places))
        return before(self, places)

    monkeypatch.setattr(repository, "avatars_at", avatars_at)
    for avatar in (AVATAR, like(100)):
        for identifier in (EMAIL, NORMAL):
            check(circle_desk, identifier, avatar=avatar)
    assert asked == [64] * 4
