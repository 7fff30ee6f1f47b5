"""Sends what webhooks are told, on an event loop of its own (`node.loop`).

An address is somebody else's word, and this node stands inside somebody's network: so the name is
resolved here, once, each address is looked at before it is called, and the connection goes to what
was looked at. No redirect is followed, nothing of the answer but its status is read, and each
attempt ends within a fixed time.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import structlog

from federation.lines import Lines
from federation.reach import ANYWHERE, PUBLIC, Reach
from node.loop import Loop
from node.services.webhooks import Delivery, Webhooks
from protocol.errors import PeerOutOfReachError

_LOOK_EVERY_S: Final = 1.0
_TAKEN: Final = range(200, 300)
_log = structlog.get_logger("node.webhooks")


class WebhookSender:
    """Delivers messages at least once; only in the process that runs the jobs."""

    def __init__(
        self,
        webhooks: Webhooks,
        leads: Callable[[], bool],
        *,
        timeout_s: float,
        allow_private: bool,
    ) -> None:
        """Keeps what is needed; nothing is sent before `start`.

        Args:
            webhooks: say what is due, and take note of what came of it.
            leads: whether this process is the one to send.
            timeout_s: for one attempt, from the name to the status.
            allow_private: whether addresses that are not public may be called.
        """
        self._webhooks = webhooks
        self._leads = leads
        self._timeout_s = timeout_s
        self._backend = _Guarded(ANYWHERE if allow_private else PUBLIC)
        self._loop = Loop("webhooks", self._main, reach=PUBLIC)

    def start(self) -> None:
        """Opens the loop."""
        self._loop.start()

    def close(self) -> None:
        """Ends every attempt; what was not noted as taken is sent again later."""
        self._loop.close()

    async def _main(self, _lines: Lines) -> None:
        while True:
            try:
                sent = await self.send_due()
            except Exception as error:  # noqa: BLE001  # one failed look must not end the sending
                _log.warning("webhooks_not_sent", error=type(error).__name__)
                sent = 0
            if not sent:
                await asyncio.sleep(_LOOK_EVERY_S)

    async def send_due(self) -> int:
        """Sends what is due, each message once; returns how many there were."""
        due = await asyncio.to_thread(self._webhooks.due)
        if not due or not await asyncio.to_thread(self._leads):
            return 0
        await asyncio.gather(*(self._deliver(one) for one in due))
        return len(due)

    async def _deliver(self, delivery: Delivery) -> None:
        problem = await self._send(delivery)
        if problem is not None:
            _log.info("webhook_not_taken", attempts=delivery.attempts + 1)
        # A crash before this sends the message again, under the same id.
        await asyncio.to_thread(self._webhooks.settle, delivery, problem)

    async def _send(self, delivery: Delivery) -> str | None:
        """Returns what went wrong, in a sentence; None if the message was taken."""
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                httpcore.AsyncConnectionPool(
                    ssl_context=ssl.create_default_context(), network_backend=self._backend
                ) as pool,
                pool.stream(
                    "POST",
                    delivery.url,
                    headers=_headers(delivery),
                    content=delivery.body,
                ) as response,
            ):
                status = response.status
        except PeerOutOfReachError:
            return "The address is not a public one: the operator has not allowed private ones."
        except TimeoutError:
            return "There was no answer in time."
        except (OSError, httpcore.NetworkError, httpcore.TimeoutException):
            return "There was no connection."
        except (ValueError, httpcore.ProtocolError, httpcore.UnsupportedProtocol):
            return "What is there cannot be spoken to over HTTP."
        return None if status in _TAKEN else f"The answer was {status}."


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connections to the addresses that may be called, and to no others."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects to the first public address of a host; the name is resolved this once."""
        addresses = await self._reach.resolve(host, port)
        return await self._backend.connect_tcp(
            addresses[0], port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(self, *_arguments: Any, **_named: Any) -> Any:
        """Refuses: nothing here speaks to a socket in the file system."""
        raise PeerOutOfReachError("Nothing here speaks to a socket in the file system.")

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await self._backend.sleep(seconds)


def _headers(delivery: Delivery) -> list[tuple[str, str]]:
    parts = urlsplit(delivery.url)
    return [
        ("host", parts.netloc),
        ("user-agent", "schutznetz"),
        ("content-length", str(len(delivery.body))),
        *delivery.headers.items(),
    ]
