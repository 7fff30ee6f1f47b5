"""Members of a circle, as they are typed: a node, and how much it may ask."""

from typing import Final

import typer

from node.cli import options

BUDGET: Final = 5_000
"""Identifiers a day that a member may have evaluated, unless it is said otherwise."""

_MAX_BUDGET: Final = 10**7


def parse_member(text: str) -> tuple[str, int]:
    """Returns a member and its budget.

    Raises:
        typer.BadParameter: not of the form NODE or NODE=BUDGET.
    """
    node, equals, budget = text.partition("=")
    if equals and not (budget.isascii() and budget.isdecimal() and int(budget) <= _MAX_BUDGET):
        raise typer.BadParameter(
            f"the budget of a member is a number up to {_MAX_BUDGET}", param_hint="--member"
        )
    return options.check_node_name(node), int(budget) if equals else BUDGET
