"""Streams over HTTP: their life, and what is refused. The rest of it the table of endpoints has."""

import pytest
from fastapi.testclient import TestClient

import api_fakes
from api_fakes import STREAM_ID, bearer
from node.api.app import build_api
from node.api.stream_shapes import MAX_FRAMES_AT_ONCE

URL = "http://127.0.0.1:8440"
FRAME = {"pdq": "ab" * 32, "quality": 90, "at_ms": 7}


@pytest.fixture
def services(tmp_path):
    return api_fakes.fake_services(tmp_path, url=URL)


@pytest.fixture
def client(services):
    return TestClient(build_api(services), base_url=URL, headers=bearer("match"))


def test_a_stream_is_begun_looked_at_and_ended(client, services):
    made = client.post("/v1/streams", json={"surface": "public"})
    assert (made.status_code, made.json()) == (
        201,
        {"id": STREAM_ID, "window_ms": 30_000, "idle_s": 60},
    )
    found = client.post(f"/v1/streams/{STREAM_ID}/frames", json={"frames": [FRAME, FRAME]})
    assert found.json() == {
        "decision": "review",
        "rule": "review-any-match",
        "why": ["fired"],
        "matches": [],
    }
    assert [one.at_ms for one in services.streams.asked] == [7, 7]
    assert client.delete(f"/v1/streams/{STREAM_ID}").status_code == 204


def test_a_picture_of_a_stream_is_hashed_here(client, services):
    found = client.post(
        f"/v1/streams/{STREAM_ID}/frame-file?at_ms=61000",
        content=b"PICTURE",
        headers={"Content-Type": "image/jpeg"},
    )
    assert found.json()["decision"] == "review"
    (frame,) = services.streams.asked
    assert (frame.pdq, frame.quality, frame.at_ms) == ("ab" * 32, 90, 61_000)


@pytest.mark.parametrize(
    "frames",
    [[], [FRAME] * (MAX_FRAMES_AT_ONCE + 1), [{**FRAME, "at_ms": -1}], [{"pdq": "ab" * 32}]],
    ids=["none", "too many", "before the begin", "no quality"],
)
def test_frames_of_another_form_are_refused(client, frames):
    assert (
        client.post(f"/v1/streams/{STREAM_ID}/frames", json={"frames": frames}).status_code == 422
    )


@pytest.mark.parametrize("stream", ["5A" * 16, "5a" * 15, "5a" * 17, "x", "..%2f.."])
def test_an_id_that_is_none_is_refused(client, stream):
    answer = client.post(f"/v1/streams/{stream}/frames", json={"frames": [FRAME]})
    assert answer.status_code in (404, 422)


def test_an_unknown_stream_is_not_found(client):
    other = "00" * 16
    assert client.post(f"/v1/streams/{other}/frames", json={"frames": [FRAME]}).status_code == 404
    assert client.delete(f"/v1/streams/{other}").status_code == 404


def test_a_node_that_is_full_says_when_to_come_back(client, services):
    services.streams.full = True
    answer = client.post("/v1/streams", json={"surface": "public"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
