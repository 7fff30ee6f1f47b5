"""The sums of docs/threat-model.md: the figures of the research behind the budgets, again."""

import itertools

import pytest

from federation.exposure import (
    EMAIL_ADDRESSES,
    GERMAN_MOBILE_NUMBERS,
    YEAR_DAYS,
    attacks_on,
    core_days_to_list,
    days_to_list,
    evaluations_per_day,
)
from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import format_time, to_base64url
from simulator import DAY_S, NOW
from worlds import HOTLINE, circle_descriptor

B = 30_000


@pytest.mark.parametrize(
    ("holders", "threshold", "shares", "factor"),
    [(5, 3, 0, 5 / 3), (5, 3, 1, 2), (5, 3, 2, 3), (3, 2, 0, 1.5), (3, 2, 1, 2), (1, 1, 0, 1)],
)
def test_spreading_over_the_holders_gives_more_than_one_budget(holders, threshold, shares, factor):
    assert evaluations_per_day(B, holders, threshold, shares=shares) == B * factor


@pytest.mark.parametrize("shares", [3, 4, 5])
def test_who_has_as_many_shares_as_the_threshold_asks_nobody(shares):
    assert evaluations_per_day(B, 5, 3, shares=shares) is None


@pytest.mark.parametrize(("a_day", "years"), [(10**4, 274), (10**5, 27), (10**6, 2.7)])
def test_a_thousand_million_numbers_take_the_years_that_were_reckoned(a_day, years):
    assert days_to_list(10**9, a_day) / YEAR_DAYS == pytest.approx(years, rel=0.02)


def test_without_a_budget_nothing_is_listed():
    assert evaluations_per_day(0, 5, 3, shares=2) == 0
    assert days_to_list(10**9, 0) == float("inf")


@pytest.mark.parametrize(("stretch_ms", "core_days"), [(0, 16 / 24), (42, 486), (15, 174)])
def test_whoever_has_the_key_pays_the_stretch_alone(stretch_ms, core_days):
    assert core_days_to_list(10**9, stretch_s=stretch_ms / 1000) == pytest.approx(
        core_days, rel=0.02
    )


@pytest.mark.parametrize(
    "wrong", [(1, 0, 1, 0), (1, 3, 4, 0), (1, 3, 0, 0), (-1, 3, 2, 0), (1, 3, 2, 4)]
)
def test_numbers_of_no_circle_are_refused(wrong):
    budget, holders, threshold, shares = wrong
    with pytest.raises(ValueError, match="no such circle"):
        evaluations_per_day(budget, holders, threshold, shares=shares)


@pytest.mark.parametrize(
    ("n", "t", "c"), [(3, 2, 0), (3, 2, 1), (4, 3, 1), (5, 3, 0), (5, 3, 2), (5, 4, 1)]
)
@pytest.mark.parametrize("budget", [1, 2, 7])
def test_the_formula_is_what_the_best_spreading_gets(n, t, c, budget):
    left = dict.fromkeys(range(n - c), budget)
    done = 0
    while True:
        chosen = sorted(left, key=left.__getitem__, reverse=True)[: t - c]
        if not all(left[one] for one in chosen):
            break
        done += 1
        for one in chosen:
            left[one] -= 1
    assert done == evaluations_per_day(budget, n, t, shares=c)


def test_no_order_of_asking_gets_more():
    """Every choice of subsets, tried out: 4 holders, threshold 2, budget 2."""
    best = 0
    pairs = list(itertools.combinations(range(4), 2))
    for chosen in itertools.product(pairs, repeat=5):
        spent = [sum(one in pair for pair in chosen) for one in range(4)]
        assert max(spent) > 2
    for chosen in itertools.product(pairs, repeat=4):
        if max(sum(one in pair for pair in chosen) for one in range(4)) <= 2:
            best = 4
    assert best == evaluations_per_day(2, 4, 2)


def described(*members: Member, holders: tuple[str, ...], threshold: int) -> CircleDescriptor:
    return circle_descriptor(
        members=(Member(node=HOTLINE, budget_per_day=0), *members),
        epochs=(
            Epoch(
                epoch=1,
                not_before=format_time(NOW - DAY_S),
                not_after=format_time(NOW + DAY_S),
                threshold=threshold,
                commitments=(to_base64url(bytes(32)),) * threshold,
                holders=tuple(Holder(index=at, node=one) for at, one in enumerate(holders, 1)),
            ),
        ),
    )


def test_a_circle_is_reckoned_by_parties_and_their_shares():
    circle = described(
        Member(node="a.example", budget_per_day=100),
        Member(node="b.example", budget_per_day=40),
        Member(node="b2.example", budget_per_day=9_999, party="b.example"),
        Member(node="c.example", budget_per_day=70),
        holders=(HOTLINE, "a.example", "b.example", "b2.example", "university.example"),
        threshold=4,
    )
    found = [
        (one.who, one.budget, one.shares, one.per_day)
        for one in attacks_on(circle, circle.epochs[0])
    ]
    assert found == [
        ("an outsider with one member's key", 100, 0, 125),
        ("one member that holds a share", 40, 2, 60),
        ("2 such members together", 140, 3, 280),
        ("3 such members together", 140, 4, None),
    ]


def test_members_without_a_share_can_put_their_budgets_together():
    circle = described(
        *(Member(node=f"m{n}.example", budget_per_day=50) for n in range(4)),
        holders=(HOTLINE, "m0.example", "x.example"),
        threshold=2,
    )
    found = [(one.who, one.per_day) for one in attacks_on(circle, circle.epochs[0])]
    assert found[1] == ("all 3 members without a share together", 225)


def test_the_count_of_german_mobile_numbers_is_that_of_libphonenumber():
    """Its pattern for DE, counted: 8 * 100 + 3 blocks of a million in 015; 13 in 016 and 017."""
    from phonenumbers import PhoneMetadata

    pattern = PhoneMetadata.metadata_for_region("DE").mobile.national_number_pattern
    assert pattern == r"1(?:6[023]|7\d)\d{7,8}|15(?:[0-25-9]\d\d|3(?:10|33)|410)\d{6}"
    shortest = 803 * 10**6 + 13 * 10**7
    assert shortest <= GERMAN_MOBILE_NUMBERS <= shortest + 13 * 10**8
    assert EMAIL_ADDRESSES == 10**9
