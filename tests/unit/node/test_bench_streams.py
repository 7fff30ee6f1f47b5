"""The bench of streams: what is late, what is reported, and the little client that asks."""

import asyncio
import os

import pytest

import api_fakes
from node.bench.plain_http import PlainClient
from node.bench.report import Report
from node.bench.streams import Run, _cpu_of, _figures, _pictures, _random_pdqs
from protocol.pdq import is_degenerate, parse_pdq

BUSY = Run([0.01] * 98 + [1.5, 2.0], [0.02, 0.4], undecided=1, wrong=0, cpu_s=10, wall_s=20)


def figures(hashes, *, kept_up=0, pictures=None):
    run = pictures or Run()
    document = Report({}, _figures(200, 5_000, hashes, kept_up, run)).to_json()
    return {one["name"]: one for one in document["figures"]}


def test_a_node_that_answers_too_late_too_often_does_not_keep_up():
    assert BUSY.late == 0.02
    found = figures(BUSY)
    assert (found["streams.hashes_kept_up"]["value"], found["streams.hashes_kept_up"]["ok"]) == (
        0,
        False,
    )
    punctual = Run([0.01] * 1_000, [0.02], cpu_s=1, wall_s=10)
    assert figures(punctual)["streams.hashes_kept_up"]["ok"]


def test_the_figures_say_how_long_decisions_took_and_what_they_cost():
    found = figures(BUSY, kept_up=40, pictures=Run([0.5], cpu_s=3, wall_s=6))
    assert found["streams.decision_worst_s"]["value"] == 0.4
    assert found["streams.decision_worst_s"]["beside"]["undecided"] == 1
    assert found["streams.hashes_processors"]["value"] == 0.5
    assert found["streams.hashes_processors"]["beside"]["per_frame_ms"] == 100
    assert found["streams.jpeg_kept_up"]["value"] == 40
    assert found["streams.jpeg_kept_up"]["beside"]["p99_ms"] == 500


def test_what_was_not_reached_is_said():
    nothing = figures(Run([0.1]))
    assert nothing["streams.decision_worst_s"]["value"] is None
    assert nothing["streams.jpeg_kept_up"]["beside"]["p99_ms"] is None


def test_the_client_asks_a_real_server(tmp_path):
    async def talk(url, token):
        async with PlainClient(url, token, connections=2) as http:
            made = await http.ask("POST", "/v1/streams", {"surface": "public"})
            frames = f"/v1/streams/{made['id']}/frame-file?at_ms=0"
            found = await asyncio.gather(*(http.ask("POST", frames, b"PICTURE") for _ in range(5)))
            assert {one["decision"] for one in found} == {"review"}
            assert await http.ask("DELETE", f"/v1/streams/{made['id']}") is None
            with pytest.raises(RuntimeError, match=r"the node refused: http/1\.1 422"):
                await http.ask("POST", frames, b"no picture")

    with api_fakes.serving(tmp_path) as (url, _services):
        asyncio.run(talk(url, api_fakes.token_for("match")))


def test_the_pictures_are_jpeg_files_that_differ():
    made = _pictures(film_at=1, seconds=1)
    assert all(one.startswith(b"\xff\xd8") for one in made)
    assert len(set(made)) == len(made)


def test_what_is_flagged_passes_the_gates():
    assert not any(is_degenerate(parse_pdq(one)) for one in _random_pdqs(30_000))


def test_processor_time_is_read_of_a_process_and_its_children():
    assert _cpu_of(os.getpid()) > 0
