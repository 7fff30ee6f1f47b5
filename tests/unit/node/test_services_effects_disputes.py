"""What a dispute does, and what becomes of it."""

import pytest

from effects_seen import matching_items, meet, record, remedies
from protocol.encoding import format_time
from protocol.errors import RevokedError
from protocol.messages import Receipt
from simulator import NOW, account_ban, media_flag
from worlds import ANNA, HOTLINE, PLATFORM, World, dispute, erase, items, resolve, retract


@pytest.fixture
def flag(world: World) -> Receipt:
    """A media-flag of three items."""
    return world.submit(media_flag(ANNA, items=items(3)))


@pytest.fixture
def ban(world: World) -> Receipt:
    return world.submit(account_ban(ANNA))


def dispute_state(world: World, receipt: Receipt) -> dict[int, str]:
    with world.store.read() as transaction:
        return {
            one.log_index: one.state for one in transaction.statements.disputes([receipt.index])
        }


def test_a_dispute_is_open_and_changes_no_match(world: World, flag: Receipt) -> None:
    disputed = world.submit(dispute(flag.id, items=(1,)))
    with world.store.read() as transaction:
        (found,) = transaction.statements.disputes([flag.index])
    assert (found.log_index, found.items, found.state) == (disputed.index, (1,), "open")
    assert matching_items(world, flag) == {0, 1, 2}
    assert remedies(world) == []


@pytest.mark.parametrize(
    ("named", "left"), [((1,), {0, 2}), ((), set())], ids=["an item", "the whole"]
)
def test_an_upheld_dispute_is_a_retract_with_remedy(
    world: World, flag: Receipt, named: tuple[int, ...], left: set[int]
) -> None:
    meet(world, flag, {1: "block"})
    disputed = world.submit(dispute(flag.id, items=named))
    world.submit(resolve(flag.id, disputed.id, "upheld", by=ANNA))
    assert matching_items(world, flag) == left
    assert record(world, flag).state == ("active" if left else "retracted")
    assert remedies(world) == [(flag.index, (1,), "dispute upheld")]
    assert dispute_state(world, flag) == {disputed.index: "upheld"}


def test_a_rejected_dispute_is_closed_and_leaves_the_statement(world: World, flag: Receipt) -> None:
    meet(world, flag, {1: "block"})
    first = world.submit(dispute(flag.id))
    second = world.submit(dispute(flag.id, by=HOTLINE, items=(0,)))
    world.submit(resolve(flag.id, first.id, "rejected"))
    assert dispute_state(world, flag) == {first.index: "rejected", second.index: "open"}
    assert matching_items(world, flag) == {0, 1, 2}
    assert remedies(world) == []


def test_an_upheld_dispute_about_an_account_ban_retracts_it(world: World, ban: Receipt) -> None:
    meet(world, ban, {0: "review"})
    disputed = world.submit(dispute(ban.id, reason="wrong-person"))
    world.submit(resolve(ban.id, disputed.id, "upheld"))
    assert record(world, ban).state == "retracted"
    assert remedies(world) == [(ban.index, (0,), "dispute upheld")]


@pytest.mark.parametrize("kind", ["retract", "erase", "resolve"])
def test_nobody_but_the_issuer_takes_a_statement_back(
    world: World, flag: Receipt, kind: str
) -> None:
    disputed = world.submit(dispute(flag.id))
    statement = {
        "retract": retract(flag.id, by=PLATFORM),
        "erase": erase(flag.id, by=PLATFORM),
        "resolve": resolve(flag.id, disputed.id, "upheld", by=PLATFORM),
    }[kind]
    before = world.contents()
    with pytest.raises(RevokedError, match="Only the target's issuer"):
        world.submit(statement)
    assert world.contents() == before


def test_a_later_dispute_of_the_same_organisation_replaces_the_open_one(
    world: World, flag: Receipt
) -> None:
    first = world.submit(dispute(flag.id, items=(0,)))
    other = world.submit(dispute(flag.id, by=HOTLINE))
    latest = world.submit(dispute(flag.id, items=(1, 2)))
    assert dispute_state(world, flag) == {
        first.index: "replaced",
        other.index: "open",
        latest.index: "open",
    }
    with world.store.read() as transaction:
        found = transaction.statements.open_disputes([flag.index])
    assert {one.log_index: one.items for one in found} == {other.index: (), latest.index: (1, 2)}


def test_a_dispute_replaces_none_of_another_statement_and_none_that_is_resolved(
    world: World, flag: Receipt, ban: Receipt
) -> None:
    about_ban, resolved = world.submit(dispute(ban.id)), world.submit(dispute(flag.id))
    world.submit(resolve(flag.id, resolved.id, "rejected"))
    latest = world.submit(dispute(flag.id))
    assert dispute_state(world, flag) == {resolved.index: "rejected", latest.index: "open"}
    assert dispute_state(world, ban) == {about_ban.index: "open"}


def test_a_dispute_that_arrives_after_a_later_one_is_not_open(world: World, flag: Receipt) -> None:
    world.clock.tick(60)
    later = world.submit(dispute(flag.id, items=(0,), issued=format_time(NOW + 60)))
    earlier = world.submit(dispute(flag.id, items=(1,)))
    assert dispute_state(world, flag) == {later.index: "open", earlier.index: "replaced"}


def test_a_dispute_that_was_replaced_can_still_be_upheld(world: World, flag: Receipt) -> None:
    meet(world, flag, {0: "block"})
    first = world.submit(dispute(flag.id, items=(0,)))
    latest = world.submit(dispute(flag.id, items=(1,)))
    world.submit(resolve(flag.id, first.id, "upheld"))
    assert matching_items(world, flag) == {1, 2}
    assert remedies(world) == [(flag.index, (0,), "dispute upheld")]
    assert dispute_state(world, flag) == {first.index: "upheld", latest.index: "open"}
