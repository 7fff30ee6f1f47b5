"""A platform's conversation with its node, and the question whether a peer is there."""

import json

import httpx
import pytest

from node.cli.own_node import Platform, is_loopback
from node.cli.reach import reach
from protocol.errors import (
    NotAllowedError,
    PeerMisbehavedError,
    PeerRefusedError,
    PeerUnreachableError,
)
from protocol.limits import MAX_PEER_RESPONSE_BYTES

KEY = "snk_" + "A" * 43
URL = "http://127.0.0.1:8440"


def respond(status, *, content=b"", json_body=None, headers=None):
    """Returns an answer that comes as a stream, as one from the network does."""
    data = content if json_body is None else json.dumps(json_body).encode()
    return httpx.Response(status, stream=httpx.ByteStream(data), headers=headers)


def platform(answer):
    return Platform(URL, KEY, transport=httpx.MockTransport(answer))


def test_the_key_stands_in_a_header_and_nowhere_else():
    seen = []

    def answer(request):
        seen.append(request)
        return respond(200, json_body={"ok": True})

    assert platform(answer).post("/v1/media/match", {"a": 1}) == {"ok": True}
    assert platform(answer).get("/v1/x") == {"ok": True}
    posted, got = seen
    assert posted.headers["authorization"] == f"Bearer {KEY}"
    assert posted.headers["content-type"] == "application/json"
    assert json.loads(posted.content) == {"a": 1}
    assert KEY not in str(posted.url)
    assert "content-type" not in got.headers
    assert got.method == "GET"


@pytest.mark.parametrize("url", ["http://node.example", "http://10.0.0.1:8440"])
def test_no_key_crosses_a_network_in_clear(url):
    with pytest.raises(NotAllowedError, match="use https"):
        Platform(url, KEY)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://localhost", True),
        ("http://localhost.example", False),
        ("http://192.168.1.1", False),
    ],
)
def test_this_machine_is_known_by_its_addresses(url, own):
    assert is_loopback(url) is own


def test_a_refusal_is_told_with_the_sentence_of_the_node():
    answer = respond(403, json_body={"detail": "This key is not for the scope 'ban'."})
    with pytest.raises(PeerRefusedError, match=r"\(403\): This key is not for the scope") as no:
        platform(lambda _request: answer).post("/v1/accounts/ban", {})
    assert no.value.status == 403


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"detail": 7}', b'{"a":1,"a":2}'])
def test_a_refusal_without_a_sentence_is_told_too(body):
    with pytest.raises(PeerRefusedError, match=r"\(502\): it did not say why"):
        platform(lambda _request: respond(502, content=body)).get("/")


def test_a_redirect_is_not_followed():
    answer = respond(307, headers={"location": "https://evil.example"})
    with pytest.raises(PeerRefusedError, match=r"\(307\)"):
        platform(lambda _request: answer).get("/")


@pytest.mark.parametrize("body", [b"", b"hello", b"[1]", b'{"a": NaN}'])
def test_what_is_no_node_is_told(body):
    with pytest.raises(PeerMisbehavedError, match="is no node of Schutznetz"):
        platform(lambda _request: respond(200, content=body)).get("/")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("x"), "cannot be reached: is it running"),
        (httpx.RemoteProtocolError("x"), "cannot be reached"),
        (httpx.ReadTimeout("x"), "took too long"),
    ],
)
def test_a_node_that_does_not_answer_is_told(error, words):
    def answer(_request):
        raise error

    with pytest.raises(PeerUnreachableError, match=words):
        platform(answer).get("/")


def test_an_answer_without_end_is_not_read_to_its_end():
    with pytest.raises(PeerUnreachableError, match="longer than it may be"):
        platform(lambda _request: respond(200, content=b" " * (MAX_PEER_RESPONSE_BYTES + 1))).get(
            "/"
        )


KNOWN = {"name": "b.example", "url": "https://b.example", "fingerprint": "x"}


def ask(status=200, **answer):
    response = respond(status, **answer)
    return reach("https://b.example", transport=httpx.MockTransport(lambda _request: response))


def test_a_peer_says_who_it_is_and_what_its_clock_says():
    found = ask(json_body=KNOWN, headers={"date": "Sun, 22 Nov 2026 10:00:00 GMT"})
    assert found == ("b.example", 1_795_341_600)


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}])
def test_a_peer_need_not_say_what_its_clock_says(headers):
    assert ask(json_body=KNOWN, headers=headers).time is None


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>", b"x" * 10_000])
def test_what_is_no_peer_is_told(content):
    with pytest.raises(PeerMisbehavedError, match="no node"):
        ask(content=content)


def test_a_peer_that_is_not_there_is_told():
    def answer(_request):
        raise httpx.ConnectError("x")

    with pytest.raises(PeerUnreachableError, match="Nobody answers"):
        reach("https://b.example", transport=httpx.MockTransport(answer))
