"""A look-up takes one worker thread, and is let in, refused and answered as through three."""

import json
import threading

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient

import api_fakes
from api_fakes import bearer
from node.api import guard, one_hop, peer, platform
from node.api.app import build_api
from node.api.auth import Requirement
from node.api.limits import MAX_HEADER_BYTES, MAX_URL_BYTES
from node.api.one_hop import OneHop
from node.api.peer import checkpoint, evaluate
from node.api.platform import check_account, match
from protocol.encoding import encode_json
from protocol.endpoints import ACKNOWLEDGE, ENTRIES, ENVELOPES, POKE
from protocol.messages import OprfRequest

URL = "http://127.0.0.1:8440"
BODY = {"surface": "public", "items": [{"md5": "a" * 32}]}


@pytest.fixture
def services(tmp_path):
    return api_fakes.fake_services(tmp_path, url=URL)


@pytest.fixture(params=[0, one_hop.SHORT_BYTES], ids=["three hops", "one hop"])
def client(services, monkeypatch, request):
    """Every test is told twice: a body that is short, and one that counts as long."""
    monkeypatch.setattr(one_hop, "SHORT_BYTES", request.param)
    return TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))


def test_what_is_asked_most_is_served_in_one_hop():
    routes = [
        *platform.match_router.routes,
        *platform.quick_router.routes,
        *peer.checkpoint_router.routes,
        *peer.quick_router.routes,
    ]
    assert all(isinstance(route, OneHop) for route in (*routes, *peer.router.routes))
    assert [route.endpoint for route in routes] == [
        match,
        check_account,
        checkpoint,
        evaluate,
    ]


def test_a_look_up_is_answered(client):
    response = client.post("/v1/media/match", json=BODY, headers=bearer("match"))
    assert response.status_code == 200
    assert [one["decision"] for one in response.json()["results"]] == ["none"]


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic bWF0Y2g6"},
        {"Authorization": "Bearer snk_unknown"},
        {"Authorization": "Bearer " + "A" * 200},
        {"Authorization": "Bearer \u00fc"},
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_without_a_key_nothing_else_is_told(client, header, content_type):
    fields = {name: value.encode("utf-8") for name, value in header.items()}
    response = client.post(
        "/v1/media/match", content=b"{", headers=fields | {"Content-Type": content_type}
    )
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_lower_case_scheme_is_the_same_scheme(client):
    header = {"Authorization": bearer("match")["Authorization"].replace("Bearer", "bearer")}
    assert client.post("/v1/media/match", json=BODY, headers=header).status_code == 200


def test_a_key_for_something_else_is_refused_before_the_body_is_looked_at(client):
    response = client.post("/v1/media/match", content=b"{", headers=bearer("check"))
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 422),
        (b'{"surface":"public","items":[],"more":1}', "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"", "application/json", 422),
    ],
)
def test_a_body_of_another_form_is_refused(client, content, content_type, status):
    response = client.post(
        "/v1/media/match",
        content=content,
        headers=bearer("match") | {"Content-Type": content_type},
    )
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_a_body_of_unknown_length_goes_the_long_way(services):
    client = TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))
    response = client.post(
        "/v1/media/match",
        content=iter([b'{"surface":"public",', b'"items":[{"md5":"' + b"a" * 32 + b'"}]}']),
        headers=bearer("match") | {"Content-Type": "application/json"},
    )
    assert response.status_code == 200


def test_a_body_in_pieces_is_not_read_for_a_stranger_whatever_length_it_names(services):
    client = TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))
    read = []

    def pieces():
        for piece in (b"{", b'"surface":"public"}'):
            read.append(piece)
            yield piece

    header = {"Content-Type": "application/json", "Content-Length": "2"}
    response = client.post(
        "/v1/media/match", content=pieces(), headers=header | {"Transfer-Encoding": "chunked"}
    )
    assert response.status_code == 401
    assert read == []


def test_nothing_of_a_look_up_runs_on_the_event_loop(services, monkeypatch):
    threads = []
    plain = services.lookups.match
    monkeypatch.setattr(
        services.lookups,
        "match",
        lambda *args, **more: (
            threads.append(threading.current_thread().name),
            plain(*args, **more),
        )[1],
    )
    client = TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))
    client.post("/v1/media/match", json=BODY, headers=bearer("match"))
    assert threads
    assert all("worker" in name.lower() for name in threads)


