"""`reissue`: a table of identifiers, row by row, and no value of it anywhere but at the own node."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest

from cli_stage import Called, call
from node.cli import own_node

IDS = [f"{number:064x}" for number in range(1, 5)]
SECRET = "offender@example.com"
KEY = {"SCHUTZNETZ_API_KEY": "snk_" + "a" * 43}

Answer = Callable[[str, Any], tuple[int, dict[str, Any]]]


@pytest.fixture
def asked() -> list[tuple[str, Any]]:
    return []


@pytest.fixture
def reissue(tmp_path: Path, asked: list[tuple[str, Any]]) -> Callable[..., Called]:
    """Calls the verb on a table, against a node that answers as it is told."""
    platform = own_node.Platform

    def run(table: str, answer: Answer, *words: str) -> Called:
        def respond(request: httpx.Request) -> httpx.Response:
            statement = request.url.path.split("/")[3]
            body = json.loads(request.content)
            asked.append((statement, body))
            status, said = answer(statement, body)
            return httpx.Response(status, stream=httpx.ByteStream(json.dumps(said).encode()))

        def open_platform(url: str, api_key: str) -> own_node.Platform:
            return platform(url, api_key, transport=httpx.MockTransport(respond))

        file = tmp_path / "bans.csv"
        file.write_text(table, encoding="utf-8")
        with mock.patch.object(own_node, "Platform", open_platform):
            return call("reissue", file, *words, env=KEY)

    return run


def made(_statement: str, _body: Any) -> tuple[int, dict[str, Any]]:
    return 201, {"id": "ab" * 32, "index": 7, "duplicate": False}


def test_each_row_is_one_ban_with_the_identifiers_that_it_has(
    reissue: Callable[..., Called], asked: list[tuple[str, Any]]
) -> None:
    table = (
        "statement,email,phone,email\n"
        f"{IDS[0]},{SECRET},030 23125 001,second@example.com\n"
        f"{IDS[1]},,030 23125 002,\n\n"
    )
    done = reissue(table, made, "--region", "DE")
    assert (done.code, done.out) == (0, "2 bans made again, 0 were there already.\n")
    assert [one for one, _ in asked] == IDS[:2]
    assert asked[0][1] == {
        "identifiers": [
            {"kind": "email", "value": SECRET},
            {"kind": "phone", "value": "030 23125 001"},
            {"kind": "email", "value": "second@example.com"},
        ],
        "region": "DE",
    }
    assert len(asked[1][1]["identifiers"]) == 1


def test_rows_that_do_not_fit_are_named_by_their_line_and_the_others_are_made(
    reissue: Callable[..., Called],
) -> None:
    def answer(statement: str, body: Any) -> tuple[int, dict[str, Any]]:
        if statement == IDS[1]:
            return 422, {"detail": "The ban is not of an account with this identifier."}
        return made(statement, body)

    table = "statement,email\n" + "".join(f"{one},{SECRET}\n" for one in IDS[:3])
    done = reissue(table, answer)
    assert (done.code, done.out) == (1, "2 bans made again, 0 were there already.\n")
    assert "line 3: The node refused (422): The ban is not of an account" in done.err
    assert SECRET not in done.out + done.err


def test_where_the_budget_ends_it_stops_and_says_how_many_are_left(
    reissue: Callable[..., Called], asked: list[tuple[str, Any]]
) -> None:
    def answer(statement: str, body: Any) -> tuple[int, dict[str, Any]]:
        if statement == IDS[2]:
            return 429, {"detail": "The circle's budget of this node for today is used up."}
        status, said = made(statement, body)
        return status, said | {"duplicate": statement == IDS[0]}

    table = "statement,email\n" + "".join(f"{one},{SECRET}\n" for one in IDS)
    done = reissue(table, answer, "--json")
    assert done.code == 1
    assert (done.json["made"], done.json["there"], done.json["left"]) == (1, 1, 2)
    assert "budget" in done.json["stopped"]
    assert len(asked) == 3
    assert SECRET not in done.out + done.err


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "first line names"),
        (f"{IDS[0]},{SECRET}\n", "first line names"),
        ("statement,name\n", "first line names"),
        (f"statement,email\n{IDS[0]}\n", "line 2"),
        (f"statement,email\nABC,{SECRET}\n", "line 2"),
        (f'statement,email\n{IDS[0]},"{SECRET}\n', "no table"),
    ],
)
def test_what_is_no_such_table_is_refused_before_anything_is_asked(
    reissue: Callable[..., Called], asked: list[tuple[str, Any]], table: str, says: str
) -> None:
    done = reissue(table, made)
    assert done.code == 2
    assert says in " ".join(done.err.split())
    assert asked == []
    assert SECRET not in done.out + done.err
