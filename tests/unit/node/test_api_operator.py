"""What the operator's tools and the public get."""

import json

import pytest
from fastapi.testclient import TestClient

import api_fakes
from api_fakes import FLAGGER_KEY, bearer, signed
from node.api import examples
from node.api.app import build_api
from node.api.server import server_config

URL = "http://127.0.0.1:8440"
ADMIN = bearer("admin")


@pytest.fixture
def services(tmp_path):
    return api_fakes.fake_services(tmp_path, url=URL)


@pytest.fixture
def client(services):
    return TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))


def test_the_status_shows_the_node_and_what_is_wrong(client, services):
    found = client.get("/v1/admin/status", headers=ADMIN).json()
    assert (found["ready"], found["reasons"]) == (True, [])
    assert found["peers"][0]["synced"] == "2026-11-22T09:59:55Z"
    services.health.wrong = ("The policy is not in force.",)
    found = client.get("/v1/admin/status", headers=ADMIN).json()
    assert (found["ready"], found["reasons"]) == (False, ["The policy is not in force."])


def test_the_operator_sees_who_had_how_much_evaluated(client):
    found = client.get("/v1/admin/budgets", headers=ADMIN).json()
    assert found["day"] == "2026-11-22"
    (used,) = found["budgets"]
    assert used == {
        "circle": "hotline.example/c",
        "party": "platform-a.example",
        "allowed": {"per_day": 5_000, "per_minute": 600},
        "used": 4_000,
        "left": 1_000,
        "alarm": 80,
        "members": {"platform-a.example": 4_000},
    }
    assert client.get("/v1/admin/status", headers=ADMIN).json()["budget_alarms"] == [used]


@pytest.mark.parametrize("day", ["today", "2026-11-2", "2026-11-22T00", "2026-11-22%0A"])
def test_a_day_is_a_date(client, day):
    assert client.get(f"/v1/admin/budgets?day={day}", headers=ADMIN).status_code == 422


def test_readiness_is_refused_with_reasons(client, services):
    assert client.get("/readyz").status_code == 200
    services.health.wrong = ("The policy is not in force.",)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["reasons"] == ["The policy is not in force."]
    assert client.get("/livez").status_code == 200


def add_peer(client, **more):
    body = {"descriptor": "{}", "fingerprint": api_fakes.FINGERPRINT} | more
    return client.post("/v1/admin/peers", json=body, headers=ADMIN)


def test_a_peer_is_pinned_frozen_thawed_and_unpinned(client, services):
    assert add_peer(client).json()["name"] == "platform-b.example"
    assert add_peer(client).status_code == 409
    path = "/v1/admin/peers/platform-b.example"
    assert client.post(f"{path}/freeze", headers=ADMIN).status_code == 204
    assert services.peers.states["platform-b.example"] == "frozen"
    assert client.post(f"{path}/thaw", headers=ADMIN).status_code == 204
    assert services.peers.states["platform-b.example"] == "active"
    assert client.delete(path, headers=ADMIN).status_code == 204
    assert client.delete(path, headers=ADMIN).status_code == 404
    assert client.post(f"{path}/freeze", headers=ADMIN).status_code == 404


def test_a_fingerprint_that_was_typed_wrong_names_its_field(client):
    for typed in ("aaaa", examples.FINGERPRINT):
        problem = add_peer(client, fingerprint=typed).json()
        assert problem["status"] == 422
        assert typed not in str(problem)


def test_a_clients_key_is_shown_once(client, services):
    made = client.post("/v1/admin/clients", json=examples.CREATE_CLIENT, headers=ADMIN)
    assert made.status_code == 201
    token = made.json()["token"]
    listed = client.get("/v1/admin/clients", headers=ADMIN)
    assert token not in listed.text
    assert "upload service" in listed.text
    check = {"Authorization": f"Bearer {token}"}
    assert client.get("/v1/remedies", headers=check).status_code == 403
    number = made.json()["id"]
    assert client.delete(f"/v1/admin/clients/{number}", headers=ADMIN).status_code == 204
    assert client.get("/v1/remedies", headers=check).status_code == 401
    listed = client.get("/v1/admin/clients", headers=ADMIN).json()["clients"]
    assert [one["revoked"] for one in listed if one["id"] == number] == ["2026-11-22T10:00:00Z"]


