"""The tables of docs/scale.md, made from what the simulation wrote.

Run after ``python benchmarks/simulate_scale.py --write``; tests/unit/test_documents.py compares
page and file.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

DOCUMENT: Final = Path(__file__).parents[1] / "scale.md"
FIGURES: Final = Path(__file__).parents[1] / "figures" / "scale" / "scale.json"

_THOUSAND: Final = 1_000
_BLOCK: Final = re.compile(r"(<!-- scale: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rewritten(text: str) -> str:
    """Returns the page with its tables made anew."""
    found = json.loads(FIGURES.read_text("utf-8"))
    tables = {"messages": _messages, "spread": _spread, "load": _load}
    return _BLOCK.sub(lambda block: f"{block[1]}\n{tables[block[2]](found)}\n\n{block[3]}", text)


def _messages(found: dict[str, Any]) -> str:
    measured = found["measured"]
    machine = measured["machine"]
    rows = [
        [f"`{name}`", one["request_bytes"], one["answer_bytes"], one["serve_ms"], one["ask_ms"]]
        for name, one in measured["requests"].items()
    ]
    about = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python "
        f"{machine['python']}; load {machine['load_at_start']} at the start and "
        f"{machine['load_at_end']} at the end. A statement about one picture is an envelope of "
        f"{measured['statement']['envelope_bytes']} bytes, and to take it in costs "
        f"{measured['statement']['take_ms']} ms of a processor."
    )
    heads = ("request", "bytes there", "bytes back", "serving, ms", "asking, ms")
    return f"{about}\n\n{_table(heads, rows)}"


def _spread(found: dict[str, Any]) -> str:
    rows = [
        [
            one["design"],
            f"{one['nodes']:,}",
            f"{one['requests']:,}",
            _bytes(one["bytes"]),
            *(_seconds(one[key]) for key in ("half_s", "p99_s", "all_s", "over_s")),
        ]
        for one in found["figures"]
    ]
    heads = ("design", "nodes", "requests", "bytes", "half have it", "99 %", "all", "quiet again")
    return _table(heads, rows)


def _load(found: dict[str, Any]) -> str:
    rows = [
        [
            one["design"],
            f"{one['nodes']:,}",
            _seconds(one["busiest_s"]),
            _seconds(one["mean_s"]),
            f"{3_600 / one['busiest_s']:,.0f}",
            f"{100 * one['idle_share']:.3g} %",
        ]
        for one in found["figures"]
    ]
    heads = (
        "design",
        "nodes",
        "busiest node, processor",
        "mean node",
        "single statements an hour, at most",
        "polls with nothing new, busiest node",
    )
    return _table(heads, rows)


def _table(heads: tuple[str, ...], rows: list[list[Any]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def _seconds(value: float) -> str:
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:,.3g} s"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < _THOUSAND:
            return f"{value:.3g} {unit}"
        value /= _THOUSAND
    return f"{value:.3g} TB"


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text("utf-8")), "utf-8")