@pytest.fixture
def quick(services):
    """A node that knows at once that nothing is like `BODY`."""
    services.lookups.nothing_like.add("a" * 32)
    return TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))


def test_a_picture_that_resembles_nothing_is_answered_without_a_thread(quick, services):
    response = quick.post("/v1/media/match", json=BODY, headers=bearer("match"))
    assert response.status_code == 200
    assert [one["decision"] for one in response.json()["results"]] == ["none"]
    assert response.json()["list"]["entries"] == 7
    assert not services.lookups.asked
    figures = quick.get("/metrics", headers=bearer("admin")).text
    assert 'schutznetz_decisions_total{decision="none",subject="media"} 1.0' in figures


@pytest.mark.parametrize(
    ("header", "body", "status"),
    [
        ({}, BODY, 401),
        ({"Authorization": "Bearer snk_unknown"}, BODY, 401),
        ({"Authorization": "Basic bWF0Y2g6"}, BODY, 401),
        ({"Authorization": "Bearer " + "A" * 200}, BODY, 401),
        ({"Authorization": "Bearer \u00fc"}, BODY, 401),
        (bearer("check"), BODY, 403),
        (bearer("match"), BODY | {"surface": "elsewhere"}, 422),
        (bearer("match"), BODY | {"items": BODY["items"] * 2}, 200),
        (bearer("match"), BODY | {"items": [{"md5": "b" * 32}]}, 200),
    ],
)
def test_whatever_else_is_asked_goes_to_the_handler(quick, services, header, body, status):
    fields = {name: value.encode("utf-8") for name, value in header.items()}
    response = quick.post("/v1/media/match", json=body, headers=fields)
    assert response.status_code == status, response.text
    assert bool(services.lookups.asked) is (status == 200)


def test_a_long_body_is_not_tried_on_the_event_loop(quick, services):
    spaces = b" " * one_hop.AT_ONCE_BYTES
    body = json.dumps(BODY).encode() + spaces
    header = bearer("match") | {"Content-Type": "application/json"}
    assert quick.post("/v1/media/match", content=body, headers=header).status_code == 200
    assert services.lookups.asked


def test_an_operators_key_is_never_known_at_once(services):
    request = Request({"type": "http", "headers": [], "state": {}})
    assert Requirement("match").known(request, services) is None
    header = [(b"authorization", bearer("admin")["Authorization"].encode())]
    request = Request({"type": "http", "headers": header, "state": {}})
    assert Requirement("admin").known(request, services) is None


def test_a_handler_with_other_arguments_cannot_be_served_so():
    router = APIRouter(route_class=OneHop)

    def handler(request: Request) -> None:
        """Wants more than a route in one hop can give."""

    with pytest.raises(RuntimeError, match="the argument request cannot be had"):
        router.get("/")(handler)
    assert FastAPI().routes


OPRF = "/federation/v1/oprf"
QUESTION = encode_json(OprfRequest(circle="a.example/c-1", epoch=1, blinded=("A" * 43,)))


def ask(client, body=QUESTION, *, content_type="application/json", **signing):
    header = api_fakes.signed(method="POST", url=URL + OPRF, body=QUESTION, **signing)
    return client.post(OPRF, content=body, headers={"Content-Type": content_type, **header})


def test_a_signed_question_is_answered(client):
    response = ask(client)
    assert response.status_code == 200
    assert response.json()["evaluated"] == ["A" * 43]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"body": QUESTION.replace(b"A", b"B")}, 401),
        ({"key": api_fakes.STRANGER_KEY}, 401),
        ({"key": api_fakes.FLAGGER_KEY}, 403),
        ({"content_type": "text/plain"}, 415),
    ],
)
def test_a_question_of_somebody_else_or_of_another_form_is_refused(client, more, status):
    assert ask(client, **more).status_code == status


def test_a_question_is_answered_once_for_each_signature(client):
    header = api_fakes.signed(method="POST", url=URL + OPRF, body=QUESTION)
    header |= {"Content-Type": "application/json"}
    assert client.post(OPRF, content=QUESTION, headers=header).status_code == 200
    again = client.post(OPRF, content=QUESTION, headers=header)
    assert again.status_code == 401
    assert again.headers["WWW-Authenticate"] == "Signature"
    assert "new nonce" in again.json()["detail"]


CHECKPOINT = "/checkpoint"


