"""What stands between a hit and the policy: allow list, quarantine, and lists on trial."""

import pytest

from desks import OPEN_POLICY, PLATFORM_PROGRAM, Desk, ban_of, pdq_at, picture
from node.services.films import QueryFrame
from node.services.gates import ALLOW_RULE
from node.services.lookups import MediaQuery
from node.storage.gates import Place
from protocol.errors import ConflictError, InvalidError, NotFoundError
from protocol.messages import Receipt
from protocol.statements import Frame, MediaItem
from simulator import DAY_S
from uploads import acted, ask, ask_one, flag, open_remedies
from worlds import ANNA, HOTLINE, PDQ, PLATFORM, feedback, items, retract

HOUR_S = 3_600
STRICT = OPEN_POLICY + "[quarantine]\nmin_matches = 10\nmax_share = 50\ngrowth = 2\n"


def allow(
    desk: Desk, value: str = PDQ, *, kind: str = "pdq", radius: int = 8, days: int = 1
) -> int:
    return desk.allow_list.add(
        kind, value, radius=radius, reason="our logo", days=days, actor="op"
    ).number


def look_up(desk: Desk, *, hits: int = 0, misses: int = 0) -> str:
    """Looks up the flagged picture and others; returns what is decided about the former after."""
    ask(desk, *([MediaQuery(pdq=PDQ, quality=90)] * hits), *([MediaQuery(md5="ff" * 16)] * misses))
    desk.tally.flush()
    return ask_one(desk, pdq=PDQ, quality=90).decision if hits else ""


def quarantined(desk: Desk) -> list[tuple[str, str]]:
    return [(one.state, one.reason) for one in desk.quarantines.list()]


# the allow list


@pytest.mark.parametrize(("distance", "passes"), [(0, True), (8, True), (9, False)])
def test_what_lies_in_an_allowed_ball_passes_whatever_a_list_says(
    either_desk: Desk, distance: int, passes: bool
) -> None:
    receipt = flag(either_desk)
    allow(either_desk)
    result = ask_one(either_desk, pdq=pdq_at(distance), quality=90)
    assert (result.rule == ALLOW_RULE) == passes
    assert (result.decision, result.matches) == ("none", ()) if passes else result.matches
    assert any("allow list" in sentence for sentence in result.why) == passes
    assert acted(either_desk, receipt) == (0 if passes else 1)


def test_an_allowed_file_passes_by_its_digest_whatever_it_resembles(desk: Desk) -> None:
    (item,) = items(1)
    flag(desk, items=(item,))
    assert item.sha256 is not None
    allow(desk, item.sha256, kind="sha256", radius=0)
    assert ask_one(desk, sha256=item.sha256, md5=item.md5).rule == ALLOW_RULE
    assert ask_one(desk, md5=item.md5).decision == "hold"


def test_what_nobody_flagged_needs_no_allowance(desk: Desk) -> None:
    allow(desk)
    assert ask_one(desk, pdq=PDQ, quality=90).rule is None


def test_an_allowance_ends_and_can_be_taken_back(desk: Desk) -> None:
    flag(desk, review_by="2027-06-01T00:00:00Z")
    number = allow(desk)
    desk.world.clock.tick(DAY_S)
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "hold"
    desk.allow_list.remove(number, actor="op")
    number = allow(desk)
    assert ask_one(desk, pdq=PDQ, quality=90).rule == ALLOW_RULE
    desk.allow_list.remove(number, actor="op")
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "hold"
    assert [one[:2] for one in desk.audited() if one[1].startswith("allow.")] == [
        ("op", "allow.add"),
        ("op", "allow.remove"),
    ] * 2
    with pytest.raises(NotFoundError, match="no entry of this number"):
        desk.allow_list.remove(number, actor="op")


def test_a_pdq_of_low_quality_is_let_pass_by_no_ball(desk: Desk) -> None:
    flag(desk, items=(MediaItem(sha256="ab" * 32),))
    allow(desk)
    assert ask_one(desk, pdq=PDQ, quality=49, sha256="ab" * 32).decision == "hold"


