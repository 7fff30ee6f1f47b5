"""The table of docs/faults.md, made from what the fault suite wrote.

Run with the file that ``make soak ARGS="--json FILE"`` wrote to take that over as
docs/figures/faults/soak.json; with several of them, from runs of some faults each (``--only``), to
take over all together; without, to write the table anew. tests/unit/test_documents.py compares page
and file.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

DOCUMENT: Final = Path(__file__).parents[1] / "faults.md"
FOUND: Final = Path(__file__).parents[1] / "figures" / "faults" / "soak.json"

_BLOCK: Final = re.compile(r"(<!-- faults -->\n).*?(<!-- end -->)", re.DOTALL)


_COUNTS: Final = ("tried", "survived", "lost", "half", "seconds")


def together(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns several runs as one: figures added up, and what was last said of each fault."""
    rows: dict[str, dict[str, Any]] = {}
    for row in (row for run in runs for row in run["faults"]):
        before = rows.get(row["name"], dict.fromkeys(_COUNTS, 0) | {"problems": []})
        added = {name: round(before[name] + row[name], 1) for name in _COUNTS}
        rows[row["name"]] = row | added | {"problems": before["problems"] + row["problems"]}
    totals = {
        name: round(sum(run[name] for run in runs), 1)
        for name in ("seconds", "acknowledged", "tried", "survived", "lost")
    }
    return {**runs[-1], **totals, "faults": list(rows.values())}


def rewritten(text: str) -> str:
    """Returns the page with its table made anew."""
    return _BLOCK.sub(lambda found: found[1] + table() + found[2], text)


def table() -> str:
    """Returns a line about the run and a row for each kind of fault, in Markdown."""
    found = json.loads(FOUND.read_text("utf-8"))
    ran = (
        f"{found['nodes']} nodes on {found['hosts']}, {found['seconds']:.0f} s: {found['tried']} "
        f"faults tried, **{found['survived']} survived**, {found['acknowledged']:,} statements "
        f"acknowledged, **{found['lost']} lost**."
    )
    lines = [
        "",
        ran,
        "",
        "| fault | tried | survived | lost | there in part | the last time |",
        "|---|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {one['name']} | {one['tried']} | {one['survived']} | {one['lost']} | {one['half']} "
        f"| {one['note']} |"
        for one in found["faults"]
    ]
    return "\n".join([*lines, "", ""])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        FOUND.parent.mkdir(exist_ok=True)
        found = together([json.loads(Path(one).read_text("utf-8")) for one in sys.argv[1:]])
        FOUND.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text("utf-8")), "utf-8")
