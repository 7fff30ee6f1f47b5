"""Families and their bundles: which of them a question passes over, and the rows of the others.

**Why nothing is missed.** Let d be the Hamming distance, q the question, x a row of a family, p its
pivot. d(q, x) ≥ d(q, p) - d(p, x) ≥ d(q, p) - radius (the triangle inequality), for the radius is
the greatest d(p, x) of the family; where that exceeds the distance looked for, no row of the family
is near. Of a bundle it is known in which bits all rows agree and what they are there: wherever
q is otherwise, it differs from each of the rows, so the number of those bits is a lower bound of
d(q, x) for every row, and their number among the last 128 bits is one for what the second half of
every row adds. A bundle is passed over if its bound exceeds the distance looked for; else its rows
are read, and a row's second half only where its first, with the bound of the second, is near.

**Why nothing is said twice.** A row is either in the tables or in one family, and in one bundle.
"""

import numpy as np
from numba.np.numpy_support import carray

from node.matching.ring.lanes import Address, Word, inlined, load64, ones64, pointer_to, prefetch
from node.matching.ring.layout import BUNDLE_BYTES, BUNDLE_ROWS, FAMILY, FAMILY_BYTES
from node.matching.ring.rows import scan_between

_U64 = np.uint64

_AHEAD = 8  # bundles


@inlined
def surely_differing(bundle: Address, question: Address, word: Word) -> Word:
    """How many bits of one word every row of a bundle differs in from the question, uint64."""
    offset = word * _U64(8)
    other = load64(bundle + offset) ^ load64(question + offset)
    return ones64(other & load64(bundle + _U64(BUNDLE_BYTES // 2) + offset))


@inlined
def search_family(
    search: Word, segment: Word, family: Word, question: Address, number: Word, found: Word
) -> Word:
    """Reports the rows of one family that are near; returns how many are found in all."""
    most = search[0].most
    row = family.first
    end = family.end
    bundle = segment.bundles + family.bundle * _U64(BUNDLE_BYTES)
    while row < end:
        prefetch(bundle + _U64(_AHEAD * BUNDLE_BYTES))
        far = surely_differing(bundle, question, _U64(2))
        far += surely_differing(bundle, question, _U64(3))
        both = far + surely_differing(bundle, question, _U64(0))
        both += surely_differing(bundle, question, _U64(1))
        following = row + _U64(BUNDLE_ROWS)
        if both <= most:
            last = min(following, end)
            found = scan_between(search, segment, row, last, far, question, 0, number, found)
            if found == search[0].limit:
                return found
        row = following
        bundle += _U64(BUNDLE_BYTES)
    return found


@inlined
def search_families(
    search: Word, segment: Word, question: Address, number: Word, found: Word
) -> Word:
    """Reports what is near in all families of a segment; returns how many are found in all.

    Args:
        search: the SEARCH.
        segment: the SEGMENT.
        question: address of its chunks.
        number: of the question in its batch, uint32.
        found: how many were found before.
    """
    most = search[0].most
    families = carray(pointer_to(segment.families), (segment.family_count,), FAMILY)
    for k in range(segment.family_count):
        pivot = segment.families + _U64(k) * _U64(FAMILY_BYTES)
        distance = ones64(load64(pivot) ^ load64(question))
        distance += ones64(load64(pivot + _U64(8)) ^ load64(question + _U64(8)))
        distance += ones64(load64(pivot + _U64(16)) ^ load64(question + _U64(16)))
        distance += ones64(load64(pivot + _U64(24)) ^ load64(question + _U64(24)))
        if distance <= most + families[k].radius:
            found = search_family(search, segment, families[k], question, number, found)
            if found == search[0].limit:
                return found
    return found
