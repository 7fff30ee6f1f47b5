"""Bearer keys and signed requests: who is let in, and what the others are told."""

import pytest
from fastapi.testclient import TestClient

import api_fakes
from api_fakes import ENDED_KEY, FLAGGER_KEY, NODE_KEY, NOW, STRANGER_KEY, bearer, signed
from api_table import ENDPOINTS
from node.api.app import build_api
from signing.keys import KeyUse, SigningKey

URL = "http://127.0.0.1:8440"
POKE = b'{"origin":"platform-a.example/log","size":3}'


@pytest.fixture
def services(tmp_path):
    return api_fakes.fake_services(tmp_path, url=URL)


@pytest.fixture
def client(services):
    return TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))


def poke(client, header, *, body=POKE, target="/federation/v1/poke"):
    header = {"Content-Type": "application/json"} | header
    return client.post(target, content=body, headers=header)


def sign_poke(**more):
    said = {"method": "POST", "url": f"{URL}/federation/v1/poke", "body": POKE} | more
    return signed(**said)


def test_a_signed_request_is_let_in(client, services):
    assert poke(client, sign_poke()).status_code == 204
    assert services.peers.pokes == [("platform-a.example", 3)]


def test_a_replayed_request_is_refused(client):
    header = sign_poke()
    assert poke(client, header).status_code == 204
    again = poke(client, header)
    assert again.status_code == 401
    assert "new nonce" in again.json()["detail"]


def test_who_asks_too_often_is_told_when_to_come_back(client, services):
    services.rates.left = 1
    assert poke(client, sign_poke()).status_code == 204
    refused = poke(client, sign_poke())
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "42")
    assert len(services.peers.pokes) == 1


def test_every_call_that_is_signed_is_counted_and_no_other(client, services):
    before = services.rates.left
    signed_ones = [one for one in ENDPOINTS if one.caller in {"node", "flagger"}]
    for one in ENDPOINTS:
        header = one.header(URL)
        client.request(one.method, one.target, content=one.data, headers=header)
    assert before - services.rates.left == len(signed_ones)


def test_a_request_whose_signature_does_not_hold_is_not_counted(client, services):
    before = services.rates.left
    poke(client, sign_poke(), body=POKE.replace(b"3", b"4"))
    poke(client, sign_poke(key=STRANGER_KEY))
    assert services.rates.left == before


def test_a_changed_body_is_refused(client, services):
    response = poke(client, sign_poke(), body=POKE.replace(b"3", b"4"))
    assert response.status_code == 401
    assert "Content-Digest" in response.json()["detail"]
    assert services.peers.pokes == []


def test_a_changed_path_is_refused(client):
    assert poke(client, sign_poke(), target="/federation/v1/ack").status_code == 401


def test_a_changed_query_is_refused(client):
    assert poke(client, sign_poke(), target="/federation/v1/poke?a=1").status_code == 401


def test_the_address_is_signed_as_it_is_spelled(client):
    # The path decodes to the same route, and is another address all the same.
    assert poke(client, sign_poke(), target="/federation/v1/pok%65").status_code == 401
    spelled = sign_poke(url=f"{URL}/federation/v1/pok%65")
    assert poke(client, spelled, target="/federation/v1/pok%65").status_code == 204


def test_a_request_for_another_node_is_refused_whatever_its_host_says(client):
    header = sign_poke(url="http://127.0.0.1:9999/federation/v1/poke")
    response = poke(client, header | {"Host": "127.0.0.1:9999"})
    assert response.status_code == 401


@pytest.mark.parametrize(("shift", "word"), [(-200, "expired"), (200, "ahead")])
def test_a_wrong_clock_is_named(client, shift, word):
    response = poke(client, sign_poke(now=NOW + shift))
    assert response.status_code == 401
    assert word in response.json()["detail"]
    assert "clocks" in response.json()["detail"]


def test_an_unknown_key_is_refused(client):
    response = poke(client, sign_poke(key=STRANGER_KEY))
    assert response.status_code == 401
    assert "Nobody" in response.json()["detail"]


