"""The description of the surface (OpenAPI 3.1), made of the same types that parse and answer.

FastAPI describes what it parses itself; bodies are parsed by `node.api.bodies`, so their schemas,
and those of the protocol's messages, are put in here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from node.api import problems
from node.api.bodies import JSON, Body, unanchored
from node.api.problems import Kind, Problem
from protocol.messages import Message

VERSION: Final = "1"
"""Version of the surface: the number in its paths."""

ALWAYS: Final = (
    problems.BROKEN_REQUEST,
    problems.TOO_LARGE,
    problems.URL_TOO_LONG,
    problems.INVALID,
    problems.HEADERS_TOO_LARGE,
    problems.INTERNAL,
    problems.UNAVAILABLE,
)
"""What every address may answer."""

BEARER: Final = (problems.NOT_AUTHENTICATED, problems.NOT_ALLOWED)
"""What every address with a bearer key or a signature may answer besides."""

SIGNED: Final = (*BEARER, problems.RATE_LIMITED)
"""What every address with a signature may."""

WITH_BODY: Final = (problems.TOO_SLOW, problems.WRONG_TYPE)
"""What every address that reads a body may answer besides."""

_REF: Final = "#/components/schemas/{model}"

Shape = type[BaseModel] | type[Message]


def documented(
    *,
    answers: Mapping[int, Mapping[str, Any]],
    may_fail: Iterable[Kind] = (),
    body: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the arguments of a route that say what it takes and gives.

    Args:
        answers: by status, each made by `shaped` or written out.
        may_fail: the kinds of problems it can answer, beside those of every address.
        body: its body's content by media type.
    """
    kinds = [*ALWAYS, *may_fail, *(WITH_BODY if body else ())]
    described: dict[int | str, dict[str, Any]] = {
        status: dict(answer) for status, answer in answers.items()
    }
    for kind in kinds:
        known = described.get(kind.status)
        title = f"{kind.title}." if known is None else f"{known['description']} {kind.title}."
        described[kind.status] = _problem(title)
    extra = {"requestBody": {"required": True, "content": dict(body)}} if body else {}
    return {
        "responses": described,
        "response_class": Response,
        "response_model": None,
        "status_code": min(answers),
        "openapi_extra": extra,
    }


def shaped(description: str, shape: Shape, example: Any) -> dict[str, Any]:
    """Returns the description of a JSON answer of a shape."""
    return {"description": description, "content": content(shape, example)}


def content(shape: Shape, example: Any, *types: str) -> dict[str, Any]:
    """Returns the content of a body or answer of a shape, under each of its media types."""
    schema = {"$ref": _REF.format(model=shape.__name__)}
    return {one: {"schema": schema, "example": example} for one in types or (JSON,)}


def describe(app: FastAPI, shapes: Sequence[Shape]) -> dict[str, Any]:
    """Returns the whole description of an application.

    Args:
        app: with all its routes.
        shapes: every type that `shaped` and `content` were given.
    """
    found = get_openapi(
        title="Schutznetz node",
        version=VERSION,
        summary="Shares signed flags of confirmed abuse material and private fingerprints of bans.",
        description="Every refusal is a problem document (RFC 9457).",
        routes=app.routes,
    )
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    models = [one for one in (*shapes, Problem) if issubclass(one, BaseModel)]
    _, described = models_json_schema(
        # What is sent is described as it is written, what is taken as it is read.
        [(one, "validation" if issubclass(one, Body) else "serialization") for one in models],
        ref_template=_REF,
    )
    schemas.update(described["$defs"])
    messages = [one for one in shapes if issubclass(one, Message)]
    _, components = msgspec.json.schema_components(
        messages, ref_template=_REF.replace("model", "name")
    )
    schemas.update(_portable(components))
    return found


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=Problem.__name__)}
    return {"description": description, "content": {problems.MEDIA_TYPE: {"schema": schema}}}


def _portable(schema: Any) -> Any:
    """Returns a schema whose patterns are written as ECMA-262 knows them."""
    if isinstance(schema, dict):
        return {
            key: unanchored(value) if key == "pattern" else _portable(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_portable(one) for one in schema]
    return schema
