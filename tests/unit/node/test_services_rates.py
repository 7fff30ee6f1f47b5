"""How often a peer may ask: at all processes together, and nobody at another's expense."""

import pytest

from desks import Desk
from node.services.rates import Rates
from protocol.errors import RateLimitedError, UnavailableError

KEY, OTHER = "ab" * 16, "cd" * 16


def passed(rates: Rates, key: str, *, tries: int) -> int:
    """How many of so many requests come through."""
    count = 0
    for _ in range(tries):
        try:
            rates.count(key)
        except RateLimitedError:
            continue
        count += 1
    return count


def processes(desk: Desk, count: int, *, most: int = 96) -> list[Rates]:
    return [Rates(desk.world.store, most=most, clock=desk.clock) for _ in range(count)]


def test_beyond_the_limit_a_caller_is_told_when_to_come_back(desk: Desk) -> None:
    (rates,) = processes(desk, 1)
    desk.world.clock.now += 15 - desk.world.clock.now % 60
    assert passed(rates, KEY, tries=200) == 96
    with pytest.raises(RateLimitedError, match="96 requests in this minute") as refused:
        rates.count(KEY)
    assert refused.value.retry_after_s == 45
    assert KEY not in str(refused.value)


def test_what_is_counted_at_once_counts_as_everything_else_does(desk: Desk) -> None:
    (rates,) = processes(desk, 1)
    at_once = 0
    for _ in range(200):
        if rates.count_at_once(KEY):
            at_once += 1
        elif not passed(rates, KEY, tries=1):
            break
    else:
        pytest.fail("the limit was never reached")
    # Of each six, the sixth is told to the others, and so is left to who may wait.
    assert at_once == 80
    assert not rates.count_at_once(KEY)
    assert rates.count_at_once(OTHER)


def test_what_is_taken_back_was_not_counted(desk: Desk) -> None:
    (rates,) = processes(desk, 1)
    rates.take_back(KEY)
    for _ in range(200):
        assert rates.count_at_once(KEY)
        rates.take_back(KEY)
    assert passed(rates, KEY, tries=200) == 96


def test_nobody_is_refused_for_what_another_does(desk: Desk) -> None:
    (rates,) = processes(desk, 1)
    passed(rates, KEY, tries=200)
    assert passed(rates, OTHER, tries=96) == 96


def test_in_the_next_minute_a_caller_begins_anew(desk: Desk) -> None:
    (rates,) = processes(desk, 1)
    passed(rates, KEY, tries=200)
    desk.world.clock.tick(60)
    assert passed(rates, KEY, tries=200) == 96


def test_several_processes_count_together(either_desk: Desk) -> None:
    both = processes(either_desk, 4)
    through = sum(passed(one, KEY, tries=3) for _ in range(100) for one in both)
    # Each process may not have told the others of a sixteenth yet.
    assert 96 <= through <= 96 + 3 * 96 // 16


def test_a_database_that_does_not_answer_lets_nobody_flood(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*, durable: bool = True) -> None:
        raise UnavailableError("The database does not answer.")

    (rates,) = processes(desk, 1)
    monkeypatch.setattr(desk.world.store, "write", fail)
    assert passed(rates, KEY, tries=200) == 96


def test_few_requests_cost_no_write(desk: Desk) -> None:
    (rates,) = processes(desk, 1, most=6_000)
    passed(rates, KEY, tries=300)
    assert desk.world.contents()["request_count"] == []


def test_what_was_counted_is_forgotten(desk: Desk) -> None:
    (rates,) = processes(desk, 1)
    passed(rates, KEY, tries=200)
    assert desk.world.contents()["request_count"]
    desk.world.clock.tick(60)
    desk.maintenance.forget()
    assert desk.world.contents()["request_count"] == []
