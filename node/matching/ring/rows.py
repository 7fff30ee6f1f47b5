"""One row: whether it is near, alive and not reported yet; and all rows of a part, one by one."""

import numpy as np

from node.matching.ring.chunks import packed
from node.matching.ring.lanes import (
    Address,
    Word,
    halves_within,
    inlined,
    load16,
    load64,
    lowest_one,
    ones32,
    ones64,
    store8,
    store32,
    store64,
)
from node.matching.ring.layout import CHUNKS, HALF_BYTES

_U32 = np.uint32
_U64 = np.uint64

_ROWS_A_STEP = 8


@inlined
def flips_for(most: Word) -> Word:
    """How many flips a bucket's number may have, q - 1, for a greatest distance."""
    return most // _U64(CHUNKS)


@inlined
def report(search: Word, found: Word, key: Word, distance: Word, number: Word) -> Word:
    """One more is found; it is written where there is room."""
    if found < search[0].capacity:
        store64(search[0].keys + found * _U64(8), key)
        store8(search[0].distances + found, np.uint8(distance))
        if search[0].numbers != _U64(0):
            store32(search[0].numbers + found * _U64(4), number)
    return found + _U64(1)


@inlined
def is_dead(dead: Address, row: Word) -> Word:
    """Whether a row was removed, by its bit; `dead` is 0 where none was."""
    if dead == _U64(0):
        return False
    word = load64(dead + (row >> _U64(6)) * _U64(8))
    return ((word >> (row & _U64(63))) & _U64(1)) != _U64(0)


@inlined
def distance_within(near: Address, far: Address, question: Address, most: Word) -> Word:
    """The distance of one row, or some number above `most`."""
    distance = ones64(load64(near) ^ load64(question))
    distance += ones64(load64(near + _U64(8)) ^ load64(question + _U64(8)))
    if distance <= most:
        distance += ones64(load64(far) ^ load64(question + _U64(16)))
        distance += ones64(load64(far + _U64(8)) ^ load64(question + _U64(24)))
    return distance


@inlined
def differing(near: Address, far: Address, question: Address, chunk: Word) -> Word:
    """How many bits of one chunk, uint64, a row differs in."""
    offset = chunk * _U64(2)
    here = near + offset
    if chunk >= _U64(CHUNKS // 2):
        here = far + offset - _U64(HALF_BYTES)
    return ones32(_U32(load16(here) ^ load16(question + offset)))


@inlined
def is_met_before(near: Address, far: Address, question: Address, table: Word, flips: Word) -> Word:
    """Whether a table below `table` accepts the row: then that one reports it."""
    here = differing(near, far, question, _U64(0))
    for j in range(table):
        following = differing(near, far, question, _U64(j) + _U64(1))
        if _U64(here) <= flips and _U64(here + following) <= _U64(2) * flips + _U64(1):
            return True
        here = following
    return False


@inlined
def look_at_row(
    search: Word,
    part: Word,
    row: Word,
    question: Address,
    table: Word,
    flips: Word,
    number: Word,
    found: Word,
) -> Word:
    """Reports one row if it is near, alive, and not reported by a table below `table`."""
    near = part.near + row * _U64(HALF_BYTES)
    far = part.far + row * _U64(HALF_BYTES)
    distance = distance_within(near, far, question, search[0].most)
    if (
        distance > search[0].most
        or is_met_before(near, far, question, table, flips)
        or is_dead(part.dead, row)
    ):
        return found
    key = packed(part.keys, row, part.key_bits) + part.key_base
    return report(search, found, key, distance, number)


@inlined
def scan(
    search: Word, part: Word, rows: Word, question: Address, table: Word, number: Word, found: Word
) -> Word:
    """Looks at the first `rows` rows, uint64, of a part; see scan_between."""
    nothing = _U64(0)
    return scan_between(search, part, nothing, rows, nothing, question, table, number, found)


@inlined
def scan_between(
    search: Word,
    part: Word,
    first: Word,
    end: Word,
    beyond: Word,
    question: Address,
    table: Word,
    number: Word,
    found: Word,
) -> Word:
    """Looks at every row of a range and reports what no table below `table` accepts.

    Args:
        search: the SEARCH.
        part: a SEGMENT or a BLOCK.
        first: row to look at, uint64.
        end: behind the last one, uint64.
        beyond: bits, uint64, at most those looked for, that the second half of each of these rows
            surely differs in.
        question: address of its chunks.
        table: 0 to report everything.
        number: of the question in its batch, uint32.
        found: how many were found before.

    Returns:
        How many are found in all.
    """
    most = search[0].most
    first_most = most - beyond
    flips = flips_for(most)
    near = part.near
    far = part.far
    q0 = load64(question)
    q1 = load64(question + _U64(8))
    q2 = load64(question + _U64(16))
    q3 = load64(question + _U64(24))
    step = first
    while step < end:
        offset = step * _U64(HALF_BYTES)
        passed = halves_within(near + offset, far + offset, _U64(0), q0, q1, q2, q3, first_most)
        if passed:
            passed = halves_within(near + offset, far + offset, _U64(1), q0, q1, q2, q3, most)
        while passed:
            row = step + _U64(lowest_one(passed))
            passed &= passed - _U32(1)
            if row < end:
                found = look_at_row(search, part, row, question, table, flips, number, found)
                if found == search[0].limit:
                    return found
        step += _U64(_ROWS_A_STEP)
    return found
