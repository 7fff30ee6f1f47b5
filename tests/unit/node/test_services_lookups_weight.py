"""What leads to review at most, and what one voice can cost."""

from pathlib import Path

import pytest

from desks import OPEN_POLICY, Desk, open_desk
from uploads import ask_one, flag
from worlds import HOTLINE, PDQ, PLATFORM


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
