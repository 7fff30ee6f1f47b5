"""The circle of a fault run, whose key all three nodes hold together.

Its key is dealt, as no organisation would have it; how nodes make one themselves is another test's
matter. All of them have to answer, so that every holder has a part in every check.
"""

from collections.abc import Mapping

from node.demo.cast import HOTLINE, PLATFORM_A, PLATFORM_B, keep_share
from nodes import CIRCLE, Node

HOLDERS = (HOTLINE, PLATFORM_A, PLATFORM_B)
_ELEMENTS = 1_000_000


def deal(nodes: Mapping[str, Node]) -> None:
    """Makes the circle, before any of the nodes runs."""
    budgets = dict.fromkeys(HOLDERS[1:], _ELEMENTS)
    with nodes[HOTLINE].services() as services:
        _, shares = services.circles.deal(
            CIRCLE.partition("/")[2], budgets, 30, holders=HOLDERS, threshold=len(HOLDERS)
        )
    for name, share in shares.items():
        keep_share(nodes[name].directory, CIRCLE, 1, share)
