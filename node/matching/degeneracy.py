"""Which of many pdqs nearly constant pictures have: `protocol.pdq.is_degenerate` for arrays.

The rule and its reasons stand there, and a property test holds the two together. This one costs a
fiftieth for each, where a thousand are judged at once.
"""

from typing import TYPE_CHECKING

import numpy as np

from protocol.limits import PDQ_BITS
from protocol.pdq import FEWEST_DISTINCT, FEWEST_ONES, MOST_ONES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE = 16


def degenerate(pdqs: "NDArray[np.uint8]") -> "NDArray[np.bool_]":
    """Returns of each pdq whether a nearly constant picture has it.

    Args:
        pdqs: uint8 [n, 32].

    Returns:
        bool [n].
    """
    rows = np.ascontiguousarray(pdqs)
    ones = np.bitwise_count(rows.view(np.uint64)).sum(axis=1, dtype=np.int64)
    bits = np.unpackbits(rows, axis=1).reshape(-1, _SIDE, _SIDE)
    columns = np.packbits(bits.transpose(0, 2, 1).reshape(-1, PDQ_BITS), axis=1)
    found: NDArray[np.bool_] = (
        (ones < FEWEST_ONES)
        | (ones > MOST_ONES)
        | (_distinct(rows) < FEWEST_DISTINCT)
        | (_distinct(columns) < FEWEST_DISTINCT)
    )
    return found


def _distinct(lines: "NDArray[np.uint8]") -> "NDArray[np.int64]":
    """Returns how many of the 16 lines of each matrix differ; lines are uint8 [n, 32]."""
    ordered = np.sort(lines.view(np.uint16), axis=1)
    changes: NDArray[np.int64] = (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
    return changes + 1
