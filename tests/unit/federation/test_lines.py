"""Connections that are kept open: which are used again, and which never."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from federation.client import connect
from federation.lines import MOST, Lines
from listening import Talk, listening
from protocol.errors import PeerUnreachableError
from waiting import WITHIN_S

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """A server that says what `talk` does; gives its URL and the connections made to it."""
    made: list[asyncio.StreamWriter] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.append(writer)
        await talk(reader, writer)

    async with listening(note) as port:
        yield f"http://127.0.0.1:{port}", made


async def asked(lines: Lines, url: str, body: bytes = b"") -> bytes:
    async with lines.ask("POST", url, "/x", {}, body) as answer:
        assert answer.status == 200
        return b"".join([piece async for piece in answer.pieces()])


def answering(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(answer)

    return talk


def connections_for(talk: Talk, questions: int) -> int:
    async def run() -> int:
        async with talking(talk) as (url, made), connect() as lines:
            for _ in range(questions):
                assert await asked(lines, url) == b"ok"
            return len(made)

    return asyncio.run(run())


def test_one_connection_serves_one_question_after_the_other() -> None:
    assert connections_for(answering(OK), 5) == 1


def test_an_answer_of_pieces_leaves_its_connection_of_use() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert connections_for(answering(head + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n"), 3) == 1


def test_a_word_before_the_answer_is_passed_over() -> None:
    assert connections_for(answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK), 2) == 1


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 100 \r\n\r\n" * 9 + OK, id="words before the answer"),
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\n" + b"a:\r\n" * 128 + b"\r\n"), id="fields"),
        pytest.param(CHUNKED + b"1\r\nx\r\n" * 2_000 + b"0\r\n\r\n", id="crumbs"),
        pytest.param(
            CHUNKED + b"10000\r\n" + b"x" * 65_536 + b"\r\n" + b"1\r\nx\r\n" * 2_000 + b"0\r\n\r\n",
            id="crumbs behind a loaf",
        ),
    ],
)
def test_an_answer_that_is_all_framing_is_not_read_to_its_end(answer: bytes) -> None:
    async def run() -> None:
        async with talking(answering(answer)) as (url, _), connect() as lines:
            with pytest.raises(PeerUnreachableError, match="broke off"):
                await asked(lines, url)

    asyncio.run(run())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), id="close"),
        pytest.param(OK.replace(b"1.1", b"1.0", 1), id="HTTP/1.0"),
        pytest.param(OK + OK, id="an answer to what was never asked"),
    ],
)
def test_a_connection_that_ends_or_says_too_much_is_not_used_again(answer: bytes) -> None:
    assert connections_for(answering(answer), 3) == 3


def test_what_comes_unasked_ends_the_connection_and_answers_nothing() -> None:
    async def run() -> None:
        said = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await said.wait()
            writer.write(OK.replace(b"ok", b"no"))
            assert await reader.read() == b""  # the other side has closed it

        async with talking(talk) as (url, made), connect() as lines:
            assert await asked(lines, url) == b"ok"
            said.set()
            await made[0].wait_closed()
            said.clear()
            assert await asked(lines, url) == b"ok"
            assert len(made) == 2

    asyncio.run(run())


def test_a_question_that_is_given_up_closes_its_connection() -> None:
    async def run() -> None:
        closed, heard = asyncio.Event(), asyncio.Event()

        async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            heard.set()
            assert await reader.read() == b""
            closed.set()

        async with talking(silent) as (url, _), connect() as lines:
            question = asyncio.create_task(asked(lines, url))
            await heard.wait()
            question.cancel()
            await closed.wait()

    asyncio.run(run())


def test_more_questions_than_places_wait_for_one_and_not_for_ever() -> None:
    async def run() -> None:
        full = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            if len(made) == MOST:
                full.set()
            await reader.read()

        async with talking(silent) as (url, made), connect(connect_s=WITHIN_S) as lines:
            questions = [asyncio.create_task(asked(lines, url)) for _ in range(MOST)]
            await full.wait()
            lines._connect_s = 0.05  # only now: 64 connections take longer on a busy machine
            with pytest.raises(PeerUnreachableError, match="too long"):
                await asked(lines, url)
            assert len(made) == MOST
            for one in questions:
                one.cancel()
            await asyncio.gather(*questions, return_exceptions=True)

    asyncio.run(run())


def test_a_head_without_end_is_not_read_to_its_end() -> None:
    async def run() -> None:
        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(b"X: " + b"x" * 1_000 + b"\r\n")
                await writer.drain()

        async with talking(endless) as (url, _), connect() as lines:
            with pytest.raises(PeerUnreachableError, match="broke off"):
                await asked(lines, url)

    asyncio.run(run())


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/ü"])
def test_what_http_cannot_carry_is_not_sent(target: str) -> None:
    async def run() -> None:
        async with talking(answering(OK)) as (url, _), connect() as lines:
            with pytest.raises(PeerUnreachableError):
                async with lines.ask("POST", url, target, {}, b""):
                    pytest.fail("it was sent")

    asyncio.run(run())


def test_a_node_that_ends_its_answer_by_hanging_up_is_heard_to_the_end() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nok")

    assert connections_for(hang_up, 2) == 2
