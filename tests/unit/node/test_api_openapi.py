"""The description of the surface: complete, consistent, and made of what really parses."""

import json
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient

import api_fakes
from api_table import ENDPOINTS
from node.api import account_shapes, examples, operator_shapes, platform_shapes
from node.api.app import SHAPES, build_api
from node.api.bodies import Answer, Body
from node.policy.model import ACTIONS
from node.services.clients import SCOPES
from protocol import statements
from protocol.encoding import convert
from protocol.envelope import parse_envelope
from protocol.messages import Message


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict[str, Any]:
    services = api_fakes.fake_services(tmp_path_factory.mktemp("node"))
    return TestClient(build_api(services)).get("/openapi.json").json()


def every(value: Any, key: str) -> list[Any]:
    """All values under a key, at any depth."""
    if isinstance(value, dict):
        found = [value[key]] if key in value else []
        return found + [one for inner in value.values() for one in every(inner, key)]
    if isinstance(value, list):
        return [one for inner in value for one in every(inner, key)]
    return []


def test_every_reference_leads_somewhere(document):
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert {one for one in every(document, "$ref") if isinstance(one, str)} <= known


def test_patterns_are_anchored_as_json_schema_has_it(document):
    for pattern in every(document["components"]["schemas"], "pattern"):
        if isinstance(pattern, str):
            assert pattern.startswith("^")
            assert pattern.endswith("$")
            assert "\\A" not in pattern
            assert "\\Z" not in pattern


@pytest.mark.parametrize("one", ENDPOINTS, ids=str)
def test_every_endpoint_is_described_with_what_it_may_answer(document, one):
    operation = document["paths"][one.template][one.method.lower()]
    assert operation["summary"]
    assert operation["description"]
    answers = operation["responses"]
    expected = {str(one.status), "400", "413", "414", "422", "431", "500", "503"}
    expected |= {"401", "403"} if one.caller else set()
    expected |= {"408", "415"} if one.body is not None else set()
    assert expected <= set(answers)
    for status, answer in answers.items():
        assert answer["description"]
        if (one.template, status) == ("/add-checkpoint", "409"):
            assert set(answer["content"]) == {"text/x.tlog.size"}  # C2SP tlog-witness
        elif status >= "400":
            assert set(answer["content"]) == {"application/problem+json"}
    assert ("security" in operation) == bool(one.caller)
    assert ("requestBody" in operation) == (one.body is not None)


def test_every_body_and_json_answer_has_an_example(document):
    for path, item in document["paths"].items():
        for operation in item.values():
            bodies = operation.get("requestBody", {"content": {}})["content"]
            good = [one for status, one in operation["responses"].items() if status < "400"]
            contents = [bodies, *(one.get("content", {}) for one in good)]
            for media_type, content in [pair for one in contents for pair in one.items()]:
                if "json" in media_type:
                    assert "example" in content, path


def shape_of(content: dict[str, Any]) -> str:
    return content.get("schema", {}).get("$ref", "").rpartition("/")[2]


def test_every_example_is_what_it_shows(document):
    kinds = {one.__name__: one for one in SHAPES}
    shown = 0
    for content in every(document["paths"], "application/json"):
        kind = kinds.get(shape_of(content))
        if kind is None:
            continue
        shown += 1
        if issubclass(kind, Message):
            convert(content["example"], kind)
        elif issubclass(kind, Body):
            kind.parse(json.dumps(content["example"]).encode())
        else:
            example = content["example"]
            if kind is operator_shapes.Clients:
                example = {"clients": [{**one, "number": one["id"]} for one in example["clients"]]}
            assert issubclass(kind, Answer)
            # the framework leaves out of examples what is null
            parsed = kind.model_validate(example).model_dump_json(exclude_none=True)
            assert json.loads(parsed) == content["example"]
    assert shown > 30


def test_the_envelope_and_the_audit_line_are_shown_as_they_are():
    parse_envelope(json.dumps(examples.ENVELOPE).encode())
    line = json.loads(examples.AUDIT_LINE)
    assert json.loads(operator_shapes.AuditLine(**line).model_dump_json()) == line


def test_every_shape_is_used(document):
    text = json.dumps(document["paths"])
    unused = {one.__name__ for one in SHAPES if f'/{one.__name__}"' not in text}
    assert unused == {"AuditLine"}  # its lines are text, so that its name stands in words


@pytest.mark.parametrize(
    ("shape", "statement", "name"),
    [
        (platform_shapes.RetractRequest, statements.Retract, "reason"),
        (platform_shapes.EraseRequest, statements.Erase, "reason"),
        (platform_shapes.DisputeRequest, statements.Dispute, "reason"),
        (platform_shapes.ResolveRequest, statements.Resolve, "outcome"),
        (account_shapes.BanRequest, statements.AccountBan, "scope"),
    ],
)
def test_the_words_of_a_body_are_the_protocols(shape, statement, name):
    assert get_args(shape.model_fields[name].annotation) == get_args(
        statement.__annotations__[name]
    )


def test_the_words_of_the_house_are_the_houses():
    assert set(get_args(platform_shapes.Decision)) == set(ACTIONS)
    assert get_args(operator_shapes.Scope) == SCOPES


def test_no_body_shows_itself():
    body = account_shapes.Identifier(kind="email", value="someone@example.com")
    assert "someone" not in f"{body!r}{body}"
    made = operator_shapes.CreatedClient(**examples.CREATED_CLIENT)
    assert "snk_" not in f"{made!r}{made}"
