import asyncio
import gzip
import hashlib
import json
from contextlib import asynccontextmanager

import pytest

from federation.client import PeerClient, connect
from federation.descriptors import open_descriptor
from federation.refusals import MAX_ERROR_BYTES, MAX_RETRY_AFTER_S
from federation.sync import sync_peer
from listening import listening
from protocol.encoding import to_base64url
from protocol.errors import PeerMisbehavedError, PeerRefusedError, PeerUnreachableError
from protocol.limits import MAX_NOTE_BYTES, MAX_PEER_RESPONSE_BYTES
from protocol.messages import Acknowledgement, OprfRequest, Poke
from signing.keys import KeyUse
from signing.oprf.voprf import blind, derive_key_pair
from simulator import NOW, Peer, make_key, media_flag
from unit.federation.memory_node import MemoryNode
from unit.federation.served_peer import serve

HOTLINE = "hotline.example"
KEY = make_key(KeyUse.REQUEST, "platform.example")


def now():
    return NOW


@asynccontextmanager
async def answering(answer, *, hold_open=False):
    """A server that gives every connection the same bytes, whatever is asked."""
    received = bytearray()

    async def talk(reader, writer):
        received.extend(await reader.readuntil(b"\r\n\r\n"))
        for piece in [answer] if isinstance(answer, bytes) else answer:
            writer.write(piece)
            try:
                await writer.drain()
            except ConnectionError:
                break
        if hold_open:
            await asyncio.Event().wait()

    async with listening(talk) as port:
        yield f"http://127.0.0.1:{port}", received


def ask(answer, verb="checkpoint", *, hold_open=False, deadline_s=30.0, read_s=15.0):
    """Asks a server that answers with `answer`; returns what the client gives, and the client."""

    async def run():
        async with (
            answering(answer, hold_open=hold_open) as (url, _),
            connect(read_s=read_s) as http,
        ):
            client = PeerClient(http, url=url, key=KEY, clock=now, deadline_s=deadline_s)
            return await getattr(client, verb)(), client

    return asyncio.run(run())


