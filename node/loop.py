"""One event loop on one thread, for conversations with other nodes.

`federation` talks on it; everything that touches the database or a key is handed to threads. The
rest of the node calls in from its own threads.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

from federation.client import connect
from federation.lines import Lines
from federation.reach import Reach
from protocol.errors import UnavailableError

T = TypeVar("T")

_STOP_WAIT_S = 5.0


class Loop:
    """An event loop on a thread of its own, with the connections that are shared on it."""

    def __init__(
        self, name: str, main: Callable[[Lines], Awaitable[None]], *, reach: Reach
    ) -> None:
        """Keeps what is to run; nothing runs yet.

        Args:
            name: of the thread.
            reach: where the connections may lead.
            main: runs on the loop from `start` to `close`, with the connections; it is cancelled at
                the end, and ends its own tasks then.
        """
        self._name = name
        self._main = main
        self._reach = reach
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begins, and returns once the loop takes work."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """Ends every conversation."""
        if self._loop is not None and self._stop is not None and self._thread is not None:
            # The loop may have ended by itself in this moment.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_STOP_WAIT_S)

    def soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Has a function called on the loop; does nothing where the loop has ended."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended: the node is stopping
                self._loop.call_soon_threadsafe(function, *arguments)

    def wait(self, coroutine: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Returns what a coroutine returns that runs on the loop; called from another thread.

        Raises:
            UnavailableError: there is no loop, or it ended meanwhile.
            TimeoutError: the time is over.
        """
        if self._loop is None:
            coroutine.close()
            raise UnavailableError("This process holds no conversations with other nodes.")
        future: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise
        except CancelledError:
            raise UnavailableError("The node is stopping.") from None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._loop = None
            # Whoever waits for the start is not left waiting where it failed.
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with connect(reach=self._reach) as lines:
            main = asyncio.ensure_future(self._main(lines))
            await asyncio.sleep(0)  # one turn, in which `main` makes its own things ready
            self._ready.set()
            await self._stop.wait()
            self._loop = None
            main.cancel()
            await asyncio.gather(main, return_exceptions=True)