@pytest.mark.parametrize("scopes", [[], ["root"], ["match"] * 8, "match"])
def test_a_client_has_scopes_that_exist(client, scopes):
    body = {"name": "a", "scopes": scopes}
    response = client.post("/v1/admin/clients", json=body, headers=ADMIN)
    assert response.status_code == 422


def test_the_audit_is_exported_as_lines_from_a_number_on(client):
    response = client.get("/v1/admin/audit?after=1&limit=1", headers=ADMIN)
    assert response.headers["content-type"] == "application/jsonl"
    (line,) = response.text.splitlines()
    assert json.loads(line)["number"] == 2
    assert client.get("/v1/admin/audit?after=3", headers=ADMIN).text == ""
    assert client.get("/v1/admin/audit?limit=1001", headers=ADMIN).status_code == 422


def test_the_policy_is_shown_as_it_stands(client, services):
    assert client.get("/v1/admin/policy", headers=ADMIN).json() == {"text": None, "problem": None}
    services.settings.policy_file.write_text("# ours\n")
    services.policy.problem = "rule 1 has no name"
    assert client.get("/v1/admin/policy", headers=ADMIN).json() == {
        "text": "# ours\n",
        "problem": "rule 1 has no name",
    }


def test_what_was_set_aside_is_listed_without_its_body(client):
    response = client.get("/v1/admin/set-aside", headers=ADMIN)
    assert "secret" not in response.text
    assert response.json()["set_aside"][0]["seen"] == "2026-11-22T10:00:00Z"


def test_anyone_may_read_who_this_is(client):
    assert client.get("/.well-known/schutznetz").json() == {
        "name": "hotline.example",
        "url": URL,
        "fingerprint": api_fakes.FINGERPRINT,
    }
    assert client.get("/federation/v1/descriptor").content.startswith(b'{"payload"')


def test_an_envelope_that_was_there_before_is_answered_with_200(client):
    data = json.dumps(examples.ENVELOPE).encode()
    found = []
    for _ in range(2):
        header = signed("POST", f"{URL}/v1/statements", data, key=FLAGGER_KEY)
        header["Content-Type"] = "application/json; charset=utf-8"
        found.append(client.post("/v1/statements", content=data, headers=header).status_code)
    assert found == [201, 200]


def test_a_flagger_continues_the_list_where_it_ended(client):
    url = f"{URL}/v1/my/statements"
    assert "next" not in client.get(url, headers=signed("GET", url, key=FLAGGER_KEY)).json()
    url += "?after=5"
    assert client.get(url, headers=signed("GET", url, key=FLAGGER_KEY)).json()["next"] == 5


def test_an_acknowledgement_of_another_log_names_the_field(client):
    url = f"{URL}/federation/v1/ack"
    data = json.dumps({**examples.ACKNOWLEDGEMENT, "origin": "other.example/log"}).encode()
    header = signed("POST", url, data) | {"Content-Type": "application/json"}
    response = client.post(url, content=data, headers=header)
    assert response.json()["errors"][0]["field"] == "origin"


def test_the_server_logs_no_address_and_names_no_product(services):
    config = server_config(build_api(services), port=0)
    assert not config.access_log
    assert not config.server_header
    assert not config.proxy_headers


def test_holders_that_are_not_asked_are_listed_and_thawed_once(client):
    found = client.get("/v1/admin/circles/holders", headers=bearer("admin")).json()
    assert [one["node"] for one in found["frozen"]] == ["holder-2.example"]
    assert found["failing"] == {"hotline.example/minors-1": ["holder-3.example"]}
    thaw = {"circle": "hotline.example/minors-1", "node": "holder-2.example"}
    path = "/v1/admin/circles/thaw-holder"
    assert client.post(path, json=thaw, headers=bearer("admin")).status_code == 204
    assert client.post(path, json=thaw, headers=bearer("admin")).status_code == 404


def test_metrics_say_how_often_circles_were_asked_and_who_is_left_out(client):
    text = client.get("/metrics", headers=bearer("admin")).text
    assert 'schutznetz_circle_questions{outcome="answered"} 5.0' in text
    assert "schutznetz_circle_holders_not_asked 2.0" in text
