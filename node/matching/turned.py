"""The pdqs of a picture's turned and mirrored forms, nearly, from its pdq alone."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

import numpy as np

from node.matching.pdq_block import COEFFICIENTS, dihedral_forms
from node.matching.variant_names import VARIANTS, VariantName
from protocol.pdq import Pdq

FORMS: Final[tuple[VariantName, ...]] = (
    "turned-270",
    "turned-180",
    "turned-90",
    "mirrored-turned-180",
    "mirrored",
    "mirrored-turned-270",
    "mirrored-turned-90",
)
"""What `dihedral_forms` gives in second to eighth place."""


def turned_pdqs(pdq: bytes, families: Collection[str]) -> Iterator[tuple[VariantName, Pdq]]:
    """What the pdqs of the turned and mirrored picture are, nearly, without the picture.

    Turning moves and negates coefficients, so its bits are those of the pdq, moved, and turned
    over where a coefficient is negated. Not exactly: the median is not negated with them, and a
    coefficient beside it comes to lie on the wrong side. 6 bits of 256 (median of 229 pictures),
    12 in nine of ten, 32 at most (docs/matching.md).

    Args:
        pdq: 32 bytes.
        families: only what these ask for is given.
    """
    names = [name for name in FORMS if VARIANTS[name] <= set(families)]
    if not names:
        return
    bits = np.unpackbits(np.frombuffer(pdq, np.uint8))[::-1].reshape(COEFFICIENTS, COEFFICIENTS)
    forms = dihedral_forms(bits.astype(np.float32) - np.float32(0.5))[1:]
    by_name = dict(zip(FORMS, forms, strict=True))
    for name in names:
        yield name, Pdq(np.packbits((by_name[name].ravel() > 0)[::-1]).tobytes())


def in_all_forms(pdqs: Iterable[bytes], families: Collection[str]) -> list[bytes]:
    """Returns pdqs with their turned and mirrored forms, 32 bytes each.

    Whatever `families` ask for undoes something else that they ask for, and no distance changes if
    both of two pdqs are turned. So of a list and an upload, it does not matter which is turned.

    Args:
        pdqs: 32 bytes each.
        families: that the policy asks for.
    """
    found: list[bytes] = []
    for one in pdqs:
        found.append(one)
        found += [turned for _name, turned in turned_pdqs(one, families)]
    return found
