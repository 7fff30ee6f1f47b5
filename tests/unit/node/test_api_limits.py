"""What is refused before it is read, on the ASGI wire itself."""

import asyncio
import json

import pytest

from node.api.limits import Limits, LimitsMiddleware


def scope(path="/a", **more):
    found = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }
    return found | more


def pieces(*bodies: bytes, hang: bool = False):
    """A receive channel that gives these pieces; then nothing more, or nothing ever."""
    messages = [
        {"type": "http.request", "body": body, "more_body": hang or at < len(bodies) - 1}
        for at, body in enumerate(bodies)
    ]

    async def receive():
        if messages:
            return messages.pop(0)
        if hang:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return receive


class Reader:
    """An application that reads the whole body, and then answers its length."""

    def __init__(self, wait=None):
        self.read = 0
        self.wait = wait

    async def __call__(self, scope, receive, send):
        while True:
            message = await receive()
            self.read += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        if self.wait is not None:
            await self.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(self.read).encode()})


def answer_of(sent):
    status = sent[0]["status"]
    body = b"".join(one.get("body", b"") for one in sent[1:])
    return status, body, dict(sent[0]["headers"])


def ask(app, receive, *, limits, **more):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(LimitsMiddleware(app, limits)(scope(**more), receive, send))
    return answer_of(sent)


TEN = Limits(body_bytes=10, by_path={"/large": 100}, body_timeout_s=0.05)


def test_a_body_as_long_as_allowed_is_read():
    assert ask(Reader(), pieces(b"12345", b"67890"), limits=TEN)[:2] == (200, b"10")


def test_a_streamed_body_is_refused_at_the_first_byte_too_much():
    app = Reader()
    status, body, header = ask(app, pieces(b"12345", b"678901", b"never read"), limits=TEN)
    assert status == 413
    assert json.loads(body)["type"] == "/problems/too-large"
    assert header[b"connection"] == b"close"
    assert app.read == 5


def test_an_announced_length_is_refused_before_anything_is_read():
    app = Reader()
    headers = [(b"content-length", b"11")]
    assert ask(app, pieces(b"12345678901"), limits=TEN, headers=headers)[0] == 413
    assert app.read == 0


def test_a_length_that_is_allowed_is_not_refused():
    headers = [(b"content-length", b"10")]
    assert ask(Reader(), pieces(b"1234567890"), limits=TEN, headers=headers)[0] == 200


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"", b"+1", b"9" * 16, "٣".encode()])
def test_a_length_that_is_none_is_refused(length):
    headers = [(b"content-length", length)]
    assert ask(Reader(), pieces(b"1"), limits=TEN, headers=headers)[0] == 400


def test_a_path_may_have_a_limit_of_its_own():
    assert ask(Reader(), pieces(b"1" * 100), limits=TEN, path="/large")[:2] == (200, b"100")
    assert ask(Reader(), pieces(b"1" * 101), limits=TEN, path="/large")[0] == 413


def test_a_body_that_does_not_arrive_is_given_up():
    status, body, _ = ask(Reader(), pieces(b"1", hang=True), limits=TEN)
    assert status == 408
    assert "0.05 s" in json.loads(body)["detail"]


def test_waiting_for_the_caller_to_leave_is_not_the_bodys_time():
    async def app(scope, receive, send):
        assert not (await receive()).get("more_body")
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert ask(app, pieces(b"1"), limits=TEN)[0] == 200


def test_a_long_address_is_refused():
    assert ask(Reader(), pieces(b""), limits=TEN, query_string=b"a" * 2_100)[0] == 414
    assert ask(Reader(), pieces(b""), limits=TEN, raw_path=b"/" * 2_100)[0] == 414


def test_a_large_header_is_refused():
    headers = [(b"x", b"a" * 8_000), (b"y", b"a" * 9_000)]
    assert ask(Reader(), pieces(b""), limits=TEN, headers=headers)[0] == 431


def test_all_bodies_together_are_bounded_and_room_is_given_back():
    limits = Limits(body_bytes=100, in_flight_bytes=150)
    release = asyncio.Event

    async def story():
        gate = release()
        middleware = LimitsMiddleware(Reader(wait=gate.wait), limits)

        async def one():
            sent = []

            async def send(message):
                sent.append(message)

            await middleware(scope(), pieces(b"1" * 100), send)
            return answer_of(sent)

        first = asyncio.create_task(one())
        await asyncio.sleep(0)
        second = await one()
        gate.set()
        return await first, second, await one()

    first, second, third = asyncio.run(story())
    assert first[0] == 200
    assert second[0] == 503
    assert second[2][b"retry-after"] == b"1"
    assert third[0] == 200


def test_what_is_no_request_passes_by():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(LimitsMiddleware(app, TEN)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
