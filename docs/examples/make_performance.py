"""The tables of docs/performance.md, made from what `schutznetz bench … --json` printed.

Each document lies in docs/figures as NAME.json. Where the page says ``<!-- figures: NAME -->``,
what stands up to ``<!-- end -->`` is written anew: the machine, a table of figures, and what each
was measured against. Run without an argument after a new document was put there; the words between
the tables are a person's. tests/unit/test_documents.py compares page and documents.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

from node.bench.report import table_rows

DOCUMENT: Final = Path(__file__).parents[1] / "performance.md"
FIGURES: Final = Path(__file__).parents[1] / "figures"

_BLOCK: Final = re.compile(r"(<!-- figures: ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_BARS: Final = frozenset({"must", "must_ok", "better"})


def rewritten(text: str) -> str:
    """Returns the page with every table made anew."""
    return _BLOCK.sub(lambda found: found[1] + table_of(found[2]) + found[3], text)


def table_of(name: str) -> str:
    """Returns machine and table of docs/figures/`name`.json in Markdown."""
    document = json.loads((FIGURES / f"{name}.json").read_text("utf-8"))
    lines = [
        "",
        _machine_line(document["machine"]),
        "",
        "| figure | value | must | goal | reached | beside, in the same run |",
        "|---|---:|---:|---:|---|---|",
    ]
    for figure, row in zip(document["figures"], table_rows(document["figures"]), strict=True):
        cells = [f"`{row[0]}`", *row[1:], _beside(figure["beside"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", ""])


def _machine_line(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}, {versions}; load "
        f"{machine['load_at_start']} at the start and {machine['load_at_end']} at the end."
    )


def _beside(beside: dict[str, Any]) -> str:
    told = {name: value for name, value in beside.items() if name not in _BARS}
    return "; ".join(f"{name} {_text(value)}" for name, value in told.items())


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    return f"{value:,}" if isinstance(value, int | float) else str(value)


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text("utf-8")), "utf-8")
