"""Every endpoint against every kind of hostile or mistaken request."""

import json
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

import api_fakes
from api_table import (
    ENDPOINTS,
    HOSTILE_INTS,
    HOSTILE_TEXTS,
    PROTECTED,
    WITH_BODY,
    WITH_JSON,
    Endpoint,
    leaves,
    routes,
    with_leaf,
)
from node.api import examples
from node.api.app import build_api
from node.api.guard import SECURITY_HEADER
from node.api.tiles import IMMUTABLE
from node.services.clients import SCOPES

URL = "http://127.0.0.1:8440"


def is_between_nodes(one):
    return one.caller in ("node", "flagger") or one.template.startswith("/federation/")


@pytest.fixture
def services(tmp_path):
    return api_fakes.fake_services(tmp_path, url=URL)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return build_api(api_fakes.fake_services(tmp_path_factory.mktemp("node"), url=URL))


@pytest.fixture
def client(app, services):
    app.state.services = services
    return TestClient(app, base_url=URL, client=("127.0.0.1", 1))


def call(client, one: Endpoint, data: bytes | None = None, **header: str):
    return client.request(
        one.method,
        one.target,
        content=one.data if data is None else data,
        headers=one.header(URL, data, **header),
    )


def refused(response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("/problems/")
    assert problem["title"]
    assert problem["detail"]
    for name, value in SECURITY_HEADER:
        assert response.headers[name.decode()] == value.decode()
    return problem


def test_the_table_of_endpoints_is_the_applications():
    assert {(one.method, one.template) for one in ENDPOINTS} == routes()


def test_the_description_has_every_endpoint(client):
    described = client.get("/openapi.json").json()["paths"]
    found = {(method.upper(), path) for path, item in described.items() for method in item}
    assert found == routes()


@pytest.mark.parametrize("one", ENDPOINTS, ids=str)
def test_a_good_request_is_answered(client, services, one):
    services.clients.create("seven", ["match"], actor="test")
    if one.template == "/v1/admin/peers" and one.method == "POST":
        one = Endpoint(
            one.method,
            one.template,
            one.caller,
            one.status,
            {**examples.ADD_PEER, "fingerprint": api_fakes.FINGERPRINT},
        )
    response = call(client, one)
    assert response.status_code == one.status, response.text
    expected = {name.decode(): value.decode() for name, value in SECURITY_HEADER}
    expected |= {"cache-control": IMMUTABLE} if one.lasting else {}
    assert {name: response.headers[name] for name in expected} == expected
    assert len(response.headers.get_list("cache-control")) == 1
    assert "server" not in response.headers


@pytest.mark.parametrize("one", PROTECTED, ids=str)
def test_a_caller_who_proves_nothing_is_refused(client, one):
    header = {"Content-Type": one.content_type} if one.body is not None else {}
    response = client.request(one.method, one.target, content=one.data, headers=header)
    refused(response, 401)
    expected = "Signature" if one.caller in ("node", "flagger") else "Bearer"
    assert response.headers["www-authenticate"] == expected


@pytest.mark.parametrize("one", PROTECTED, ids=str)
def test_a_caller_with_another_right_is_refused(client, one):
    if one.caller in ("node", "flagger"):
        other = "flagger" if one.caller == "node" else "node"
        refused(call(client, one, caller=other), 403)
    else:
        for scope in set(SCOPES) - {one.caller}:
            refused(call(client, one, caller=scope), 403)


@pytest.mark.parametrize("one", PROTECTED, ids=str)
def test_the_other_kind_of_proof_is_none(client, one):
    other = "match" if one.caller in ("node", "flagger") else "node"
    refused(call(client, one, caller=other), 401)


@pytest.mark.parametrize("one", WITH_BODY, ids=str)
@pytest.mark.parametrize(
    "wrong", ["text/plain", "application/xml", "application/jsonx", "image/*", ""]
)
def test_a_body_of_another_type_is_refused(client, one, wrong):
    refused(call(client, one, Content_Type=wrong), 415)


@pytest.mark.parametrize("one", WITH_BODY, ids=str)
def test_a_compressed_body_is_refused(client, one):
    refused(call(client, one, Content_Encoding="gzip"), 415)


@pytest.mark.parametrize("one", ENDPOINTS, ids=str)
def test_a_body_that_is_announced_as_huge_is_refused_unread(client, one):
    refused(call(client, one, Content_Length="100000000000"), 413)


@pytest.mark.parametrize("one", WITH_JSON, ids=str)
def test_a_huge_body_is_refused(client, one):
    refused(call(client, one, b" " * (2 << 20) + one.data), 413)


@pytest.mark.parametrize("one", WITH_JSON, ids=str)
@pytest.mark.parametrize("text", HOSTILE_INTS + HOSTILE_TEXTS + ("1.0", "1e400", "NaN", "-0.0"))
def test_no_scalar_may_be_hostile(client, one, text):
    for path in leaves(one.body):
        problem = refused(call(client, one, with_leaf(one.body, path, text)), 422)
        assert text.strip('"') not in json.dumps(problem)


@pytest.mark.parametrize("one", WITH_JSON, ids=str)
@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b"[" * 17 + b"]" * 17,
        b'{"a":' * 50_000,
        b'{"a":' * 17 + b"1" + b"}" * 17,
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"12",
        b"{}",
        b"{",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"{'a':1}",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_such_object_is_refused(client, one, data):
    refused(call(client, one, data), 422)


@pytest.mark.parametrize("one", WITH_JSON, ids=str)
def test_a_key_that_stands_twice_is_refused(client, one):
    for key, value in one.body.items():
        pair = f"{json.dumps(key)}:{json.dumps(value)}".encode()
        rest = one.data[1:-1]
        refused(call(client, one, b"{" + pair + b"," + rest + b"}"), 422)


@pytest.mark.parametrize(
    "one",
    # Between nodes, what a reader does not know is passed over.
    [one for one in WITH_JSON if not is_between_nodes(one)],
    ids=str,
)
def test_an_unknown_field_is_refused_and_not_named(client, one):
    data = json.dumps({**one.body, "someone@example.com": 1}).encode()
    problem = refused(call(client, one, data), 422)
    assert "someone" not in json.dumps(problem)
    assert "An unknown field" in problem["errors"][0]["message"]


@pytest.mark.parametrize("one", WITH_JSON, ids=str)
def test_a_text_that_is_refused_is_not_repeated(client, one):
    for path in leaves(one.body):
        data = with_leaf(one.body, path, '"S3CRET +49 30 23125 001"')
        response = call(client, one, data)
        assert "S3CRET" not in response.text
        assert response.status_code < 500


@pytest.mark.parametrize("one", ENDPOINTS, ids=str)
def test_a_long_address_is_refused(client, one):
    joined = "&" if "?" in one.target else "?"
    response = client.request(one.method, f"{one.target}{joined}{'a' * 3_000}")
    refused(response, 414)


@pytest.mark.parametrize("one", ENDPOINTS, ids=str)
def test_a_large_header_is_refused(client, one):
    refused(call(client, one, X_Large="a" * 20_000), 431)


@pytest.mark.parametrize("one", ENDPOINTS, ids=str)
def test_an_unknown_method_is_refused(client, one):
    response = client.request("TRACE", one.target)
    refused(response, 405)
    allowed = {method for method, template in routes() if template == one.template}
    assert set(response.headers["allow"].split(", ")) == allowed


HOSTILE_SEGMENTS = ("9" * 30, "-1", "0", "a%00b", "%ed%a0%80", "%0a", "1.5", "5F" * 32, "a" * 65)


@pytest.mark.parametrize("one", [one for one in ENDPOINTS if "{" in one.template], ids=str)
@pytest.mark.parametrize("segment", HOSTILE_SEGMENTS)
def test_no_part_of_a_path_may_be_hostile(client, one, segment):
    head, _, rest = one.template.partition("{")
    path = URL + head + segment + rest.partition("}")[2]
    # As it stands on the request line: that is what is signed.
    sent = str(client.build_request(one.method, path).url).removeprefix(URL)
    bad = replace(one, template=sent, query="")
    response = client.request(bad.method, sent, content=bad.data, headers=bad.header(URL))
    assert response.status_code in (404, 422), response.text
    refused(response, response.status_code)


@pytest.mark.parametrize("one", [one for one in ENDPOINTS if one.query], ids=str)
@pytest.mark.parametrize("value", [*HOSTILE_SEGMENTS, "", "1e3", "٣"])
def test_no_part_of_a_query_may_be_hostile(client, one, value):
    name = one.query.partition("=")[0]
    if (name, value) in {("after", "0"), ("at_ms", "0")}:
        return
    bad = Endpoint(
        one.method, one.template, one.caller, 0, one.body, f"{name}={value}", one.content_type
    )
    target = str(client.build_request(bad.method, URL + bad.target).url).removeprefix(URL)
    query = target.partition("?")[2]
    sent = Endpoint(one.method, one.template, one.caller, 0, one.body, query, one.content_type)
    refused(call(client, sent), 422)


def test_an_unknown_address_is_a_problem_document(client):
    refused(client.get("/nowhere"), 404)
    refused(client.get("/livez/"), 404)
    refused(client.get("/docs"), 404)
    refused(client.post("/openapi.json"), 405)
