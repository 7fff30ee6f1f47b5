"""Whom to ask first, when to ask one more, and whom to leave alone."""

import pytest

from federation.holders import (
    FAILURES,
    FIRST_REST_S,
    HEDGE_AT_LEAST_S,
    HEDGE_AT_MOST_S,
    HEDGE_S,
    LONGEST_REST_S,
    Holders,
)
from protocol.errors import PeerRefusedError, PeerUnreachableError, RateLimitedError

GONE = PeerUnreachableError("gone")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Circle:
    """Five holders and a clock."""

    def __init__(self):
        self.clock = Clock()
        self.holders = Holders(now=self.clock)

    def answer(self, index, taken_s, *, size=1, times=1):
        for _ in range(times):
            since = self.holders.ask(index)
            self.clock.now += taken_s
            self.holders.answered(index, since, size)

    def fail(self, index, error=GONE, times=1):
        for _ in range(times):
            self.holders.failed(index, self.holders.ask(index), error)

    def choose(self, *indices, threshold=1, size=1, first=()):
        return self.holders.choose(
            indices or range(1, 6), threshold=threshold, size=size, first=first
        )


@pytest.fixture
def circle():
    return Circle()


def test_the_fastest_are_asked_first(circle):
    for index, taken_s in ((1, 0.3), (2, 0.1), (3, 0.2)):
        circle.answer(index, taken_s, times=8)
    assert circle.choose(1, 2, 3) == ([2, 3, 1], [])


def test_who_was_never_measured_is_asked_before_all_others(circle):
    circle.answer(1, 0.001)
    assert circle.choose(1, 2) == ([2, 1], [])


def test_who_was_not_measured_for_minutes_is_tried_anew(circle):
    circle.answer(1, 2.0, times=8)
    circle.clock.now += 400
    circle.answer(2, 0.1, times=8)
    assert circle.choose(2, 1) == ([1, 2], [])


def test_the_node_itself_comes_before_all_others(circle):
    circle.answer(3, 0.2, times=8)
    circle.answer(1, 0.1, times=8)
    assert circle.choose(1, 2, 3, first=[3])[0][0] == 3


def test_a_question_that_waits_says_how_slow_a_holder_is_before_any_answer(circle):
    circle.answer(1, 0.1, times=8)
    circle.answer(2, 0.2, times=8)
    circle.holders.ask(1)
    circle.clock.now += 1.0
    assert circle.choose(1, 2) == ([2, 1], [])


def test_each_size_of_request_is_measured_by_itself(circle):
    circle.answer(1, 0.1, size=1, times=8)
    circle.answer(1, 0.5, size=64, times=8)
    circle.answer(2, 0.2, size=1, times=8)
    circle.answer(2, 0.2, size=64, times=8)
    assert circle.choose(1, 2, size=1)[0] == [1, 2]
    assert circle.choose(1, 2, size=64)[0] == [2, 1]


def test_the_wait_before_one_more_is_the_95th_percentile_of_the_slowest(circle):
    circle.answer(1, 0.02, times=60)
    circle.answer(2, 0.02, times=57)
    circle.answer(2, 0.3, times=5)
    circle.choose(1, 2)
    assert circle.holders.hedge_s([1], 1) == pytest.approx(0.02)
    assert circle.holders.hedge_s([1, 2], 1) == pytest.approx(0.3)


def test_the_wait_before_one_more_has_bounds_and_a_default(circle):
    circle.choose(1, 2, 3)
    assert circle.holders.hedge_s([1], 1) == HEDGE_S
    circle.answer(1, 0.0001, times=8)
    circle.answer(2, 9.0, times=8)
    assert circle.holders.hedge_s([1], 1) == HEDGE_AT_LEAST_S
    assert circle.holders.hedge_s([2], 1) == HEDGE_AT_MOST_S
    assert circle.holders.hedge_s([1], 64) == HEDGE_S


def test_who_fails_again_and_again_is_left_alone_and_then_tried_beside_the_others(circle):
    circle.fail(1, times=FAILURES - 1)
    assert 1 in circle.choose(threshold=3)[0]
    circle.fail(1)
    assert circle.choose(threshold=3) == ([2, 3, 4, 5], [])
    assert circle.holders.failing() == [1]
    circle.clock.now += FIRST_REST_S
    assert circle.choose(threshold=3) == ([2, 3, 4, 5], [1])


def test_one_question_finds_out_whether_a_holder_is_back(circle):
    circle.fail(1, times=FAILURES)
    circle.clock.now += FIRST_REST_S
    since = circle.holders.ask(1)
    assert circle.choose(threshold=3) == ([2, 3, 4, 5], [])
    circle.holders.answered(1, since, 1)
    assert 1 in circle.choose(threshold=3)[0]
    assert circle.holders.failing() == []


def test_each_vain_try_doubles_the_rest_up_to_a_minute(circle):
    circle.fail(1, times=FAILURES)
    rests = []
    for _ in range(8):
        began = circle.clock.now
        while circle.choose(threshold=3)[1] != [1]:
            circle.clock.now += 0.5
        rests.append(circle.clock.now - began)
        circle.fail(1)
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]
    assert rests[-1] == LONGEST_REST_S


def test_where_the_threshold_needs_them_those_that_fail_are_asked_after_a_second(circle):
    for index in (1, 2, 3):
        circle.fail(index, times=FAILURES + 3)
    assert circle.choose(threshold=3) == ([4, 5], [])
    circle.clock.now += FIRST_REST_S
    assert circle.choose(threshold=3) == ([4, 5, 1, 2, 3], [])


@pytest.mark.parametrize(
    "error",
    [RateLimitedError("spent", retry_after_s=30), PeerRefusedError("spent", status=429)],
    ids=["here", "elsewhere"],
)
def test_a_holder_whose_budget_is_spent_does_not_fail_but_is_asked_last(circle, error):
    circle.answer(1, 0.001, times=8)
    circle.answer(2, 0.5, times=8)
    circle.fail(1, error, times=2 * FAILURES)
    assert circle.choose(1, 2) == ([2, 1], [])
    assert circle.holders.failing() == []
    circle.clock.now += LONGEST_REST_S
    assert circle.choose(1, 2) == ([1, 2], [])


def test_an_answer_that_took_too_long_is_a_failure(circle):
    for _ in range(FAILURES):
        circle.holders.failed(1, circle.holders.ask(1))
    assert circle.holders.failing() == [1]
