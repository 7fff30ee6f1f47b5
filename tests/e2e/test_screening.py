"""A platform checks the accounts it has: as far as a real circle's budget goes, and on from there."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli_stage import COMMAND, PICTURES, call
from node.cli.failures import ExitCode
from node.cli.gather import hash_pictures
from node.matching.media import MediaHashes
from nodes import Node
from three_nodes import Trio, open_trio
from waiting import WITHIN_S, keep_clear_of_midnight, wait_for

MANY = 300
BANNED = (7, 131, 298)
PER_DAY = 140
"""Elements at each holder, for each platform."""

MOST = PER_DAY * 3 // 2
"""Identifiers a day with three holders, two of which have to answer (docs/protocol.md 8.12)."""


def address(number: int) -> str:
    return f"Mallory.{number}@Screened.Example.org"


@dataclass
class Run:
    """What one call of the command came to, and the places where it could leave something."""

    code: int
    out: Any
    err: str


@dataclass
class Screening:
    """A list, the platform that has it, and what the command wrote."""

    trio: Trio
    place: Path

    @property
    def output(self) -> Path:
        return self.place / "checked.jsonl"

    @property
    def state(self) -> Path:
        return self.place / "checked.jsonl.state"

    def write(self) -> None:
        rows = [f"u-{number},{address(number)}" for number in range(MANY)]
        rows += ["u-0,again@example.org", "u-bad,no address"]
        (self.place / "users.csv").write_text("\n".join(["id,email", *rows, ""]), encoding="utf-8")

    def run(self) -> Run:
        platform = self.trio.first
        temporary = self.place / "temporary"
        temporary.mkdir(exist_ok=True)
        done = subprocess.run(
            [
                *(COMMAND, "check", "--file", self.place / "users.csv", "--output", self.output),
                *("--api-key-file", platform.made.api_key_file, "--node", platform.local, "--json"),
            ],
            capture_output=True,
            check=False,
            text=True,
            timeout=5 * WITHIN_S,
            env=os.environ | {"TMPDIR": str(temporary)},
        )
        assert "Traceback" not in done.stderr
        return Run(done.returncode, json.loads(done.stdout), done.stderr)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_text(encoding="utf-8").splitlines()]

    def left_behind(self) -> bytes:
        """Everything but the list itself, in one: what the command and the node have written."""
        folders = (self.place, self.trio.first.directory)
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return b"".join(path.read_bytes() for path in files if path.name != "users.csv")


@pytest.fixture(scope="module")
def screening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screening]:
    keep_clear_of_midnight()
    place = tmp_path_factory.mktemp("trio")
    settings = {"oprf_budget_per_day": PER_DAY, "oprf_burst_per_minute": 5_000}
    with open_trio(place, settings=settings) as trio:
        yield Screening(trio, tmp_path_factory.mktemp("lists"))


def ban(node: Node, number: int) -> str:
    body = {
        "identifiers": [{"kind": "email", "value": address(number).upper()}],
        "category": "account.grooming",
        "reviewers": 2,
        "scope": "account",
        "purpose": "prevention",
        "legal_basis": "terms",
        "expires_days": 100,
    }
    return str(node.ask("POST", "/v1/accounts/ban", json=body)["id"])


def is_known(node: Node, statement: str) -> bool:
    return node.state(statement) is not None


def test_a_list_is_checked_as_far_as_the_budget_goes_and_on_from_there(
    screening: Screening,
) -> None:
    trio = screening.trio
    bans = {f"u-{number}": ban(trio.second, number) for number in BANNED}
    for one in bans.values():
        wait_for(partial(is_known, trio.first, one), "the ban arrives")
    screening.write()

    first = screening.run()
    assert first.code == ExitCode.UNFINISHED, first.err
    assert "for today is used up" in first.err
    assert "left out: line 302: column id: the same as in line 2." in first.err
    checked = sum(first.out["decisions"].values())
    assert 128 <= checked <= MOST
    assert first.out["left"] == MANY + 1 - checked
    assert 0 < first.out["go_on_after_s"] <= 86_400
    assert searched(screening) == []

    again = screening.run()
    assert again.code == ExitCode.UNFINISHED
    assert checked + sum(again.out["decisions"].values()) <= MOST

    # What was used stays used: only that the operators allow more makes room.
    for node in trio.nodes:
        node.stop()
        node.environ |= {"SCHUTZNETZ_OPRF_BUDGET_PER_DAY": "5000"}
        node.start()
    for node in trio.nodes:
        node.wait_until_ready()
    last = screening.run()
    assert last.code == ExitCode.FAILED, last.err  # two rows could not be checked
    assert last.out["left"] == 0
    assert not screening.state.exists()

    lines = screening.lines()
    found = {one["id"]: one["statements"] for one in lines if one.get("statements")}
    assert found == {one: [statement] for one, statement in bans.items()}
    assert {one["decision"] for one in lines if one["id"] in bans} == {"review"}
    assert [one["id"] for one in lines if "decision" in one] == [f"u-{n}" for n in range(MANY)]
    assert [(one["line"], one["id"]) for one in lines if "problem" in one] == [
        (302, None),
        (303, "u-bad"),
    ]
    assert searched(screening) == []


def test_an_avatar_that_was_compressed_again_adds_a_kind_to_a_lead_and_makes_none(
    screening: Screening, tmp_path: Path
) -> None:
    trio, avatar = screening.trio, PICTURES / "cat.jpg"
    worse = tmp_path / "worse.jpg"
    with Image.open(avatar) as picture:
        picture.save(worse, quality=40)

    def who(node: Node) -> tuple[object, ...]:
        return ("--api-key-file", node.made.api_key_file, "--node", node.local, "--json")

    banned = ("--email", "wolf@example.net", "--category", "account.grooming", "--reviewers", 2)
    made = call("ban", *banned, "--days", 30, "--avatar", avatar, *who(trio.second))
    assert made.code == 0, made.err
    wait_for(partial(is_known, trio.first, made.json["id"]), "the ban arrives")

    def kinds(email: str, *more: object) -> list[list[str]]:
        checked = call("check", "--email", email, *more, *who(trio.first))
        assert checked.code == 0, checked.err
        return [lead["kinds"] for lead in checked.json["leads"]]

    assert kinds("wolf@example.net", "--avatar", worse) == [["avatar", "email"]]
    assert kinds("wolf@example.net") == [["email"]]
    assert kinds("lamb@example.net", "--avatar", worse) == []
    flat = tmp_path / "flat.png"
    Image.new("RGB", (64, 64), "green").save(flat)
    refused = call("check", "--email", "wolf@example.net", "--avatar", flat, *who(trio.first))
    assert (refused.code, "too little detail" in refused.err) == (ExitCode.FAILED, True)
    for node in trio.nodes:
        assert pdq_of(avatar) not in node.log.read_text(encoding="utf-8")


def pdq_of(path: Path) -> str:
    (read,) = hash_pictures([path], workers=1)
    assert isinstance(read.hashes, MediaHashes)
    return read.hashes.pdq.hex()


def searched(screening: Screening) -> list[str]:
    """The addresses of the list that stand somewhere else than in it."""
    left = screening.left_behind().lower()
    values = [address(number).lower() for number in range(MANY)] + ["again@example", "no address"]
    return [one for one in values if one.encode() in left]
