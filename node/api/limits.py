"""What is refused before it is read: long addresses, large headers, large and slow bodies.

A pure ASGI middleware, because a limit that is checked after the body was read is none. It stands
outside of everything that may read: routing, authentication and parsing come after it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.api.problems import (
    BROKEN_REQUEST,
    HEADERS_TOO_LARGE,
    TOO_LARGE,
    TOO_SLOW,
    UNAVAILABLE,
    URL_TOO_LONG,
    ProblemError,
    to_response,
)

MAX_URL_BYTES: Final = 2_048
"""Path and query of a request; ours have at most some 150."""

MAX_HEADER_BYTES: Final = 16 << 10
"""All names and values of a header together; a signed request has about 700."""

MAX_IN_FLIGHT_BYTES: Final = 256 << 20
"""Bodies that are held at one moment by all requests of a process together."""

BODY_TIMEOUT_S: Final = 60.0
"""Longest time in which a body has to arrive as a whole."""

_CONTENT_LENGTH: Final = b"content-length"
_MAX_LENGTH_DIGITS: Final = 15


@dataclass(frozen=True)
class Limits:
    """How much a request may be.

    Attributes:
        body_bytes: largest body, where `by_path` does not say otherwise.
        by_path: largest body by exact path.
        in_flight_bytes: bodies that are held at one moment.
        body_timeout_s: longest time in which a body has to arrive.
    """

    body_bytes: int
    by_path: Mapping[str, int] = field(default_factory=dict)
    in_flight_bytes: int = MAX_IN_FLIGHT_BYTES
    body_timeout_s: float = BODY_TIMEOUT_S


class LimitsMiddleware:
    """Refuses requests that are too long, too large or too slow.

    Args:
        app: what comes after.
        limits: how much a request may be.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        # Only the event loop touches it, so it needs no lock.
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._limits.by_path.get(scope["path"], self._limits.body_bytes))
        started = False

        async def watch_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        async def bounded_receive() -> Message:
            if body.complete:
                return await receive()
            before = body.bytes
            message = await body.next(self._limits.body_timeout_s)
            self._in_flight += body.bytes - before
            if self._in_flight > self._limits.in_flight_bytes:
                raise ProblemError(
                    UNAVAILABLE,
                    "Too many large requests at once; try again.",
                    header={"Retry-After": "1", "Connection": "close"},
                )
            return message

        try:
            _check_head(scope, body.max_bytes)
            await self._app(scope, bounded_receive, watch_send)
        except ProblemError as problem:
            # A handler answers only after its body is there, so nothing was sent yet.
            assert not started
            await to_response(problem)(scope, receive, send)
        finally:
            self._in_flight -= body.bytes


class _Body:
    """A request's body as it arrives."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.complete = False
        self._receive = receive
        self._deadline: float | None = None

    async def next(self, timeout_s: float) -> Message:
        """Returns the next piece.

        Raises:
            ProblemError: there is more of it than allowed, or it takes too long.
        """
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise ProblemError(
                TOO_SLOW,
                f"The body was not there within {timeout_s:g} s.",
                header={"Connection": "close"},
            ) from None
        self.bytes += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        if self.bytes > self.max_bytes:
            raise _too_large(self.max_bytes)
        return message


def _check_head(scope: Scope, max_bytes: int) -> None:
    """Refuses what the head of a request shows already."""
    url_bytes = len(scope["raw_path"]) + len(scope["query_string"])
    if url_bytes > MAX_URL_BYTES:
        raise ProblemError(URL_TOO_LONG, f"An address here has at most {MAX_URL_BYTES} bytes.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        raise ProblemError(HEADERS_TOO_LARGE, f"A header has at most {MAX_HEADER_BYTES} bytes.")
    for name, value in scope["headers"]:
        if name == _CONTENT_LENGTH:
            if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
                raise ProblemError(BROKEN_REQUEST, "Content-Length is no length.")
            if int(value) > max_bytes:
                raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> ProblemError:
    # The connection is closed: the rest of such a body is not worth reading.
    return ProblemError(
        TOO_LARGE,
        f"The body is larger than the {max_bytes} bytes allowed here.",
        header={"Connection": "close"},
    )
