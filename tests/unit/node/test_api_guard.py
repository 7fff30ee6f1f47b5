"""What is logged and counted of a request, and what becomes of a failure."""

import asyncio
import os

import pytest
import structlog.testing
from fastapi.testclient import TestClient

import api_fakes
from node.api.app import build_api
from node.api.guard import GuardMiddleware
from node.api.metrics import Metrics

URL = "http://127.0.0.1:8440"
SECRET = "someone@example.com"


@pytest.fixture
def services(tmp_path):
    return api_fakes.fake_services(tmp_path, url=URL)


@pytest.fixture
def client(services):
    return TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))


def test_a_request_is_logged_by_its_route_and_caller_alone(client):
    with structlog.testing.capture_logs() as lines:
        client.get(
            f"/v1/statements/{api_fakes.KNOWN}?{SECRET}", headers=api_fakes.bearer("statements")
        )
    (line,) = lines
    assert line.pop("ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/v1/statements/{statement_id}",
        "status": 200,
        "caller": "statements",
    }


def test_an_unknown_address_is_logged_without_it(client):
    with structlog.testing.capture_logs() as lines:
        client.request("SECRET", f"/{SECRET}")
    (line,) = lines
    assert (line["route"], line["method"], line["status"]) == ("-", "-", 404)
    assert SECRET not in str(lines)


def test_a_failure_is_answered_and_logged_without_its_text(client, services):
    def fail(*_args, **_more):
        raise KeyError(SECRET)

    services.lookups.match = fail
    with structlog.testing.capture_logs() as lines:
        response = client.post(
            "/v1/media/match",
            json={"surface": "public", "items": [{"md5": "a" * 32}]},
            headers=api_fakes.bearer("match"),
        )
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert SECRET not in response.text
    assert SECRET not in str(lines)
    failure, request = lines
    assert failure["error"] == "KeyError"
    assert "test_api_guard:" in failure["at"]
    assert request["status"] == 500


def run(app, metrics=None):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(GuardMiddleware(app, metrics or Metrics())(scope, None, send))
    return sent


def test_an_answer_that_fails_half_way_breaks_off():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError(SECRET)

    with structlog.testing.capture_logs() as lines:
        sent = run(app)
    assert [one["type"] for one in sent] == ["http.response.start"]
    assert SECRET not in str(lines)


def test_what_is_no_request_passes_by():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(GuardMiddleware(app, Metrics())({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]


def test_metrics_count_by_route_and_decision(client):
    headers = api_fakes.bearer("match")
    good = {"surface": "public", "items": [{"pdq": "ab" * 32, "quality": 90}, {"md5": "a" * 32}]}
    client.post("/v1/media/match", json=good, headers=headers)
    client.post("/v1/media/match", json={}, headers=headers)
    client.request("BREW", "/livez")
    text = client.get("/metrics", headers=api_fakes.bearer("admin")).text
    route = 'method="POST",route="/v1/media/match"'
    assert f'schutznetz_requests_total{{{route},status="200"}} 1.0' in text
    assert f'schutznetz_requests_total{{{route},status="422"}} 1.0' in text
    assert f'schutznetz_process{{process="{os.getpid()}"}} 1.0' in text
    assert 'schutznetz_requests_total{method="other",route="/livez",status="405"} 1.0' in text
    assert 'schutznetz_decisions_total{decision="block",subject="media"} 1.0' in text
    assert 'schutznetz_decisions_total{decision="none",subject="media"} 1.0' in text
    assert "schutznetz_list_entries 7.0" in text
    assert "schutznetz_log_size 1.0" in text
    assert 'schutznetz_sync_age_seconds{peer="platform-a.example"} 5.0' in text


def test_metrics_hold_no_value(client):
    for item in ({"pdq": "ab" * 32, "quality": 90}, {"sha256": "c" * 64}):
        body = {"surface": "public", "items": [item]}
        client.post("/v1/media/match", json=body, headers=api_fakes.bearer("match"))
    text = client.get("/metrics", headers=api_fakes.bearer("admin")).text
    assert "abab" not in text
    assert "cccc" not in text
    assert api_fakes.KNOWN not in text


def test_metrics_answer_only_where_they_are_switched_on(tmp_path):
    services = api_fakes.fake_services(tmp_path, url=URL, metrics_enabled=False)
    client = TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))
    assert client.get("/metrics", headers=api_fakes.bearer("admin")).status_code == 404
    assert client.get("/metrics").status_code == 401


def test_a_peer_that_is_gone_leaves_the_metrics(client, services):
    headers = api_fakes.bearer("admin")
    assert "platform-a.example" in client.get("/metrics", headers=headers).text
    services.peers.states.clear()
    assert "platform-a.example" not in client.get("/metrics", headers=headers).text
