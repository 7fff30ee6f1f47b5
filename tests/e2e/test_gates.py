"""What keeps a list healthy, at a real node: over HTTP, by the command, in several processes."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from cli_stage import PICTURES, call
from desks import OPEN_POLICY, pdq_at
from nodes import Node, make_node, serving
from waiting import keep_clear_of_midnight, wait_for
from worlds import PDQ

POLICY = (
    OPEN_POLICY
    + """
[limits]
category_per_day = 3
[quarantine]
min_matches = 20
max_share = 50
"""
)
NAME = "own.example"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node of two processes."""
    keep_clear_of_midnight()
    node = make_node(tmp_path_factory.mktemp("gates") / "n", NAME, settings={"processes": 2})
    node.directory.joinpath("policy.toml").write_text(POLICY)
    with serving(node):
        yield node


def flag(node: Node, category: str, **hashes: Any) -> str:
    asked = {
        "items": [hashes],
        "category": category,
        "reviewers": 2,
        "purpose": "detection",
        "legal_basis": "dsa-16",
        "review_days": 90,
    }
    answer = node.call("POST", "/v1/media/flag", json=asked)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def digest() -> dict[str, str]:
    return {"sha256": os.urandom(32).hex()}


def look_up(node: Node, times: int, **hashes: Any) -> set[str]:
    asked = {"surface": "public", "items": [hashes] * times}
    found = node.ask("POST", "/v1/media/match", json=asked)["results"]
    return {one["decision"] for one in found}


def decisions(node: Node, **hashes: Any) -> set[str]:
    """Of several calls, which both processes answer."""
    return {decision for _ in range(6) for decision in look_up(node, 1, **hashes)}


def test_beyond_the_limit_of_a_day_a_flag_is_refused_with_what_is_left(node: Node) -> None:
    for _ in range(3):
        flag(node, "csam.pose.pub", **digest())
    asked = {
        "items": [digest()],
        "category": "csam.pose.pub",
        "reviewers": 1,
        "purpose": "detection",
        "legal_basis": "dsa-16",
        "review_days": 90,
    }
    answer = node.call("POST", "/v1/media/flag", json=asked)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "3 entries a day" in answer.json()["detail"]
    assert "0 are left today" in answer.json()["detail"]


def test_an_entry_in_quarantine_leads_to_review_until_it_is_confirmed_or_rejected(
    node: Node,
) -> None:
    file = digest()
    statement = flag(node, "csam.act.pub", **file)
    assert look_up(node, 30, **file) == {"block"}
    wait_for(lambda: decisions(node, **file) == {"review"}, "it is in quarantine")
    (entry,) = node.administer("GET", "/v1/admin/quarantine")["entries"]
    assert (entry["statement"], entry["state"], entry["reason"]) == (
        statement,
        "quarantined",
        "share",
    )
    assert node.administer("GET", "/v1/admin/status")["quarantined"] == 1
    assert call("node", "status", node.directory, "--json").json["quarantined"] == 1
    status = node.ask("GET", f"/v1/statements/{statement}")
    assert status["unreviewed"] >= 20
    listed = call("node", "quarantine", "list", node.directory)
    assert f"{statement} item 0" in listed.out
    asked = {"statement": statement, "item": 0, "verdict": "confirm"}
    confirmed = node.administer("POST", "/v1/admin/quarantine", json=asked)
    assert (confirmed["state"], confirmed["decided_by"]) == ("confirmed", "operator")
    assert decisions(node, **file) == {"block"}
    done = call("node", "quarantine", "reject", node.directory, statement)
    assert done.code == 0, done.err
    assert f"schutznetz dispute {statement} --item 0 --reason not-a-match" in done.out
    assert decisions(node, **file) == {"none"}
    (remedy,) = node.ask("GET", "/v1/remedies")["remedies"]
    assert remedy["statement"] == statement
    actions = [one.action for one in audit(node)]
    assert [one for one in actions if one.startswith("quarantine.")] == [
        "quarantine.begin",
        "quarantine.tell",
        "quarantine.confirm",
        "quarantine.reject",
    ]
    again = call("node", "quarantine", "confirm", node.directory, statement, "--json")
    assert again.json["state"] == "confirmed"


def audit(node: Node) -> Any:
    with node.services() as services:
        return services.audit.export()


def test_what_the_operator_allows_passes_in_every_process_at_once(node: Node) -> None:
    flag(node, "csam.act.prepub", pdq=PDQ, quality=90)
    near = {"pdq": pdq_at(5), "quality": 90}
    assert look_up(node, 1, **near) == {"block"}
    asked = {"kind": "pdq", "value": PDQ, "radius": 6, "reason": "our logo", "days": 30}
    number = node.administer("POST", "/v1/admin/allow", json=asked)["number"]
    assert decisions(node, **near) == {"none"}
    result = node.match(**near)
    assert (result["rule"], result["matches"]) == ("allow-list", [])
    assert PDQ not in str(node.administer("GET", "/v1/admin/allow"))
    done = call("node", "allow", "remove", node.directory, number)
    assert done.code == 0, done.err
    assert decisions(node, **near) == {"block"}


def test_a_picture_is_allowed_by_its_file(node: Node) -> None:
    file = PICTURES / "cat.jpg"
    hashed = call("hash", file, "--json").json["files"][0]
    flag(node, "ncii.minor", pdq=hashed["pdq"], quality=hashed["quality"])
    made = call("node", "allow", "add", node.directory, file, "--reason", "our mascot", "--json")
    assert made.code == 0, made.err
    assert [one["kind"] for one in made.json["entries"]] == ["sha256", "pdq"]
    assert node.match(pdq=hashed["pdq"], quality=100)["rule"] == "allow-list"
    assert "our mascot" in call("node", "allow", "list", node.directory).out
    for wrong in ((), ("--pdq-file", file)):
        done = call("node", "allow", "add", node.directory, *wrong, "--reason", "x")
        assert done.code == 2, done.err


def test_a_list_in_shadow_is_counted_and_shown_and_does_not_act(node: Node) -> None:
    file = digest()
    flag(node, "csam.act.prepub", **file)
    assert decisions(node, **file) == {"block"}
    policy = node.directory / "policy.toml"
    policy.write_text(f'{POLICY}\n[[source]]\norganisation = "{NAME}"\nshadow = true\n')
    try:
        wait_for(lambda: decisions(node, **file) == {"none"}, "both have read the policy")
        look_up(node, 5, **file)
        wait_for(lambda: shown(node)["shadow_matches"] >= 5, "it is counted")
        table = call("node", "sources", node.directory)
        assert f"{NAME}" in table.out
        assert "0 %" in table.out
    finally:
        policy.write_text(POLICY)
    assert shown(node)["enabled_share"] in {0, 100}


def shown(node: Node) -> Any:
    (found,) = node.administer("GET", "/v1/admin/sources")["sources"]
    assert found["organisation"] == NAME
    return found
