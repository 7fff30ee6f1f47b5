"""Where a node lets itself be sent: what was looked at is what is called, and nothing else."""

import asyncio
import ipaddress
import socket
from typing import Any

import pytest

from federation.client import PeerClient, connect
from federation.reach import (
    ANYWHERE,
    LOOPBACK,
    MOST_ADDRESSES,
    PUBLIC,
    Reach,
    is_public,
    parse_networks,
)
from listening import Talk, listening
from protocol.errors import PeerOutOfReachError, PeerUnreachableError
from waiting import WITHIN_S

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Names:
    """A resolver that answers as it is told: one answer after the other, the last again and again.

    Attributes:
        asked: every name that it was asked for.
    """

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int, **_arguments: Any) -> list[Any]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(ANSWER)


def ask(
    names: Names,
    reach: Reach,
    *,
    questions: int = 1,
    talk: Talk = answer_all,
    deadline_s: float = WITHIN_S,
) -> int:
    """Asks a node under a name so often; returns how many connections its server has seen."""

    async def run() -> int:
        seen: list[asyncio.StreamWriter] = []

        async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(writer)
            await talk(reader, writer)

        loop = asyncio.get_running_loop()
        numeric = loop.getaddrinfo

        async def resolve(host: Any, *arguments: Any, **named: Any) -> Any:
            # A number is no question to anybody.
            try:
                ipaddress.ip_address(host)
            except ValueError:
                return await names(host, port, **named)
            return await numeric(host, *arguments, **named)

        loop.getaddrinfo = resolve  # type: ignore[method-assign]  # this loop is the test's own
        async with listening(note) as port, connect(reach=reach) as lines:
            client = PeerClient(
                lines,
                url=f"http://peer.example:{port}",
                clock=lambda: 0,
                allow_insecure_http=True,
                deadline_s=deadline_s,
            )
            for _ in range(questions):
                await client.descriptor()
        return len(seen)

    return asyncio.run(run())


NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:100.64.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "4000::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "peer.example",
    "",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_somebodys_own_is_refused(address: str) -> None:
    assert not is_public(address)
    assert not PUBLIC.allows(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_allowed(address: str) -> None:
    assert PUBLIC.allows(address)


def test_an_operator_allows_networks_and_no_more() -> None:
    reach = Reach(parse_networks("10.20.0.0/16, fd00:20::/32"))
    assert reach.allows("10.20.3.4")
    assert reach.allows("::ffff:10.20.3.4"), "judged as what it is"
    assert reach.allows("fd00:20::1")
    assert reach.allows("8.8.8.8")
    assert not reach.allows("10.21.3.4")
    assert not reach.allows("127.0.0.1")


def test_what_is_no_address_is_not_allowed_even_anywhere() -> None:
    assert ANYWHERE.allows("127.0.0.1")
    assert not ANYWHERE.allows("peer.example")


@pytest.mark.parametrize("text", ["10.20.0.0/33", "10.20.0.1/16", "home", "10.0.0.0/8;fd00::/8"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|address|host bits"):
        parse_networks(text)


def test_a_name_that_leads_to_this_machine_is_not_called() -> None:
    names = Names(["127.0.0.1"])
    with pytest.raises(PeerOutOfReachError, match="has not allowed"):
        ask(names, PUBLIC)
    assert names.asked == ["peer.example"]


def test_one_private_address_among_public_ones_is_enough_to_call_none() -> None:
    with pytest.raises(PeerOutOfReachError):
        ask(Names(["93.184.215.14", "127.0.0.1"]), PUBLIC)


def test_a_name_is_asked_for_once_and_what_was_looked_at_is_called() -> None:
    # Where somebody asked a second time, it would lead elsewhere: DNS rebinding.
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    assert ask(names, Reach(LOOPBACK)) == 1
    assert names.asked == ["peer.example"]


def test_a_connection_that_is_kept_is_not_looked_up_again() -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    assert ask(names, Reach(LOOPBACK), questions=3) == 1
    assert names.asked == ["peer.example"]


def test_an_address_that_does_not_answer_costs_a_moment_and_not_the_peer() -> None:
    # Nobody listens at the first; the second is tried as soon as that is known.
    assert ask(Names(["127.0.0.2", "127.0.0.1"]), Reach(LOOPBACK)) == 1


def test_where_nobody_answers_the_peer_is_unreachable() -> None:
    with pytest.raises(PeerUnreachableError, match="cannot be reached"):
        ask(Names(["127.0.0.2", "127.0.0.3"]), Reach(LOOPBACK))


def test_a_name_with_a_flood_of_addresses_is_refused() -> None:
    flood = [f"127.0.1.{number}" for number in range(MOST_ADDRESSES + 1)]
    with pytest.raises(PeerOutOfReachError):
        ask(Names(flood), Reach(LOOPBACK))


def test_a_peer_that_keeps_saying_it_will_answer_is_given_up() -> None:
    async def soon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()

    with pytest.raises(PeerUnreachableError, match="broke off"):
        ask(Names(["127.0.0.1"]), Reach(LOOPBACK), talk=soon)


def test_a_name_that_is_never_resolved_meets_the_deadline() -> None:
    class Silent(Names):
        async def __call__(self, host: str, port: int, **arguments: Any) -> list[Any]:
            await asyncio.Event().wait()
            return await super().__call__(host, port, **arguments)

    with pytest.raises(PeerUnreachableError, match="too long"):
        ask(Silent(["127.0.0.1"]), Reach(LOOPBACK), deadline_s=0.2)
