"""A server for one test on the test's own event loop, of which nothing is left open afterwards.

A connection that is left open is found by the garbage collector in the middle of some other test,
which then fails of it: also one that was accepted in the last moment, or whose talk was cancelled.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_TURNS = 10


async def turns() -> None:
    """Lets the loop do what it has begun: open what was accepted, close what was ended."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[int]:
    """Has `talk` hold the conversations of a server on a free port of loopback; gives the port."""
    held: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        held[task] = writer
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # the other side has gone
                await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await turns()
        for task, writer in held.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*held, return_exceptions=True)
        await turns()
