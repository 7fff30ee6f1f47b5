"""Reading bodies strictly, and writing answers.

The framework's own JSON parsing keeps the last of two equal keys and takes NUL, lone surrogates and
integers of any length; here every body goes through `protocol.encoding.parse_json` first, and then
into a typed, frozen model that refuses what it does not know. A message about a field names the
field and never its value; an unknown field is not even named, since its name is the sender's text.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Annotated, Any, Final, Generic, Self, TypeVar, get_args

import msgspec
from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from node.api.problems import (
    BROKEN_REQUEST,
    WRONG_TYPE,
    ProblemError,
    invalid_fields,
    place,
)
from protocol.encoding import encode_json, parse_json
from protocol.messages import Message, parse_message

JSON: Final = "application/json"
ENVELOPE: Final = "application/vnd.dsse.envelope+json"
OCTETS: Final = "application/octet-stream"

MAX_PARSED_BYTES: Final = 64 << 20
"""Greatest body that is parsed; `node.api.limits` has refused it long before."""

MAX_NAMED_FIELDS: Final = 20
"""Fields at fault that one problem document names."""

_IDENTITY: Final = "identity"
_OUR_WORDS: Final = {
    "string_pattern_mismatch": "Not of the form that this field has",
    "model_type": "A JSON object is expected here",
    "tuple_type": "A JSON array is expected here",
}

B = TypeVar("B", bound="Body")
M = TypeVar("M", bound=Message)


class Body(BaseModel):
    """A JSON body, or an object in one: frozen, strictly typed, and without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.keys() <= cls.model_fields.keys():
            known = ", ".join(cls.model_fields)
            raise PydanticCustomError(
                "unknown_field", "An unknown field; there are only: {known}", {"known": known}
            )
        return value

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Shows nothing: bodies hold identifiers and media hashes."""
        return ()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Returns the body that `data` holds.

        Raises:
            ProblemError: it holds none; every field at fault is named.
            ProtocolError: it is no strict JSON.
        """
        value = parse_json(data, max_bytes=MAX_PARSED_BYTES)
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False, include_context=False)
        raise invalid_fields(
            [
                (place(one["loc"]), f"{_OUR_WORDS.get(one['type'], one['msg'])}.")
                for one in found
                if not _is_echo(one, found)
            ][:MAX_NAMED_FIELDS]
        )


def _is_echo(one: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """Says whether an array only seems too short, because its entries were refused."""
    inside = len(one["loc"])
    return one["type"] == "too_short" and any(
        other["loc"][:inside] == one["loc"] and len(other["loc"]) > inside for other in found
    )


class Answer(BaseModel):
    """An answer, or an object in one, taken from the attributes of what a service returned.

    A field that a service's value has beside these stays in the house.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)


def like(kind: Any) -> FieldInfo:
    """Returns the constraints of a field type of `protocol.fields`, in pydantic's words.

    The protocol says once what a digest or a category looks like; the surface says it after.
    """
    meta: msgspec.Meta = get_args(kind)[1]
    pattern = None if meta.pattern is None else unanchored(meta.pattern)
    found = {
        "pattern": pattern,
        "min_length": meta.min_length,
        "max_length": meta.max_length,
        "ge": meta.ge,
        "le": meta.le,
        "lt": meta.lt,
    }
    constraints: Any = {name: value for name, value in found.items() if value is not None}
    field: FieldInfo = Field(**constraints)
    return field


def unanchored(pattern: str) -> str:
    r"""Returns a pattern with ``^`` and ``$`` for ``\A`` and ``\Z``.

    That is how JSON Schema and pydantic's engine write the same: in both, ``$`` is the very end.
    """
    return pattern.replace(r"\A", "^").replace(r"\Z", "$")


def media_type(request: Request) -> str:
    """Returns the type of a request's body in lower case, without parameters; empty if none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def raw_body(*types: str) -> Callable[[Request], Awaitable[bytes]]:
    """Returns a dependency that gives the bytes of a body of one of these types.

    A type that ends in ``/*`` stands for all of its kind.
    """

    async def read(request: Request) -> bytes:
        found = media_type(request)
        if not any(_fits(found, one) for one in types):
            raise ProblemError(WRONG_TYPE, f"A body here is of the type {' or '.join(types)}.")
        if request.headers.get("content-encoding", _IDENTITY).lower() != _IDENTITY:
            raise ProblemError(WRONG_TYPE, "A body here has no content coding.")
        try:
            return await request.body()
        except ClientDisconnect:
            raise ProblemError(
                BROKEN_REQUEST, "The caller left before the body was there."
            ) from None

    return read


json_bytes = raw_body(JSON)
"""The one reader of JSON bodies, so that a request's body is read once for all who need it."""


class JsonBody(Generic[B]):
    """A dependency that gives the JSON body as a model; it parses in a worker thread."""

    def __init__(self, kind: type[B]) -> None:
        self.parse = kind.parse

    def __call__(self, data: Annotated[bytes, Depends(json_bytes)]) -> B:
        """Returns the body.

        Raises:
            ProblemError, ProtocolError: as `Body.parse`.
        """
        return self.parse(data)


def json_body(kind: type[B]) -> JsonBody[B]:
    """Returns a dependency that gives the JSON body as a model."""
    return JsonBody(kind)


def parse_peer_message(kind: type[M], data: bytes) -> M:
    """Returns a message of the protocol; raises `ProtocolError` for everything else."""
    return parse_message(kind, data, max_bytes=MAX_PARSED_BYTES)


def answer(kind: type[Answer], value: object, *, status: int = 200) -> Response:
    """Returns a service's value as an answer of this shape; made in the handler's thread."""
    text = kind.model_validate(value).model_dump_json()
    return Response(text.encode("utf-8"), status, media_type=JSON)


def message_answer(value: Message, *, status: int = 200) -> Response:
    """Returns a message of the protocol as an answer."""
    return Response(encode_json(value), status, media_type=JSON)


def _fits(found: str, allowed: str) -> bool:
    if allowed.endswith("/*"):
        return found.startswith(allowed[:-1]) and found != allowed
    return found == allowed
