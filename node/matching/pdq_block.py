"""The last steps of PDQ, which are the same however the 64 × 64 picture came about.

Plain NumPy, so that it can be had without a compiler; node.matching.pdq_kernel and
node.matching.variants share it. The roundings are those of the reference; pdq_kernel says why.
"""

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK: Final = 64
"""Rows and columns of the picture that PDQ transforms."""

COEFFICIENTS: Final = 16
"""Rows and columns of the transform that become bits."""

_QUALITY_DIVISOR: Final = 90
_QUALITY_MAX: Final = 100


def bits_of(coefficients: "NDArray[np.float32]") -> bytes:
    """The pdq, 32 bytes: which of [16, 16] coefficients are above the lower median, last first."""
    flat = coefficients.ravel()
    middle = flat.size // 2 - 1
    return np.packbits((flat > np.partition(flat, middle)[middle])[::-1]).tobytes()


def quality_of(block: "NDArray[np.float32]") -> int:
    """How much the luma of neighbours differs, 0 to 100, in hundredths that are cut off singly.

    Args:
        block: float32 [64, 64], 0 to 255.
    """
    total = 0
    for step in (block[:-1] - block[1:], block[:, :-1] - block[:, 1:]):
        hundredths = step * np.float32(100) / np.float32(255)
        total += int(np.abs(hundredths.astype(np.int32)).sum())
    return min(total // _QUALITY_DIVISOR, _QUALITY_MAX)


def dihedral_forms(coefficients: "NDArray[np.float32]") -> tuple["NDArray[np.float32]", ...]:
    """The coefficients [16, 16] of a picture's eight turned and mirrored forms.

    In the order of pdqhash.compute_dihedral: as it is, turned counter-clockwise by 90, 180 and 270
    degrees, mirrored upside down, left to right, and along either diagonal. Turning changes signs
    and order of coefficients alone.
    """
    signs = np.where(np.arange(COEFFICIENTS) % 2, 1, -1).astype(np.float32)
    by_row, by_column = signs[:, None], signs[None, :]
    return (
        coefficients,
        (coefficients * by_column).T,
        coefficients * by_row * by_column,
        (coefficients * by_row).T,
        coefficients * by_row,
        coefficients * by_column,
        coefficients.T,
        (coefficients * by_row * by_column).T,
    )


def _cosines() -> "NDArray[np.float32]":
    """The rows 1 to 16 of the 64-point cosine transform, float32 [16, 64], as the reference's."""
    scale = np.float32(math.sqrt(2.0 / BLOCK))
    step = math.pi / 2.0 / BLOCK
    return np.array(
        [
            [float(scale) * math.cos(step * (i + 1) * (2 * j + 1)) for j in range(BLOCK)]
            for i in range(COEFFICIENTS)
        ],
        np.float32,
    )


COSINES: Final = _cosines()
"""float32 [16, 64]."""
