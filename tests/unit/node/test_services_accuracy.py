"""How right flaggers were: independent reports, each once, and no count that shows who said it."""

import csv
import io

import pytest

from desks import Desk
from node.services.accuracy import COLUMNS, Accuracy, to_csv
from protocol.statements import FeedbackRow
from simulator import DAY_S, accredit, media_flag
from worlds import ANNA, HOTLINE, PLATFORM, erase, feedback, items

OTHERS = ("one.example", "two.example")
BEN = f"{HOTLINE}/ben"


@pytest.fixture
def reporters(either_desk: Desk) -> tuple[str, ...]:
    """Three independent organisations."""
    for name in OTHERS:
        either_desk.world.know(name)
    return (PLATFORM, *OTHERS)


def flag(desk: Desk, number: int, *, by: str = ANNA, **changes: object) -> str:
    return desk.world.submit(media_flag(by, number, items=items(2), **changes)).id


def report(
    desk: Desk, statement: str, by: str, *counts: int, day: str = "2026-11-21", **changes: object
) -> None:
    confirmed, refuted, unreviewed = (*counts, 0, 0, 0)[:3]
    row = FeedbackRow(item=0, confirmed=confirmed, refuted=refuted, unreviewed=unreviewed)
    desk.world.submit(feedback(statement, by=by, day=day, rows=(row,), **changes))


def found(desk: Desk, *, year: int = 2026, full: bool = False, **wanted: str) -> list[Accuracy]:
    from node.services.accuracy import Accuracies

    return Accuracies(desk.world.store).of_year(year, full=full, **wanted)


def test_what_independent_organisations_reported_is_summed_by_flagger_and_category(
    either_desk: Desk, reporters: tuple[str, ...]
) -> None:
    statements = [flag(either_desk, number) for number in (1, 2)]
    grooming = flag(either_desk, 3, category="csam.pose.pub")
    for statement in statements:
        for name in reporters:
            report(either_desk, statement, name, 4, 1, 2)
    for name in reporters:
        report(either_desk, grooming, name, 1)
    first, second = found(either_desk)
    assert first == Accuracy(
        flagger=ANNA,
        category="csam.act.prepub",
        year=2026,
        statements=2,
        reporters=3,
        confirming=3,
        confirmed=24,
        refuted=6,
        unreviewed=12,
        accuracy_percent=80,
    )
    assert (second.category, second.confirmed, second.accuracy_percent) == ("csam.pose.pub", 3, 100)


def test_a_later_report_of_an_organisation_for_a_day_replaces_the_earlier(
    either_desk: Desk, reporters: tuple[str, ...]
) -> None:
    statement = flag(either_desk, 1)
    for _ in range(5):
        report(either_desk, statement, PLATFORM, 9, 0, 0)
    report(either_desk, statement, PLATFORM, 1, 1, 0)
    report(either_desk, statement, PLATFORM, 2, 0, 0, day="2026-11-20")
    (one,) = found(either_desk, full=True)
    assert (one.confirmed, one.refuted, one.reporters) == (3, 1, 1)


def test_a_report_that_comes_late_does_not_replace_one_that_was_made_after_it(
    desk: Desk,
) -> None:
    statement = flag(desk, 1)
    report(desk, statement, PLATFORM, 5, issued="2026-11-22T09:59:00Z")
    report(desk, statement, PLATFORM, 1, issued="2026-11-22T09:00:00Z")
    (one,) = found(desk, full=True)
    assert one.confirmed == 5


def test_an_organisation_says_nothing_of_its_own_flaggers(
    either_desk: Desk, reporters: tuple[str, ...]
) -> None:
    statement = flag(either_desk, 1)
    own = flag(either_desk, 2, by=HOTLINE)
    report(either_desk, statement, HOTLINE, 10**6)
    report(either_desk, own, HOTLINE, 10**6)
    report(either_desk, own, PLATFORM, 1)
    (one,) = found(either_desk, full=True)
    assert (one.flagger, one.confirmed, one.reporters, one.statements) == (HOTLINE, 1, 1, 1)


