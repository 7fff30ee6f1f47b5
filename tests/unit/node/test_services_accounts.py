"""What a sign-up resembles, and what a ban says: leads, never verdicts, and no identifier kept."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import event

from desks import OPEN_POLICY, PLATFORM_PROGRAM, Desk, ban_of, marks, open_desk
from meanwhile import before_the_next_write
from node.services.accounts import CheckAnswer
from node.services.leads import MOST_LEADS
from protocol.circles import Epoch, Holder
from protocol.encoding import format_time, to_base64url
from protocol.envelope import parse_envelope
from protocol.errors import ConflictError, InvalidError, MalformedError, UnavailableError
from protocol.messages import Receipt
from protocol.statements import AccountBan, Statement, parse_as
from simulator import DAY_S, NOW
from worlds import (
    ANNA,
    CIRCLE,
    HOTLINE,
    PLATFORM,
    circle_descriptor,
    dispute,
    erase,
    resolve,
    retract,
)

OTHER_CIRCLE = f"{HOTLINE}/other-1"
EMAIL = ("email", "offender@example.com")
PHONE = ("phone", "+49 30 23125 001")
SAME_PHONE = ("phone", "tel:+49(30)23125-001")
DEVICE = ("device", "6f1c0a52-3a0f-4b8e-9c55-0d9f6a1b2c3d")
NORMAL = ("email", "somebody@example.com")


@pytest.fixture
def circle_desk(desk: Desk) -> Desk:
    desk.join_circle()
    return desk


def check(desk: Desk, *identifiers: tuple[str, str], **how: Any) -> CheckAnswer:
    return desk.accounts.check(identifiers, client=PLATFORM_PROGRAM, **how)


def ban(desk: Desk, *identifiers: tuple[str, str], **changes: Any) -> Receipt:
    values: dict[str, Any] = {
        "category": "account.grooming",
        "reviewers": 2,
        "scope": "person",
        "purpose": "detection",
        "legal_basis": "GDPR-6-1-f",
        "expires_days": 90,
        "audience": None,
        "client": PLATFORM_PROGRAM,
    }
    return desk.accounts.ban(identifiers, **(values | changes))


def stored_ban(desk: Desk, receipt: Receipt) -> AccountBan:
    with desk.world.store.read() as transaction:
        body = transaction.statements.envelopes([receipt.index])[receipt.index]
    return parse_as(AccountBan, parse_envelope(body).payload)


def test_somebody_of_whom_nobody_said_anything_is_no_lead(circle_desk: Desk) -> None:
    ban(circle_desk, EMAIL, PHONE)
    answer = check(circle_desk, NORMAL)
    assert (answer.decision, answer.rule, answer.leads) == ("none", None, ())


def test_one_identifier_of_a_ban_in_another_spelling_is_a_lead(either_desk: Desk) -> None:
    either_desk.join_circle()
    receipt = ban(either_desk, EMAIL, PHONE, DEVICE)
    answer = check(either_desk, NORMAL, SAME_PHONE)
    assert (answer.decision, answer.rule) == ("review", "review-strong-identifier")
    (lead,) = answer.leads
    assert (lead.statement, lead.kinds, lead.category) == (
        receipt.id,
        ("phone",),
        "account.grooming",
    )
    assert (lead.issuers, lead.disputed) == ((HOTLINE,), False)
    assert lead.expires == format_time(NOW + 90 * DAY_S)


def test_a_lead_names_every_kind_that_was_met(circle_desk: Desk) -> None:
    ban(circle_desk, EMAIL, PHONE, DEVICE)
    (lead,) = check(circle_desk, DEVICE, EMAIL, EMAIL).leads
    assert lead.kinds == ("device", "email")


def test_a_fingerprint_under_a_false_kind_is_no_lead(circle_desk: Desk) -> None:
    """An issuer could have named one telephone number as several kinds, to weigh more."""
    (true,) = ban_of(PLATFORM, 1, PHONE).fingerprints
    changes: tuple[dict[str, Any], ...] = (
        {"kind": "email"},
        {"epoch": 2},
        {"circle": OTHER_CIRCLE},
        {"scheme": "phone-v2"},
    )
    values = {name: getattr(true, name) for name in ("kind", "circle", "epoch", "scheme", "value")}
    false = tuple(type(true)(**(values | change)) for change in changes)
    circle_desk.world.submit(ban_of(PLATFORM, 2, PHONE, fingerprints=false))
    assert check(circle_desk, PHONE).leads == ()
    circle_desk.world.submit(ban_of(PLATFORM, 3, PHONE, fingerprints=(*false, true)))
    (lead,) = check(circle_desk, PHONE).leads
    assert lead.kinds == ("phone",)


def test_a_lead_ends_at_the_very_instant_of_its_expiry(circle_desk: Desk) -> None:
    circle_desk.world.submit(ban_of(ANNA, 1, EMAIL, expires=format_time(NOW + 10)))
    circle_desk.world.clock.now = NOW + 9.9
    assert len(check(circle_desk, EMAIL).leads) == 1
    circle_desk.world.clock.now = NOW + 10
    assert check(circle_desk, EMAIL).leads == ()


def test_what_was_retracted_or_erased_is_no_lead(circle_desk: Desk) -> None:
    one, two = ban(circle_desk, EMAIL), ban(circle_desk, EMAIL)
    circle_desk.world.submit(retract(one.id))
    assert [lead.statement for lead in check(circle_desk, EMAIL).leads] == [two.id]
    circle_desk.world.submit(erase(two.id))
    assert check(circle_desk, EMAIL).leads == ()


def test_a_lead_says_that_it_is_disputed_until_that_is_resolved(circle_desk: Desk) -> None:
    receipt = ban(circle_desk, EMAIL)
    disputed = circle_desk.world.submit(dispute(receipt.id))
    assert check(circle_desk, EMAIL).leads[0].disputed
    circle_desk.world.submit(resolve(receipt.id, disputed.id, "rejected"))
    assert not check(circle_desk, EMAIL).leads[0].disputed
    again = circle_desk.world.submit(dispute(receipt.id))
    circle_desk.world.submit(resolve(receipt.id, again.id, "upheld"))
    assert check(circle_desk, EMAIL).leads == ()


DECIDED = (
    'i_decide_to_act_on_accounts = "I, A. Nother, head of trust, decide that a sign-up is held."\n'
    + OPEN_POLICY.replace('categories = ["*"]\naction = "review"', "HELD")
).replace(
    "HELD",
    'categories = ["account.*"]\nmin_issuers = 1\naction = "hold"\n'
    '[[rule]]\nname = "review-the-rest"\napplies_to = "account"\ncategories = ["*"]\n'
    'action = "review"',
)


@pytest.mark.parametrize(
    ("category", "decision"),
    [
        ("account.grooming", "hold"),
        ("account.of-a-later-version", "review"),
        ("csam.selfgen", "review"),
    ],
)
def test_what_is_no_reason_for_a_ban_never_leads_beyond_review(
    circle_desk: Desk, category: str, decision: str
) -> None:
    circle_desk.set_policy(DECIDED)
    circle_desk.world.submit(ban_of(ANNA, 1, EMAIL, category=category))
    assert check(circle_desk, EMAIL).decision == decision


def test_a_ban_for_other_countries_is_neither_shown_nor_counted(circle_desk: Desk) -> None:
    circle_desk.set_policy(OPEN_POLICY.replace("[operator]", '[operator]\njurisdictions = ["DE"]'))
    foreign = circle_desk.world.submit(ban_of(ANNA, 1, EMAIL, jurisdictions=("BE",)))
    german = circle_desk.world.submit(ban_of(ANNA, 2, EMAIL, jurisdictions=("DE", "BE")))
    answer = check(circle_desk, EMAIL)
    assert [lead.statement for lead in answer.leads] == [german.id]
    counted = [circle_desk.flags.status(one.id).matches for one in (foreign, german)]
    assert counted == [0, 1]


def test_a_ban_for_other_countries_leaves_no_trace_in_an_answer(circle_desk: Desk) -> None:
    circle_desk.world.submit(ban_of(ANNA, 1, EMAIL, jurisdictions=("BE",)))
    assert check(circle_desk, EMAIL) == check(circle_desk, NORMAL)


@pytest.mark.parametrize("fate", ["frozen", "removed"])
def test_a_ban_of_an_organisation_no_longer_believed_leads_to_review_at_most(
    circle_desk: Desk, fate: str
) -> None:
    circle_desk.set_policy(DECIDED)
    circle_desk.world.submit(ban_of(PLATFORM, 1, EMAIL))
    assert check(circle_desk, EMAIL).decision == "hold"
    if fate == "frozen":
        circle_desk.peers.freeze(PLATFORM)
    else:
        circle_desk.peers.remove(PLATFORM)
    assert check(circle_desk, EMAIL).decision == "review"


def test_a_frozen_authority_accredits_no_ban(sqlite_url: str, tmp_path: Path) -> None:
    with open_desk(sqlite_url, tmp_path / "platform", name=PLATFORM) as desk:
        desk.join_circle()
        desk.set_policy(DECIDED.replace("min_issuers = 1", "min_issuers = 1\naccredited = true"))
        for issuer in (HOTLINE, PLATFORM):
            desk.world.submit(ban_of(issuer, 1, EMAIL))
        assert check(desk, EMAIL).decision == "hold"
        desk.peers.freeze(HOTLINE)
        assert check(desk, EMAIL).decision == "review"


def test_whoever_acted_on_a_lead_is_told_to_restore(circle_desk: Desk) -> None:
    receipt, other = ban(circle_desk, EMAIL), ban(circle_desk, DEVICE)
    check(circle_desk, EMAIL)
    for one in (receipt, other):
        circle_desk.world.submit(retract(one.id))
    (remedy,) = circle_desk.remedies.open()
    assert (remedy.statement, remedy.kind, remedy.items) == (receipt.id, "account-ban", (0,))


@pytest.mark.parametrize("take_back", [retract, erase])
def test_a_ban_that_is_taken_back_during_a_check_is_to_be_restored(
    circle_desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    take_back: Callable[[str], Statement],
) -> None:
    receipt = ban(circle_desk, EMAIL)
    act = partial(circle_desk.world.submit, take_back(receipt.id))
    before_the_next_write(circle_desk.world.store, monkeypatch, act)
    assert check(circle_desk, EMAIL).decision == "review"
    (remedy,) = circle_desk.remedies.open()
    assert (remedy.statement, remedy.items) == (receipt.id, (0,))


def test_a_lead_that_no_rule_speaks_of_is_not_counted(circle_desk: Desk) -> None:
    circle_desk.set_policy("[operator]\n")
    receipt = ban(circle_desk, EMAIL)
    assert check(circle_desk, EMAIL).decision == "none"
    assert circle_desk.flags.status(receipt.id).matches == 0


def test_a_lead_says_how_many_organisations_hold_the_same_combination(circle_desk: Desk) -> None:
    both = circle_desk.world.submit(ban_of(ANNA, 1, PHONE, DEVICE))
    circle_desk.world.submit(ban_of(PLATFORM, 2, PHONE, DEVICE, EMAIL))
    circle_desk.world.submit(ban_of(HOTLINE, 3, PHONE))
    first, *others = check(circle_desk, PHONE, DEVICE).leads
    assert (first.statement, first.kinds, first.independent) == (both.id, ("device", "phone"), 2)
    assert [(one.kinds, one.independent) for one in others] == [
        (("device", "phone"), 2),
        (("phone",), 2),
    ]


NAME, ALIKE = ("username", "Anna_M4x"), ("username", "anna.max")


def test_a_user_name_that_looks_alike_is_a_hint_beside_another_kind(circle_desk: Desk) -> None:
    ban(circle_desk, NAME, PHONE)
    (lead,) = check(circle_desk, ALIKE, PHONE).leads
    assert (lead.kinds, lead.name_looks_alike) == (("phone",), True)
    (lead,) = check(circle_desk, NAME, PHONE).leads
    assert (lead.kinds, lead.name_looks_alike) == (("phone", "username"), False)
    (lead,) = check(circle_desk, ("username", "somebody"), PHONE).leads
    assert not lead.name_looks_alike


def test_a_user_name_that_looks_alike_is_never_a_lead_by_itself(circle_desk: Desk) -> None:
    ban(circle_desk, NAME, PHONE)
    assert check(circle_desk, ALIKE, EMAIL).leads == ()
    assert check(circle_desk, ALIKE).leads == ()
    alike_in_words = ban_of(HOTLINE, 1, PHONE).fingerprints  # and no rule can count it
    assert {one.kind for one in alike_in_words} == {"phone"}
    assert check(circle_desk, ALIKE, EMAIL).decision == "none"


def test_a_hint_takes_no_more_than_the_room_that_is_left(circle_desk: Desk) -> None:
    check(circle_desk, ALIKE)
    check(circle_desk, ALIKE, PHONE)
    others = [("email", f"u{number}@example.com") for number in range(7)]
    check(circle_desk, ALIKE, *others)
    assert circle_desk.circle.asked == [1, 3, 8]
    stored = stored_ban(circle_desk, ban(circle_desk, NAME, PHONE))
    schemes = [one.scheme for one in stored.fingerprints]
    assert schemes == ["username-v1", "phone-v1", "lookalike-v1"]
    assert len(stored_ban(circle_desk, ban(circle_desk, NAME, *others)).fingerprints) == 8


def test_an_answer_shows_the_bans_that_most_fits_first_and_not_too_many(circle_desk: Desk) -> None:
    for number in range(MOST_LEADS):
        circle_desk.world.submit(ban_of(ANNA, number, EMAIL))
    strong = circle_desk.world.submit(ban_of(ANNA, 99, EMAIL, PHONE))
    leads = check(circle_desk, EMAIL, PHONE).leads
    assert len(leads) == MOST_LEADS
    assert leads[0].statement == strong.id


def test_a_check_asks_the_database_the_same_whether_or_not_anything_is_found(
    either_desk: Desk,
) -> None:
    desk = either_desk
    desk.join_circle()
    ban(desk, EMAIL, PHONE)
    ban(desk, EMAIL)
    check(desk, NORMAL)  # the first one reads what is in memory afterwards
    asked: dict[str, list[str]] = {}
    engine = desk.world.store._engine
    for name, identifier in (("hit", EMAIL), ("miss", NORMAL)):
        said: list[str] = []

        def note(*arguments: Any, said: list[str] = said) -> None:
            said.append(" ".join(arguments[2].split()[:2]))

        event.listen(engine, "before_cursor_execute", note)
        assert bool(check(desk, identifier).leads) == (name == "hit")
        event.remove(engine, "before_cursor_execute", note)
        asked[name] = said
    assert len(asked["hit"]) == len(asked["miss"])
    reads = [[one for one in said if one.startswith("SELECT")] for said in asked.values()]
    assert reads[0] == reads[1]


# what is kept


def test_neither_a_check_nor_a_ban_keeps_an_identifier_or_writes_one_down(
    circle_desk: Desk,
) -> None:
    receipt = ban(circle_desk, EMAIL, PHONE)
    check(circle_desk, EMAIL, NORMAL)
    everything = repr(circle_desk.world.contents())
    for _, value in (EMAIL, PHONE, NORMAL):
        assert value not in everything
    assert "offender" not in everything
    assert "2312500" not in everything
    assert circle_desk.audited() == [
        ("upload-check", "account.ban", receipt.id, None),
        ("upload-check", "account.check", None, "identifiers=2 decision=review"),
    ]


def test_a_check_that_finds_nothing_is_audited_like_any_other(circle_desk: Desk) -> None:
    check(circle_desk, NORMAL)
    assert circle_desk.audited() == [
        ("upload-check", "account.check", None, "identifiers=1 decision=none"),
    ]


def test_a_ban_is_said_to_the_circle_unless_the_caller_says_otherwise(circle_desk: Desk) -> None:
    told = stored_ban(circle_desk, ban(circle_desk, EMAIL, jurisdictions=["DE"]))
    assert (told.audience, told.jurisdictions) == ((f"circle:{CIRCLE}",), ("DE",))
    assert told.fingerprints == ban_of(HOTLINE, 1, EMAIL).fingerprints
    other = stored_ban(circle_desk, ban(circle_desk, EMAIL, audience=[f"node:{PLATFORM}"]))
    assert other.audience == (f"node:{PLATFORM}",)


# what is refused


def test_a_category_that_is_no_reason_for_a_ban_is_refused(circle_desk: Desk) -> None:
    with pytest.raises(InvalidError, match="no reason for a ban") as caught:
        ban(circle_desk, EMAIL, category="csam.selfgen")
    assert caught.value.where == "category"
    assert circle_desk.circle.asked == []


@pytest.mark.parametrize("days", [0, 732, -5])
def test_a_ban_that_never_lasts_or_lasts_too_long_is_refused(circle_desk: Desk, days: int) -> None:
    with pytest.raises(MalformedError, match="end is"):
        ban(circle_desk, EMAIL, expires_days=days)


@pytest.mark.parametrize("count", [0, 9])
def test_one_to_eight_identifiers_are_taken(circle_desk: Desk, count: int) -> None:
    with pytest.raises(InvalidError, match="Give 1 to 8 identifiers") as caught:
        check(circle_desk, *[EMAIL] * count)
    assert caught.value.where == "identifiers"


@pytest.mark.parametrize(
    "bad", [("email", "no address"), ("phone", "23125 001"), ("ip", "192.0.2.1"), ("email", "")]
)
def test_what_is_no_identifier_is_named_by_its_place_and_not_repeated(
    circle_desk: Desk, bad: tuple[str, str]
) -> None:
    with pytest.raises(InvalidError) as caught:
        check(circle_desk, EMAIL, bad)
    assert caught.value.where == "identifiers[1].value"
    assert not bad[1] or bad[1] not in str(caught.value)
    assert circle_desk.circle.asked == []


def test_a_region_makes_a_national_number_whole(circle_desk: Desk) -> None:
    ban(circle_desk, PHONE)
    assert len(check(circle_desk, ("phone", "030 23125001"), region="DE").leads) == 1


def test_the_same_user_name_elsewhere_is_another_person(circle_desk: Desk) -> None:
    ban(circle_desk, ("username", "wolf"), username_scope="one.example")
    assert len(check(circle_desk, ("username", "wolf"), scope="one.example").leads) == 1
    assert check(circle_desk, ("username", "wolf"), scope="two.example").leads == ()
    assert check(circle_desk, ("username", "wolf")).leads == ()


# circles


def test_without_a_circle_nothing_is_decided(desk: Desk) -> None:
    desk.world.submit(circle_descriptor())
    with pytest.raises(UnavailableError, match="takes part in no circle"):
        check(desk, EMAIL)
    with pytest.raises(UnavailableError, match="takes part in no circle"):
        ban(desk, EMAIL)
    assert desk.audited() == []


def test_when_the_circle_does_not_answer_nothing_is_decided(circle_desk: Desk) -> None:
    circle_desk.circle.down = True
    before = circle_desk.world.contents()
    with pytest.raises(UnavailableError, match="could not be asked"):
        check(circle_desk, EMAIL)
    with pytest.raises(UnavailableError, match="could not be asked"):
        ban(circle_desk, EMAIL)
    assert circle_desk.world.contents() == before
    # What could not be checked is counted all the same.
    unavailable = ("upload-check", "account.check", None, "identifiers=1 unavailable")
    assert circle_desk.audited() == [unavailable]


def epoch(number: int, begins: int, ends: int) -> Epoch:
    return Epoch(
        epoch=number,
        not_before=format_time(NOW + begins),
        not_after=format_time(NOW + ends),
        threshold=2,
        commitments=("A" * 43,) * 2,
        holders=(Holder(index=1, node=HOTLINE), Holder(index=2, node=PLATFORM)),
    )


def test_a_check_meets_every_current_epoch_and_a_ban_is_made_in_the_newest(desk: Desk) -> None:
    epochs = (
        epoch(1, -100, -1),
        epoch(2, -100, 0),
        epoch(3, 0, 100),
        epoch(4, 1, 100),
    )
    desk.world.submit(circle_descriptor(epochs=epochs))
    desk.join(CIRCLE)
    for number in (2, 3, 4):  # one for the first, which is over, would be refused
        desk.world.submit(ban_of(ANNA, number, EMAIL, **marks(EMAIL, epoch=number)))
    check(desk, EMAIL)
    assert len(check(desk, EMAIL).leads) == 2
    assert stored_ban(desk, ban(desk, NORMAL)).fingerprints[0].epoch == 3


def test_a_later_version_of_a_circle_binds_nobody_to_a_key_he_has_not_agreed_to(
    either_desk: Desk,
) -> None:
    desk = either_desk
    first = desk.join_circle()
    theirs = replace(epoch(2, -1, 100), commitments=(to_base64url(b"\1" * 32),) * 2)
    epochs = (*circle_descriptor().epochs, theirs)
    second = desk.world.submit(circle_descriptor(version=2, previous=first.id, epochs=epochs))
    assert stored_ban(desk, ban(desk, EMAIL)).fingerprints[0].epoch == 1
    assert desk.circle.asked == [1]
    desk.join(CIRCLE)
    assert stored_ban(desk, ban(desk, PHONE)).fingerprints[0].epoch == 2
    # The same key with an earlier end is nothing to agree to anew.
    sooner = replace(theirs, not_after=format_time(NOW + 99))
    desk.world.submit(circle_descriptor(version=3, previous=second.id, epochs=(epochs[0], sooner)))
    assert stored_ban(desk, ban(desk, NORMAL)).fingerprints[0].epoch == 2


def test_the_keys_that_several_admins_decide_on_are_used_without_another_word(
    either_desk: Desk,
) -> None:
    desk, both = either_desk, {"admins": (HOTLINE, PLATFORM), "admin_threshold": 2}
    first = desk.world.submit(circle_descriptor(**both))
    desk.join(CIRCLE)
    theirs = replace(epoch(2, -1, 100), commitments=(to_base64url(b"\1" * 32),) * 2)
    epochs = (*circle_descriptor().epochs, theirs)
    desk.world.submit(circle_descriptor(version=2, previous=first.id, epochs=epochs, **both))
    assert stored_ban(desk, ban(desk, EMAIL)).fingerprints[0].epoch == 2


def test_who_agreed_to_one_admin_has_not_agreed_to_those_whom_he_brings(desk: Desk) -> None:
    first, both = desk.join_circle(), {"admins": (HOTLINE, PLATFORM), "admin_threshold": 2}
    theirs = replace(epoch(2, -1, 100), commitments=(to_base64url(b"\1" * 32),) * 2)
    epochs = (*circle_descriptor().epochs, theirs)
    desk.world.submit(circle_descriptor(version=2, previous=first.id, epochs=epochs, **both))
    assert stored_ban(desk, ban(desk, EMAIL)).fingerprints[0].epoch == 1


def test_with_two_circles_a_check_asks_both_and_a_ban_has_to_be_told_apart(desk: Desk) -> None:
    desk.join_circle()
    desk.world.submit(circle_descriptor(circle=OTHER_CIRCLE))
    desk.join(OTHER_CIRCLE)
    desk.world.submit(ban_of(ANNA, 1, EMAIL, **marks(EMAIL, circle=OTHER_CIRCLE)))
    assert len(check(desk, EMAIL).leads) == 1
    assert desk.circle.asked == [1, 1]
    with pytest.raises(ConflictError, match="several circles"):
        ban(desk, EMAIL)
