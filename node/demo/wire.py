"""Everything that crosses between the organisations, counted and kept to be searched.

Each node's public address leads through a small relay in the demo's own process. So the bytes that
the demo prints are those of the connections themselves, headers included, and "this did not cross"
is a search through all of them.
"""

import asyncio
import threading
from contextlib import suppress

_CHUNK = 64 << 10
_TURNS = 10


class Wire:
    """Relays between the organisations, on a thread of their own."""

    def __init__(self) -> None:
        # What one connection carried one way, without a gap: a search finds what came in pieces.
        self._carried: list[bytearray] = []
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()

    def relay_to(self, target: int) -> int:
        """Opens a port on loopback that leads to the port `target`; returns the new port."""
        return asyncio.run_coroutine_threadsafe(self._open(target), self._loop).result()

    async def _open(self, target: int) -> int:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._carry(target, reader, writer)

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def bytes_so_far(self) -> int:
        """Returns how many bytes crossed, both ways and through all relays."""
        return sum(len(one) for one in list(self._carried))

    def holds(self, what: bytes) -> bool:
        """Whether these bytes crossed anywhere, in either direction."""
        return any(what in one for one in list(self._carried))

    def carried(self) -> list[bytes]:
        """Returns what each connection carried so far, one way each."""
        return [bytes(one) for one in list(self._carried)]

    def close(self) -> None:
        """Ends every relay and every connection; what crossed can still be searched."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for _ in range(_TURNS):
            await asyncio.sleep(0)  # what was accepted begins: cancelled before, it stays open
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for _ in range(_TURNS):
            await asyncio.sleep(0)  # the transports close their sockets

    async def _carry(
        self, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        except asyncio.CancelledError:
            writer.close()
            raise
        sent, received = bytearray(), bytearray()
        self._carried += (sent, received)
        with suppress(asyncio.CancelledError):  # the relay ends: both sides are closed by now
            await asyncio.gather(_copy(reader, back, sent), _copy(there, writer, received))


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
