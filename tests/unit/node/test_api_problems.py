"""From an error to the document that a caller sees."""

import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException

from node.api import problems
from protocol import errors


def subclasses(kind):
    return {kind} | {one for child in kind.__subclasses__() for one in subclasses(child)}


def make(kind):
    """An error of a kind, with what that kind needs."""
    more = {
        errors.PeerRefusedError: {"status": 418},
        errors.PeerMisbehavedError: {"evidence": b"S3CRET"},
        errors.ChainError: {"evidence": b"S3CRET", "proven": True},
        errors.RateLimitedError: {"retry_after_s": 9},
        errors.EquivocationError: {"circle": "a.example/ring-1", "known": "S3CRET"},
        problems.ProblemError: {"detail": "S3CRET"},
    }.get(kind, {})
    if kind is problems.ProblemError:
        return problems.ProblemError(problems.CONFLICT, "S3CRET")
    return kind("S3CRET", **more)


OURS = [
    one
    for one in subclasses(errors.SchutznetzError)
    if one.__module__ in (errors.__name__, problems.__name__)
]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_project_has_its_problem(kind):
    response = problems.to_response(problems.to_problem(make(kind)))
    document = json.loads(response.body)
    assert document["status"] == response.status_code
    assert response.media_type == "application/problem+json"
    assert ("S3CRET" in document["detail"]) == (response.status_code < 500)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.MalformedError, 422),
        (errors.LimitError, 422),
        (errors.BadSignatureError, 403),
        (errors.UnknownTargetError, 409),
        (errors.KeystoreError, 500),
        (errors.PeerUnreachableError, 502),
        (errors.InvalidError, 422),
        (errors.NotFoundError, 404),
        (errors.ConflictError, 409),
        (errors.RateLimitedError, 429),
        (errors.NotAllowedError, 403),
        (errors.UnavailableError, 503),
        (errors.SettingsError, 500),
    ],
)
def test_the_status_follows_the_error(kind, status):
    assert problems.to_problem(make(kind)).kind.status == status


def test_an_unforeseen_error_says_nothing_of_itself():
    problem = problems.to_problem(KeyError("S3CRET"))
    assert problem.kind is problems.INTERNAL
    assert "S3CRET" not in str(problem)


def test_too_much_too_soon_always_waits_at_least_a_second():
    problem = problems.to_problem(errors.RateLimitedError("Slower.", retry_after_s=0))
    assert problems.to_response(problem).headers["retry-after"] == "1"


def test_what_is_left_of_a_budget_stands_in_the_problem():
    left = {"day_limit": 9, "day_left": 1, "minute_limit": 9, "minute_left": 1}
    error = errors.RateLimitedError("Slower.", retry_after_s=5, budget=left)
    assert json.loads(problems.to_response(problems.to_problem(error)).body)["budget"] == left
    plain = errors.RateLimitedError("Slower.", retry_after_s=5)
    assert "budget" not in json.loads(problems.to_response(problems.to_problem(plain)).body)


def test_a_field_at_fault_is_named():
    document = json.loads(
        problems.to_response(
            problems.to_problem(errors.InvalidError("Too long.", where="items[3].pdq"))
        ).body
    )
    assert document["errors"] == [{"field": "items[3].pdq", "message": "Too long."}]


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("a",), "a"), (("items", 3, "pdq"), "items[3].pdq"), ((0, "a"), "[0].a")],
)
def test_a_place_is_written_as_the_protocol_writes_it(path, text):
    assert problems.place(path) == text


def test_kinds_and_titles_are_one_to_one():
    kinds = [one for one in vars(problems).values() if isinstance(one, problems.Kind)]
    assert len({one.slug for one in kinds}) == len(kinds)
    assert len({one.title for one in kinds}) == len(kinds)


def test_an_error_in_a_handler_becomes_a_document_and_a_line_without_its_text(capsys):
    app = FastAPI()
    problems.install(app, {})

    @app.get("/{kind}")
    def fail(kind: str) -> None:
        raise {"peer": errors.PeerUnreachableError("S3CRET"), "tea": HTTPException(418)}[kind]

    client = TestClient(app)
    assert client.get("/peer").json()["type"] == "/problems/peer-failed"
    assert client.get("/tea").json()["type"] == "/problems/broken-request"
    written = capsys.readouterr()
    assert "PeerUnreachableError" in written.out
    assert "S3CRET" not in written.out + written.err
