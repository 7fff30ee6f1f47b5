"""Around every request: what is logged and counted of it, its security header, and its last resort.

What it is not: a place for values. A log line holds the route's template, never the address that
was asked for; a failure is logged by its type and its place in the code, never by its text.
"""

import time
import traceback
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.api.metrics import Metrics
from node.api.problems import to_problem, to_response

SECURITY_HEADER: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
"""Fields of every answer: nothing here is for a browser to run, guess at or keep.

A tile of the log, which never changes, may be kept by whoever fetched it (`node.api.tiles`).
"""

NO_ROUTE: Final = "-"
"""What stands for the route where an address is not known."""

CALLER: Final = "caller"
"""Key of `request.state` under which the authentication leaves the caller's name."""

_MS_PER_S: Final = 1_000

log = structlog.get_logger("schutznetz.api")


class GuardMiddleware:
    """Logs and counts each request, adds the security header, and answers what nobody caught.

    Args:
        app: what comes after.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        started_s = time.perf_counter()
        status = 0

        async def guarded_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = list(message.get("headers", ()))
                said = {name.lower() for name, _ in own}
                # Only what can never change says for itself how long it may be kept.
                added = (one for one in SECURITY_HEADER if one[0] not in said)
                message["headers"] = [*own, *added]
            await send(message)

        try:
            await self._app(scope, receive, guarded_send)
        except Exception as error:  # noqa: BLE001  # the last resort; the text may hold values
            log.error("failure", error=type(error).__name__, at=_place_of(error))  # noqa: TRY400  # no traceback: it would quote values
            if not status:
                await to_response(to_problem(error))(scope, receive, guarded_send)
            # Otherwise the answer breaks off here, and the server closes the connection.
        route = route_of(scope)
        self._metrics.count_request(scope["method"], route, status)
        log.info(
            "request",
            method=scope["method"] if route != NO_ROUTE else NO_ROUTE,
            route=route,
            status=status,
            ms=round((time.perf_counter() - started_s) * _MS_PER_S, 1),
            caller=scope["state"].get(CALLER),
        )


def route_of(scope: Scope) -> str:
    """Returns the template of the route that served a request, `NO_ROUTE` if none did."""
    return getattr(scope.get("route"), "path", NO_ROUTE)


def _place_of(error: BaseException) -> str:
    """Returns where an error was raised, as module and line, of ours or of a library."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f"{frame.f_globals.get('__name__', '')}:{line}"