def test_few_reporters_are_counted_and_what_they_say_is_not_shown(either_desk: Desk) -> None:
    statement = flag(either_desk, 1)
    report(either_desk, statement, PLATFORM, 4, 1, 2)
    (shown,) = found(either_desk)
    assert (shown.statements, shown.reporters) == (1, 1)
    assert {shown.confirming, shown.confirmed, shown.refuted, shown.unreviewed} == {None}
    assert shown.accuracy_percent is None
    (whole,) = found(either_desk, full=True)
    assert (whole.confirmed, whole.accuracy_percent) == (4, 80)


def test_a_peer_that_is_frozen_is_not_heard(desk: Desk) -> None:
    statement = flag(desk, 1)
    report(desk, statement, PLATFORM, 0, 10**9)
    desk.peers.freeze(PLATFORM)
    assert found(desk, full=True) == []


def test_one_that_shouts_is_one_of_three(either_desk: Desk, reporters: tuple[str, ...]) -> None:
    statement = flag(either_desk, 1)
    report(either_desk, statement, PLATFORM, 0, 10**9)
    for name in OTHERS:
        report(either_desk, statement, name, 3)
    (one,) = found(either_desk)
    assert (one.accuracy_percent, one.confirming, one.reporters) == (0, 2, 3)


def test_the_category_outlives_the_body(desk: Desk) -> None:
    statement = flag(desk, 1)
    report(desk, statement, PLATFORM, 1)
    desk.world.submit(erase(statement, by=ANNA))
    report(desk, statement, PLATFORM, 2, day="2026-11-21")
    (one,) = found(desk, full=True)
    assert (one.category, one.confirmed) == ("csam.act.prepub", 2)


def test_of_what_was_gone_before_the_first_report_the_category_is_unknown(desk: Desk) -> None:
    statement = flag(desk, 1)
    desk.world.submit(erase(statement, by=ANNA))
    report(desk, statement, PLATFORM, 1)
    (one,) = found(desk, full=True)
    assert one.category == "unknown"


def test_a_year_and_a_flagger_are_picked_out(desk: Desk) -> None:
    desk.world.submit(accredit(BEN, 77, categories=("*",)))
    for number, by in enumerate((ANNA, BEN), 1):
        report(desk, flag(desk, number, by=by), PLATFORM, number)
    assert [one.flagger for one in found(desk, full=True)] == [ANNA, BEN]
    assert [one.flagger for one in found(desk, full=True, flagger=BEN)] == [BEN]
    assert found(desk, year=2025) == []


def test_the_table_for_a_yearly_report_keeps_its_columns() -> None:
    assert ",".join(COLUMNS) == (
        "flagger,category,year,statements,reporters,confirming,confirmed,refuted,unreviewed,"
        "accuracy_percent"
    )
    one = Accuracy(ANNA, "csam.act.prepub", 2026, 2, 1, None, None, None, None, None)
    two = Accuracy(BEN, "csam.act.prepub", 2026, 2, 3, 3, 9, 1, 0, 90)
    rows = list(csv.reader(io.StringIO(to_csv([one, two]))))
    assert rows == [
        list(COLUMNS),
        [ANNA, "csam.act.prepub", "2026", "2", "1", "", "", "", "", ""],
        [BEN, "csam.act.prepub", "2026", "2", "3", "3", "9", "1", "0", "90"],
    ]


def test_feedback_cannot_be_dated_into_another_year_at_will(desk: Desk) -> None:
    statement = flag(desk, 1)
    desk.world.clock.tick(60 * DAY_S)
    report(desk, statement, PLATFORM, 1, day="2027-01-20", issued="2027-01-21T10:00:00Z")
    assert [one.year for one in found(desk, year=2027, full=True)] == [2027]
    assert found(desk, year=2026, full=True) == []
