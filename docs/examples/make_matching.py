"""The table of docs/matching.md, made from what `schutznetz bench variants --json` printed.

The document lies in docs/figures as variants.json; what stands between ``<!-- variants -->`` and
``<!-- end -->`` is written anew. Run without an argument after a new document was put there.
tests/unit/test_documents.py compares page and document.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

DOCUMENT: Final = Path(__file__).parents[1] / "matching.md"
FIGURES: Final = Path(__file__).parents[1] / "figures" / "variants.json"

_BLOCK: Final = re.compile(r"(<!-- variants -->\n).*?(<!-- end -->)", re.DOTALL)
_RECALL: Final = "variants.recall."
_COST: Final = "variants.cpu_ms."
_FAMILIES: Final = ("mirror", "rotation", "border", "banner", "crop")
_COSTED: Final = {
    **{family: f"with `{family}`" for family in _FAMILIES},
    "combined-mirror-border": "with `mirror`, `border` and `combined`",
    "uncombined": "with all but `combined`",
    "all": "with all of them",
}
_WORTH: Final = 0.02


def rewritten(text: str) -> str:
    """Returns the page with its tables made anew."""
    document = json.loads(FIGURES.read_text("utf-8"))
    return _BLOCK.sub(lambda found: found[1] + "\n".join(_lines(document)) + found[2], text)


def _lines(document: dict[str, Any]) -> list[str]:
    figures = {one["name"]: one for one in document["figures"]}
    machine = document["machine"]
    lines = [
        "",
        (
            f"{machine['pictures']} pictures × {machine['manipulations']} manipulations, every "
            "upload a real file that was decoded and hashed. Found: within 31 bits (within 16). "
            "`combined` is asked for in the last rows only, which change two things."
        ),
        "",
        "| what was done to the upload | as it is | with variants | found by |",
        "|---|---:|---:|---|",
    ]
    for name, figure in figures.items():
        if name.startswith(_RECALL):
            lines.append(_recall(figure))
    return [*lines, "", *_unrelated(figures), "", *_costs(figures, machine), "", ""]


def _recall(figure: dict[str, Any]) -> str:
    beside = figure["beside"]
    by = [
        f"`{family}`{_less(beside[family], figure['value'])}"
        for family in _FAMILIES
        if beside[family] >= beside["plain"] + _WORTH
    ]
    if not by and beside["uncombined"] >= beside["plain"] + _WORTH:
        by = ["`mirror` and `rotation` together"]
    if figure["value"] >= max(beside["uncombined"], *(beside[one] for one in _FAMILIES)) + _WORTH:
        by.append("`combined`")
    cells = (
        beside["told"],
        f"{_share(beside['plain'])} ({_share(beside['plain_at_16'])})",
        f"{_share(figure['value'])} ({_share(beside['varied_at_16'])})",
        ", ".join(by),
    )
    return f"| {' | '.join(cells)} |"


def _less(one: float, together: float) -> str:
    """What a family finds alone, where that is less than all of them together."""
    return f" ({_share(one)})" if one < together - _WORTH else ""


def _unrelated(figures: dict[str, Any]) -> list[str]:
    figure, combined = (figures[f"variants.false_matches{which}"] for which in ("", ".combined"))
    beside, also = figure["beside"], combined["beside"]
    return [
        (
            f"**False matches** among {beside['pairs']:,} pairs of an upload and a flagged picture "
            f"that is another: {beside['plain']} as they are, {figure['value']} with all variants "
            f"but those of `combined`. The nearest pair is {beside['nearest_plain_bits']} bits "
            f"apart as it is, and {beside['nearest_varied_bits']} with them. Among "
            f"{also['pairs']:,} pairs after two changes: {combined['value']} with all variants, "
            f"the nearest {also['nearest_varied_bits']} bits apart."
        )
    ]


def _costs(figures: dict[str, Any], machine: dict[str, Any]) -> list[str]:
    sizes = ("0.3mpx", "1mpx", "12mpx")
    heads = " | ".join(f"{size.removesuffix('mpx')} Mpx" for size in sizes)
    lines = [
        (
            "**Cost**, processor time of one upload in ms, decoding included "
            f"({machine['cpu']}, Python {machine['python']}; load {machine['load_at_start']} to "
            f"{machine['load_at_end']}):"
        ),
        "",
        f"| | {heads} |",
        "|---|---:|---:|---:|",
    ]
    plain = [figures[f"{_COST}uncombined.{size}"]["beside"]["plain_ms"] for size in sizes]
    lines.append(_row("as it is", plain))
    for name, told in _COSTED.items():
        values = [
            figures[at]["value"] for size in sizes if (at := f"{_COST}{name}.{size}") in figures
        ]
        if values:
            lines.append(_row(told, values))
    for name in _COSTED:
        if search := figures.get(f"variants.pdqs_per_upload.{name}"):
            beside = search["beside"]
            lines += [
                "",
                (
                    f"{_COSTED[name].capitalize()}, {search['value']:.0f} pdqs are looked for "
                    f"instead of one: {beside['varied_us']:.0f} µs instead of "
                    f"{beside['plain_us']:.0f} with {beside['entries']:,} entries."
                ),
            ]
    return lines


def _row(told: str, values: list[float]) -> str:
    return f"| {told} | {' | '.join(f'{value:.1f}' for value in values)} |"


def _share(value: float) -> str:
    return f"{value:.0%}".replace("%", " %")


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text("utf-8")), "utf-8")
