"""PDQ at full resolution, with the very bits of pdqhash, in a tenth of its time and memory.

What PDQ is, and in which order its reference implementation adds: Meta's "TMK+PDQF and PDQ" paper,
and ThreatExchange's pdq/cpp (BSD), which pdqhash compiles; NOTICE says whose it is. None of its
code is here. The four steps:

1. luma = 0.299 R + 0.587 G + 0.114 B, in double precision, rounded once to 32 bits;
2. two passes of a box filter along rows and along columns, each a running sum of 32-bit floats;
3. of the result, 64 × 64 pixels, of which the quality is computed;
4. 16 × 16 coefficients of their cosine transform; a bit says which are above the lower median.

A running sum of floats depends on the order in which it is added up: so every sum here takes the
same values in the same order, one addition and one subtraction each, rounded each time. Nothing may
be fused or reassociated, hence neither `fastmath` nor a matrix product. What is different is what
does not change a rounding:

- Luma is (299 R + 587 G + 114 B) / 1000 with one division. The numerator is exact in 32 bits, and
  no quotient lies so close to the middle of two floats that the reference's double could round the
  other way: the distance to a middle is at least 2^-24 / 125 of the value's power of two, the
  double's error under 2^-50 (checked for all 2^24 colours by benchmarks/bench_pdq_kernel.py).
- The picture goes through all four filter passes in strips of 16 rows, so that neither a float copy
  of it nor a column is ever walked through memory: widths that are a power of two cost no more.
- Eight rows are summed side by side: eight chains of additions instead of one that waits.
- Of the last pass along rows only 64 columns are divided, of the last one along columns only these
  64 are summed: nothing else of them is looked at.

Not here: decoding (node.matching.pixels), and trust: `check_kernel` there compares with known
values before the first picture, since another compiler could fuse after all.

Importing this module loads numba, about half a second. The machine code is compiled at first use,
some seconds, and kept on disk by numba.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from node.matching.pdq_block import (
    BLOCK,
    COEFFICIENTS,
    COSINES,
    bits_of,
    dihedral_forms,
    quality_of,
)
from node.matching.pdq_filters import Lie, filter_into, read_luma, transform

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE_MIN_PX: Final = 5  # under it the reference gives a pdq of zeroes, quality 0
_STRIP: Final = 16  # rows that go through the filters together; twice the eight of `_sum_8_rows`
_PADDING: Final = (
    16  # floats; rows that start a power of two apart compete for the same cache lines
)


def pdq_of(pixels: "NDArray[np.uint8]", *, orientation: int = 1) -> tuple[bytes, int]:
    """The pdq, 32 bytes, and quality, 0 to 100, of a picture as it is displayed.

    Bit for bit pdqhash.compute's of the upright picture, without making it upright first.

    Args:
        pixels: RGB, [height, width, 3], C-contiguous; may be read-only.
        orientation: EXIF's, 1 to 8: what is done to `pixels` before they are shown.
    """
    height, width = _shown_size(pixels, orientation)
    if min(height, width) < _SIDE_MIN_PX:
        return bytes(COEFFICIENTS * COEFFICIENTS // 8), 0
    block = _block_of(pixels, orientation, filtered=(height, width) != (BLOCK, BLOCK))
    return bits_of(_transformed(block)), quality_of(block)


def dihedral_pdqs_of(
    pixels: "NDArray[np.uint8]", *, orientation: int = 1
) -> tuple[list[bytes], int]:
    """The pdqs of a picture's eight turned and mirrored forms, and its quality.

    In the order of pdqhash.compute_dihedral, and bit for bit its values: as it is, turned by 90,
    180 and 270 degrees, mirrored along x, along y, and along either diagonal. Turning changes
    signs and order of coefficients alone, so all eight cost little more than one.

    Args:
        pixels: as pdq_of.
        orientation: as pdq_of.
    """
    if min(_shown_size(pixels, orientation)) < _SIDE_MIN_PX:
        return [bytes(COEFFICIENTS * COEFFICIENTS // 8)] * 8, 0
    block = _block_of(pixels, orientation, filtered=True)
    forms = dihedral_forms(_transformed(block))
    return [bits_of(form) for form in forms], quality_of(block)


def _shown_size(pixels: "NDArray[np.uint8]", orientation: int) -> tuple[int, int]:
    """Height and width as displayed."""
    height, width, _colours = pixels.shape
    return (height, width) if orientation < 5 else (width, height)  # noqa: PLR2004 - 5 to 8 lie


def _block_of(
    pixels: "NDArray[np.uint8]", orientation: int, *, filtered: bool
) -> "NDArray[np.float32]":
    """The 64 × 64 luma that PDQ transforms, float32 [64, 64]."""
    height, width, colours = pixels.shape
    row, column = width * colours, colours
    last_row, last_column = (height - 1) * row, (width - 1) * column
    # where the displayed picture's first pixel lies, and how far to the next one down and right
    lie: Lie = {
        1: (0, row, column),
        2: (last_column, row, -column),
        3: (last_row + last_column, -row, -column),
        4: (last_row, -row, column),
        5: (0, column, row),
        6: (last_row, column, -row),
        7: (last_row + last_column, -column, -row),
        8: (last_column, -column, row),
    }[orientation]
    block = np.empty((BLOCK, BLOCK), np.float32)
    flat = pixels.reshape(-1)
    flat.flags.writeable = False  # one type for the compiler, whatever the caller's array is
    shown = _shown_size(pixels, orientation)
    if filtered:
        filter_into(flat, lie, *shown, block)
    else:
        read_luma(flat, lie, 0, block)
    return block


def _transformed(block: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """The 16 × 16 coefficients, float32, of a 64 × 64 picture."""
    found = np.empty((COEFFICIENTS, COEFFICIENTS), np.float32)
    transform(block, COSINES, found)
    return found
