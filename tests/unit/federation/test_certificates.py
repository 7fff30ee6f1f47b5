"""A certificate of TLS that does not hold: nothing is asked, and the operator is told why."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from certificates import Authority
from federation.certificates import seconds_left
from federation.client import connect
from federation.lines import Lines
from protocol.errors import PeerUnreachableError

HERE = "127.0.0.1"
LONG_S = 3_600.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The one authority that this process trusts."""
    found = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(found.file))
    return found


@asynccontextmanager
async def speaking_tls(certificate: Path) -> AsyncIterator[tuple[str, list[int]]]:
    """A server behind TLS; gives its URL and the number of each question's connection."""
    asked: list[int] = []
    number = iter(range(1_000))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = next(number)
        with suppress(OSError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                asked.append(mine)
                writer.write(OK)
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(handle, HERE, 0, ssl=context)
    try:
        yield f"https://{HERE}:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        await server.wait_closed()


async def ask(lines: Lines, url: str) -> bytes:
    async with lines.ask("GET", url, "/", {}, b"") as answer:
        return b"".join([piece async for piece in answer.pieces()])


def questions(certificate: Path, count: int) -> list[int]:
    async def run() -> list[int]:
        async with speaking_tls(certificate) as (url, asked), connect() as lines:
            for _ in range(count):
                assert await ask(lines, url) == b"ok"
            return asked

    return asyncio.run(run())


def test_a_certificate_that_holds_is_shown_once_for_several_questions(authority: Authority) -> None:
    assert questions(authority.issue(HERE, lasts_s=LONG_S), 3) == [0, 0, 0]


@pytest.mark.parametrize(
    ("host", "lasts_s", "reason"),
    [
        (HERE, -5.0, "has expired, by this machine's clock"),
        ("127.0.0.9", LONG_S, "is for another name than the peer's address has"),
    ],
)
def test_a_certificate_that_does_not_hold_is_named_and_nothing_is_asked(
    authority: Authority, host: str, lasts_s: float, reason: str
) -> None:
    with pytest.raises(
        PeerUnreachableError, match=f"^The peer's TLS certificate {reason}: nothing was asked.$"
    ):
        questions(authority.issue(host, lasts_s=lasts_s), 1)


def test_an_authority_that_the_machine_does_not_know_is_named(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    with pytest.raises(PeerUnreachableError, match="from no authority that this machine trusts"):
        questions(stranger.issue(HERE, lasts_s=LONG_S), 1)


def test_a_connection_is_not_used_beyond_the_end_of_its_certificate(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> list[int]:
        async with (
            speaking_tls(authority.issue(HERE, lasts_s=LONG_S)) as (url, asked),
            connect() as lines,
        ):
            # OpenSSL has its own clock; to this process the certificate lasts no longer.
            monkeypatch.setattr("federation.lines.seconds_left", lambda *_: 0.0)
            await ask(lines, url)
            monkeypatch.undo()
            monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
            await ask(lines, url)
            await ask(lines, url)
            return asked

    assert asyncio.run(run()) == [0, 1, 1]


def test_what_is_left_of_a_certificate_is_counted_in_seconds() -> None:
    end = "Jan  1 00:00:10 2030 GMT"
    assert seconds_left({"notAfter": end}, ssl.cert_time_to_seconds(end) - 10.0) == 10.0
    assert seconds_left({"notAfter": end}, time.time() + 1e10) < 0
