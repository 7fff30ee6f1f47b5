"""Everything that crosses between the organisations, counted and kept to be searched.

Each node's public address leads through a small relay in the demo's own process. So the bytes that
the demo prints are those of the connections themselves, headers included, and "this did not cross"
is a search through all of them.
"""

import asyncio
import threading
from dataclasses import dataclass, field

_CHUNK = 64 << 10
_STOP_WAIT_S = 5.0


@dataclass
class Relay:
    """A listening port that leads to a node."""

    port: int
    target: int
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)


class Wire:
    """Relays between the organisations, on a thread of their own."""

    def __init__(self) -> None:
        self._relays: list[Relay] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()

    def relay_to(self, target: int) -> int:
        """Opens a port on loopback that leads to the port `target`; returns the new port."""
        return asyncio.run_coroutine_threadsafe(self._open(target), self._loop).result()

    async def _open(self, target: int) -> int:
        relay = Relay(0, target)

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _carry(relay, reader, writer)

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        relay.port = server.sockets[0].getsockname()[1]
        self._relays.append(relay)
        return relay.port

    def bytes_so_far(self) -> int:
        """Returns how many bytes crossed, both ways and through all relays."""
        return sum(len(relay.sent) + len(relay.received) for relay in self._relays)

    def holds(self, what: bytes) -> bool:
        """Whether these bytes crossed anywhere, in either direction."""
        return any(what in relay.sent or what in relay.received for relay in self._relays)

    def close(self) -> None:
        """Ends every relay."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_WAIT_S)


async def _carry(relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        there, back = await asyncio.open_connection("127.0.0.1", relay.target)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_copy(reader, back, relay.sent), _copy(there, writer, relay.received))


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
) -> None:
    try:
        while data := await reader.read(_CHUNK):
            kept += data
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # one side hung up; the other learns of it by the close below
    finally:
        writer.close()
