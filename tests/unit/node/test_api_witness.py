"""add-checkpoint over HTTP: the statuses and content types that C2SP tlog-witness gives."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

import api_fakes
from api_fakes import signed
from node.api.app import build_api
from node.api.bodies import OCTETS
from node.services.witnessing import OtherSize
from protocol import errors
from protocol.witnessing import MAX_REQUEST_BYTES, AddCheckpoint

URL = "http://127.0.0.1:8440"
PATH = "/add-checkpoint"
GOOD = AddCheckpoint(0, (), b"platform-a.example/log/1\n").to_bytes()


@pytest.fixture
def services(tmp_path: Any) -> Any:
    return api_fakes.fake_services(tmp_path, url=URL)


def post(services: Any, data: bytes) -> Any:
    client = TestClient(build_api(services), base_url=URL)
    header = {"Content-Type": OCTETS, **signed("POST", URL + PATH, data)}
    return client.post(PATH, content=data, headers=header)


def test_a_cosignature_is_answered_as_plain_text(services: Any) -> None:
    response = post(services, GOOD)
    assert (response.status_code, response.headers["content-type"]) == (
        200,
        "text/plain; charset=utf-8",
    )
    assert response.text.startswith("— ")


def test_another_size_is_answered_in_its_own_type(services: Any) -> None:
    services.witness.add_checkpoint = lambda _request, *, caller, said: OtherSize(20852014)
    response = post(services, GOOD)
    assert (response.status_code, response.headers["content-type"], response.content) == (
        409,
        "text/x.tlog.size",
        b"20852014\n",
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFoundError("Unknown origin."), 404),
        (errors.UnknownKeyError("No known signature."), 403),
        (errors.BadSignatureError("A bad signature."), 403),
        (errors.InvalidError("The old size is greater."), 400),
        (errors.MalformedError("No note."), 400),
        (errors.LimitError("Too large a log."), 400),
        (errors.ProofError("A bad proof."), 422),
        (errors.RateLimitedError("Too often.", retry_after_s=1), 429),
        (errors.UnavailableError("No database."), 503),
    ],
)
def test_a_refusal_has_the_status_that_the_specification_gives(
    services: Any, error: Exception, status: int
) -> None:
    def refuse(_request: AddCheckpoint, *, caller: str, said: object) -> None:
        raise error

    services.witness.add_checkpoint = refuse
    assert post(services, GOOD).status_code == status


@pytest.mark.parametrize("data", [b"old x\n\n", b"\xff", b"old 1"])
def test_what_is_no_request_to_a_witness_is_a_broken_request(services: Any, data: bytes) -> None:
    assert post(services, data).status_code == 400


def test_a_body_longer_than_any_request_is_not_read(services: Any) -> None:
    assert post(services, b"x" * (MAX_REQUEST_BYTES + 1)).status_code == 413