def reply(body=b"", status="200 OK", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_every_question_reaches_a_real_server_and_its_signature_holds():
    peer = Peer(HOTLINE)
    key = derive_key_pair(bytes(32), b"")
    peer.share = (1, key)
    envelope = peer.sign(media_flag(HOTLINE))
    blinded = tuple(to_base64url(one) for one in blind([b"x"]).elements)

    async def run(url):
        async with connect() as http:
            client = PeerClient(http, url=url, key=KEY, clock=now)
            receipt = await client.submit(envelope)
            assert (await client.well_known()).name == HOTLINE
            assert open_descriptor(await client.descriptor(), now=NOW)[0].issuer == HOTLINE
            assert await client.checkpoint() == peer.note()
            assert (await client.entries(0, 10)).entries == (receipt.id,)
            (answer,) = (await client.envelopes((receipt.id,))).envelopes
            assert answer.envelope == envelope.decode()
            root = to_base64url(bytes(32))
            await client.acknowledge(Acknowledgement(origin="x", size=1, root=root))
            await client.poke(Poke(origin="x", size=1))
            question = OprfRequest(circle="hotline.example/minors-1", epoch=1, blinded=blinded)
            assert (await client.evaluate(question)).index == 1
            assert len((await client.my_statements()).statements) == 1
            assert len((await client.my_statements(after=0)).statements) == 0
            return client

    with serve(peer, KEY) as url:
        client = asyncio.run(run(url))
    assert len(peer.pokes) == len(peer.acknowledged) == 1
    assert client.bytes_sent > len(envelope)
    assert client.bytes_received > len(envelope)


def test_a_peer_behind_real_http_is_synced():
    peer, here = Peer(HOTLINE), MemoryNode()

    async def run(url):
        async with connect() as http:
            client = PeerClient(http, url=url, key=KEY, clock=now)
            return await sync_peer(client, peer.pinned(), here, run=asyncio.to_thread)

    with serve(peer, KEY) as url:
        here.know(peer)
        ids = peer.append(*(media_flag(HOTLINE, number) for number in range(300)))
        report = asyncio.run(run(url))
    assert list(here.taken) == ids
    assert report.accepted == 300
    assert report.bytes_received > sum(map(len, peer.held.values()))


def test_a_server_refuses_a_request_that_another_key_signed():
    async def run(url):
        async with connect() as http:
            other = make_key(KeyUse.REQUEST, "stranger.example")
            client = PeerClient(http, url=url, key=other, clock=lambda: NOW + 3600)
            await client.checkpoint()

    with serve(Peer(HOTLINE), KEY) as url, pytest.raises(PeerRefusedError, match="ahead"):
        asyncio.run(run(url))


def test_what_has_to_be_signed_is_not_asked_without_a_key():
    async def run():
        async with connect() as http:
            await PeerClient(http, url="https://peer.example", clock=now).checkpoint()

    with pytest.raises(RuntimeError, match="no key"):
        asyncio.run(run())


@pytest.mark.parametrize(
    "url", ["http://peer.example", "http://192.0.2.1", "ftp://peer.example", "http://[", "peer"]
)
def test_no_address_without_tls_is_used_but_this_machine(url):
    with pytest.raises(PeerUnreachableError, match="TLS"):
        PeerClient(None, url=url, key=KEY, clock=now)


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1", "http://[::1]:8000"])
def test_this_machine_is_reached_without_tls(url):
    assert PeerClient(None, url=url, key=KEY, clock=now).url == url


def test_the_operator_can_allow_an_address_without_tls():
    url = "http://peer.example"
    assert PeerClient(None, url=url, key=KEY, clock=now, allow_insecure_http=True).url == url


@pytest.mark.parametrize("url", ["https://", "https://exa mple", "https://[", "https://a:99999999"])
def test_an_address_that_is_none_is_unreachable(url):
    async def run(verb):
        async with connect() as http:
            await getattr(PeerClient(http, url=url, key=KEY, clock=now), verb)()

    for verb in ("checkpoint", "descriptor"):
        with pytest.raises(PeerUnreachableError):
            asyncio.run(run(verb))


def test_a_peer_that_is_not_there_is_unreachable():
    async def run():
        async with connect() as http:
            await PeerClient(http, url="http://127.0.0.1:1", key=KEY, clock=now).checkpoint()

    with pytest.raises(PeerUnreachableError, match="cannot be reached"):
        asyncio.run(run())


def test_a_peer_that_says_nothing_is_unreachable():
    with pytest.raises(PeerUnreachableError, match="too long"):
        ask(b"", hold_open=True, read_s=0.05)


def test_a_peer_that_stalls_in_its_answer_is_unreachable():
    with pytest.raises(PeerUnreachableError, match="too long"):
        ask(reply(b"x" * 10)[:-5], hold_open=True, read_s=0.05)


def test_a_request_has_a_deadline_however_the_answer_trickles():
    with pytest.raises(PeerUnreachableError, match="too long"):
        ask(reply(b"x" * 10)[:-5], hold_open=True, deadline_s=0.05)


def test_a_truncated_answer_is_no_answer():
    with pytest.raises(PeerUnreachableError, match="broke off"):
        ask(reply(b"x" * 100)[:-1])


def test_what_is_not_http_is_no_answer():
    with pytest.raises(PeerUnreachableError):
        ask(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def test_an_answer_may_be_as_long_as_the_limit_and_no_longer():
    body, _ = ask(reply(b"x" * MAX_NOTE_BYTES))
    assert len(body) == MAX_NOTE_BYTES
    with pytest.raises(PeerUnreachableError, match="longer than"):
        ask(reply(b"x" * (MAX_NOTE_BYTES + 1)))


def test_a_flood_is_not_read_to_its_end():
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    piece = b"x" * (1 << 20)

    async def run():
        # 4 GiB, if anyone wanted them.
        flood = (head if at == 0 else piece for at in range(4096))
        async with answering(flood) as (url, _), connect() as http:
            client = PeerClient(http, url=url, key=KEY, clock=now)
            with pytest.raises(PeerUnreachableError, match="longer than"):
                await client.my_statements()
            return client.bytes_received

    assert MAX_PEER_RESPONSE_BYTES < asyncio.run(run()) < MAX_PEER_RESPONSE_BYTES + (1 << 20)


def test_a_compressed_answer_is_refused_unread():
    bomb = gzip.compress(bytes(1 << 20))
    with pytest.raises(PeerMisbehavedError, match="compressed") as caught:
        ask(reply(bomb, "200 OK", "Content-Encoding: gzip"))
    assert caught.value.evidence == b"gzip"


def test_compression_is_not_asked_for():
    async def run():
        async with answering(reply(b"x")) as (url, received), connect() as http:
            await PeerClient(http, url=url, key=KEY, clock=now).checkpoint()
            return bytes(received).lower()

    sent = asyncio.run(run())
    assert b"accept-encoding: identity\r\n" in sent
    assert b"signature-input:" in sent


def test_a_body_is_named_as_json_and_nothing_is_not():
    async def sent(verb, *values):
        async with answering(reply()) as (url, received), connect() as http:
            await getattr(PeerClient(http, url=url, key=KEY, clock=now), verb)(*values)
            return bytes(received).lower()

    assert b"content-type: application/json" in asyncio.run(sent("poke", Poke(origin="x", size=1)))
    assert b"content-type" not in asyncio.run(sent("checkpoint"))


def test_a_mirror_is_asked_at_the_digest_of_the_logs_origin():
    async def sent(verb, *values):
        async with (
            answering(reply(b'{"start":0,"entries":[]}')) as (url, received),
            connect() as http,
        ):
            found = await getattr(PeerClient(http, url=url, key=KEY, clock=now), verb)(*values)
            return found, bytes(received)

    origin = "hotline.example/log/1"
    path = b"/mirror/" + hashlib.sha256(origin.encode()).hexdigest().encode()
    found, asked = asyncio.run(sent("mirror_checkpoint", origin))
    assert asked.startswith(b"GET " + path + b"/checkpoint HTTP/1.1")
    assert found == b'{"start":0,"entries":[]}', "as it came: nothing of it is believed"
    found, asked = asyncio.run(sent("mirror_entries", origin, 0, 9))
    assert asked.startswith(b"POST " + path + b"/entries HTTP/1.1")
    assert found.entries == ()


def test_the_word_identity_is_no_compression():
    assert ask(reply(b"x", "200 OK", "Content-Encoding: Identity"))[0] == b"x"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
def test_a_redirect_is_not_followed(status):
    elsewhere = "Location: http://127.0.0.1:1/elsewhere"
    with pytest.raises(PeerRefusedError, match=r"\(30\d\)") as caught:
        ask(reply(b"", status, elsewhere))
    assert caught.value.status == int(status[:3])


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"statements":1}', b"\xff"])
def test_an_answer_of_another_form_is_misbehaviour_with_its_bytes(body):
    with pytest.raises(PeerMisbehavedError, match="not what the protocol asks") as caught:
        ask(reply(body), "my_statements")
    assert caught.value.evidence == body


def test_a_long_answer_of_another_form_is_misbehaviour_too():
    with pytest.raises(PeerMisbehavedError):
        ask(reply(b"[" * 100_000), "my_statements")


def test_a_server_error_with_a_long_body_is_read_in_part():
    body = b"x" * (1 << 20)
    with pytest.raises(PeerRefusedError) as caught:
        ask(reply(body, "500 Internal Server Error"))
    assert caught.value.status == 500
    assert caught.value.retry_after_s is None
    assert str(caught.value) == "The peer refused (500)."
    assert len(body) > MAX_ERROR_BYTES


def test_the_reason_of_a_refusal_is_passed_on_as_one_harmless_line():
    problem = b'{"detail":"The key\\nis \\u001b[31mnot\\u202e known."}'
    with pytest.raises(PeerRefusedError) as caught:
        ask(reply(problem, "403 Forbidden"))
    assert str(caught.value) == "The peer refused (403): The key is  [31mnot  known."


@pytest.mark.parametrize("problem", [b"[]", b'{"detail":1}', b"{}", b'{"detail":"\\u0007"}'])
def test_a_refusal_without_a_reason_has_none(problem):
    with pytest.raises(PeerRefusedError) as caught:
        ask(reply(problem, "403 Forbidden"))
    assert str(caught.value) == "The peer refused (403)."


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("999999999", MAX_RETRY_AFTER_S),
        ("9" * 50, None),
        ("-1", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_a_peer_says_when_to_come_back(value, seconds):
    with pytest.raises(PeerRefusedError) as caught:
        ask(reply(b"", "429 Too Many Requests", f"Retry-After: {value}"))
    assert caught.value.retry_after_s == seconds


LEFT = {"day_limit": 5000, "day_left": 12, "minute_limit": 600, "minute_left": 0}


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (LEFT, LEFT),
        ({**LEFT, "more": 1}, LEFT),
        ({**LEFT, "day_left": -1}, None),
        ({**LEFT, "day_left": "12"}, None),
        ({"day_left": 12}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_holder_says_what_is_left_of_a_budget(said, left):
    body = json.dumps({"detail": "Used up.", "budget": said}).encode()
    with pytest.raises(PeerRefusedError, match="Used up") as caught:
        ask(reply(body, "429 Too Many Requests"))
    assert caught.value.budget == left


def test_no_proxy_is_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert ask(reply(b"x"))[0] == b"x"
