"""A simulated peer behind real HTTP on a real clock, which may lie in what it says and how.

`simulator.Peer` decides what is said; here stands how it is said: whole, never, endlessly, or cut
short. Who asks is not verified: a node that meets such a peer has to protect itself.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from listening import turns
from protocol import endpoints, limits
from protocol.descriptors import NodeDescriptor, NodeKey, fingerprint_of
from protocol.encoding import encode_json, format_time, to_base64url
from protocol.envelope import parse_envelope
from protocol.fields import StatementId
from protocol.messages import (
    Acknowledgement,
    Descriptors,
    EntriesRequest,
    EnvelopesRequest,
    M,
    Message,
    Poke,
    parse_message,
)
from signing.envelopes import new_nonce, sign_statement
from signing.keys import KeyUse
from simulator import Peer, make_key

Manner = Literal["whole", "stall", "flood", "cut", "trickle"]
_DAY_S = 86_400
_ROUTES = (
    endpoints.CHECKPOINT,
    endpoints.ENTRIES,
    endpoints.ENVELOPES,
    endpoints.ACKNOWLEDGE,
    endpoints.POKE,
    endpoints.DESCRIPTOR,
    endpoints.OPRF,
)
_CHUNK = b"[" * (64 << 10)
_DROP_BYTES = 64
_BETWEEN_DROPS_S = 0.02


@dataclass
class Liar(Peer):
    """A peer whose keys are valid today.

    Attributes:
        manner: how it answers a signed request: as a peer should, never, without an end, with
            less than it announces, or a few bytes at a time.
        asked: how many requests it has received.
        lives_s: how long its descriptor lasts from when it is first asked for.
    """

    lives_s: int = _DAY_S
    manner: Manner = "whole"
    asked: int = 0

    @cached_property
    def descriptor_envelope(self) -> bytes:
        now = int(time.time())
        until = format_time(now + self.lives_s)
        root = make_key(KeyUse.ROOT, self.name)
        uses: tuple[Literal["request", "log", "statement"], ...] = ("request", "log", "statement")
        return sign_statement(
            NodeDescriptor(
                issuer=self.name,
                nonce=new_nonce(),
                issued=format_time(now),
                audience=("peers",),
                version=1,
                url=self.url,
                root=to_base64url(root.public.raw),
                keys=tuple(
                    NodeKey(
                        use=use,
                        key=to_base64url(make_key(KeyUse(use), self.name).public.raw),
                        not_before=format_time(now - _DAY_S),
                        not_after=until,
                    )
                    for use in uses
                ),
                log_origin=f"{self.name}/log/1",
                expires=until,
            ),
            root,
        )

    @property
    def fingerprint(self) -> str:
        """What the operator reads over the telephone."""
        return fingerprint_of(parse_envelope(self.descriptor_envelope).statement_id)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection, one request."""
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (
                        int(line.partition(":")[2])
                        for line in head.split("\r\n")
                        if line.lower().startswith("content-length:")
                    ),
                    0,
                )
                body = await reader.readexactly(length)
                self.asked += 1
                await self._answer_in_its_manner(head.split(" ")[1], body, reader, writer)
        finally:
            writer.close()  # also where the test ends meanwhile

    async def _answer_in_its_manner(
        self, path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.manner == "stall":
            await reader.read()  # until the caller hangs up
            return
        if self.manner == "flood":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                while True:
                    writer.write(_CHUNK)
                    await writer.drain()
            finally:
                writer.transport.abort()  # nobody waits for the rest
        if not self._serves(path.partition("?")[0]):
            writer.write(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        answer = await self._route(path, body)
        announced = len(answer) + (1 if self.manner == "cut" else 0)
        status = "200 OK" if answer else "204 No Content"
        fields = f"Content-Length: {announced}\r\n" if answer else ""
        said = f"HTTP/1.1 {status}\r\n{fields}Connection: close\r\n\r\n".encode() + answer
        if self.manner == "trickle":
            for at in range(0, len(said), _DROP_BYTES):
                writer.write(said[at : at + _DROP_BYTES])
                await writer.drain()
                await asyncio.sleep(_BETWEEN_DROPS_S)
            return
        writer.write(said)
        await writer.drain()

    def _serves(self, path: str) -> bool:
        return path in _ROUTES

    async def _route(self, path: str, body: bytes) -> bytes:
        def read(kind: type[M]) -> M:
            return parse_message(kind, body, max_bytes=limits.MAX_PEER_REQUEST_BYTES)

        async def entries() -> Message:
            asked = read(EntriesRequest)
            return await self.entries(asked.start, asked.limit)

        async def envelopes() -> Message:
            return await self.envelopes(tuple(map(StatementId, read(EnvelopesRequest).ids)))

        routes: dict[str, Callable[[], Awaitable[bytes | Message | None]]] = {
            endpoints.CHECKPOINT: self.checkpoint,
            endpoints.ENTRIES: entries,
            endpoints.ENVELOPES: envelopes,
            endpoints.ACKNOWLEDGE: lambda: self.acknowledge(read(Acknowledgement)),
            endpoints.POKE: lambda: self.poke(read(Poke)),
        }
        if path == endpoints.DESCRIPTOR:
            told = read(Descriptors).descriptors
            await self.announce([one.encode() for one in told])
            return b""
        if path.startswith(f"{endpoints.DESCRIPTOR}?after="):
            found = await self.descriptors(int(path.partition("=")[2]))
            return encode_json(Descriptors(descriptors=tuple(one.decode() for one in found)))
        answer = await routes[path]()
        return answer if isinstance(answer, bytes) else encode_json(answer) if answer else b""


class Lines:
    """An event loop on a thread, for servers that tests talk through."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lines")
        self._thread.start()

    def listen(
        self,
        handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        address: str = "127.0.0.1",
    ) -> int:
        """Serves connections on a free port, of loopback unless said otherwise; returns it."""

        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handle(reader, writer)
            except asyncio.CancelledError:
                writer.transport.abort()  # the test is over: nobody waits for the rest
                raise
            finally:
                writer.close()

        async def begin() -> int:
            server = await asyncio.start_server(served, address, 0)
            self._servers.append(server)
            return int(server.sockets[0].getsockname()[1])

        return asyncio.run_coroutine_threadsafe(begin(), self._loop).result()

    def close(self) -> None:
        async def end() -> None:
            for server in self._servers:
                server.close()
            await turns()  # what was accepted begins: cancelled before, it stays open
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                for task in others:
                    task.cancel()
                await asyncio.gather(*others, return_exceptions=True)
            await turns()  # the transports close their sockets

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def open_lines() -> Iterator[Lines]:
    lines = Lines()
    try:
        yield lines
    finally:
        lines.close()
