"""A route for what is asked thousands of times a second: one worker thread instead of three.

FastAPI runs every plain dependency in a worker thread, one after the other: the key is checked in
one, the body parsed in the next, the handler run in a third. Each hop costs more than a look-up. A
`OneHop` route does the same three things, by the same functions and in the same order, in one
thread, so that still nothing of them runs on the event loop.

The exceptions are requests whose answer is known without waiting: one search and no database; or
of the database some rows, while nobody else writes. Even one hop costs more than that (`AtOnce`;
docs/adr/0021).

Only for handlers whose arguments are the caller or a signed request, a JSON body, the services and
the figures, and only for no body or short ones, which are read before the key is checked; every
other request goes FastAPI's way.
"""

import inspect
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, get_args, get_type_hints

from fastapi import Request
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from node.api.auth import Requirement, SignedOnce, SignedRead, get_metrics, get_services
from node.api.bodies import JsonBody, json_bytes
from node.api.problems import ProblemError, ours
from protocol.errors import SchutznetzError

SHORT_BYTES: Final = 64 << 10
"""Body that may be read before it is known whose it is."""

_MAX_LENGTH_DIGITS: Final = 9

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

Directly = Callable[[Request], Coroutine[Any, Any, Response | None]]
"""Answers a request; None, having read nothing of it, for one that is FastAPI's."""

AtOnce = Callable[[Request, bytes], Response | None]
"""Answers a request on the event loop if it need wait for nothing, else returns None.

It raises nothing, and does nothing that shows where it returns None.
"""

AT_ONCE_BYTES: Final = 1 << 10
"""Body that may be tried on the event loop."""


class OneHop(APIRoute):
    """A route whose dependencies and handler run in one worker thread."""

    at_once: AtOnce | None = None
    directly: Directly

    def get_route_handler(self) -> Handler:
        """Returns what serves a request; called once, when the route is added."""
        whole: Any = super().get_route_handler()
        arguments = _dependencies(self.endpoint)

        at_once = type(self).at_once
        reads = any(isinstance(one, SignedRead) for one in arguments.values())
        is_quick = _is_empty if reads else _is_short

        async def handle(request: Request) -> Response:
            answered = await directly(request)
            response: Response = await whole(request) if answered is None else answered
            return response

        async def directly(request: Request) -> Response | None:
            if not is_quick(request):
                return None
            if reads:
                answered = None if at_once is None else at_once(request, b"")
                return answered or await run_in_threadpool(serve, request, b"")
            try:
                body: bytes | ProblemError = await json_bytes(request)
            except ProblemError as problem:
                body = problem  # told after the key was checked, as everywhere
            if at_once is not None and isinstance(body, bytes) and len(body) <= AT_ONCE_BYTES:
                answered = at_once(request, body)
                if answered is not None:
                    return answered
            return await run_in_threadpool(serve, request, body)

        def serve(request: Request, body: bytes | ProblemError) -> Response:
            given = {name: _resolve(one, request, body) for name, one in arguments.items()}
            response: Response = self.endpoint(**given)
            return response

        self.directly = directly
        return handle


class ShortCut:
    """Serves the requests that `OneHop` routes serve, past FastAPI's search for the route.

    That search, and what FastAPI makes ready for dependencies that such a route does not have, cost
    more than most of them do. It stands inside the limits and the guard; every other request, and
    one that such a route leaves to FastAPI, goes on as ever.

    Args:
        app: what comes after.
        routes: where routes are sought; those with parameters in their address stay FastAPI's.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = {
            (method, one.path): one
            for one in routes
            if isinstance(one, OneHop) and not one.param_convertors
            for method in one.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        route = None
        if scope["type"] == "http":
            route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.directly(Request(scope, receive, send))
        except SchutznetzError as error:
            response = ours(error)
        await (self._app if response is None else response)(scope, receive, send)


def at_once_by(first: AtOnce) -> type[OneHop]:
    """Returns a route that asks `first` before it takes a thread."""

    class AtOnceRoute(OneHop):
        """A route whose commonest answer needs no thread at all."""

        at_once = staticmethod(first)

    return AtOnceRoute


def _dependencies(endpoint: Callable[..., Any]) -> dict[str, Any]:
    """Returns what each argument of a handler depends on, the caller first and the body last.

    Raises:
        RuntimeError: an argument is of another kind.
    """
    hints = get_type_hints(endpoint, include_extras=True)
    found: dict[str, Any] = {}
    for name in inspect.signature(endpoint).parameters:
        depends = [one for one in get_args(hints[name])[1:] if isinstance(one, Depends)]
        if len(depends) != 1 or not _is_known(depends[0].dependency):
            raise RuntimeError(f"the argument {name} cannot be had in one hop")
        found[name] = depends[0].dependency
    return dict(sorted(found.items(), key=lambda one: _turn(one[1])))


def _is_known(dependency: Any) -> bool:
    known = dependency in {get_services, get_metrics}
    return known or isinstance(dependency, Requirement | SignedOnce | JsonBody)


def _turn(dependency: Any) -> int:
    if isinstance(dependency, Requirement | SignedOnce):
        return 0
    return 2 if isinstance(dependency, JsonBody) else 1


def _resolve(dependency: Any, request: Request, body: bytes | ProblemError) -> Any:
    """Returns the value of one argument, or raises what FastAPI would."""
    state = request.app.state
    if isinstance(dependency, Requirement):
        return dependency.check(request, state.services)
    if isinstance(dependency, SignedOnce | JsonBody):
        if isinstance(body, ProblemError):
            raise body
        if isinstance(dependency, JsonBody):
            return dependency.parse(body)
        return dependency.check(request, state.services, body)
    return state.services if dependency is get_services else state.metrics


def _is_empty(request: Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers


def _is_short(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return (
        # Of both fields this one counts (RFC 9112 section 6.3), and it says nothing of the length.
        "transfer-encoding" not in request.headers
        and length.isascii()
        and length.isdigit()
        and len(length) <= _MAX_LENGTH_DIGITS
        and int(length) <= SHORT_BYTES
    )
