"""Problem documents (RFC 9457), and the only place where an HTTP status is decided.

Every refusal of the surface has this one shape. A problem below 500 carries the sentence of the
error that caused it; one from 500 on carries a fixed sentence, because nobody has read what an
unforeseen exception would say. No problem repeats a value that was sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from protocol import errors

MEDIA_TYPE: Final = "application/problem+json"
"""Content type of every refusal (RFC 9457 section 3)."""

TYPE_PREFIX: Final = "/problems/"
"""What every ``type`` begins with: a reference relative to the node that answers."""

_SERVER_ERROR: Final = 500

log = structlog.get_logger("schutznetz.api")


@dataclass(frozen=True)
class Kind:
    """One kind of problem.

    Attributes:
        status: of the answer.
        slug: end of the type URI; stable, for programs.
        title: the same for every problem of the kind, for people.
    """

    status: int
    slug: str
    title: str


BROKEN_REQUEST: Final = Kind(400, "broken-request", "The request cannot be read")
NOT_AUTHENTICATED: Final = Kind(401, "not-authenticated", "The caller has not proved who it is")
NOT_ALLOWED: Final = Kind(403, "not-allowed", "The caller may not do this")
NOT_BELIEVED: Final = Kind(403, "not-believed", "The signed statement is not believed")
NOT_FOUND: Final = Kind(404, "not-found", "There is no such thing")
WRONG_METHOD: Final = Kind(405, "wrong-method", "The address does not know this method")
TOO_SLOW: Final = Kind(408, "too-slow", "The body took too long to arrive")
CONFLICT: Final = Kind(409, "conflict", "It contradicts what is already there")
UNKNOWN_TARGET: Final = Kind(409, "unknown-target", "The statement pointed at is not known here")
TOO_LARGE: Final = Kind(413, "too-large", "The body is larger than allowed here")
URL_TOO_LONG: Final = Kind(414, "url-too-long", "The address is longer than allowed")
WRONG_TYPE: Final = Kind(415, "wrong-content-type", "The body is of a type that is not read here")
INVALID: Final = Kind(422, "invalid", "The request is not of the form that is asked for")
RATE_LIMITED: Final = Kind(429, "rate-limited", "Too much in too short a time")
HEADERS_TOO_LARGE: Final = Kind(431, "headers-too-large", "The header is larger than allowed")
INTERNAL: Final = Kind(500, "internal", "The node failed")
PEER_FAILED: Final = Kind(502, "peer-failed", "Another node did not answer as it should")
UNAVAILABLE: Final = Kind(503, "unavailable", "Something that the answer needs is down")
NOT_READY: Final = Kind(503, "not-ready", "The node is not ready")

_SENTENCES: Final = {
    INTERNAL: "The node met an error that it does not know; its log says where.",
    PEER_FAILED: "The conversation with the other node failed; the log of this node says more.",
    UNAVAILABLE: "Something that the answer needs is down; nothing was decided.",
}
"""What a problem from 500 on says, whatever the cause."""

KIND_OF: Final[Mapping[type[errors.SchutznetzError], Kind]] = {
    errors.ProtocolError: INVALID,
    errors.SigningError: NOT_BELIEVED,
    errors.UnknownTargetError: UNKNOWN_TARGET,
    errors.KeystoreError: INTERNAL,
    errors.FederationError: PEER_FAILED,
    errors.InvalidError: INVALID,
    errors.NotFoundError: NOT_FOUND,
    errors.ConflictError: CONFLICT,
    errors.RateLimitedError: RATE_LIMITED,
    errors.NotAllowedError: NOT_ALLOWED,
    errors.ReplayedError: NOT_AUTHENTICATED,
    errors.UnavailableError: UNAVAILABLE,
    errors.SchutznetzError: INTERNAL,
}
"""What becomes of an error of the project: the nearest class above it counts."""

_KIND_OF_STATUS: Final = {
    kind.status: kind for kind in (BROKEN_REQUEST, NOT_FOUND, WRONG_METHOD, TOO_LARGE)
}


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(
        description="Place in the request, such as `items[3].pdq`; empty if it is the whole.",
        examples=["items[0].pdq"],
    )
    message: str = Field(description="One sentence.", examples=["Not of the form of this field."])


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="Kind of problem, for programs.", examples=["/problems/invalid"])
    title: str = Field(description="The same for every problem of this kind.")
    status: int = Field(ge=400, le=599, description="Status of the answer.")
    detail: str = Field(description="One sentence about this very problem.")
    errors: list[FieldError] | None = Field(None, description="The fields at fault.")
    reasons: list[str] | None = Field(None, description="`/readyz` only: what is not ready.")
    budget: dict[str, int] | None = Field(
        None,
        description="`rate-limited` by a circle's budget only: `day_limit`, `day_left`, "
        "`minute_limit` and `minute_left`, in elements (docs/protocol.md, BudgetLeft).",
    )
    fail_mode: str | None = Field(
        None,
        description="`unavailable` only: what the operator has declared for such a time. `closed`: "
        "keep the sign-up or upload back; `open`: let it pass and check it later.",
    )


class ProblemError(errors.NodeError):
    """A refusal that is decided in the HTTP surface itself.

    Attributes:
        kind: of the problem.
        fields: place and sentence for each field at fault.
        header: further fields of the answer.
        extra: further members of the document.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        fields: Iterable[tuple[str, str]] = (),
        header: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.fields = tuple(fields)
        self.header = dict(header or {})
        self.extra = dict(extra or {})