def read(client, *, content=b"", **signing):
    header = api_fakes.signed(method="GET", url=URL + CHECKPOINT, body=content, **signing)
    return client.request("GET", CHECKPOINT, content=content, headers=header)


def test_a_signed_read_is_answered_once_for_each_signature(client):
    header = api_fakes.signed(method="GET", url=URL + CHECKPOINT, body=b"")
    assert client.get(CHECKPOINT, headers=header).status_code == 200
    assert client.get(CHECKPOINT, headers=header).status_code == 401


@pytest.fixture
def threads(services, monkeypatch):
    """Where the node's checkpoint was asked for."""
    found = []
    plain = services.log.checkpoint

    def checkpoint(once, **more):
        found.append(("wait" in more, threading.get_ident()))
        return plain(once, **more)

    monkeypatch.setattr(services.log, "checkpoint", checkpoint)
    return found


def test_a_checkpoint_is_answered_without_a_thread_while_nobody_writes(client, services, threads):
    assert read(client).status_code == 200
    assert [one[0] for one in threads] == [True]
    services.log.is_busy = True
    assert read(client).status_code == 200
    assert [one[0] for one in threads] == [True, True, False]
    assert threads[1][1] != threads[2][1]
    services.log.is_busy, services.peers.is_away = False, True
    assert read(client).status_code == 200
    assert [one[0] for one in threads[3:]] == [False]


def test_a_read_that_the_handler_answers_is_counted_once(client, services):
    services.rates.left = 2
    services.log.is_busy = True
    assert [read(client).status_code for _ in range(3)] == [200, 200, 429]


def test_a_read_that_is_refused_at_once_is_refused_by_the_handler(client, services):
    services.rates.left = 1
    assert read(client).status_code == 200
    assert read(client).status_code == 429
    assert read(client, key=api_fakes.STRANGER_KEY).status_code == 401


def test_a_read_that_comes_with_a_body_goes_the_usual_way(client):
    assert read(client, content=b"x").status_code == 200


@pytest.mark.parametrize(
    ("key", "status"), [(api_fakes.STRANGER_KEY, 401), (api_fakes.FLAGGER_KEY, 403)]
)
def test_a_read_of_somebody_else_is_refused(client, key, status):
    assert read(client, key=key).status_code == status


def test_a_read_that_nobody_signed_is_refused(client):
    assert client.get(CHECKPOINT).status_code == 401


def test_what_is_asked_most_is_served_without_a_search_for_its_route(services, monkeypatch):
    async def search(_scope, _receive, _send):
        raise RuntimeError("there is no route but by the short cut")

    lines = []
    monkeypatch.setattr(guard.log, "info", lambda _event, **values: lines.append(values))
    app = build_api(services)
    monkeypatch.setattr(app, "router", search)
    client = TestClient(app, base_url=URL, client=("127.0.0.1", 1))
    for response, status in (
        (ask(client), 200),
        (read(client), 200),
        (client.get(CHECKPOINT), 401),
        (read(client, key=api_fakes.FLAGGER_KEY), 403),
    ):
        assert response.status_code == status
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert [(one["route"], one["status"]) for one in lines] == [
        (OPRF, 200),
        (CHECKPOINT, 200),
        (CHECKPOINT, 401),
        (CHECKPOINT, 403),
    ]
    # Another method, another spelling, and what has a body where none belongs.
    assert client.post(CHECKPOINT).status_code == 500
    assert client.get(f"{CHECKPOINT}/").status_code == 500
    assert read(client, content=b"x").status_code == 500


def test_the_short_cut_has_the_limits_of_every_request(services):
    client = TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))
    assert client.get(CHECKPOINT, headers={"X": "a" * MAX_HEADER_BYTES}).status_code == 431
    assert client.get(f"{CHECKPOINT}?{'a' * MAX_URL_BYTES}").status_code == 414


@pytest.mark.parametrize("path", [ENTRIES, ENVELOPES, ACKNOWLEDGE, POKE])
def test_a_message_of_a_peer_is_taken_once_for_each_signature(client, path):
    header = api_fakes.signed(method="POST", url=URL + path, body=b"{}")
    header |= {"Content-Type": "application/json"}
    refused = client.post(path, content=b"{}", headers=header)
    assert refused.status_code == 422  # its form is looked at once it is known whose it is
    again = client.post(path, content=b"{}", headers=header)
    assert again.status_code == 401
    assert "new nonce" in again.json()["detail"]
