"""A real node over real HTTP against its own description, and against what is no good HTTP.

Schemathesis makes requests of the description and compares the answers with it. What it misses
(measured: 64-bit overflow, NUL, lone surrogates) stands in unit/node/test_api_surface.py for every
endpoint, and here once more for the ones with a database behind them.
"""

import contextlib
import hashlib
import io
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import requests
import schemathesis
import uvicorn
from PIL import Image
from schemathesis.config import (
    ChecksConfig,
    CoveragePhaseConfig,
    GenerationConfig,
    PhasesConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
    SimpleCheckConfig,
    StatefulPhaseConfig,
)
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished

from api_table import ENDPOINTS, HOSTILE_INTS, HOSTILE_TEXTS, WITH_JSON, leaves, with_leaf
from node.api import examples
from node.api.app import build_api
from node.api.server import server_config
from node.api.tiles import IMMUTABLE
from node.app import Services, open_services, running
from node.services.accusations import MAX_PER_MINUTE
from node.services.clients import SCOPES
from node.setup import init_node
from postgres import Postgres
from protocol.endpoints import EVIDENCE
from protocol.errors import MalformedError
from signing.keys import KeyUse, SigningKey
from signing.keystore import Cost
from signing.requests import sign_request
from simulator import NOW, Peer, make_key, media_flag
from waiting import WITHIN_S

HOTLINE = "hotline.example"
ANNA = f"{HOTLINE}/anna"


def clock() -> float:
    return float(NOW)


@dataclass
class RealNode:
    """A node that answers, and what its callers need."""

    url: str
    port: int
    services: Services
    tokens: dict[str, str] = field(repr=False)
    statement: str

    def key(self, caller: str) -> SigningKey:
        if caller == "node":
            return make_key(KeyUse.REQUEST, "platform.example")
        return make_key(KeyUse.FLAGGER, ANNA)

    def header(self, method: str, url: str, body: bytes, caller: str) -> dict[str, str]:
        if caller in ("node", "flagger"):
            return sign_request(method=method, url=url, body=body, key=self.key(caller), now=NOW)
        return {"Authorization": f"Bearer {self.tokens[caller]}"} if caller else {}

    def send(self, method: str, path: str, caller: str, body: bytes = b"", **header: str) -> Any:
        url = self.url + path
        found = self.header(method, url, body, caller)
        found |= {name.replace("_", "-"): value for name, value in header.items()}
        return httpx.request(method, url, content=body, headers=found, timeout=WITHIN_S)


