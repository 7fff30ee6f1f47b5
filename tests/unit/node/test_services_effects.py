"""What each kind of statement does once it is accepted."""

from collections.abc import Sequence

import pytest

from effects_seen import matching_items, meet, record, remedies
from node.storage.journal import FeedbackTotals
from node.storage.statements import StatementRecord
from protocol.encoding import format_time, from_base64url
from protocol.errors import MalformedError, RevokedError, UnknownKeyError
from protocol.messages import Receipt
from protocol.statements import FeedbackRow, Frame, MediaItem
from simulator import DAY_S, NOW, account_ban, accredit, media_flag
from worlds import (
    ANNA,
    CIRCLE,
    HOTLINE,
    PDQ,
    World,
    circle_descriptor,
    dispute,
    erase,
    feedback,
    items,
    retract,
)


@pytest.fixture
def flag(world: World) -> Receipt:
    """A media-flag of three items."""
    return world.submit(media_flag(ANNA, items=items(3)))


@pytest.fixture
def ban(world: World) -> Receipt:
    return world.submit(account_ban(ANNA))


# media-flag


def test_a_media_flag_is_indexed_under_every_media_hash(world: World) -> None:
    frames = tuple(Frame(pdq=PDQ, quality=80, at_ms=at) for at in (0, 500))
    everything, digest_only, film = items(1)[0], MediaItem(md5="ab" * 16), MediaItem(frames=frames)
    receipt = world.submit(media_flag(ANNA, items=(everything, digest_only, film)))
    with world.store.read() as transaction:
        found = transaction.media.at_slots([(receipt.index, slot) for slot in range(20)])
    stored = [(one.item, one.kind, one.value.hex()) for _, one in sorted(found.items())]
    assert stored == [
        (0, "pdq", everything.pdq),
        (0, "sha256", everything.sha256),
        (0, "sha1", everything.sha1),
        (0, "md5", everything.md5),
        (1, "md5", "ab" * 16),
        (2, "frame", PDQ),
        (2, "frame", PDQ),
    ]
    assert [found[receipt.index, slot].at_ms for slot in (0, 4, 5, 6)] == [None, None, 0, 500]


def test_the_index_over_a_media_flag_says_what_the_flag_says(world: World) -> None:
    receipt = world.submit(
        media_flag(
            ANNA,
            items=items(3),
            category="csam.pose.pub",
            issuer_code="B2",
            flags=("generative_ai",),
            surfaces=("public", "hosted"),
            jurisdictions=("DE", "BE"),
            audience=("peers", f"node:{HOTLINE}"),
            review_by=format_time(NOW + 30 * DAY_S),
        )
    )
    assert record(world, receipt) == StatementRecord(
        log_index=receipt.index,
        id=record(world, receipt).id,
        kind="media-flag",
        issuer=ANNA,
        issued=NOW,
        ends=NOW + 30 * DAY_S,
        target_index=None,
        audience=("peers", f"node:{HOTLINE}"),
        state="active",
        category="csam.pose.pub",
        issuer_code="B2",
        flags=("generative_ai",),
        surfaces=("public", "hosted"),
        jurisdictions=("DE", "BE"),
        items=3,
    )


# account-ban


def test_an_account_ban_is_found_by_its_fingerprints(world: World) -> None:
    statement = account_ban(ANNA, jurisdictions=("DE",), issuer_code="G1")
    receipt = world.submit(statement)
    value = from_base64url(statement.fingerprints[0].value)
    with world.store.read() as transaction:
        (found,) = transaction.accounts.with_values([value])
    assert (found.log_index, found.slot, found.kind, found.circle, found.epoch, found.scheme) == (
        receipt.index,
        0,
        "email",
        "hotline.example/minors-1",
        1,
        "email-v1",
    )
    stored = record(world, receipt)
    assert (stored.ends, stored.items, stored.category, stored.issuer_code) == (
        NOW + 300 * DAY_S,
        1,
        "account.grooming",
        "G1",
    )
    assert (stored.jurisdictions, stored.surfaces, stored.flags) == (("DE",), (), ())


# retract


