"""`node circle usage` and `budget`, `status` and `doctor`: who asked how much, and what one could list."""

import time
from pathlib import Path

import pytest

from cli_stage import call
from node.app import open_services
from node.cli import checkup
from nodes import make_node
from waiting import keep_clear_of_midnight

OWN = "own.example"
CIRCLE = f"{OWN}/minors-1"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """The folder of a node with a circle, of whose budget 4 of 5 are used."""
    keep_clear_of_midnight()
    folder = make_node(tmp_path_factory.mktemp("own") / "own", OWN).directory
    made = call("node", "circle", "create", folder, "minors-1", "--member", f"{OWN}=5")
    assert made.code == 0, made.err
    assert call("node", "circle", "join", folder, CIRCLE).code == 0
    with open_services(folder, environ={"SCHUTZNETZ_HASH_WORKERS": "1"}) as services:
        circle = services.circles.descriptor(CIRCLE)
        with services.store.write() as transaction:
            services.budgets.take(transaction, circle, OWN, elements=4, digest=b"d" * 32)
    return folder


def test_usage_shows_who_had_how_much(node):
    done = call("node", "circle", "usage", node)
    assert done.code == 0, done.err
    _, line = done.out.splitlines()
    assert line.split() == [CIRCLE, OWN, "4", "1", "5", "600", "80", "%", "and", "more"]
    (found,) = call("node", "circle", "usage", node, "--json").json["budgets"]
    assert (found["party"], found["used"], found["left"], found["alarm"]) == (OWN, 4, 1, 80)
    assert found["members"] == {OWN: 4}


def test_another_days_usage_is_asked_for_by_its_date(node):
    found = call("node", "circle", "usage", node, "--day", "2026-01-31", "--json").json
    assert (found["day"], found["budgets"][0]["used"]) == ("2026-01-31", 0)
    wrong = call("node", "circle", "usage", node, "--day", "yesterday")
    assert wrong.code == 2
    assert "2026-11-22" in wrong.err


def test_status_and_doctor_tell_of_a_budget_that_is_nearly_used_up(node):
    (alarm,) = call("node", "status", node, "--json").json["budget_alarms"]
    assert (alarm["party"], alarm["alarm"]) == (OWN, 80)
    assert "half or more is used" in call("node", "status", node).out
    findings = checkup.examine(
        Path(node), environ={"SCHUTZNETZ_HASH_WORKERS": "1"}, clock=time.time
    )
    told = [(one.state, one.sentence) for one in findings if one.about == "budget"]
    assert told == [("warning", f"{OWN} has used 80 % or more of today's budget in {CIRCLE}")]


def test_the_sum_of_a_circle_says_what_could_be_listed_and_what_a_stretch_adds(node):
    found = call("node", "circle", "budget", node, CIRCLE, "--json").json
    assert (found["threshold"], found["holders"], found["stretched"]) == (1, 1, ["phone"])
    outsider, holder = found["attacks"]
    assert (outsider["per_day"], outsider["days"]["phone"]) == (5, 200_000_000)
    assert (holder["per_day"], holder["days"]["phone"]) == (None, None)
    with_key, bare = (
        found[name]["phone"]
        for name in ("core_days_with_the_key", "core_days_with_the_key_unstretched")
    )
    assert with_key > 20 * bare
    assert found["core_days_with_the_key"]["email"] == bare
    said = call("node", "circle", "budget", node, CIRCLE).out
    assert (
        "An outsider with one member's key needs 547,570 years for all German mobile numbers."
    ) in said
    assert "no limit: they have the key" in said


def test_a_circle_that_is_not_known_has_no_sum(node):
    done = call("node", "circle", "budget", node, f"{OWN}/other-1")
    assert done.code == 1
    assert "knows no such circle" in done.err
