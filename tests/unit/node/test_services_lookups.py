"""What an upload is compared with, what is said about it, and what is counted as acted on."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from desks import OPEN_POLICY, PLATFORM_PROGRAM, Desk, pdq_at, picture
from node.services import hearing
from node.services.judging import MOST_MATCHES, MOST_PER_VOICE
from node.services.lookups import Lookups, MediaQuery
from node.storage.media import MediaRepository
from protocol.encoding import format_time
from protocol.statements import MediaItem
from simulator import DAY_S, NOW, account_ban, media_flag
from uploads import acted, ask, ask_one, flag, open_remedies
from worlds import ANNA, HOTLINE, PDQ, PLATFORM, Clock, dispute, items, resolve, retract

# what is found


def test_what_nobody_flagged_matches_nothing(either_desk: Desk) -> None:
    result = ask_one(either_desk, pdq=PDQ, quality=99, sha256="ab" * 32, sha1="ab" * 20)
    assert (result.decision, result.rule, result.matches) == ("none", None, ())


def test_nothing_asked_is_nothing_answered(desk: Desk) -> None:
    assert ask(desk).results == ()
    assert ask_one(desk).decision == "none"


@pytest.mark.parametrize("kind", ["sha256", "sha1", "md5"])
def test_a_file_is_found_by_any_of_its_exact_digests(either_desk: Desk, kind: str) -> None:
    (item,) = items(1)
    receipt = flag(either_desk, items=(item,))
    (match,) = ask_one(either_desk, **{kind: getattr(item, kind)}).matches
    assert (match.statement, match.item, match.kind, match.distance) == (receipt.id, 0, kind, 0)


def test_equal_bytes_under_another_kind_are_no_match(desk: Desk) -> None:
    flag(desk, items=(MediaItem(sha256=PDQ), MediaItem(sha1="ab" * 20)))
    assert ask_one(desk, pdq=PDQ, quality=90).matches == ()


def test_each_item_asked_has_its_own_answer_in_the_order_asked(either_desk: Desk) -> None:
    first, second = items(2)
    receipt = flag(either_desk, items=(first, second))
    answer = ask(
        either_desk,
        MediaQuery(md5=second.md5),
        MediaQuery(md5="ff" * 16),
        MediaQuery(md5=first.md5),
        MediaQuery(md5=second.md5),
    )
    found = [[(one.statement, one.item) for one in result.matches] for result in answer.results]
    assert found == [[(receipt.id, 1)], [], [(receipt.id, 0)], [(receipt.id, 1)]]


@pytest.mark.parametrize(("distance", "found"), [(0, True), (31, True), (32, False)])
def test_a_pdq_matches_up_to_the_distance_that_a_rule_takes(
    either_desk: Desk, distance: int, found: bool
) -> None:
    flag(either_desk)
    matches = ask_one(either_desk, pdq=pdq_at(distance), quality=90).matches
    assert [one.distance for one in matches] == ([distance] if found else [])


def test_without_a_rule_for_media_only_equal_pdqs_are_shown(desk: Desk) -> None:
    desk.set_policy("[operator]\n")
    flag(desk)
    assert len(ask_one(desk, pdq=PDQ, quality=90).matches) == 1
    assert ask_one(desk, pdq=pdq_at(1), quality=90).matches == ()


def test_a_statement_that_is_hit_by_several_kinds_is_counted_once(either_desk: Desk) -> None:
    (item,) = items(1)
    receipt = flag(either_desk, items=(item,))
    result = ask_one(
        either_desk, pdq=item.pdq, quality=90, sha256=item.sha256, sha1=item.sha1, md5=item.md5
    )
    assert sorted(one.kind for one in result.matches) == ["md5", "pdq", "sha1", "sha256"]
    assert {(one.statement, one.item) for one in result.matches} == {(receipt.id, 0)}
    assert acted(either_desk, receipt) == 1


@pytest.mark.parametrize(
    ("quality", "kinds"),
    [(49, ["md5"]), (50, ["md5", "pdq"]), (None, ["md5", "pdq"])],
)
def test_a_pdq_of_low_quality_is_not_compared_and_exact_digests_are(
    desk: Desk, quality: int | None, kinds: list[str]
) -> None:
    (item,) = items(1)
    flag(desk, items=(item,))
    result = ask_one(desk, pdq=item.pdq, quality=quality, md5=item.md5)
    assert sorted(one.kind for one in result.matches) == kinds
    told = any("quality is below 50" in sentence for sentence in result.why)
    assert told == (quality == 49)
    unknown = any("without its quality" in sentence for sentence in result.why)
    assert unknown == (quality is None)
    assert result.decision == "hold", "the very same file is enough"


def test_without_a_pdq_nothing_is_said_of_quality(desk: Desk) -> None:
    assert not any("quality" in sentence for sentence in ask_one(desk, md5="ab" * 16).why)


def test_a_match_says_who_said_what_and_when(desk: Desk) -> None:
    receipt = flag(desk, issuer_code="A1", flags=("known_minor",), category="csam.act.prepub")
    (match,) = ask_one(desk, pdq=pdq_at(4), quality=90).matches
    assert (match.statement, match.item, match.kind, match.distance) == (receipt.id, 0, "pdq", 4)
    said = (match.category, match.issuer_code, match.flags)
    assert said == ("csam.act.prepub", "A1", ("known_minor",))
    assert (match.issuers, match.accredited, match.disputed) == ((ANNA,), True, False)
    assert match.issued == format_time(NOW)


def test_only_what_an_authority_stands_behind_is_accredited(desk: Desk) -> None:
    flag(desk, by=PLATFORM)
    (match,) = ask_one(desk, pdq=PDQ, quality=90).matches
    assert not match.accredited


# what is shown, and what is decided


def test_the_nearest_are_shown_and_never_more_than_the_bounds(desk: Desk) -> None:
    for category in (
        "csam.act.prepub",
        "csam.act.pub",
        "csam.pose.pub",
        "csam.pose.prepub",
        "exploitative",
    ):
        for number in range(MOST_PER_VOICE):
            near = tuple(picture(pdq_at(bits)) for bits in range(5))
            flag(desk, number, items=near, category=category)
    distances = [one.distance for one in ask_one(desk, pdq=PDQ, quality=90).matches]
    assert distances == [0] * MOST_MATCHES  # 50 of each category; those farther are left out


def test_one_voice_is_counted_fifty_times_however_often_it_speaks(desk: Desk) -> None:
    receipts = [flag(desk, number) for number in range(MOST_PER_VOICE * 2)]
    answer = ask_one(desk, pdq=PDQ, quality=90)
    assert len(answer.matches) == MOST_PER_VOICE
    assert sum(acted(desk, one) for one in receipts) == MOST_PER_VOICE


def test_of_one_voice_only_so_many_equal_digests_are_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "_FEW", 20)
    read: list[int] = []
    at_slots = MediaRepository.at_slots

    def counted(media: MediaRepository, slots: Sequence[tuple[int, int]]) -> object:
        read.append(len(slots))
        return at_slots(media, slots)

    sha256 = "ab" * 32
    for number in range(MOST_PER_VOICE * 4):
        flag(desk, number, items=(MediaItem(sha256=sha256),))
    flag(desk, number + 1, by=PLATFORM, items=(MediaItem(sha256=sha256),))
    monkeypatch.setattr(MediaRepository, "at_slots", counted)
    result = ask_one(desk, sha256=sha256)
    assert len(result.matches) == MOST_PER_VOICE + 1
    assert {one.issuers for one in result.matches} == {(ANNA,), (PLATFORM,)}
    assert sum(read) <= 4 * MOST_PER_VOICE  # of 201, and once more those that were acted on


def test_a_flood_of_near_entries_cannot_hide_a_graver_one_from_the_policy(desk: Desk) -> None:
    flag(desk, items=(picture(pdq_at(3)),))
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "hold"
    for number in range(MOST_PER_VOICE * 2):
        flag(desk, number, by=PLATFORM, category="exploitative")
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "hold"


def test_a_category_that_is_not_illegal_everywhere_never_leads_beyond_review(desk: Desk) -> None:
    flag(desk, category="exploitative")
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "review"


def test_a_category_that_no_vocabulary_knows_never_leads_beyond_review(desk: Desk) -> None:
    desk.set_policy(OPEN_POLICY)
    flag(desk, category="csam.of-a-later-version")
    result = ask_one(desk, pdq=PDQ, quality=90)
    assert (result.decision, result.matches[0].category) == ("review", "csam.of-a-later-version")


def test_a_dispute_concerns_the_items_that_it_names(desk: Desk) -> None:
    first, second = items(2)
    receipt = flag(desk, items=(first, second))
    disputed = desk.world.submit(dispute(receipt.id, items=(1,)))
    assert ask_one(desk, md5=first.md5).decision == "hold"
    result = ask_one(desk, md5=second.md5)
    assert (result.decision, result.matches[0].disputed) == ("review", True)
    desk.world.submit(resolve(receipt.id, disputed.id, "rejected"))
    assert ask_one(desk, md5=second.md5).decision == "hold"


def test_a_dispute_that_names_no_item_concerns_all(desk: Desk) -> None:
    first, second = items(2)
    receipt = flag(desk, items=(first, second))
    desk.world.submit(dispute(receipt.id))
    answers = ask(desk, MediaQuery(md5=first.md5), MediaQuery(md5=second.md5)).results
    assert [one.matches[0].disputed for one in answers] == [True, True]


# what a statement limits itself to


def test_private_messages_are_not_matched_unless_the_operator_says_so(desk: Desk) -> None:
    receipt = flag(desk)
    result = ask_one(desk, "private", pdq=PDQ, quality=90)
    assert (result.decision, result.matches) == ("none", ())
    assert any("private messages are not matched" in sentence for sentence in result.why)
    assert acted(desk, receipt) == 0


def test_private_messages_are_matched_where_operator_and_rule_say_so(desk: Desk) -> None:
    desk.set_policy(OPEN_POLICY)
    flag(desk)
    result = ask_one(desk, "private", pdq=PDQ, quality=90)
    assert (result.decision, len(result.matches)) == ("block", 1)


def test_a_statement_for_other_surfaces_is_neither_shown_nor_counted(desk: Desk) -> None:
    receipt = flag(desk, surfaces=("hosted",))
    result = ask_one(desk, pdq=PDQ, quality=90)
    assert (result.decision, result.matches, acted(desk, receipt)) == ("none", (), 0)
    assert any("limited to other surfaces" in sentence for sentence in result.why)
    assert len(ask_one(desk, "hosted", pdq=PDQ, quality=90).matches) == 1


def test_a_statement_for_other_countries_is_neither_shown_nor_counted(desk: Desk) -> None:
    desk.set_policy(OPEN_POLICY.replace("[operator]", '[operator]\njurisdictions = ["DE"]'))
    foreign, german = flag(desk, 1, jurisdictions=("BE",)), flag(desk, 2, jurisdictions=("DE",))
    result = ask_one(desk, pdq=PDQ, quality=90)
    assert [one.statement for one in result.matches] == [german.id]
    assert not any("limited" in sentence for sentence in result.why)
    assert (acted(desk, foreign), acted(desk, german)) == (0, 1)


# what ends


def test_an_entry_counts_no_more_from_the_instant_of_its_end(desk: Desk, clock: Clock) -> None:
    (item,) = items(1)
    flag(desk, items=(item,), review_by=format_time(NOW + 10))
    clock.now = NOW + 9.9
    assert len(ask_one(desk, pdq=item.pdq, quality=90, md5=item.md5).matches) == 2
    clock.now = NOW + 10
    assert ask_one(desk, pdq=item.pdq, quality=90, md5=item.md5).matches == ()


@pytest.fixture
def clock(desk: Desk) -> Clock:
    return desk.world.clock


def test_what_was_taken_back_matches_in_no_process(either_desk: Desk) -> None:
    desk = either_desk
    other = desk.new_lookups()
    first, second = items(2)
    receipt = flag(desk, items=(first, second))
    queries = (MediaQuery(pdq=first.pdq, quality=90), MediaQuery(pdq=second.pdq, quality=90))

    def found(process: Lookups) -> list[int]:
        results = ask(desk, *queries, process=process).results
        return [one.item for result in results for one in result.matches if one.distance == 0]

    assert found(other) == [0, 1]
    desk.world.submit(retract(receipt.id, by=ANNA, items=(0,)))
    assert [found(one) for one in (other, desk.lookups, desk.new_lookups())] == [[1]] * 3
    desk.world.submit(retract(receipt.id, by=ANNA))
    assert [found(one) for one in (other, desk.lookups, desk.new_lookups())] == [[]] * 3


def test_what_another_process_took_in_is_matched_at_the_next_question(either_desk: Desk) -> None:
    other = either_desk.new_lookups()
    query = MediaQuery(pdq=PDQ, quality=90)
    assert ask(either_desk, query, process=other).results[0].matches == ()
    flag(either_desk)
    assert len(ask(either_desk, query, process=other).results[0].matches) == 1


# what is remembered of a question


def test_restoring_is_asked_only_for_items_that_were_acted_on(desk: Desk) -> None:
    first, second = items(2)
    receipt = flag(desk, items=(first, second))
    assert ask_one(desk, md5=second.md5).decision == "hold"
    desk.world.submit(retract(receipt.id, by=ANNA))
    assert open_remedies(desk) == [(receipt.id, (1,))]


def test_what_was_only_noted_needs_no_restoring(desk: Desk) -> None:
    desk.set_policy(OPEN_POLICY.replace('"block"', '"note"'))
    receipt = flag(desk)
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "note"
    desk.world.submit(retract(receipt.id, by=ANNA))
    assert open_remedies(desk) == []


def test_a_match_without_a_decision_is_not_counted(desk: Desk) -> None:
    desk.set_policy("[operator]\n")
    receipt = flag(desk)
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "none"
    assert acted(desk, receipt) == 0


def test_the_audit_never_holds_what_was_looked_up(desk: Desk) -> None:
    (item,) = items(1)
    flag(desk, items=(item,))
    ask_one(desk, "hosted", pdq=item.pdq, quality=90, sha256=item.sha256, md5="cd" * 16)
    assert desk.audited() == [
        ("upload-check", "media.match", "hosted", "items=1 decisions=hold"),
    ]
    for value in (item.pdq, item.sha256, "cd" * 16):
        assert value is not None
        assert value not in repr(desk.world.contents()["audit"])
        assert value not in repr(MediaQuery(pdq=value, sha256=value))


# what the list is


def test_the_state_of_the_list_says_how_much_and_how_old(desk: Desk) -> None:
    state = desk.lookups.list_state()
    assert (state.entries, state.size, state.age_s) == (0, 1, None)
    with desk.world.store.write() as transaction:
        transaction.peers.note_sync(PLATFORM, at=NOW - 30, problem=None)
    assert desk.lookups.list_state().age_s == 30
    desk.world.know("third.example")
    assert desk.lookups.list_state().age_s is None, "one peer was never reached"


def test_the_entries_are_counted_anew_after_the_list_has_grown(desk: Desk, clock: Clock) -> None:
    assert ask(desk).list.entries == 0
    flag(desk, items=items(1))
    desk.world.submit(account_ban(HOTLINE))
    clock.tick(10)
    assert (ask(desk).list.entries, ask(desk).list.size) == (4, 3)


def test_a_node_without_peers_has_no_age(desk: Desk) -> None:
    desk.peers.remove(PLATFORM)
    assert desk.lookups.list_state().age_s is None


def test_questions_and_statements_at_the_same_time_lose_no_entry(either_desk: Desk) -> None:
    desk = either_desk
    pictures = [picture(f"{number:04x}{PDQ[4:60]}{number:04x}") for number in range(1, 25)]
    lookups = desk.lookups

    def take_in(number: int) -> None:
        desk.world.submit(media_flag(ANNA, number, items=(pictures[number],)))

    def look_up(number: int) -> None:
        query = MediaQuery(pdq=pictures[number].pdq, quality=90)
        lookups.match([query] * 8, surface="public", client=PLATFORM_PROGRAM)

    jobs = [(do, number) for number in range(24) for do in (take_in, look_up, look_up)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda job: job[0](job[1]), jobs))
    queries = [MediaQuery(pdq=one.pdq, quality=90) for one in pictures]
    found = lookups.match(queries, surface="public", client=PLATFORM_PROGRAM).results
    assert all(any(one.distance == 0 for one in result.matches) for result in found)


def test_a_day_is_no_end(desk: Desk, clock: Clock) -> None:
    flag(desk)
    clock.tick(DAY_S)
    assert len(ask_one(desk, pdq=PDQ, quality=90).matches) == 1
