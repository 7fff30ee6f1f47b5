"""The pdq: 256 bits that stay nearly the same when a picture is recompressed or resized.

Only the value lives here: its text form, the distance between two, and the test that refuses the
values that near-constant pictures share. Computing one from a picture is node.matching.media's;
searching among many is node.matching.index's.

Source: Meta, "PDQ and TMK + PDQF", 2019. docs/adr/0004 has the measurements behind the rules.
"""

import re
import struct
from typing import Final, NewType

from protocol.errors import MalformedError
from protocol.limits import PDQ_BITS

Pdq = NewType("Pdq", bytes)
"""32 bytes; bit 0 of the 16 × 16 matrix, row by row, is the highest bit of the first byte."""

PDQ_BYTES: Final = PDQ_BITS // 8
"""Length of a pdq in bytes."""

_SIDE: Final = 16
_HEX: Final = re.compile(r"[0-9a-f]{64}")

FEWEST_ONES: Final = 96
"""Ones of a pdq that is not degenerate."""

MOST_ONES: Final = PDQ_BITS - FEWEST_ONES
"""Ones of a pdq that is not degenerate."""

FEWEST_DISTINCT: Final = 8
"""Different rows, and columns, of a pdq that is not degenerate."""

_ROWS: Final = struct.Struct(f">{_SIDE}H")
_COLUMN: Final = sum(1 << _SIDE * row for row in range(_SIDE))


def parse_pdq(text: str) -> Pdq:
    """The pdq written as `text`.

    Args:
        text: exactly 64 lower-case hexadecimal digits, the one form that the wire allows.

    Raises:
        MalformedError: any other text; the message does not repeat it.
    """
    if not _HEX.fullmatch(text):
        raise MalformedError("a pdq is exactly 64 lower-case hexadecimal digits")
    return Pdq(bytes.fromhex(text))


def distance(a: Pdq, b: Pdq) -> int:
    """The number of bits, 0 to 256, in which `a` and `b` differ (Hamming distance)."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def is_degenerate(pdq: Pdq) -> bool:
    """True if a near-constant picture has this pdq, so that matching it would mean nothing.

    PDQ sets the bits whose frequency coefficient lies above the median, which in a photograph are
    exactly 128. A picture of one colour has coefficients that are all rounding noise or all equal:
    fewer ones, and few distinct patterns among the rows or columns of the 16 × 16 matrix. Refused
    are fewer than 96 or more than 160 ones (PDQ itself never sets more than 128), and fewer than 8
    distinct rows or columns.

    Measured (docs/adr/0004): refuses all of 72 one-colour pictures and 119 of 120 in a second
    set, none of 18,000 variants of 1,000 photographs. It is no test for sense: stripes and
    gradients of 128 ones pass, and are left to the quality gate and to quarantine.
    """
    bits = int.from_bytes(pdq)
    if not FEWEST_ONES <= bits.bit_count() <= MOST_ONES:
        return True
    if len(set(_ROWS.unpack(pdq))) < FEWEST_DISTINCT:
        return True
    # A column is every sixteenth bit. In nearly every picture the first half of them differ, and
    # nobody needs to look at the others: lists of a million are judged here.
    columns = {bits >> place & _COLUMN for place in range(FEWEST_DISTINCT)}
    if len(columns) == FEWEST_DISTINCT:
        return False
    columns.update(bits >> place & _COLUMN for place in range(FEWEST_DISTINCT, _SIDE))
    return len(columns) < FEWEST_DISTINCT
