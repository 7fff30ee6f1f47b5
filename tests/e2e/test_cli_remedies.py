"""`node task`, `node accuracy` and `node proofs`, as an operator types them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_stage import call
from node.app import Services, open_services
from node.services.clients import Client
from node.storage.remedies import Deed
from nodes import make_node
from protocol.statements import MediaItem

OPERATOR = Client(0, "operator", frozenset())
DAY = "2026-11-21"


def flag(services: Services) -> str:
    return services.flags.flag_media(
        [MediaItem(sha256="5a" * 32)],
        category="csam.act.prepub",
        reviewers=2,
        purpose="detection",
        legal_basis="DSA-22",
        review_days=30,
        issuer_code=None,
        flags=(),
        surfaces=(),
        jurisdictions=(),
        audience=("peers",),
        client=OPERATOR,
    ).id


def act_on(services: Services, statement: str, reference: str) -> None:
    client, _key = services.clients.create("app", ["match"])
    with services.store.write() as transaction:
        record = transaction.statements.by_id(statement)
        assert record is not None
        transaction.journal.count_match(record.log_index, 0, "block", at=1_795_000_000)
        deed = Deed(record.log_index, 0, client.id, "block", "block-confirmed", reference)
        transaction.remedies.add_deeds({deed: 2}, at=1_795_000_000)


def report(services: Services, statement: str, *reporters: str) -> None:
    with services.store.write() as transaction:
        record = transaction.statements.by_id(statement)
        assert record is not None
        for name in reporters:
            transaction.journal.put_feedback(
                record.log_index, name, DAY, [(0, 9, 1, 2)], category="csam.act.prepub"
            )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a node, to be copied: making one takes long."""
    folder = tmp_path_factory.mktemp("remedies") / "own"
    make_node(folder, "own.example")
    return folder


@pytest.fixture
def node(template: Path, tmp_path: Path) -> Path:
    """The folder of a node of one's own."""
    shutil.copytree(template, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def work(node: Path) -> Callable[[Callable[[Services], str]], str]:
    """Has something done with a node's services, as its process would."""

    def do(act: Callable[[Services], str]) -> str:
        with open_services(node, environ={"SCHUTZNETZ_HASH_WORKERS": "1"}) as services:
            return act(services)

    return do


def test_a_task_is_listed_shown_and_done(node: Path, work: Callable[..., str]) -> None:
    assert "Nothing is to be restored." in call("node", "task", "list", node).out

    def take_back(services: Services) -> str:
        statement = flag(services)
        act_on(services, statement, "u-1029")
        services.flags.retract(statement, items=(), reason="wrong", client=OPERATOR)
        return statement

    statement = work(take_back)
    assert "wrong" in call("node", "task", "list", node).out
    shown = call("node", "task", "show", node, 1).out
    for part in (statement, "app", "block-confirmed", "u-1029", "open"):
        assert part in shown
    wrong = call("node", "task", "done", node, 1, "--note", "two\nlines")
    assert (wrong.code, "one line" in wrong.err) == (2, True)
    done = call("node", "task", "done", node, 1, "--note", "put back", "--json")
    assert done.json == {"id": 1, "state": "done", "open": 0}
    again = call("node", "task", "done", node, 1)
    assert (again.code, again.out) == (1, "")
    assert "No task of this number" in again.err
    assert call("node", "task", "list", node, "--json").json == {"tasks": []}
    (kept,) = call("node", "task", "list", node, "--all", "--json").json["tasks"]
    assert (kept["state"], kept["done_by"], kept["note"]) == ("done", "operator", "put back")
    assert "put back" in call("node", "task", "show", node, 1).out


def test_accuracy_is_shown_in_three_forms_and_hides_what_few_said(
    node: Path, work: Callable[..., str]
) -> None:
    assert "Nothing was reported for 2026." in call("node", "accuracy", node, "--year", 2026).out

    def reported(services: Services) -> str:
        statement = flag(services)
        report(services, statement, "one.example", "two.example")
        return statement

    statement = work(reported)
    few = call("node", "accuracy", node, "--year", 2026)
    assert "fewer than 3" in few.out
    assert " 18 " not in few.out
    assert " 18 " in call("node", "accuracy", node, "--year", 2026, "--full").out
    work(lambda services: report(services, statement, "three.example") or "")
    head, line = call("node", "accuracy", node, "--year", 2026, "--csv").out.splitlines()
    assert head.startswith("flagger,category,year,statements,reporters,confirming,confirmed")
    assert line.endswith(",csam.act.prepub,2026,1,3,3,27,3,6,90")
    (one,) = call("node", "accuracy", node, "--year", 2026, "--json").json["accuracy"]
    assert (one["confirmed"], one["accuracy_percent"]) == (27, 90)
    both = call("node", "accuracy", node, "--csv", "--json")
    assert (both.code, "one of" in both.err) == (2, True)


def test_nobody_has_proved_what_nobody_was_asked_to_erase(
    node: Path, work: Callable[..., str], tmp_path: Path
) -> None:
    statement = work(flag)
    out = tmp_path / "proofs"
    asked = call("node", "proofs", node, statement, "--out", out)
    assert "Nobody was asked" in asked.out
    assert list(out.iterdir()) == []
    unknown = call("node", "proofs", node, "ab" * 32)
    assert (unknown.code, "no statement with this id" in unknown.err) == (1, True)


def test_what_is_no_proof_is_refused(node: Path, tmp_path: Path) -> None:
    descriptor = tmp_path / "node.json"
    shutil.copy(next(node.glob("*descriptor*")), descriptor)
    refused = call("verify", "erasure", descriptor, "--node", descriptor)
    assert refused.code == 1
    assert refused.out == ""
