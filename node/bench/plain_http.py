"""The least of an HTTP client, so that a bench measures the node and not who asks it.

Speaks HTTP/1.1 to a server on this machine that answers with ``Content-Length``; a few connections
are kept open and lent to whoever asks next. For benches only: it checks nothing.
"""

import asyncio
import json
from typing import Any, Self
from urllib.parse import urlsplit

_END = b"\r\n\r\n"
_SUCCESS = range(200, 300)


class PlainClient:
    """Asks one server, over so many connections at once.

    Args:
        url: scheme, host and port.
        token: bearer key.
        connections: to be opened.
    """

    def __init__(self, url: str, token: str, *, connections: int = 32) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 0
        self._head = f"Host: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
        self._connections = connections
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.Queue()
        )

    async def __aenter__(self) -> Self:
        """Opens the connections."""
        for _ in range(self._connections):
            self._free.put_nowait(await asyncio.open_connection(self._host, self._port))
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Closes the connections; those in use were broken off."""
        while not self._free.empty():
            _reader, writer = self._free.get_nowait()
            writer.close()

    async def ask(self, method: str, path: str, body: bytes | dict[str, Any] = b"") -> Any:
        """Returns the JSON of the answer, None where it has no body.

        Args:
            method: of the request.
            path: with its query.
            body: a value to be sent as JSON, or the bytes of a JPEG.

        Raises:
            RuntimeError: the server refused.
        """
        kind = "application/json" if isinstance(body, dict) else "image/jpeg"
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(data)}\r\n"
        head += f"Content-Type: {kind}\r\n" if data else ""
        reader, writer = await self._free.get()
        writer.write(head.encode() + b"\r\n" + data)
        found = (await reader.readuntil(_END)).decode("latin-1").lower()
        length = found.partition("content-length:")[2].partition("\r\n")[0]
        answer = await reader.readexactly(int(length or 0))
        self._free.put_nowait((reader, writer))
        if int(found.split(" ", 2)[1]) not in _SUCCESS:
            raise RuntimeError(f"the node refused: {found.partition(_END.decode())[0][:80]}")
        return json.loads(answer) if answer else None