def test_allowed_frames_make_no_film_a_match(desk: Desk) -> None:
    frames = tuple(Frame(at_ms=n * 1_000, pdq=items(9)[n].pdq or "", quality=90) for n in range(3))
    flag(desk, items=(MediaItem(frames=frames),))
    query = [{"at_ms": one.at_ms, "pdq": one.pdq, "quality": 90} for one in frames]
    asked = tuple(QueryFrame(str(one["pdq"]), 90, int(str(one["at_ms"]))) for one in query)
    assert ask_one(desk, frames=asked).decision == "hold"
    for one in frames:
        allow(desk, one.pdq, radius=0)
    assert ask_one(desk, frames=asked).decision == "none"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "md5"}, "a pdq or a sha256"),
        ({"value": "AB" * 32}, "64 lower-case"),
        ({"radius": 32}, "0 to 31 bits"),
        ({"value": "00" * 32}, "nearly constant"),
        ({"reason": " "}, "Say why"),
        ({"days": 0}, "1 to 731 days"),
    ],
)
def test_an_allowance_that_would_let_others_pass_is_refused(
    desk: Desk, change: dict[str, object], sentence: str
) -> None:
    values: dict[str, object] = {
        "kind": "pdq",
        "value": PDQ,
        "radius": 8,
        "reason": "logo",
        "days": 9,
    }
    asked = values | change
    with pytest.raises(InvalidError, match=sentence):
        desk.allow_list.add(
            str(asked.pop("kind")),
            str(asked.pop("value")),
            actor="op",
            **asked,  # type: ignore[arg-type]  # the test's own values
        )


# quarantine


def test_an_entry_that_matches_too_large_a_share_leads_to_review_at_most(
    either_desk: Desk,
) -> None:
    either_desk.set_policy(STRICT)
    receipt = flag(either_desk)
    assert look_up(either_desk, hits=9) == "block"
    assert look_up(either_desk, hits=2) == "review"
    result = ask_one(either_desk, pdq=PDQ, quality=90)
    assert any("until the operator has looked" in sentence for sentence in result.why)
    assert quarantined(either_desk) == [("quarantined", "share")]
    (line,) = [one for one in either_desk.audited() if one[1] == "quarantine.begin"]
    assert (line[0], line[2]) == ("node", receipt.id)


def test_an_entry_among_many_look_ups_is_left_alone(desk: Desk) -> None:
    desk.set_policy(STRICT)
    flag(desk)
    assert look_up(desk, hits=11, misses=30) == "block"
    assert quarantined(desk) == []


def test_an_entry_that_grows_beyond_its_first_hour_is_noticed(desk: Desk) -> None:
    desk.set_policy(STRICT)
    flag(desk)
    look_up(desk, hits=5, misses=100)
    desk.world.clock.tick(HOUR_S)
    assert look_up(desk, hits=9, misses=100) == "block", "10 with the look before: twice the 5"
    assert look_up(desk, hits=3, misses=100) == "review"
    assert quarantined(desk) == [("quarantined", "growth")]


def test_several_processes_count_together_and_each_hears_of_it(desk: Desk) -> None:
    desk.set_policy(STRICT)
    flag(desk)
    other = Desk(desk.world, desk.directory)
    other.set_policy(STRICT)
    look_up(desk, hits=6)
    assert look_up(other, hits=6) == "review"
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "review"


def test_the_issuer_is_told_once_by_counts_that_weigh_on_nothing(desk: Desk) -> None:
    desk.set_policy(STRICT)
    receipt = flag(desk)
    look_up(desk, hits=11)
    desk.quarantines.tell()
    status = desk.flags.status(receipt.id)
    assert (status.unreviewed, status.state) == (11, "active")
    told = [one for one in desk.audited() if one[1] == "quarantine.tell"]
    assert len(told) == 1
    assert desk.quarantines.list()[0].issuer_told is not None


