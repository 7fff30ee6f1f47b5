"""One objection for the whole network: a wrongly flagged picture, from dispute to acknowledgement.

Three real nodes. Both platforms acted on the picture; the second disputes it, the hotline upholds
the dispute, and everyone who acted restores what they did and says so.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodes import Node
from protocol.statements import MediaItem
from three_nodes import Trio, open_trio
from waiting import WITHIN_S, wait_for

PDQ = "".join(f"{(40503 * (row + 1)) % 65536:04x}" for row in range(16))
SHA256 = "5a" * 32
POLICY = """
[operator]
jurisdictions = ["DE"]
[[rule]]
name = "block-confirmed"
applies_to = "media"
categories = ["csam.*"]
surfaces = ["public"]
min_issuers = 1
max_distance = 31
action = "block"
[[rule]]
name = "review-rest"
applies_to = "media"
categories = ["*"]
action = "review"
"""


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    said = {"remedy_says": "acted", "poll_interval_s": 3_600}
    with open_trio(tmp_path_factory.mktemp("remedies"), settings=said) as trio:
        for node in trio.platforms:
            (node.directory / "policy.toml").write_text(POLICY)
        yield trio


def look_up(node: Node, reference: str) -> str:
    item = {"pdq": PDQ, "quality": 90, "sha256": SHA256, "reference": reference}
    asked = {"surface": "public", "items": [item]}
    return str(node.ask("POST", "/v1/media/match", json=asked)["results"][0]["decision"])


def schutznetz(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", "from node.cli.main import run; run()", *arguments, "--json"],
        capture_output=True,
        check=True,
        env=os.environ | {"SCHUTZNETZ_REMEDY_SAYS": "acted"},
        text=True,
        timeout=WITHIN_S,
    )
    return json.loads(done.stdout)


def tasks(node: Node) -> list[Any]:
    found = node.administer("GET", "/v1/admin/restore-tasks")["tasks"]
    assert isinstance(found, list)
    return found


def at_peer(trio: Trio, statement: str, node: Node) -> Any:
    status = trio.hotline.ask("GET", f"/v1/statements/{statement}")
    return next(one for one in status["peers"] if one["node"] == node.name)


def said(trio: Trio, statement: str, node: Node, wanted: str) -> Callable[[], bool]:
    return lambda: at_peer(trio, statement, node).get("outcome") == wanted


def test_one_objection_reaches_everyone_who_acted(trio: Trio) -> None:
    times: list[tuple[str, float]] = []
    began = time.perf_counter()

    def done(what: str) -> None:
        times.append((what, time.perf_counter() - began))

    statement = trio.flag(MediaItem(pdq=PDQ, quality=90, sha256=SHA256))
    trio.everywhere(statement)
    done("flagged and taken over")
    for node in trio.platforms:
        wait_for(
            lambda node=node: look_up(node, f"{node.name}:upload-1") == "block", "it is blocked"
        )

    # One platform objects, and at every node the entry leads to review at most.
    dispute = trio.second.ask(
        "POST",
        f"/v1/statements/{statement}/dispute",
        json={"reason": "not-illegal", "items": [0]},
    )["id"]
    for node in trio.nodes:
        wait_for(lambda node=node: node.state(statement) == "disputed", "the dispute is visible")
    for node in trio.platforms:
        assert look_up(node, f"{node.name}:upload-2") == "review"
    done("disputed at every node, and review only")

    # The issuer looks again, and it was wrong: it matches nowhere any more.
    trio.hotline.ask(
        "POST",
        f"/v1/statements/{statement}/resolve",
        json={"dispute": dispute, "outcome": "upheld"},
    )
    for node in trio.nodes:
        wait_for(lambda node=node: node.state(statement) == "retracted", "it is retracted")
        assert node.decision(pdq=PDQ, quality=90, sha256=SHA256) == "none"
    done("upheld and retracted everywhere")

    # Every operator has a task that names the platform's own uploads, and the issuer knows.
    for node in trio.platforms:
        (task,) = tasks(node)
        shown = node.administer("GET", f"/v1/admin/restore-tasks/{task['id']}")
        assert {(one["client"], one["decision"], one["reference"]) for one in shown["deeds"]} == {
            ("platform", "block", f"{node.name}:upload-1"),
            ("platform", "review", f"{node.name}:upload-2"),
        }
        wait_for(said(trio, statement, node, "restoring"), "the issuer knows that it is restored")
    done("tasks in every queue, and the issuer knows")

    first, second = trio.platforms
    schutznetz("node", "task", "done", str(first.directory), "1", "--note", "put back")
    second.administer("POST", "/v1/admin/restore-tasks/1/done", json={"note": "put back"})
    for node in trio.platforms:
        wait_for(said(trio, statement, node, "restored"), "the issuer has the acknowledgement")
        assert tasks(node) == []
        assert at_peer(trio, statement, node)["withdrawal"] == "acknowledged"
    done("restored and acknowledged")
    # What one platform did is nobody's business but the issuer's.
    for node in trio.platforms:
        assert {
            one.get("outcome") for one in node.ask("GET", f"/v1/statements/{statement}")["peers"]
        } == {None}
    print("\n".join(f"{seconds:6.2f} s  {what}" for what, seconds in times))


def test_an_erasure_is_proved_by_every_node_and_the_proof_holds_offline(
    trio: Trio, tmp_path: Path
) -> None:
    sha256 = "7b" * 32
    statement = trio.flag(MediaItem(sha256=sha256))
    trio.everywhere(statement)
    trio.hotline.ask(
        "POST", f"/v1/statements/{statement}/erase", json={"reason": "subject-request"}
    )
    names = {node.name for node in trio.platforms}
    address = f"/v1/admin/erasures/{statement}"
    wait_for(
        lambda: names <= {one["node"] for one in trio.hotline.administer("GET", address)["proofs"]},
        "every node proves",
    )
    assert trio.hotline.administer("GET", address)["missing"] == []
    for node in trio.nodes:
        for trace in (sha256.encode(), bytes.fromhex(sha256)):
            assert not node.files_hold(trace)
    schutznetz("node", "proofs", str(trio.hotline.directory), statement, "--out", str(tmp_path))
    for node in trio.platforms:
        proof, descriptor = (
            tmp_path / f"{node.name}.{one}.json" for one in ("proof", "descriptor")
        )
        found = schutznetz("verify", "erasure", str(proof), "--node", str(descriptor))
        assert found["statement"] == statement
        assert found["fingerprint"] == node.made.fingerprint
        assert "write-ahead-log" in found["places"]