def test_a_flagger_whose_accreditation_has_ended_is_told_when_and_whom_to_ask(client, services):
    before = services.rates.left
    header = signed("GET", f"{URL}/v1/my/statements", key=ENDED_KEY)
    refused = client.get("/v1/my/statements", headers=header)
    assert refused.status_code == 401
    assert refused.json()["detail"] == (
        "Your accreditation ended on 2026-11-21: ask the operator of your node for a new one."
    )
    assert services.rates.left == before


def test_who_only_names_a_key_that_has_ended_is_told_what_strangers_are(client):
    header = sign_poke(key=STRANGER_KEY)
    stranger = poke(client, header)
    named = header["Signature-Input"].replace(STRANGER_KEY.kid, ENDED_KEY.kid)
    assert named != header["Signature-Input"]
    forged = poke(client, header | {"Signature-Input": named})
    assert (forged.status_code, forged.text) == (stranger.status_code, stranger.text)
    assert "Nobody" in forged.json()["detail"]


def test_a_flagger_is_no_peer_and_a_node_no_flagger(client):
    assert poke(client, sign_poke(key=FLAGGER_KEY)).status_code == 403
    header = signed("GET", f"{URL}/v1/my/statements", key=NODE_KEY)
    assert client.get("/v1/my/statements", headers=header).status_code == 403


def test_a_signature_field_that_stands_twice_is_refused(client):
    header = [*sign_poke().items(), ("Signature", "sig1=:AA==:")]
    header.append(("Content-Type", "application/json"))
    response = client.post("/federation/v1/poke", content=POKE, headers=header)
    assert response.status_code == 401


def test_a_body_that_comes_with_a_read_is_signed_too(client):
    header = signed("GET", f"{URL}/checkpoint", b"")
    assert client.request("GET", "/checkpoint", content=b"x", headers=header).status_code == 401


def test_a_key_that_was_never_pinned_says_nothing_about_the_pinned_ones(client):
    answers = {
        poke(client, sign_poke(key=SigningKey.from_seed(KeyUse.REQUEST, seed * 32))).text
        for seed in (b"a", b"b")
    }
    assert len(answers) == 1


@pytest.mark.parametrize(
    "value",
    [
        "Basic YTpi",
        "Bearer ",
        "Bearer snk_short",
        "Bearer " + "a" * 500,
        "bearer " + "é".encode().decode("latin-1"),
        "Bearer " + api_fakes.token_for("nobody"),
    ],
)
def test_what_is_no_key_of_a_client_is_refused(client, value):
    response = client.get("/v1/remedies", headers={"Authorization": value.encode("latin-1")})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    key = value.partition(" ")[2]
    assert not key or key not in response.json()["detail"]


def test_a_revoked_key_reads_as_an_unknown_one(client, services):
    unknown = client.get("/v1/remedies", headers={"Authorization": "Bearer snk_x"})
    services.clients.revoked.add(services.clients.keys[api_fakes.token_for("statements")].id)
    revoked = client.get("/v1/remedies", headers=bearer("statements"))
    assert (revoked.status_code, revoked.text) == (unknown.status_code, unknown.text)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "testclient"])
def test_the_operators_addresses_answer_on_this_machine_only(services, host):
    client = TestClient(build_api(services), base_url=URL, client=(host, 1))
    assert client.get("/v1/admin/status", headers=bearer("admin")).status_code == 403
    assert client.get("/v1/remedies", headers=bearer("statements")).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1"])
def test_every_address_of_this_machine_is_local(services, host):
    client = TestClient(build_api(services), base_url=URL, client=(host, 1))
    assert client.get("/v1/admin/status", headers=bearer("admin")).status_code == 200


def test_the_operator_may_lift_that(tmp_path):
    services = api_fakes.fake_services(tmp_path, url=URL, allow_remote_admin=True)
    client = TestClient(build_api(services), base_url=URL, client=("192.0.2.1", 1))
    assert client.get("/v1/admin/status", headers=bearer("admin")).status_code == 200


def test_a_signed_request_shows_no_body():
    from node.api.auth import Signed

    assert "secret" not in repr(Signed("a.example", b"secret"))