def test_what_the_platform_reported_today_stays_reported(desk: Desk) -> None:
    desk.set_policy(STRICT)
    receipt = flag(desk)
    desk.world.submit(feedback(receipt.id, by=HOTLINE, day="2026-11-22"))
    look_up(desk, hits=11)
    status = desk.flags.status(receipt.id)
    assert (status.confirmed, status.refuted, status.unreviewed) == (3, 1, 11)


def test_an_operator_may_keep_it_to_themselves(desk: Desk) -> None:
    desk.set_policy(STRICT + "tell_issuer = false\n")
    receipt = flag(desk)
    look_up(desk, hits=11)
    assert quarantined(desk)
    assert desk.flags.status(receipt.id).unreviewed == 0


def test_a_confirmed_entry_acts_again_until_it_matches_far_more(desk: Desk) -> None:
    desk.set_policy(STRICT)
    receipt = flag(desk)
    look_up(desk, hits=11)
    desk.quarantines.confirm(receipt.id, 0, actor="op")
    assert look_up(desk, hits=5) == "block", "no more than twice what was confirmed"
    assert look_up(desk, hits=12) == "review"
    entry = desk.quarantines.confirm(receipt.id, 0, actor="op")
    assert (entry.state, entry.decided_by) == ("confirmed", "op")
    with pytest.raises(ConflictError, match="nothing to confirm"):
        desk.quarantines.confirm(receipt.id, 0, actor="op")


def test_a_rejected_entry_answers_nothing_and_what_it_led_to_is_undone(either_desk: Desk) -> None:
    receipt = flag(either_desk, items=(picture(), MediaItem(md5="cd" * 16)))
    assert look_up(either_desk, hits=1) == "hold"
    entry = either_desk.quarantines.reject(receipt.id, 0, actor="op")
    assert (entry.state, entry.reason, entry.issuer) == ("rejected", "operator", ANNA)
    result = ask_one(either_desk, pdq=PDQ, quality=90)
    assert (result.decision, result.matches) == ("none", ())
    assert ask_one(either_desk, md5="cd" * 16).decision == "hold", "the other item"
    assert open_remedies(either_desk) == [(receipt.id, (0,))]
    assert ("op", "quarantine.reject", receipt.id, "item=0 level=0") in either_desk.audited()
    either_desk.quarantines.confirm(receipt.id, 0, actor="op")
    assert ask_one(either_desk, pdq=PDQ, quality=90).decision == "hold"


def test_only_entries_of_media_flags_that_are_here_are_rejected(desk: Desk) -> None:
    receipt = flag(desk)
    with pytest.raises(NotFoundError, match="items 0 to 0"):
        desk.quarantines.reject(receipt.id, 1, actor="op")
    with pytest.raises(NotFoundError, match="no statement"):
        desk.quarantines.reject("ab" * 32, 0, actor="op")
    taken = desk.world.submit(retract(receipt.id))
    with pytest.raises(InvalidError, match="media-flag"):
        desk.quarantines.reject(taken.id, 0, actor="op")


def test_counts_that_cannot_be_written_are_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag(desk)
    ask(desk, MediaQuery(pdq=PDQ, quality=90))

    def fail(*_: object, **__: object) -> None:
        raise ConflictError("not now")

    with monkeypatch.context() as patched:
        patched.setattr(desk.world.store, "write", fail)
        with pytest.raises(ConflictError, match="not now"):
            desk.tally.flush()
    desk.tally.close()
    assert rate_of(desk, (1, 0)) == 1


def rate_of(desk: Desk, place: Place) -> int:
    with desk.world.store.read() as transaction:
        rate = transaction.gates.rate(place)
    return 0 if rate is None else rate.count


# lists on trial


def source(share: str) -> str:
    return f'{OPEN_POLICY}[[source]]\norganisation = "{PLATFORM}"\n{share}\n'


