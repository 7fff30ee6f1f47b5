"""Streams: when frames are enough, what is kept of them, and how many may be watched."""

from collections.abc import Iterable

import pytest

from desks import OPEN_POLICY, PLATFORM_PROGRAM, Desk, picture
from films import film, frame_pdq, shown
from node.services.clients import Client
from node.services.films import QueryFrame, Span
from node.services.judging import MediaResult
from node.services.streams import MOST_PER_FRAME, Streams
from protocol.errors import NotFoundError, RateLimitedError, UnavailableError
from uploads import acted, flag, open_remedies
from worlds import ANNA, contents, retract

OTHER_PROGRAM = Client(2, "another", frozenset({"match"}))
UNKNOWN = range(1_000, 1_010)


def begin(streams: Streams, surface: str = "public") -> str:
    return streams.open(surface=surface, client=PLATFORM_PROGRAM).id


def send(
    streams: Streams, stream: str, numbers: Iterable[int], *, from_ms: int = 0, bits: int = 0
) -> MediaResult:
    frames = shown(list(numbers), bits=bits, from_ms=from_ms)
    return streams.look(stream, frames, client=PLATFORM_PROGRAM)


def decisions(streams: Streams, stream: str, numbers: Iterable[int]) -> list[str]:
    """What is answered to one frame after another, one each second."""
    return [
        send(streams, stream, [number], from_ms=at * 1_000).decision
        for at, number in enumerate(numbers)
    ]


def kept(desk: Desk) -> tuple[int, int]:
    """How many rows there are of streams, and of their hits."""
    found = contents(desk.world.url)
    return len(found["stream"]), len(found["stream_hit"])


def test_the_third_frame_of_a_flagged_film_decides(either_desk: Desk) -> None:
    receipt = flag(either_desk, items=(film(range(20)),))
    streams = either_desk.streams
    stream = begin(streams)
    numbers = [*UNKNOWN, 4, 5, 6, 7]
    assert decisions(streams, stream, numbers) == ["none"] * 12 + ["hold"] * 2
    (match,) = send(streams, stream, [8], from_ms=14_000, bits=9).matches
    assert (match.statement, match.kind, match.distance) == (receipt.id, "film", 0)
    assert match.film is not None
    assert (match.film.frames, match.film.query_share, match.film.target_share) == (5, None, 25)
    assert (match.film.query, match.film.target) == (Span(10_000, 14_000), Span(4_000, 8_000))
    assert acted(either_desk, receipt) == 1, "one stream was held once"


def test_frames_that_come_together_decide_as_those_that_come_one_by_one(desk: Desk) -> None:
    flag(desk, items=(film(range(20)),))
    assert send(desk.streams, begin(desk.streams), [1, 2, 3]).decision == "hold"
    assert send(desk.streams, begin(desk.streams), [1, 2]).decision == "none"


def test_a_flagged_picture_that_is_shown_for_long_enough_decides(desk: Desk) -> None:
    desk.set_policy(OPEN_POLICY)
    flag(desk, items=(picture(frame_pdq(50)),))
    assert decisions(desk.streams, begin(desk.streams), [50, 50, 50]) == ["none", "none", "block"]


def test_a_title_that_stands_still_is_not_the_film(desk: Desk) -> None:
    flag(desk, items=(film(range(20)),))
    stream = begin(desk.streams)
    assert set(decisions(desk.streams, stream, [5] * 12)) == {"none"}
    assert send(desk.streams, stream, [6, 7], from_ms=12_000).decision == "hold"


def test_a_rule_says_how_many_frames_it_wants(desk: Desk) -> None:
    desk.set_policy(
        OPEN_POLICY.replace("max_distance = 31", "max_distance = 31\nmin_stream_frames = 5")
    )
    flag(desk, items=(film(range(20)),))
    assert decisions(desk.streams, begin(desk.streams), range(6)) == ["none"] * 4 + ["block"] * 2


def test_frames_count_together_within_the_window_only(desk: Desk) -> None:
    flag(desk, items=(film(range(20)),))
    streams = desk.new_streams(stream_window_s=10)
    stream = begin(streams)
    assert send(streams, stream, [1, 2], from_ms=0).decision == "none"
    assert send(streams, stream, [3], from_ms=11_001).decision == "none"
    assert send(streams, stream, [4, 5], from_ms=20_000).decision == "hold"
    late = send(streams, stream, UNKNOWN, from_ms=32_000)
    assert (late.decision, late.matches) == ("none", ())
    assert kept(desk) == (1, 3), "what lies before the window was dropped when frames were kept"


def test_nothing_is_written_for_frames_that_match_nothing(either_desk: Desk) -> None:
    flag(either_desk, items=(film(range(20)),))
    streams = either_desk.streams
    stream = begin(streams)
    before = contents(either_desk.world.url)
    for at in range(5):
        either_desk.world.clock.tick(1)
        assert send(streams, stream, UNKNOWN, from_ms=at * 10_000) == MediaResult(
            "none", None, (), ()
        )
    assert contents(either_desk.world.url) == before


