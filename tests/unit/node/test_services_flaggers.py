"""Whom a node vouches for, and until when."""

import pytest

from desks import Desk
from protocol.encoding import format_time
from protocol.errors import InvalidError, MalformedError, NotFoundError, RevokedError
from signing.keys import KeyUse, SigningKey
from simulator import DAY_S, NOW, make_key, media_flag
from worlds import ANNA, HOTLINE, PLATFORM

BEN = f"{HOTLINE}/ben"


def card(name: str) -> str:
    return make_key(KeyUse.FLAGGER, name).public.to_text()


def add_ben(desk: Desk) -> None:
    desk.flaggers.add(card(BEN), BEN, ["csam.*"], 30, languages=["de", "nl"])


def test_a_flagger_may_flag_from_the_moment_it_is_vouched_for(either_desk: Desk) -> None:
    add_ben(either_desk)
    either_desk.world.submit(media_flag(BEN))
    found = {one.name: one for one in either_desk.flaggers.list()}
    assert set(found) == {ANNA, BEN}
    state = found[BEN]
    assert (state.keyid, state.categories) == (
        make_key(KeyUse.FLAGGER, BEN).kid,
        ("csam.*",),
    )
    assert (state.not_before, state.not_after) == (
        format_time(NOW),
        format_time(NOW + 30 * DAY_S),
    )
    assert state.status == "active"


def test_blanks_around_a_key_that_was_pasted_do_not_matter(desk: Desk) -> None:
    desk.flaggers.add(f"  {card(BEN)}\n", BEN, ["*"], 1)
    assert len(desk.flaggers.list()) == 2


def test_a_key_that_was_mistyped_is_refused(desk: Desk) -> None:
    text = card(BEN)
    with pytest.raises(MalformedError):
        desk.flaggers.add(text[:-1] + ("a" if text[-1] != "a" else "b"), BEN, ["*"], 1)


def test_a_key_for_another_use_is_refused(desk: Desk) -> None:
    with pytest.raises(InvalidError, match="not a flagger's key") as caught:
        desk.flaggers.add(make_key(KeyUse.REQUEST, BEN).public.to_text(), BEN, ["*"], 1)
    assert caught.value.where == "key"


@pytest.mark.parametrize("name", [HOTLINE, f"{PLATFORM}/ben", "ben", "", f"x{HOTLINE}/ben"])
def test_a_node_vouches_only_for_names_under_its_own(desk: Desk, name: str) -> None:
    with pytest.raises(InvalidError, match=r"such as hotline\.example/anna") as caught:
        desk.flaggers.add(card(BEN), name, ["*"], 1)
    assert caught.value.where == "name"


@pytest.mark.parametrize(
    ("name", "categories", "days"),
    [(f"{HOTLINE}/Ben", ["*"], 1), (BEN, [], 1), (BEN, ["all of them"], 1), (BEN, ["*"], 0)],
)
def test_what_the_protocol_does_not_allow_is_refused(
    desk: Desk, name: str, categories: list[str], days: int
) -> None:
    with pytest.raises(MalformedError):
        desk.flaggers.add(card(BEN), name, categories, days)
    assert [one.name for one in desk.flaggers.list()] == [ANNA]


@pytest.mark.parametrize("status", ["suspended", "revoked"])
def test_a_flagger_that_may_not_flag_keeps_what_was_said_before(
    either_desk: Desk, status: str
) -> None:
    add_ben(either_desk)
    before = either_desk.world.submit(media_flag(BEN))
    either_desk.world.clock.tick(1)
    (receipt,) = either_desk.flaggers.set_status(BEN, status)
    assert receipt.index == before.index + 1
    with pytest.raises(RevokedError, match=f"accreditation is {status}"):
        either_desk.world.submit(media_flag(BEN, 2))
    assert either_desk.flags.status(before.id).state == "active"
    states = {one.name: one.status for one in either_desk.flaggers.list()}
    assert states == {ANNA: "active", BEN: status}


def test_a_suspended_flagger_may_flag_again_once_it_is_active(desk: Desk) -> None:
    add_ben(desk)
    desk.flaggers.set_status(BEN, "suspended")
    desk.flaggers.set_status(BEN, "active")
    desk.world.submit(media_flag(BEN))


def test_all_keys_of_a_flagger_are_revoked_together(desk: Desk) -> None:
    add_ben(desk)
    second = SigningKey.generate(KeyUse.FLAGGER)
    desk.flaggers.add(second.public.to_text(), BEN, ["*"], 5)
    assert len(desk.flaggers.set_status(BEN, "revoked")) == 2
    assert [one.status for one in desk.flaggers.list() if one.name == BEN] == ["revoked"] * 2


def test_a_flagger_that_nobody_vouched_for_has_no_status(desk: Desk) -> None:
    for name in (BEN, f"{PLATFORM}/anna", HOTLINE):
        with pytest.raises(NotFoundError, match="no flagger of this name"):
            desk.flaggers.set_status(name, "revoked")


def test_a_status_that_there_is_not_is_refused(desk: Desk) -> None:
    with pytest.raises(MalformedError):
        desk.flaggers.set_status(ANNA, "forgiven")
    assert desk.flaggers.list()[0].status == "active"


def test_who_was_vouched_for_and_when_that_ended_is_audited(desk: Desk) -> None:
    add_ben(desk)
    desk.flaggers.set_status(BEN, "revoked")
    assert desk.audited() == [
        ("operator", "flagger.add", BEN, make_key(KeyUse.FLAGGER, BEN).kid),
        ("operator", "flagger.revoked", BEN, make_key(KeyUse.FLAGGER, BEN).kid),
    ]


def test_flaggers_of_other_organisations_are_not_listed(desk: Desk) -> None:
    from simulator import accredit

    desk.world.submit(accredit(f"{PLATFORM}/carl"))
    assert [one.name for one in desk.flaggers.list()] == [ANNA]