def test_a_list_in_shadow_is_counted_and_does_not_act(either_desk: Desk) -> None:
    either_desk.set_policy(source("shadow = true"))
    receipt = flag(either_desk, by=PLATFORM)
    assert look_up(either_desk, hits=3) == "none"
    assert ask_one(either_desk, pdq=PDQ, quality=90).matches == ()
    either_desk.tally.flush()
    states = {one.organisation: one for one in either_desk.sources.list()}
    found = states[PLATFORM]
    assert (found.enabled_share, found.entries, found.matches, found.shadow_matches) == (0, 1, 0, 5)
    assert acted(either_desk, receipt) == 5
    assert open_remedies(either_desk) == []


def test_another_list_acts_beside_one_in_shadow(desk: Desk) -> None:
    desk.set_policy(source("shadow = true"))
    flag(desk, 1, by=PLATFORM)
    receipt = flag(desk, 2)
    result = ask_one(desk, pdq=PDQ, quality=90)
    assert (result.decision, [one.statement for one in result.matches]) == ("block", [receipt.id])


def decided(desk: Desk, count: int) -> list[str]:
    queries = [MediaQuery(sha256=one.sha256) for one in items(count)]
    return [one.decision for one in ask(desk, *queries).results]


def test_a_share_of_a_list_acts_and_always_the_same_entries(desk: Desk) -> None:
    desk.set_policy(source("enabled_share = 25"))
    flag(desk, by=PLATFORM, items=tuple(items(400)))
    first = decided(desk, 400)
    assert 60 < first.count("block") < 145
    other = Desk(desk.world, desk.directory)
    other.set_policy(source("enabled_share = 60"))
    more = decided(other, 400)
    assert all(late == "block" for early, late in zip(first, more, strict=True) if early == "block")
    assert 190 < more.count("block") < 290


def test_bans_of_a_list_in_shadow_are_counted_and_lead_to_nothing(desk: Desk) -> None:
    desk.set_policy(source("shadow = true"))
    desk.join_circle()
    desk.world.submit(ban_of(PLATFORM, 1, ("email", "a@example.com")))
    answer = desk.accounts.check([("email", "a@example.com")], client=PLATFORM_PROGRAM)
    assert (answer.decision, answer.leads) == ("none", ())
    desk.tally.flush()
    assert {one.organisation: one.shadow_matches for one in desk.sources.list()}[PLATFORM] == 1


def test_statistics_show_what_was_confirmed_and_refuted(desk: Desk) -> None:
    receipt: Receipt = flag(desk)
    desk.world.submit(feedback(receipt.id))
    (found,) = desk.sources.list()
    assert (found.organisation, found.confirmed, found.refuted) == (HOTLINE, 3, 1)


# streams


def watch(desk: Desk, *pdqs: str) -> str:
    """What is decided about a stream of these frames, each shown once a second."""
    stream = desk.streams.open(surface="public", client=PLATFORM_PROGRAM)
    frames = [QueryFrame(pdq, 90, at * 1_000) for at, pdq in enumerate(pdqs)]
    decision = "none"
    for frame in frames:
        decision = desk.streams.look(stream.id, [frame], client=PLATFORM_PROGRAM).decision
    return decision


def test_a_stream_of_what_is_in_quarantine_is_reviewed_and_of_what_is_allowed_passes(
    desk: Desk,
) -> None:
    desk.set_policy(STRICT)
    flag(desk)
    frames = [pdq_at(distance) for distance in range(5)]
    assert watch(desk, *frames) == "block"
    desk.tally.flush()
    assert rate_of(desk, (1, 0)) == 1, "a stream counts once"
    look_up(desk, hits=11)
    assert watch(desk, *frames) == "review"
    allow(desk)
    assert watch(desk, *frames) == "none"


def test_many_entries_are_counted_in_one_go(either_desk: Desk) -> None:
    either_desk.set_policy(source("shadow = true"))
    flag(either_desk, 1, by=PLATFORM, items=tuple(items(900)))
    flag(either_desk, 2, items=tuple(items(900)))
    ask(either_desk, *(MediaQuery(sha256=one.sha256) for one in items(900)))
    either_desk.tally.flush()
    found = {one.organisation: one for one in either_desk.sources.list()}
    assert (found[PLATFORM].shadow_matches, found[HOTLINE].matches) == (900, 900)
