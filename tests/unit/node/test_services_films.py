"""Films: what two have to have in common, what is told of it, and what one frame is worth."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from desks import OPEN_POLICY, Desk, picture
from films import film, frame_pdq, shown
from node.matching.turned import turned_pdqs
from node.matching.variant_names import FAMILIES, PLAIN, VariantName
from node.services import films
from node.services.films import QueryFrame, Span
from protocol.statements import Frame, MediaItem
from uploads import acted, ask_one, flag
from worlds import ANNA, PDQ, retract

TITLE = 999
"""A frame that many films have."""


def both(numbers: range) -> MediaItem:
    """A flagged film that also has the digest of its file."""
    return replace_frames(film(numbers), sha256="ab" * 32)


def replace_frames(item: MediaItem, **changes: object) -> MediaItem:
    return MediaItem(**({"frames": item.frames} | changes))  # type: ignore[arg-type]  # the test's


def test_the_same_film_is_found_with_its_shares_and_times(either_desk: Desk) -> None:
    receipt = flag(either_desk, items=(picture(), film(range(20))))
    result = ask_one(either_desk, frames=shown(range(20), bits=8, from_ms=500))
    (match,) = result.matches
    assert (match.statement, match.item, match.kind, match.distance) == (receipt.id, 1, "film", 8)
    assert match.film is not None
    assert (match.film.query_share, match.film.target_share, match.film.frames) == (100, 100, 20)
    assert (match.film.query, match.film.target) == (Span(500, 19_500), Span(0, 19_000))
    assert match.at_ms is None
    assert result.decision == "hold"
    assert acted(either_desk, receipt) == 1


@pytest.mark.parametrize(
    ("upload", "decision", "rule", "shares"),
    [
        ([*range(100, 180), *range(20)], "hold", "hold-accredited", (20, 100)),
        ([*range(100, 180), *range(16)], "hold", "hold-accredited", (16, 80)),
        ([*range(100, 180), *range(15)], "review", "review-any-match", (15, 75)),
        ([*range(100, 180), *range(9)], "none", None, None),
        ([5, 6, 7, 8], "review", "review-excerpt", (100, 20)),
        ([5, 6, 7, 8, 100], "review", "review-excerpt", (80, 20)),
        ([5, 6, 7, 100, 101], "none", None, None),
        ([*range(19, -1, -1)], "hold", "hold-accredited", (100, 100)),
    ],
    ids=["inside", "most inside", "half", "less", "piece", "framed piece", "bit", "backwards"],
)
def test_both_shares_decide(
    desk: Desk, upload: list[int], decision: str, rule: str | None, shares: tuple[int, int] | None
) -> None:
    flag(desk, items=(film(range(20)),))
    result = ask_one(desk, frames=shown(upload))
    assert (result.decision, result.rule) == (decision, rule)
    found = [(one.film.query_share, one.film.target_share) for one in result.matches if one.film]
    assert found == ([shares] if shares else [])


def test_one_frame_in_common_is_no_match(desk: Desk) -> None:
    flag(desk, items=(film([TITLE, *range(20)]),))
    result = ask_one(desk, frames=shown([TITLE, *range(100, 120)]))
    assert (result.decision, result.matches) == ("none", ())


def test_a_frame_that_stays_for_long_counts_once(desk: Desk) -> None:
    flag(desk, items=(film([*range(10), *([TITLE] * 40)]),))
    assert ask_one(desk, frames=shown([*([TITLE] * 40), *range(100, 110)])).matches == ()
    (match,) = ask_one(desk, frames=shown([*range(10), *([TITLE] * 40)])).matches
    assert match.film is not None
    assert (match.film.frames, match.film.target_share) == (11, 100)


def test_where_one_frame_is_all_there_is_it_leads_to_review(desk: Desk) -> None:
    desk.set_policy(OPEN_POLICY)
    flag(desk, items=(film([3]),))
    assert ask_one(desk, frames=shown([3])).decision == "review"
    assert ask_one(desk, frames=shown([3, 4])).decision == "review"


def test_black_frames_are_not_compared(desk: Desk) -> None:
    flag(desk, items=(film(range(3)),))
    dark = tuple(replace(one, quality=49) for one in shown(range(3)))
    flat = (QueryFrame("0" * 64, 100, 0),)
    for frames in (dark, flat):
        result = ask_one(desk, frames=frames)
        assert result.matches == ()
        assert result.why[0] == "No frame has a quality of 50 or more: none was compared."


def test_a_rule_counts_the_frames_that_are_near_enough_for_it(desk: Desk) -> None:
    flag(desk, items=(film(range(10)),))
    far = ask_one(desk, frames=shown(range(10), bits=28))
    assert (far.decision, far.rule) == ("review", "review-any-match")
    assert any("the rule wants 24 or less" in one for one in far.why)
    mixed = ask_one(desk, frames=(*shown(range(4)), *shown(range(4, 10), bits=28)))
    assert mixed.rule == "review-any-match"
    assert any("40 % of the flagged film's match" in one for one in mixed.why)


def test_the_very_same_file_is_enough_whatever_the_frames(desk: Desk) -> None:
    flag(desk, items=(both(range(10)),))
    result = ask_one(desk, sha256="ab" * 32, frames=shown(range(100, 110)))
    assert [one.kind for one in result.matches] == ["sha256"]
    assert result.decision == "hold"


def test_a_picture_that_is_like_a_frame_is_told_where_and_leads_to_review(
    either_desk: Desk,
) -> None:
    either_desk.set_policy(OPEN_POLICY)
    receipt = flag(either_desk, items=(film([1, 2, 2, 3]),))
    result = ask_one(either_desk, pdq=frame_pdq(2, bits=5), quality=90)
    (match,) = result.matches
    assert (match.statement, match.kind, match.distance) == (receipt.id, "frame", 5)
    assert (match.at_ms, match.film, result.decision) == (1_000, None, "review")


def test_a_flagged_picture_inside_a_film_is_told_with_its_time(desk: Desk) -> None:
    desk.set_policy(OPEN_POLICY)
    flag(desk, items=(picture(frame_pdq(50)),))
    result = ask_one(desk, frames=shown([*range(10), 50, *range(10, 20)]))
    (match,) = result.matches
    assert (match.kind, match.film and match.film.target) == ("pdq", None)
    assert match.film is not None
    assert (match.film.query, match.film.target_share) == (Span(10_000, 10_000), 100)
    assert result.decision == "review", "one frame shows it"
    longer = (*shown([50], bits=2), *shown([50], bits=1, from_ms=900))
    assert ask_one(desk, frames=longer).decision == "block"


def test_a_film_that_was_taken_back_is_found_no_more(either_desk: Desk) -> None:
    receipt = flag(either_desk, items=(film(range(5)), film(range(50, 55))))
    either_desk.world.submit(retract(receipt.id, by=ANNA, items=(0,)))
    assert ask_one(either_desk, frames=shown(range(5))).matches == ()
    assert len(ask_one(either_desk, frames=shown(range(50, 55))).matches) == 1


def test_every_film_asked_has_its_own_answer(desk: Desk) -> None:
    flag(desk, items=(film(range(5)), film(range(50, 55)), picture()))
    assert [one.item for one in ask_one(desk, frames=shown(range(50, 55))).matches] == [1]
    assert [one.item for one in ask_one(desk, pdq=PDQ, quality=90).matches] == [2]


def test_films_without_movement_are_judged_by_a_sample(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(films, "MOST_PAIRS", 5_000)
    still = [frame_pdq(7, bits=0)[:-3] + f"{number:03x}" for number in range(600)]
    target = tuple(replace_frame(one, at) for at, one in enumerate(still[:400]))
    flag(desk, items=(MediaItem(frames=target),))
    upload = tuple(QueryFrame(one, 90, at * 1_000) for at, one in enumerate(still))
    result = ask_one(desk, frames=upload)
    assert result.why[0] == "Only 64 of 600 frames were compared."
    (match,) = result.matches
    assert match.film is not None
    assert match.film.query.to_ms - match.film.query.from_ms > 500_000, "spread over the film"


def replace_frame(pdq: str, at: int) -> Frame:
    return Frame(pdq=pdq, quality=90, at_ms=at * 1_000)


def varied(*families: str) -> str:
    """A policy whose rules about media ask for these variants."""
    words = ", ".join(f'"{family}"' for family in families)
    return OPEN_POLICY.replace("max_distance = 31", f"max_distance = 31\nvariants = [{words}]")


def turned(numbers: Sequence[int], name: VariantName) -> tuple[QueryFrame, ...]:
    """The frames of an upload that become those of the flagged film if this is done to them."""
    back: VariantName = "turned-270" if name == "turned-90" else name
    return tuple(
        replace(one, pdq=dict(turned_pdqs(bytes.fromhex(one.pdq), FAMILIES))[back].hex())
        for one in shown(numbers)
    )


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("mirrored", ("mirror",)),
        ("turned-180", ("rotation",)),
        ("turned-90", ("rotation",)),
        ("mirrored-turned-90", ("mirror", "rotation")),
    ],
)
def test_a_turned_film_is_found_where_a_rule_asks_for_it(
    desk: Desk, name: VariantName, families: tuple[str, ...]
) -> None:
    flag(desk, items=(film(range(20)),))
    upload = turned(range(20), name)
    assert ask_one(desk, frames=upload).matches == ()
    desk.set_policy(varied(*families))
    desk.world.clock.tick(2)
    result = ask_one(desk, frames=upload)
    (match,) = result.matches
    assert (result.decision, match.kind, match.variant) == ("block", "film", name)
    assert match.film is not None
    assert (match.film.query_share, match.film.target_share) == (100, 100)
    desk.set_policy(varied("border", "banner", "crop"))
    desk.world.clock.tick(2)
    assert ask_one(desk, frames=upload).matches == ()


def test_a_film_that_is_met_as_it_is_is_not_named_after_a_variant(desk: Desk) -> None:
    desk.set_policy(varied("mirror", "rotation"))
    flag(desk, items=(film(range(20)),))
    (match,) = ask_one(desk, frames=shown(range(20))).matches
    assert match.variant == PLAIN


def test_a_film_of_which_more_is_mirrored_than_not_is_shown_as_both(desk: Desk) -> None:
    share = "max_distance = 31\nmin_target_share = 30"
    desk.set_policy(varied("mirror").replace("max_distance = 31", share))
    flag(desk, items=(film(range(40)),))
    for mirrored, expected in ((20, {PLAIN, "mirrored"}), (18, {PLAIN})):
        frames = (*turned(range(mirrored), "mirrored"), *shown(range(20, 38)))
        found = ask_one(desk, frames=frames).matches
        assert {one.variant for one in found} == expected


def test_a_mirrored_frame_that_is_allowed_is_left_out(desk: Desk) -> None:
    desk.set_policy(varied("mirror"))
    flag(desk, items=(film([TITLE, *range(20)]),))
    desk.allow_list.add("pdq", frame_pdq(TITLE), radius=8, reason="title", days=1, actor="op")
    (match,) = ask_one(desk, frames=turned([TITLE, *range(20)], "mirrored")).matches
    assert match.film is not None
    assert match.film.frames == 20


def test_all_turned_forms_together_meet_as_many_pairs_as_the_film_itself(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.set_policy(varied("mirror", "rotation"))
    flag(desk, items=(film(range(20)),))
    most: list[int] = []
    look = films.find_films

    def find(*arguments: Any, **named: Any) -> films.FilmHits:
        most.append(named.get("most_pairs", films.MOST_PAIRS))
        return look(*arguments, **named)

    monkeypatch.setattr(films, "find_films", find)
    ask_one(desk, frames=shown(range(20)))
    assert len(most) == 8
    assert sum(most[1:]) <= most[0] == films.MOST_PAIRS