def test_black_frames_are_not_compared(desk: Desk) -> None:
    flag(desk, items=(film(range(3)),))
    dark = tuple(QueryFrame(one.pdq, 49, one.at_ms) for one in shown(range(3)))
    stream = begin(desk.streams)
    assert desk.streams.look(stream, dark, client=PLATFORM_PROGRAM).decision == "none"
    assert kept(desk) == (1, 0)


def test_any_process_answers_for_any_stream(either_desk: Desk) -> None:
    flag(either_desk, items=(film(range(20)),))
    first, second = either_desk.streams, either_desk.new_streams()
    stream = begin(first)
    assert send(first, stream, [1]).decision == "none"
    assert send(second, stream, [2], from_ms=1_000).decision == "none"
    assert send(first, stream, [3], from_ms=2_000).decision == "hold"
    assert send(second, stream, [4], from_ms=3_000).decision == "hold"


def test_a_frame_that_is_sent_twice_counts_once(desk: Desk) -> None:
    flag(desk, items=(film(range(20)),))
    stream = begin(desk.streams)
    for _ in range(3):
        assert send(desk.streams, stream, [1, 2]).decision == "none"
    assert kept(desk) == (1, 2)


def test_what_was_taken_back_counts_no_more(desk: Desk) -> None:
    receipt = flag(desk, items=(film(range(20)),))
    stream = begin(desk.streams)
    assert send(desk.streams, stream, [1, 2, 3]).decision == "hold"
    desk.world.submit(retract(receipt.id, by=ANNA))
    assert send(desk.streams, stream, [4], from_ms=4_000).decision == "none"
    assert open_remedies(desk) == [(receipt.id, (0,))]


def test_private_streams_are_looked_at_only_if_the_operator_says_so(desk: Desk) -> None:
    flag(desk, items=(film(range(20)),))
    stream = begin(desk.streams, "private")
    assert send(desk.streams, stream, range(10)).decision == "none"
    assert kept(desk) == (1, 0)


def test_a_stream_belongs_to_the_client_that_began_it(desk: Desk) -> None:
    stream = begin(desk.streams)
    for act in (
        lambda: desk.streams.look(stream, shown([1]), client=OTHER_PROGRAM),
        lambda: desk.streams.close(stream, client=OTHER_PROGRAM),
        lambda: desk.streams.look("00" * 16, shown([1]), client=PLATFORM_PROGRAM),
    ):
        with pytest.raises(NotFoundError, match="no such stream"):
            act()


def test_a_stream_that_was_ended_leaves_nothing_behind(either_desk: Desk) -> None:
    flag(either_desk, items=(film(range(20)),))
    streams = either_desk.streams
    stream = begin(streams)
    send(streams, stream, [1, 2, 3])
    streams.close(stream, client=PLATFORM_PROGRAM)
    assert kept(either_desk) == (0, 0)
    with pytest.raises(NotFoundError, match="it is over"):
        send(streams, stream, [4])
    assert [one[1] for one in either_desk.audited()][-3:] == [
        "stream.open",
        "stream.decision",
        "stream.close",
    ]


def test_a_stream_goes_on_while_frames_come_and_is_over_when_none_do(either_desk: Desk) -> None:
    flag(either_desk, items=(film(range(20)),))
    streams = either_desk.new_streams(stream_idle_s=20)
    stream = begin(streams)
    send(streams, stream, [1])
    for at in range(10):
        either_desk.world.clock.tick(19)
        send(streams, stream, UNKNOWN, from_ms=at * 19_000)
    either_desk.world.clock.tick(26)
    with pytest.raises(NotFoundError, match="it is over"):
        send(streams, stream, [2])
    begin(streams)
    assert kept(either_desk) == (1, 0), "room was made for the new one"


def test_the_job_forgets_idle_streams(desk: Desk) -> None:
    flag(desk, items=(film(range(20)),))
    send(desk.streams, begin(desk.streams), [1])
    desk.maintenance.forget()
    assert kept(desk) == (1, 1)
    desk.world.clock.tick(3_601)
    desk.maintenance.forget()
    assert kept(desk) == (0, 0)


def test_a_client_and_the_node_watch_so_many_streams_and_no_more(either_desk: Desk) -> None:
    streams = either_desk.new_streams(max_streams=3, max_streams_per_client=2)
    first = begin(streams)
    begin(streams)
    with pytest.raises(RateLimitedError, match="2 streams at once") as caught:
        begin(streams)
    assert caught.value.retry_after_s == 60
    streams.open(surface="public", client=OTHER_PROGRAM)
    with pytest.raises(UnavailableError) as full:
        streams.open(surface="public", client=OTHER_PROGRAM)
    assert full.value.retry_after_s == 60
    streams.close(first, client=PLATFORM_PROGRAM)
    begin(streams)


def test_a_frame_that_resembles_a_flood_keeps_the_nearest(desk: Desk) -> None:
    near = [frame_pdq(7)[:-4] + f"{1 << (number % 16):04x}" for number in range(MOST_PER_FRAME)]
    for number, pdq in enumerate([*near, *near]):
        flag(desk, number, items=(picture(pdq),))
    send(desk.streams, begin(desk.streams), [7])
    assert kept(desk) == (1, MOST_PER_FRAME)
