"""What leads to review at most, and what one voice can cost."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from desks import OPEN_POLICY, Desk, open_desk, pdq_at, picture
from node.services import hearing
from node.storage.media import MediaHash, MediaRepository
from uploads import ask_one, flag
from worlds import ANNA, HOTLINE, PDQ, PLATFORM, dispute, retract


@pytest.mark.parametrize(("quality", "decision"), [(50, "block"), (None, "review")])
def test_a_pdq_of_unknown_quality_leads_to_review_at_most(
    desk: Desk, quality: int | None, decision: str
) -> None:
    desk.set_policy(OPEN_POLICY)
    flag(desk)
    assert ask_one(desk, pdq=PDQ, quality=quality).decision == decision


@pytest.mark.parametrize("fate", ["frozen", "removed"])
def test_an_organisation_that_is_no_longer_believed_leads_to_review_at_most(
    desk: Desk, fate: str
) -> None:
    desk.set_policy(OPEN_POLICY)
    flag(desk, by=PLATFORM)
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "block"
    if fate == "frozen":
        desk.peers.freeze(PLATFORM)
    else:
        desk.peers.remove(PLATFORM)
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "review"


@pytest.mark.parametrize("fate", ["frozen", "removed"])
def test_an_authority_that_is_no_longer_believed_accredits_nothing(
    sqlite_url: str, tmp_path: Path, fate: str
) -> None:
    with open_desk(sqlite_url, tmp_path / "platform", name=PLATFORM) as desk:
        flag(desk, 1, by=HOTLINE)
        flag(desk, 2, by=PLATFORM)
        assert ask_one(desk, pdq=PDQ, quality=90).decision == "block"
        if fate == "frozen":
            desk.peers.freeze(HOTLINE)
        else:
            desk.peers.remove(HOTLINE)
        result = ask_one(desk, pdq=PDQ, quality=90)
    assert result.decision == "review"
    assert [one.accredited for one in result.matches] == [False, False]


def test_one_still_believed_keeps_its_weight_beside_one_that_is_not(desk: Desk) -> None:
    flag(desk, 1, by=PLATFORM)
    flag(desk, 2)
    desk.peers.freeze(PLATFORM)
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "hold"


@pytest.fixture
def flooded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """PLATFORM says a thing 60 times, from near; HOTLINE says it twice, from farther away."""
    monkeypatch.setattr(hearing, "_FEW", 10)
    monkeypatch.setattr(hearing, "MOST_PER_VOICE", 4)
    monkeypatch.setattr(hearing, "MOST_LOOKED_AT", 20)
    desk.set_policy(OPEN_POLICY)
    for number in range(60):
        flag(desk, number, by=PLATFORM, items=(picture(pdq_at(number % 10)),))
    for number in range(60, 62):
        flag(desk, number, items=(picture(pdq_at(20)),))
    return desk


def heard_of(desk: Desk) -> Counter[str]:
    return Counter(one.issuers[0] for one in ask_one(desk, pdq=PDQ, quality=90).matches)


def test_who_says_a_thing_very_often_is_looked_at_a_few_times_and_hides_nobody(
    flooded: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []
    at_slots = MediaRepository.at_slots

    def watched(
        self: MediaRepository, slots: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], MediaHash]:
        looked_at.append(len(slots))
        return at_slots(self, slots)

    monkeypatch.setattr(MediaRepository, "at_slots", watched)
    answer = ask_one(flooded, pdq=PDQ, quality=90)
    issuers = Counter(one.issuers[0] for one in answer.matches)
    assert issuers[ANNA] == 2
    assert issuers[PLATFORM] == 8
    assert looked_at[0] == 8 + 2
    assert [one.distance for one in answer.matches] == [0] * 6 + [1] * 2 + [20] * 2


def test_what_does_not_count_is_passed_over_until_something_does(flooded: Desk) -> None:
    first = ask_one(flooded, pdq=PDQ, quality=90).matches
    for one in first:
        if one.issuers == (PLATFORM,):
            flooded.world.submit(dispute(one.statement, by=HOTLINE))
    again = ask_one(flooded, pdq=PDQ, quality=90).matches
    assert Counter(one.disputed for one in again if one.issuers == (PLATFORM,)) == {
        True: 8,
        False: 8,
    }


def test_what_was_taken_back_does_not_stand_in_for_what_was_not(flooded: Desk) -> None:
    for _ in range(3):
        for one in ask_one(flooded, pdq=PDQ, quality=90).matches:
            if one.issuers == (PLATFORM,):
                flooded.world.submit(retract(one.statement, by=PLATFORM))
    assert heard_of(flooded) == {PLATFORM: 8, ANNA: 2}


def test_one_voice_costs_a_bounded_number_of_looks(
    flooded: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "MOST_PER_VOICE", 10**6)
    monkeypatch.setattr(hearing._Voice, "next", _by_five)
    assert heard_of(flooded) == {PLATFORM: 20, ANNA: 2}


def _by_five(self: hearing._Voice) -> list[tuple[int, int]]:
    part = self.said[self.at : self.at + 5]
    self.at += len(part)
    return part
