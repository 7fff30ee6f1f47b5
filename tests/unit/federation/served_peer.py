"""A simulated peer behind real HTTP, where the signature of every request is verified."""

import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn

from protocol import endpoints, limits
from protocol.encoding import encode_json
from protocol.errors import SchutznetzError
from protocol.fields import StatementId
from protocol.messages import (
    Acknowledgement,
    Entries,
    EntriesRequest,
    Envelopes,
    EnvelopesRequest,
    M,
    Message,
    OprfRequest,
    Poke,
    StatementStatuses,
    parse_message,
)
from signing.keys import SigningKey
from signing.requests import verify_request
from simulator import NOW, Peer
from waiting import WITHIN_S


class _App:
    """A peer as an ASGI application; whoever signs must be `caller`."""

    def __init__(self, peer: Peer, caller: SigningKey) -> None:
        self.peer = peer
        self.caller = caller

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        target = scope["raw_path"].decode()
        query = scope["query_string"].decode()
        try:
            if target not in (endpoints.WELL_KNOWN, endpoints.DESCRIPTOR):
                verify_request(
                    method=scope["method"],
                    url=self.peer.url + target + (f"?{query}" if query else ""),
                    headers={name.decode(): value.decode() for name, value in scope["headers"]},
                    body=body,
                    now=NOW,
                    find_key=lambda keyid: {self.caller.kid: self.caller.public}[keyid],
                )
            status, answer = 200, await self._route(target, query, body)
        except SchutznetzError as error:
            status, answer = 400, encode_json({"detail": str(error)})
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": answer})

    async def _route(self, path: str, query: str, body: bytes) -> bytes:
        peer = self.peer

        def read(kind: type[M]) -> M:
            return parse_message(kind, body, max_bytes=limits.MAX_PEER_REQUEST_BYTES)

        async def entries() -> Entries:
            asked = read(EntriesRequest)
            return await peer.entries(asked.start, asked.limit)

        async def envelopes() -> Envelopes:
            return await peer.envelopes(tuple(map(StatementId, read(EnvelopesRequest).ids)))

        async def my_statements() -> StatementStatuses:
            return await peer.my_statements(int(query.removeprefix("after=")) if query else None)

        routes: dict[str, Callable[[], Awaitable[bytes | Message | None]]] = {
            endpoints.WELL_KNOWN: peer.well_known,
            endpoints.DESCRIPTOR: peer.descriptor,
            endpoints.CHECKPOINT: peer.checkpoint,
            endpoints.ENTRIES: entries,
            endpoints.ENVELOPES: envelopes,
            endpoints.ACKNOWLEDGE: lambda: peer.acknowledge(read(Acknowledgement)),
            endpoints.POKE: lambda: peer.poke(read(Poke)),
            endpoints.OPRF: lambda: peer.evaluate(read(OprfRequest)),
            endpoints.STATEMENTS: lambda: peer.submit(body),
            endpoints.MY_STATEMENTS: my_statements,
        }
        answer = await routes[path]()
        return answer if isinstance(answer, bytes) else encode_json(answer) if answer else b""


@contextlib.contextmanager
def serve(peer: Peer, caller: SigningKey) -> Iterator[str]:
    """Puts a peer behind real HTTP on a free loopback port; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            _App(peer, caller), lifespan="off", ws="none", http="h11", log_config=None
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            # The socket listens already: a request that comes before the server waits for it.
            yield peer.url
        finally:
            server.should_exit = True
            thread.join(timeout=WITHIN_S)
            assert not thread.is_alive()