def test_a_retracted_statement_matches_no_more_and_its_entry_and_body_stay(
    world: World, flag: Receipt
) -> None:
    world.submit(retract(flag.id, by=ANNA))
    assert matching_items(world, flag) == set()
    assert record(world, flag).state == "retracted"
    with world.store.read() as transaction:
        assert transaction.statements.envelopes([flag.index])


def test_a_retracted_item_matches_no_more_and_the_others_do(world: World, flag: Receipt) -> None:
    world.submit(retract(flag.id, by=ANNA, items=(1,)))
    assert matching_items(world, flag) == {0, 2}
    assert record(world, flag).state == "active"
    world.submit(retract(flag.id, by=HOTLINE, items=(0, 2)))
    assert matching_items(world, flag) == set()
    assert record(world, flag).state == "retracted"


@pytest.mark.parametrize("named", [(), (0,)], ids=["no item named", "its one item named"])
def test_a_retracted_account_ban_is_retracted_whole(
    world: World, ban: Receipt, named: Sequence[int]
) -> None:
    world.submit(retract(ban.id, by=ANNA, items=tuple(named)))
    assert record(world, ban).state == "retracted"


@pytest.mark.parametrize(
    ("named", "touched"),
    [((), (0, 1, 2)), ((0, 1), (0, 1)), ((2,), (2,))],
    ids=["whole", "two items", "one item"],
)
def test_whoever_acted_on_a_retracted_item_is_told_to_restore(
    world: World, flag: Receipt, named: tuple[int, ...], touched: tuple[int, ...]
) -> None:
    meet(world, flag, {0: "block", 1: "hold", 2: "review"})
    world.submit(retract(flag.id, by=ANNA, items=named))
    assert remedies(world) == [(flag.index, touched, "wrong")]


def test_nobody_is_told_to_restore_what_nobody_acted_on(world: World, flag: Receipt) -> None:
    meet(world, flag, {0: "note", 1: "block"})
    world.submit(retract(flag.id, by=ANNA, items=(0, 2)))
    assert remedies(world) == []


def test_retracting_twice_asks_for_one_remedy(world: World, flag: Receipt) -> None:
    meet(world, flag, {0: "block"})
    world.submit_all([retract(flag.id, by=ANNA), retract(flag.id, by=HOTLINE)])
    assert remedies(world) == [(flag.index, (0,), "wrong")]


def test_retracting_the_rest_asks_for_remedy_of_the_rest_alone(world: World, flag: Receipt) -> None:
    meet(world, flag, {0: "block", 1: "hold"})
    world.submit_all([retract(flag.id, by=ANNA, items=(0,)), retract(flag.id, by=ANNA)])
    assert remedies(world) == [(flag.index, (0,), "wrong"), (flag.index, (1,), "wrong")]


def test_whoever_acted_is_told_to_restore_also_after_the_erasure(
    world: World, flag: Receipt
) -> None:
    meet(world, flag, {0: "block"})
    world.submit_all([erase(flag.id, by=ANNA, reason="retention"), retract(flag.id, by=ANNA)])
    assert remedies(world) == [(flag.index, (0,), "wrong")]
    assert record(world, flag).state == "erased"


@pytest.mark.parametrize("kind", ["flag", "ban"])
@pytest.mark.parametrize("reason", ["subject-request", "court-order", "other"])
def test_whoever_acted_on_what_is_erased_is_told_to_restore(
    world: World, kind: str, reason: str, request: pytest.FixtureRequest
) -> None:
    target: Receipt = request.getfixturevalue(kind)
    meet(world, target, {0: "block"})
    world.submit_all([erase(target.id, by=ANNA, reason=reason), erase(target.id, by=HOTLINE)])
    assert remedies(world) == [(target.index, (0,), f"erased: {reason}")]


def test_what_is_erased_because_it_was_kept_long_enough_is_not_to_be_restored(
    world: World, flag: Receipt
) -> None:
    meet(world, flag, {0: "block"})
    world.submit(erase(flag.id, by=ANNA, reason="retention"))
    assert remedies(world) == []


# erase


