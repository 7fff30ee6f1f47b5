"""The document that every bench prints, and the table made from it."""

from node.bench.machine import MachineWatch
from node.bench.report import Figure, Report, at_least, at_most, table_rows

FIGURES = (
    Figure("a.ratio", 131.04, "×", at_least(100, 180), {"rival_us": 1000.123, "rounds": [1.0, 2.0]}),
    Figure("a.time", 0.5, "s", at_most(1)),
    Figure("a.size", 200, "B", at_most(140, 110)),
    Figure("a.absent", None, "×", at_least(10), {"why": "left out: does not fit"}),
    Figure("a.told", 123456.7, "1/s"),
)  # fmt: skip


def test_a_figure_is_ok_where_it_reaches_its_goal_and_the_gate_stands_beside_it():
    document = Report({"cpu": "x"}, FIGURES).to_json()
    assert document["machine"] == {"cpu": "x"}
    assert [one["ok"] for one in document["figures"]] == [False, True, False, None, None]
    assert document["figures"][0] == {
        "name": "a.ratio",
        "value": 131.0,
        "unit": "×",
        "goal": 180,
        "ok": False,
        "beside": {
            "rival_us": 1000.0,
            "rounds": [1.0, 2.0],
            "must": 100,
            "must_ok": True,
            "better": "more",
        },
    }
    assert document["figures"][3]["beside"]["must_ok"] is None


def test_the_table_says_of_each_figure_what_it_reached():
    rows = table_rows(Report({}, FIGURES).to_json()["figures"])
    assert rows == [
        ("a.ratio", "131 ×", "≥ 100", "≥ 180", "must"),
        ("a.time", "0.5 s", "≤ 1", "≤ 1", "goal"),
        ("a.size", "200 B", "≤ 140", "≤ 110", "missed"),
        ("a.absent", "–", "≥ 10", "≥ 10", "not measured"),
        ("a.told", "123,500 1/s", "", "", ""),
    ]


def test_the_machine_is_told_without_a_name_or_a_path():
    machine = MachineWatch.start().describe(("numpy", "no-such-distribution"))
    assert set(machine["packages"]) == {"numpy"}
    assert machine["cores"] >= 1
    assert machine["memory_gib"] > 0
    assert not [value for value in map(str, machine.values()) if "/" in value and ":" not in value]