def prepare(directory: Any, url: str, database_url: str | None) -> tuple[dict[str, str], str]:
    """Makes a node with a circle, a flagger, a peer and clients; gives the keys and a statement."""
    init_node(
        directory,
        name=HOTLINE,
        url=url,
        passphrase=None,
        clock=clock,
        database_url=database_url,
        cost=Cost(1, 8_192),
    )
    peer = Peer("platform.example", url="http://127.0.0.1:9")
    with open_services(directory, environ={}, clock=clock) as services:
        services.peers.add(peer.descriptor_envelope, peer.pinned().fingerprint, authority=True)
        # One for this node's own use, which answers its checks; one to evaluate for the peer.
        services.circles.create("own-1", {HOTLINE: 10**7}, 30)
        services.circles.join("hotline.example/own-1")
        services.circles.deal(
            "minors-1", {peer.name: 10**7}, 30, holders=(HOTLINE, peer.name), threshold=2
        )
        services.flaggers.add(make_key(KeyUse.FLAGGER, ANNA).public.to_text(), ANNA, ["*"], 30)
        tokens = {one: services.clients.create(f"for {one}", [one])[1] for one in SCOPES}
        flag = peer.sign(media_flag(ANNA))
        statement = services.ingest.submit(flag, caller=ANNA).id
    return tokens, statement


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealNode]:
    directory = tmp_path_factory.mktemp("contract") / "node"
    with contextlib.ExitStack() as stack:
        database_url = None
        if request.param == "postgresql":
            postgres: Postgres = request.getfixturevalue("postgres")
            database_url = postgres.empty()
            stack.callback(postgres.drop, database_url)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        tokens, statement = prepare(directory, url, database_url)
        environ = {"SCHUTZNETZ_METRICS_ENABLED": "true"}
        services = stack.enter_context(open_services(directory, environ=environ, clock=clock))
        stack.enter_context(running(services))
        server = uvicorn.Server(server_config(build_api(services)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            # The socket listens already: the first request waits there until it is served.
            assert httpx.get(f"{url}/livez", timeout=WITHIN_S).status_code == 200
            yield RealNode(url, port, services, tokens, statement)
        finally:
            server.should_exit = True
            thread.join(WITHIN_S)


class SignAsCaller(requests.auth.AuthBase):
    """Proves for each request who its endpoint wants to see."""

    def __init__(self, node: RealNode) -> None:
        self._node = node

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        method, url, body = request.method or "", request.url or "", request.body or b""
        data = body.encode() if isinstance(body, str) else body
        # What cannot be signed goes out unsigned, and is refused as such.
        with contextlib.suppress(MalformedError):
            request.headers.update(self._node.header(method, url, data, caller_of(method, url)))
        return request


def caller_of(method: str, url: str) -> str:
    """Who may call an address: of the two templates that may fit, the one without a name counts."""
    path = urlsplit(url).path
    for one in ENDPOINTS:
        pattern = re.sub(r"\{[a-z_]+\}", "[^/]+", one.template)
        if one.method == method and re.fullmatch(pattern, path):
            return one.caller
    return ""


@schemathesis.serializer("image/*")
def _as_it_is(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, default=str).encode()


@pytest.mark.parametrize("one", WITH_JSON, ids=str)
def test_no_hostile_scalar_reaches_the_database(node: RealNode, one: Any) -> None:
    tried = 0
    for path in leaves(one.body):
        for text in (*HOSTILE_INTS, *HOSTILE_TEXTS):
            data = with_leaf(one.body, path, text)
            response = node.send(
                one.method, one.target, one.caller, data, Content_Type=one.content_type
            )
            if one.template == EVIDENCE and tried >= MAX_PER_MINUTE:
                assert response.status_code in (422, 429), response.text
                continue
            assert response.status_code == 422, response.text
            tried += 1


@pytest.mark.parametrize("one", [one for one in ENDPOINTS if one.method != "DELETE"], ids=str)
def test_no_good_request_fails(node: RealNode, one: Any) -> None:
    target = one.target.replace("5f" * 32, node.statement)
    body = one.data.replace(b"5f" * 32, node.statement.encode())
    response = node.send(one.method, target, one.caller, body, Content_Type=one.content_type)
    assert response.status_code < 500, response.text
    assert "server" not in response.headers
    expected = IMMUTABLE if one.lasting and response.status_code == 200 else "no-store"
    assert response.headers["cache-control"] == expected


def test_a_flag_is_matched_and_a_replay_of_its_submission_refused(node: RealNode) -> None:
    flag = Peer(HOTLINE).sign(media_flag(ANNA, 7))
    url = f"{node.url}/v1/statements"
    header = node.header("POST", url, flag, "flagger")
    header["Content-Type"] = "application/vnd.dsse.envelope+json"
    first = httpx.post(url, content=flag, headers=header, timeout=WITHIN_S)
    assert first.status_code == 201
    assert httpx.post(url, content=flag, headers=header, timeout=WITHIN_S).status_code == 401
    again = node.send("POST", "/v1/statements", "flagger", flag, Content_Type="application/json")
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    sha256 = media_flag(ANNA, 7).items[0].sha256
    asked = json.dumps({"surface": "public", "items": [{"sha256": sha256}]}).encode()
    found = node.send("POST", "/v1/media/match", "match", asked, Content_Type="application/json")
    (match,) = found.json()["results"][0]["matches"]
    assert match["statement"] == first.json()["id"]


def test_a_real_picture_is_hashed_in_a_process_of_its_own(node: RealNode) -> None:
    file = io.BytesIO()
    Image.effect_mandelbrot((96, 64), (-2, -1.2, 1, 1.2), 100).save(file, "PNG")
    path = "/v1/media/match-file?surface=public"
    found = node.send("POST", path, "match", file.getvalue(), Content_Type="image/png").json()
    assert (found["hashes"]["width"], found["hashes"]["format"]) == (96, "PNG")
    assert found["hashes"]["sha256"] == hashlib.sha256(file.getvalue()).hexdigest()
    cut = node.send("POST", path, "match", file.getvalue()[:500], Content_Type="image/png")
    assert cut.status_code == 422
    assert "damaged" in cut.json()["detail"]


def test_a_sign_up_is_checked_through_the_circle(node: RealNode) -> None:
    ban = json.dumps({**examples.BAN, "audience": None}).encode()
    sent = node.send("POST", "/v1/accounts/ban", "ban", ban, Content_Type="application/json")
    assert sent.status_code == 201, sent.text
    asked = json.dumps(examples.CHECK).encode()
    found = node.send("POST", "/v1/accounts/check", "check", asked, Content_Type="application/json")
    assert sent.json()["id"] in {one["statement"] for one in found.json()["leads"]}


def raw(node: RealNode, data: bytes, *, close: bool = False) -> bytes:
    """Sends bytes and returns everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=WITHIN_S) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            if close:
                connection.shutdown(socket.SHUT_WR)
        found = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65_536):
                found += piece
        return found


def head(node: RealNode, *fields: str, path: str = "/v1/media/match") -> bytes:
    token = f"Authorization: Bearer {node.tokens['match']}"
    host = urlsplit(node.url).netloc
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", token, "Connection: close", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def test_an_endless_chunked_body_is_cut_off(node: RealNode) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    start = head(node, "Content-Type: application/json", "Transfer-Encoding: chunked")
    found = raw(node, start + chunk * 64)
    assert found.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in found


def test_an_announced_giant_is_refused_before_it_is_sent(node: RealNode) -> None:
    start = head(node, "Content-Type: application/json", "Content-Length: 99999999999")
    assert raw(node, start).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_breaks_off_is_no_failure(node: RealNode) -> None:
    start = head(node, "Content-Type: application/json", "Content-Length: 100")
    found = raw(node, start + b'{"surface":', close=True)
    assert not found.startswith(b"HTTP/1.1 5")
    assert httpx.get(f"{node.url}/livez", timeout=WITHIN_S).status_code == 200


def test_a_giant_header_is_refused(node: RealNode) -> None:
    found = raw(node, head(node, f"X-Large: {'a' * 20_000}", "Content-Length: 0"))
    assert found.startswith(b"HTTP/1.1 431 ")
    found = raw(node, head(node, f"X-Large: {'a' * 500_000}", "Content-Length: 0"))
    assert found[:12] in (b"", b"HTTP/1.1 400")


def test_a_giant_address_is_refused(node: RealNode) -> None:
    found = raw(node, head(node, "Content-Length: 0", path="/" + "a" * 5_000))
    assert found.startswith(b"HTTP/1.1 414 ")


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_harms_nobody(node: RealNode, data: bytes) -> None:
    found = raw(node, data, close=True)
    assert found[:12] in (b"", b"HTTP/1.1 400")
    assert httpx.get(f"{node.url}/livez", timeout=WITHIN_S).status_code == 200


def check_contract(node: RealNode, **chosen: Any) -> tuple[int, list[str]]:
    """Has schemathesis test some endpoints.

    Returns:
        How many requests it made, and what was wrong.
    """
    off = SimpleCheckConfig(enabled=False)
    project = ProjectConfig(
        base_url=node.url,
        continue_on_failure=True,
        request_timeout=WITHIN_S,
        generation=GenerationConfig(max_examples=5, deterministic=True, database="none"),
        # What a well-formed request names may still not be there.
        checks=ChecksConfig(
            positive_data_acceptance=PositiveDataAcceptanceConfig(enabled=False),
            use_after_free=off,
        ),
        phases=PhasesConfig(
            # Other methods are tried on every endpoint in test_api_surface.py.
            coverage=CoveragePhaseConfig(unexpected_methods=set()),
            stateful=StatefulPhaseConfig(enabled=False),
        ),
    )
    config = SchemathesisConfig(seed=1, projects=ProjectsConfig(default=project))
    document = httpx.get(f"{node.url}/openapi.json", timeout=WITHIN_S).json()
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.auth.set_from_requests(SignAsCaller(node))
    # The test's own keys and its own peer are not for removing.
    schema = schema.exclude(method="DELETE").include(**chosen)
    made, wrong = 0, []
    for event in from_schema(schema).execute():
        if isinstance(event, NonFatalError):
            wrong.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, FatalError):
            raise event.exception
        elif isinstance(event, ScenarioFinished):
            made += len(event.recorder.interactions)
            wrong += [
                f"{event.recorder.label}: {one.failure_info.failure!r}"
                for checks in event.recorder.checks.values()
                for one in checks
                if one.failure_info is not None
            ]
    return made, wrong


PARTS = {
    "public": {"tag": "public"},
    "flagger": {"tag": "flagger"},
    "peer": {"tag": "peer"},
    "operator": {"tag": "operator"},
    "platform": {"tag": "platform"},
}


@pytest.mark.parametrize("part", PARTS)
def test_the_node_does_what_its_description_says(node: RealNode, part: str) -> None:
    made, wrong = check_contract(node, **PARTS[part])
    assert wrong == []
    assert made > 10
