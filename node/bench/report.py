"""What every bench reports, in one shape: the machine, and figures with their bars and neighbours.

A new bench (ingest, signup, sync) does this::

    machine = MachineWatch.start()
    ...measure...
    figures = [
        Figure("ingest.ratio_floor", 1.7, "×", at_most(2.0), {"floor_s": 3.1, "ours_s": 5.3}),
        Figure("ingest.envelopes", 1000, ""),
    ]
    return Report(machine.describe(("sqlalchemy", "pynacl")), tuple(figures))

and its verb in node/cli/verbs/bench.py hands the report to ``_deliver``. Names are stable: they are
the issue's, and docs/performance.md is made from them. What a figure was measured against stands in
`beside`, from the same run; nothing there names a host or a path.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_DIGITS: Final = 4


@dataclass(frozen=True)
class Bar:
    """What a figure is held to.

    Attributes:
        must: the gate, on a noisy machine.
        goal: what is aimed for; `ok` in the document says whether this was reached.
        at_least: whether more is better.
    """

    must: float
    goal: float
    at_least: bool

    def holds(self, value: float, bound: float) -> bool:
        """Whether a value is on the right side of `bound`, which is `must` or `goal`."""
        return value >= bound if self.at_least else value <= bound


def at_least(must: float, goal: float | None = None) -> Bar:
    """Returns a bar for a figure of which more is better; without a goal, `must` is the goal."""
    return Bar(must, must if goal is None else goal, at_least=True)


def at_most(must: float, goal: float | None = None) -> Bar:
    """Returns a bar for a figure of which less is better; without a goal, `must` is the goal."""
    return Bar(must, must if goal is None else goal, at_least=False)


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        name: ``bench.what``, stable over versions.
        value: None where it could not be measured; `beside["why"]` says in a sentence why.
        unit: such as ``×``, ``µs``, ``s``, ``B``, ``1/s``; empty for a bare number.
        bar: what it is held to; None where it is only told.
        beside: what it was measured against in the same run, by name with the unit at its end.
    """

    name: str
    value: float | None
    unit: str
    bar: Bar | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def meets_goal(self) -> bool | None:
        """Whether the goal was reached; None without a goal or a value."""
        if self.bar is None or self.value is None:
            return None
        return self.bar.holds(self.value, self.bar.goal)

    @property
    def meets_must(self) -> bool | None:
        """Whether the gate was passed; None without a gate or a value."""
        if self.bar is None or self.value is None:
            return None
        return self.bar.holds(self.value, self.bar.must)

    def to_json(self) -> dict[str, Any]:
        """The figure as it stands in the document; the gate stands in `beside`."""
        beside = {name: _rounded(value) for name, value in self.beside.items()}
        if self.bar is not None:
            beside |= {"must": self.bar.must, "must_ok": self.meets_must}
            beside["better"] = "more" if self.bar.at_least else "less"
        return {
            "name": self.name,
            "value": _rounded(self.value),
            "unit": self.unit,
            "goal": None if self.bar is None else self.bar.goal,
            "ok": self.meets_goal,
            "beside": beside,
        }


@dataclass(frozen=True)
class Report:
    """What one run of a bench came to."""

    machine: Mapping[str, Any]
    figures: tuple[Figure, ...]

    def to_json(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "machine": dict(self.machine),
            "figures": [figure.to_json() for figure in self.figures],
        }


def table_rows(figures: list[dict[str, Any]]) -> list[tuple[str, str, str, str, str]]:
    """Returns figure, value, must, goal and verdict as texts, a row for each figure.

    Args:
        figures: the `figures` of a document that `Report.to_json` made.
    """
    return [
        (
            one["name"],
            _text(one["value"], one["unit"]),
            _bound(one, one["beside"].get("must")),
            _bound(one, one["goal"]),
            _verdict(one),
        )
        for one in figures
    ]


def _verdict(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return "not measured"
    if figure["goal"] is None:
        return ""
    if figure["ok"]:
        return "goal"
    return "must" if figure["beside"]["must_ok"] else "missed"


def _bound(figure: Mapping[str, Any], bound: float | None) -> str:
    if bound is None:
        return ""
    sign = "≥" if figure["beside"]["better"] == "more" else "≤"
    return f"{sign} {_text(bound, '')}"


def _text(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    whole = float(value).is_integer() or abs(value) >= 10 ** (_DIGITS - 1)
    number = f"{value:,.0f}" if whole else f"{value:.{_DIGITS}g}"
    return f"{number} {unit}".rstrip()


def _rounded(value: Any) -> Any:
    """A float with four digits that count; everything else as it is, lists in their turn."""
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, float):
        return value if not math.isfinite(value) or not value else float(f"{value:.{_DIGITS}g}")
    return value
