"""What stands before a node on the wire: passes everything on, and may lose, hold or garble it.

Used on the event loop of `liars.Lines`. Whatever ends a conversation, also the end of the test,
closes both of its connections: one that is left open is found by the garbage collector in the
middle of some other test, which then fails of it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from protocol import endpoints

_PIECE = 64 << 10


class Relay:
    """Stands before the node that listens at `target`; a test's own kind overrides what passes."""

    def __init__(self, target: int) -> None:
        self.target = target

    async def asked(self, data: bytes) -> bytes | None:
        """What goes on to the node of what came; None: the line is dead."""
        return data

    async def answered(self, data: bytes) -> bytes | None:
        """What goes back of what the node said; None: the line is dead."""
        return data

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes one connection on, until either side closes it."""
        with suppress(OSError):
            async with _connected(self.target) as (there, back):
                await asyncio.gather(
                    self._pass_on(reader, back, answers=False),
                    self._pass_on(there, writer, answers=True),
                )

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        look = self.answered if answers else self.asked
        with suppress(OSError):
            while data := await reader.read(_PIECE):
                passed = await look(data)
                if passed is None:
                    break
                writer.write(passed)
                await writer.drain()
        writer.close()


class PokeDropper(Relay):
    """Hangs up on every poke; all else passes."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.dropped = 0

    async def asked(self, data: bytes) -> bytes | None:
        if f"POST {endpoints.POKE} ".encode() in data:
            self.dropped += 1
            return None
        return data


@asynccontextmanager
async def _connected(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield there, back
    except asyncio.CancelledError:
        back.transport.abort()  # nobody waits for what was not sent yet
        raise
    finally:
        back.close()
