"""Bodies: strict in, and nothing shown."""

import asyncio
from typing import Annotated

import pytest
from msgspec import Meta
from pydantic import Field
from starlette.requests import Request

from node.api.bodies import Answer, Body, answer, like, raw_body
from node.api.problems import BROKEN_REQUEST, WRONG_TYPE, ProblemError
from protocol.fields import Digest256, Index


class Inner(Body):
    digest: Annotated[str, like(Digest256)]


class Outer(Body):
    inner: Inner
    at: Annotated[int, like(Index)] = 0
    names: Annotated[tuple[str, ...], Field(strict=False)] = ()


GOOD = b'{"inner":{"digest":"' + b"a" * 64 + b'"},"at":3,"names":["x"]}'


def test_a_body_is_parsed_into_frozen_values():
    body = Outer.parse(GOOD)
    assert (body.inner.digest, body.at, body.names) == ("a" * 64, 3, ("x",))
    assert "aaaa" not in repr(body)


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        (b"3", b"true", "at", "valid integer"),
        (b"3", b'"3"', "at", "valid integer"),
        (b"3", b"1000", "at", "less than 1000"),
        (b"3", b"-1", "at", "greater than or equal to 0"),
        (b"3", b"null", "at", "valid integer"),
        (b"a" * 64, b"A" * 64, "inner.digest", "Not of the form"),
        (b"a" * 64, b"a" * 64 + b"\\n", "inner.digest", "Not of the form"),
        (b'["x"]', b'"x"', "names", "array"),
        (b'["x"]', b'{"x":1}', "names", "array"),
        (b'["x"]', b"[1]", "names[0]", "valid string"),
        (b'"at"', b'"zz"', "", "there are only: inner, at, names"),
        (b'"digest"', b'"zz"', "inner", "there are only: digest"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(old, new, where, message):
    with pytest.raises(ProblemError) as caught:
        Outer.parse(GOOD.replace(old, new))
    ((field, sentence),) = caught.value.fields
    assert field == where
    assert message in sentence


def test_a_body_that_is_no_object_is_refused():
    with pytest.raises(ProblemError, match="JSON object"):
        Outer.parse(b"[]")


def test_the_constraints_of_a_field_are_the_protocols():
    class Bounds(Body):
        low: Annotated[int, like(Annotated[int, Meta(ge=2, le=4)])]
        text: Annotated[str, like(Annotated[str, Meta(min_length=1, max_length=2)])]

    schema = Bounds.model_json_schema()["properties"]
    assert (schema["low"]["minimum"], schema["low"]["maximum"]) == (2, 4)
    assert (schema["text"]["minLength"], schema["text"]["maxLength"]) == (1, 2)


def test_an_answer_keeps_what_it_does_not_name():
    class Shown(Answer):
        name: str

    class Held:
        name = "a"
        secret = "b"

    assert answer(Shown, Held()).body == b'{"name":"a"}'


def read(content_type: str, *types: str, receive=None, **headers: str) -> bytes:
    async def whole():
        return {"type": "http.request", "body": b"x", "more_body": False}

    fields = {"content-type": content_type} | headers
    scope = {
        "type": "http",
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
    }
    return asyncio.run(raw_body(*types)(Request(scope, receive or whole)))


@pytest.mark.parametrize(
    ("found", "allowed"),
    [
        ("application/json", "application/json"),
        ("Application/JSON ; charset=utf-8", "application/json"),
        ("image/png", "image/*"),
    ],
)
def test_a_type_that_is_allowed_is_read(found, allowed):
    assert read(found, "x/y", allowed) == b"x"


@pytest.mark.parametrize("found", ["", "image", "image/*", "imagex/png", "*/*", "application/*"])
def test_a_type_that_is_not_allowed_is_not_read(found):
    with pytest.raises(ProblemError) as caught:
        read(found, "image/*", "application/json")
    assert caught.value.kind is WRONG_TYPE


def test_a_caller_who_leaves_half_way_is_no_failure():
    async def gone():
        return {"type": "http.disconnect"}

    with pytest.raises(ProblemError) as caught:
        read("application/json", "application/json", receive=gone)
    assert caught.value.kind is BROKEN_REQUEST
