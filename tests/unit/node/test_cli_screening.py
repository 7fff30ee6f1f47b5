"""A list of accounts is checked as far as the budget goes, and on from there, once each."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from node.cli.own_node import Platform
from node.cli.screening import SIZES, Outcome, Results, pack, screen
from node.cli.user_list import Row, UserList, read_users
from protocol.errors import ConflictError, InvalidError, PeerMisbehavedError, PeerRefusedError

DAY_S = 40_000
LEAD = {"statement": "ab" * 32, "kinds": ["email"], "issuers": ["a.example"]}
BANNED = "mallory@example.com"
API_KEY = b"snk_of_a_test"


@dataclass
class FakeNode:
    """A node whose budget at its circle is counted as docs/protocol.md 8.11 and 8.12 say.

    Attributes:
        day: elements a day.
        minute: elements a minute.
        trouble: what is answered in place of results, one for each request; None for nothing.
        paid: sizes of the requests that were answered.
        asked: values asked about, in order.
        avatars: pictures that came with them.
    """

    day: int = 10_000
    minute: int = 10_000
    trouble: list[httpx.Response | Exception | None] = field(default_factory=list)
    paid: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    avatars: list[dict[str, Any]] = field(default_factory=list)
    used_today: int = 0
    used_in_minute: int = 0
    slept: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.used_in_minute = 0
        if seconds >= DAY_S:
            self.used_today = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/accounts/check-batch"
        trouble = self.trouble.pop(0) if self.trouble else None
        if isinstance(trouble, Exception):
            raise trouble
        if trouble is not None:
            return trouble
        body = json.loads(request.content)
        assert body["region"] == "DE"
        values = [[i["value"] for i in one["identifiers"]] for one in body["accounts"]]
        self.avatars += [one["avatar"] for one in body["accounts"] if "avatar" in one]
        many = sum(map(len, values))
        size = min(one for one in SIZES if one >= many)
        day, minute = self.day - self.used_today, self.minute - self.used_in_minute
        if size > min(day, minute):
            left = {"day_limit": self.day, "day_left": day}
            left |= {"minute_limit": self.minute, "minute_left": minute}
            after = DAY_S if size > day or size > self.minute else 30
            problem = {"detail": "The budget is used up.", "budget": left}
            return httpx.Response(429, json=problem, headers={"Retry-After": str(after)})
        self.used_today += size
        self.used_in_minute += size
        self.paid.append(size)
        self.asked += [value for one in values for value in one]
        return httpx.Response(200, json={"results": [_result(one) for one in values]})


def _result(values: list[str]) -> dict[str, Any]:
    if "wrong" in values:
        at = f"accounts[0].identifiers[{values.index('wrong')}].value"
        return {"answer": None, "error": {"field": at, "message": "No such address."}}
    leads = [LEAD] if BANNED in values else []
    decision = "review" if leads else "none"
    rule = "two" if leads else None
    return {"answer": {"decision": decision, "rule": rule, "why": [], "leads": leads}}


@dataclass
class Stage:
    """A list, its output and its state, and the node that is asked."""

    folder: Path
    node: FakeNode = field(default_factory=FakeNode)
    output_name: str = "out.jsonl"
    steps: int = 0

    @property
    def output(self) -> Path:
        return self.folder / self.output_name

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write(self, *rows: str, header: str = "id,email") -> None:
        (self.folder / "users.csv").write_text("\n".join([header, *rows]), encoding="utf-8")

    def users(self) -> UserList:
        return read_users(self.folder / "users.csv")

    def run(self, *, wait: bool = False, secret: bytes = API_KEY) -> Outcome:
        users, results = self.users(), Results(self.output, self.state)
        results.open(users, secret)
        transport = httpx.MockTransport(self._carry)
        return screen(
            users,
            Platform("http://127.0.0.1:8440", "snk_x", transport=transport),
            results,
            about={"region": "DE"},
            wait=wait,
            step=self._step,
            say=self.node.said.append,
            sleep=self.node.sleep,
        )

    def _carry(self, request: httpx.Request) -> httpx.Response:
        """Carries an answer as a network does: piece by piece."""
        found = self.node(request)
        stream = httpx.ByteStream(found.content)
        return httpx.Response(found.status_code, headers=found.headers, stream=stream)

    def _step(self) -> None:
        self.steps += 1

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def people(many: int) -> list[str]:
    return [f"u{number},user{number}@example.com" for number in range(many)]


def test_the_results_name_the_platforms_ids_and_no_identifier(stage: Stage) -> None:
    stage.write("u1,good@example.com", f"u2,{BANNED}", "u3,wrong", "u4,")
    outcome = stage.run()
    assert (outcome.decisions, outcome.refused, outcome.left) == ({"none": 1, "review": 1}, 1, 0)
    assert stage.lines() == [
        {"line": 5, "id": "u4", "problem": "there is no identifier."},
        {"line": 2, "id": "u1", "decision": "none", "rule": None, "kinds": [], "statements": []},
        {
            "line": 3,
            "id": "u2",
            "decision": "review",
            "rule": "two",
            "kinds": ["email"],
            "statements": ["ab" * 32],
        },
        {"line": 4, "id": "u3", "problem": "column 2 (email): No such address."},
    ]
    assert "example.com" not in stage.output.read_text(encoding="utf-8")
    assert stage.steps == 3


def test_a_file_that_ends_in_csv_gets_csv(tmp_path: Path) -> None:
    stage = Stage(tmp_path, output_name="out.csv")
    stage.write(f"u2,{BANNED}", "u4,")
    stage.run()
    with stage.output.open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["line"], first["id"], first["problem"]) == ("3", "u4", "there is no identifier.")
    assert (second["id"], second["decision"], second["kinds"]) == ("u2", "review", "email")


def test_accounts_share_requests_so_that_the_budget_goes_far(stage: Stage) -> None:
    stage.write(*people(128 + 10))
    stage.run()
    assert stage.node.paid == [64, 64, 8, 8]
    assert len(set(stage.node.asked)) == len(stage.node.asked) == 138


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        ([1] * 70, 64),
        ([1] * 64, 64),
        ([1] * 57, 57),
        ([1] * 56, 8),
        ([1], 1),
        ([8] * 9, 8),
        ([5] * 13, 12),
        ([5] * 10, 10),  # ten requests of eight would cost more than one of 64
        ([5] * 7, 1),
        ([8, 1], 1),
    ],
)
def test_a_request_has_as_many_accounts_as_cost_least(sizes: list[int], taken: int) -> None:
    kinds = ("email", "x")
    rows = [Row(at, str(at), (kinds,) * many, (2,) * many) for at, many in enumerate(sizes)]
    assert len(pack(rows, 0, 64)) == taken


def test_a_minute_is_waited_for_and_a_day_is_not(stage: Stage) -> None:
    stage.write(*people(64 * 4))
    stage.node = FakeNode(day=192, minute=64)
    outcome = stage.run()
    assert stage.node.slept == [30, 30]
    assert (outcome.left, outcome.go_on_after_s) == (64, DAY_S)
    assert "budget is used up" in outcome.why
    assert stage.state.exists()


def test_who_says_so_waits_for_the_next_day(stage: Stage) -> None:
    stage.write(*people(64 * 2))
    stage.node = FakeNode(day=64)
    outcome = stage.run(wait=True)
    assert (outcome.left, stage.node.slept) == (0, [DAY_S])
    assert "Going on in 40000 s" in stage.node.said[0]
    assert not stage.state.exists()


def test_what_is_left_of_a_day_is_used_in_smaller_requests(stage: Stage) -> None:
    stage.write(*people(200))
    stage.node = FakeNode(day=64 + 18)
    assert stage.run().left == 200 - 64 - 18
    assert stage.node.paid == [64, 8, 8, 1, 1]


def test_a_minute_that_takes_no_full_request_gets_smaller_ones(stage: Stage) -> None:
    stage.write(*people(64))
    stage.node = FakeNode(minute=20)
    assert stage.run().left == 0
    assert set(stage.node.paid) == {8}


def test_the_next_run_goes_on_and_asks_about_nobody_twice(stage: Stage) -> None:
    stage.write("bad,", *people(150))
    stage.node = FakeNode(day=64)
    lefts = []
    for _ in range(3):
        lefts.append(stage.run().left)
        stage.node.used_today = 0
    assert lefts == [86, 22, 0]
    assert not stage.state.exists()
    assert sorted(line["id"] for line in stage.lines()) == sorted(
        ["bad", *(f"u{number}" for number in range(150))]
    )
    assert len(set(stage.node.asked)) == len(stage.node.asked) == 150


@pytest.mark.parametrize("output_name", ["out.jsonl", "out.csv"])
def test_what_a_crash_left_behind_the_last_whole_batch_is_asked_again(
    tmp_path: Path, output_name: str
) -> None:
    stage = Stage(tmp_path, FakeNode(day=64), output_name)
    stage.write(*people(70))
    stage.run()
    whole = stage.output.read_bytes()
    with stage.output.open("ab") as file:
        file.write(b'{"line": 66, "id": "u6')
    stage.node.used_today = 0
    stage.run()
    assert stage.output.read_bytes().startswith(whole)
    assert stage.output.read_bytes().count(b"none") == 70


def test_neither_file_holds_an_identifier_or_lets_a_list_be_recognised(stage: Stage) -> None:
    stage.write(*people(70))
    stage.node = FakeNode(day=64)
    stage.run()
    state = json.loads(stage.state.read_text(encoding="utf-8"))
    assert state.keys() == {"version", "salt", "input", "rows", "output"}
    assert state["rows"] == 64
    left = b"".join(path.read_bytes() for path in (stage.output, stage.state))
    assert not any(value.encode() in left for value in stage.node.asked)
    for path in (stage.output, stage.state):
        assert path.stat().st_mode & 0o077 == 0
    assert {path.name for path in stage.folder.iterdir()} == {"users.csv", "out.jsonl", "state"}
    # Without the API key, whoever has the very same list cannot tell that it is this one.
    with pytest.raises(ConflictError, match="another list, or to another API key"):
        stage.run(secret=b"another")


def test_a_state_of_another_list_is_refused(stage: Stage) -> None:
    stage.write(*people(70))
    stage.node = FakeNode(day=64)
    stage.run()
    stage.write(*people(71))
    with pytest.raises(ConflictError, match="another list"):
        stage.run()


@pytest.mark.parametrize(
    "change",
    [
        lambda stage: stage.output.unlink(),
        lambda stage: stage.output.write_bytes(b"short"),
    ],
)
def test_results_that_are_gone_are_not_gone_on_with(
    stage: Stage, change: Callable[[Stage], object]
) -> None:
    stage.write(*people(70))
    stage.node = FakeNode(day=64)
    stage.run()
    change(stage)
    with pytest.raises(ConflictError, match="not there any more"):
        stage.run()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"salt": "zz"}', '{"salt": 1, "input": 2}'])
def test_what_is_no_state_is_refused(stage: Stage, text: str) -> None:
    stage.write(*people(1))
    stage.state.write_text(text, encoding="utf-8")
    with pytest.raises(ConflictError, match="not the state of a check"):
        stage.run()


def test_results_of_something_else_are_never_overwritten(stage: Stage) -> None:
    stage.write(*people(1))
    stage.output.write_text("mine", encoding="utf-8")
    with pytest.raises(ConflictError, match="is there already"):
        stage.run()
    assert stage.output.read_text(encoding="utf-8") == "mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path, output_name="none/out.jsonl")
    stage.write(*people(1))
    with pytest.raises(InvalidError, match="No such file"):
        stage.run()


def test_a_circle_that_is_down_for_a_moment_is_asked_again(stage: Stage) -> None:
    stage.write(*people(3))
    down = httpx.Response(503, json={"detail": "Nothing."}, headers={"Retry-After": "5"})
    stage.node.trouble = [down, httpx.ConnectError("no"), None]
    assert stage.run().left == 0
    assert stage.node.slept == [5, 5]


def test_a_circle_that_stays_down_is_gone_on_with_later(stage: Stage) -> None:
    stage.write(*people(3))
    stage.node.trouble = [httpx.Response(503, json={"detail": "Nothing."})] * 3
    outcome = stage.run()
    assert (outcome.left, outcome.go_on_after_s, len(stage.node.slept)) == (3, 5, 2)
    stage.node.trouble = [httpx.Response(503, json={"detail": "Nothing."})] * 5
    assert stage.run(wait=True).left == 0
    assert stage.node.slept[2:] == [5, 5, 60, 60, 60]


def test_a_limit_that_says_nothing_of_a_budget_is_waited_for_if_it_is_short(stage: Stage) -> None:
    stage.write(*people(3))
    stage.node.trouble = [httpx.Response(429, json={}, headers={"Retry-After": "7"})]
    assert stage.run().left == 0
    assert stage.node.slept == [7]


@pytest.mark.parametrize("status", [401, 403, 422, 500])
def test_another_refusal_ends_the_run(stage: Stage, status: int) -> None:
    stage.write(*people(3))
    stage.node.trouble = [httpx.Response(status, json={"detail": "No."})]
    with pytest.raises(PeerRefusedError, match=str(status)):
        stage.run()
    assert stage.node.slept == []


@pytest.mark.parametrize("answer", [{}, {"results": []}, {"results": 3}])
def test_an_answer_about_something_else_is_refused(stage: Stage, answer: dict[str, Any]) -> None:
    stage.write(*people(3))
    stage.node.trouble = [httpx.Response(200, json=answer)]
    with pytest.raises(PeerMisbehavedError, match="not about what was asked"):
        stage.run()


def test_a_picture_goes_along_with_its_account_and_into_no_file(stage: Stage) -> None:
    pdq = "0123456789abcdef" * 4
    header = "id,email,avatar_pdq,avatar_quality"
    stage.write(f"u1,good@example.com,{pdq},98", f"u2,{BANNED},,", header=header)
    assert stage.run().left == 0
    assert stage.node.avatars == [{"pdq": pdq, "quality": 98}]
    assert pdq not in stage.output.read_text(encoding="utf-8")
