"""The table of docs/threat-model.md that says who can list how much, computed by the code.

Without an argument the block in docs/threat-model.md is written anew; tests/unit/test_documents.py
compares it.
"""

import re
from pathlib import Path
from typing import Final

from federation.exposure import (
    EMAIL_ADDRESSES,
    GERMAN_MOBILE_NUMBERS,
    core_days_to_list,
    days_to_list,
    evaluations_per_day,
)
from node.cli.verbs.budgets import span

DOCUMENT: Final = Path(__file__).parents[1] / "threat-model.md"

BUDGET: Final = 5_000
STRETCH_S: Final = 0.042
"""Argon2id with 64 MiB and one pass, on one core of the machine that research was measured on."""

CASES: Final = (
    # holders, threshold, own shares, budgets together, who
    (1, 1, 0, 1, "outside member"),
    (3, 2, 0, 1, "outside member"),
    (3, 2, 1, 1, "one holder"),
    (5, 3, 0, 1, "outside member"),
    (5, 3, 1, 1, "one holder"),
    (5, 3, 2, 1, "two holders, one budget"),
    (5, 3, 2, 2, "two holders, a budget each"),
    (5, 3, 0, 20, "20 outside members together"),
)
HEADS: Final = (
    f"all {GERMAN_MOBILE_NUMBERS:,} German mobile numbers",
    f"{EMAIL_ADDRESSES:,} e-mail addresses",
    "a list of 10^6",
)
_BLOCK: Final = re.compile(
    r"(?P<head><!-- table: guessing -->\n).*?(?P<foot><!-- end of table -->)", re.DOTALL
)


def table() -> str:
    """Returns the table in Markdown."""
    lines = [
        f"| circle | attacker | a day | {' | '.join(HEADS)} |",
        "|---|---|---|---|---|---|",
    ]
    for n, t, c, m, who in CASES:
        a_day = evaluations_per_day(m * BUDGET, n, t, shares=c)
        assert a_day is not None
        times = [
            span(days_to_list(count, a_day))
            for count in (GERMAN_MOBILE_NUMBERS, EMAIL_ADDRESSES, 10**6)
        ]
        lines.append(f"| {t} of {n} | {who} | {a_day:,} | {' | '.join(times)} |")
    bare = [core_days_to_list(count) for count in (GERMAN_MOBILE_NUMBERS, EMAIL_ADDRESSES)]
    stretched = core_days_to_list(GERMAN_MOBILE_NUMBERS, stretch_s=STRETCH_S)
    lines.append(
        f"| any | t holders, or who stole t shares; one core, offline | – | {span(stretched)}, "
        f"stretched by {STRETCH_S * 1000:.0f} ms (else {span(bare[0])}) | {span(bare[1])} "
        "| a minute (stretched: 12 hours) |"
    )
    return "\n".join(lines) + "\n"


def with_table(document: str) -> str:
    """Returns the document with the block replaced by the table.

    Raises:
        RuntimeError: there is not exactly one block.
    """
    found, count = _BLOCK.subn(lambda match: match["head"] + table() + match["foot"], document)
    if count != 1:
        raise RuntimeError(f"There are {count} blocks for the table.")
    return found


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