@pytest.mark.parametrize("kind", ["flag", "ban"])
def test_erasing_deletes_the_body_and_all_that_was_taken_from_it(
    world: World, kind: str, request: pytest.FixtureRequest
) -> None:
    target: Receipt = request.getfixturevalue(kind)
    world.submit(erase(target.id, by=ANNA))
    left = world.contents()
    assert left["media_hash"] == []
    assert left["fingerprint"] == []
    stored = record(world, target)
    assert (stored.state, stored.log_index, stored.category) == ("erased", target.index, None)
    with world.store.read() as transaction:
        assert transaction.statements.envelopes([target.index]) == {}
        assert transaction.statements.entries(target.index, 1) == [target.id]


def test_an_erased_statement_that_is_submitted_again_stays_erased(world: World) -> None:
    envelope = world.sign(media_flag(ANNA, items=items(3)))
    first = world.ingest.submit(envelope, caller=ANNA)
    world.submit(erase(first.id, by=ANNA))
    before = world.contents()
    again = world.ingest.submit(envelope, caller=ANNA)
    assert (again.id, again.index, again.duplicate) == (first.id, first.index, True)
    assert world.contents() == before


@pytest.mark.parametrize("order", ["retract first", "erase first"])
def test_what_is_both_retracted_and_erased_is_erased(
    world: World, flag: Receipt, order: str
) -> None:
    both = [retract(flag.id, by=ANNA), erase(flag.id, by=ANNA)]
    world.submit_all(both if order == "retract first" else both[::-1])
    assert record(world, flag).state == "erased"
    assert matching_items(world, flag) == set()


# feedback


def test_feedback_adds_up_over_days_and_organisations(world: World, flag: Receipt) -> None:
    world.submit(feedback(flag.id))
    world.submit(feedback(flag.id, by=HOTLINE))
    world.submit(
        feedback(flag.id, day="2026-11-20", rows=(FeedbackRow(item=2, confirmed=1, unreviewed=4),))
    )
    with world.store.read() as transaction:
        assert transaction.journal.feedback(flag.index) == FeedbackTotals(7, 2, 8)


def test_later_feedback_about_a_day_replaces_the_earlier(world: World, flag: Receipt) -> None:
    world.submit(feedback(flag.id))
    world.submit(feedback(flag.id, rows=(FeedbackRow(item=0, refuted=9),)))
    with world.store.read() as transaction:
        assert transaction.journal.feedback(flag.index) == FeedbackTotals(0, 9, 0)


def test_an_item_that_the_target_does_not_have_is_refused(world: World, flag: Receipt) -> None:
    for statement in (
        retract(flag.id, by=ANNA, items=(3,)),
        dispute(flag.id, items=(0, 3)),
        feedback(flag.id, rows=(FeedbackRow(item=3, confirmed=1),)),
    ):
        with pytest.raises(MalformedError, match="no item with this number"):
            world.submit(statement)


# accredit


def test_an_accredited_flagger_may_flag_until_the_accreditation_is_withdrawn(world: World) -> None:
    bert = f"{HOTLINE}/bert"
    with pytest.raises(UnknownKeyError, match="no key that may speak"):
        world.submit(media_flag(bert, 1))
    world.submit(accredit(bert, 1))
    accepted = world.submit(media_flag(bert, 1))
    world.clock.tick(60)
    later = format_time(NOW + 60)
    world.submit(accredit(bert, 2, status="revoked", issued=later))
    with pytest.raises(RevokedError, match="accreditation is revoked"):
        world.submit(media_flag(bert, 2))
    assert record(world, accepted).state == "active"


def test_an_older_accreditation_that_arrives_late_changes_nothing(world: World) -> None:
    bert = f"{HOTLINE}/bert"
    world.submit(accredit(bert, 1, status="suspended"))
    world.submit(accredit(bert, 2, issued=format_time(NOW - 60)))
    with pytest.raises(RevokedError, match="accreditation is suspended"):
        world.submit(media_flag(bert, 1))


# circle-descriptor


def test_the_latest_descriptor_of_a_circle_counts(world: World) -> None:
    first = world.submit(circle_descriptor())
    with world.store.read() as transaction:
        found = transaction.trust.circle(CIRCLE)
    assert found is not None
    assert (found.version, found.log_index, found.joined) == (1, first.index, False)
    second = world.submit(circle_descriptor(version=2, previous=first.id))
    with world.store.read() as transaction:
        found = transaction.trust.circle(CIRCLE)
    assert found is not None
    assert (found.version, found.log_index) == (2, second.index)
