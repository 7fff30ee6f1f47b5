"""Three synthetic pictures and their pdqs, by which a pdqhash build is known to be exact.

Integer patterns, so that no platform's floating point has a say in the picture itself. The values
come from pdqhash 0.2.8's x86-64 wheel. The gradient is the sensitive one: built with gcc
``-mfma -ffp-contract=fast``, the same library is 126 bits off on it and 0 on the other two.
"""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

REFERENCE: Final = (
    ("gradient", (97, 61), "14937c56b4e9996f24d361a83157ab1432964bc5b6d55d6a694834adadb5aa36"),
    ("weave", (200, 150), "afe8f64f57c1cf1e0097ffcff701807f8abe4102000002467181ec08efe8bfff"),
    ("texture", (333, 251), "11d288a275b21b48a7446e2d3339fe4ac12a187d3337f1bd7c3c18fa758f5ec0"),
)
"""Name of the pattern, (width, height) in pixels, pdq in hexadecimal."""


def reference_picture(name: str, width: int, height: int) -> "NDArray[Any]":
    """The RGB pixels, uint8 [height, width, 3], of the pattern called `name`."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    if name == "gradient":
        grey = x * 255 // (width - 1)
    elif name == "weave":
        grey = (x * x * 3 + y * 7) ^ (x * y)
    else:
        grey = ((x * 7919 + y * 104729) * (x + 3 * y + 1)) >> 5
    grey &= 255
    return np.stack([grey, (grey >> 1) + (grey >> 2), 255 - grey], 2).astype(np.uint8)
