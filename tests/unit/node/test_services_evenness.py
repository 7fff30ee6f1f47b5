"""Quick answers wait for the usual ones, and nobody waits for long."""

from dataclasses import dataclass, field

import pytest

from node.services.evenness import MOST_HELD_S, Evenness


@dataclass
class Watch:
    """A clock that only work and sleep move on."""

    at: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


def answer(pace: Evenness, watch: Watch, work_s: float) -> float:
    """How long an answer takes from its beginning until it is given."""
    begun = pace.begin()
    watch.at += work_s
    pace.hold(begun)
    return watch.at - begun


def test_a_hit_that_takes_longer_by_its_nature_is_given_when_a_miss_is(watch: Watch) -> None:
    pace = Evenness(now=watch.now, sleep=watch.sleep)
    for _ in range(30):
        answer(pace, watch, 0.001)
    assert answer(pace, watch, 0.001) == pytest.approx(0.0015)
    assert answer(pace, watch, 0.0012) == pytest.approx(0.0015)
    assert answer(pace, watch, 0.0016) == pytest.approx(0.0016)


def test_answers_that_are_rarely_slow_delay_nobody(watch: Watch) -> None:
    pace = Evenness(now=watch.now, sleep=watch.sleep)
    for number in range(200):
        answer(pace, watch, 1.0 if number % 20 == 0 else 0.001)
    assert answer(pace, watch, 0.001) == pytest.approx(0.0015)


def test_what_was_waited_is_not_waited_for_again(watch: Watch) -> None:
    pace = Evenness(now=watch.now, sleep=watch.sleep)
    for _ in range(1_000):
        answer(pace, watch, 0.001)
    assert answer(pace, watch, 0.001) == pytest.approx(0.0015)


def test_nobody_waits_longer_than_the_bound(watch: Watch) -> None:
    pace = Evenness(now=watch.now, sleep=watch.sleep)
    for _ in range(64):
        answer(pace, watch, 5.0)
    assert answer(pace, watch, 0.001) == pytest.approx(0.001 + MOST_HELD_S)


def test_the_first_answer_has_room_too(watch: Watch) -> None:
    assert answer(Evenness(now=watch.now, sleep=watch.sleep), watch, 0.01) == pytest.approx(0.015)