def invalid_fields(fields: Sequence[tuple[str, str]]) -> ProblemError:
    """Returns the refusal of a request with these fields at fault: place and sentence of each."""
    where, message = fields[0]
    return ProblemError(INVALID, f"{where}: {message}" if where else message, fields=fields)


def place(path: Iterable[str | int]) -> str:
    """Returns a path of names and indexes as one text: ``items[3].pdq``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def kind_of(error: errors.SchutznetzError) -> Kind:
    """Returns what becomes of an error: the nearest class above it that the table names."""
    return next(KIND_OF[above] for above in type(error).__mro__ if above in KIND_OF)


def to_problem(error: Exception) -> ProblemError:
    """Returns an error, whichever it is, as the refusal that a caller may see."""
    if isinstance(error, ProblemError):
        return error
    if not isinstance(error, errors.SchutznetzError):
        return ProblemError(INTERNAL, _SENTENCES[INTERNAL])
    kind = kind_of(error)
    header = {}
    if isinstance(error, errors.ReplayedError):
        header["WWW-Authenticate"] = "Signature"
    if isinstance(error, errors.UnavailableError) and error.retry_after_s is not None:
        header["Retry-After"] = str(max(1, error.retry_after_s))
    if kind in _SENTENCES:
        return ProblemError(kind, _SENTENCES[kind], header=header)
    extra: dict[str, Any] = {}
    if isinstance(error, errors.RateLimitedError):
        header["Retry-After"] = str(max(1, error.retry_after_s))
        if error.budget is not None:
            extra["budget"] = dict(error.budget)
    fields = []
    if isinstance(error, errors.ProtocolError | errors.InvalidError):
        fields.append((error.where, str(error)))
    return ProblemError(kind, str(error), fields=fields, header=header, extra=extra)


def to_response(problem: ProblemError) -> Response:
    """Returns the answer that carries a problem document."""
    kind = problem.kind
    document: dict[str, Any] = {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "detail": str(problem),
    }
    if problem.fields:
        document["errors"] = [{"field": where, "message": text} for where, text in problem.fields]
    body = msgspec.json.encode(document | problem.extra)
    return Response(body, kind.status, headers=problem.header, media_type=MEDIA_TYPE)


def install(app: FastAPI, methods: Mapping[str, Iterable[str]]) -> None:
    """Makes an application answer every error with a problem document.

    Args:
        app: the application.
        methods: which methods each address knows, by the template of its path.
    """
    app.state.methods = methods
    app.add_exception_handler(errors.SchutznetzError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_parameters)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_ours(_request: Request, error: Exception) -> Response:
    return ours(error)


def ours(error: Exception) -> Response:
    """Returns the answer to a request that was refused with an error of ours."""
    problem = to_problem(error)
    if problem.kind in _SENTENCES:
        # The class only: what the sentence of a failed conversation quotes is the peer's to choose.
        log.warning("problem", error=type(error).__name__, status=problem.kind.status)
    return to_response(problem)


async def _on_parameters(_request: Request, error: Exception) -> Response:
    """Answers a path or query parameter that is not of its form; pydantic's `input` stays here."""
    assert isinstance(error, RequestValidationError)
    found = [(place(one["loc"][1:]), f"{one['msg']}.") for one in error.errors()]
    return to_response(invalid_fields(found))


async def _on_http(request: Request, error: Exception) -> Response:
    """Answers what the framework itself refuses: unknown addresses and methods."""
    assert isinstance(error, HTTPException)
    kind = _KIND_OF_STATUS.get(error.status_code, BROKEN_REQUEST)
    header = dict(error.headers or {})
    if kind is WRONG_METHOD:
        # Where several routes share an address, the framework names the methods of the first only.
        path = getattr(request.scope.get("route"), "path", None)
        methods = request.app.state.methods.get(path, ())
        header["Allow"] = ", ".join(sorted(methods)) or header.get("Allow", "")
    return to_response(ProblemError(kind, f"{kind.title}.", header=header))
