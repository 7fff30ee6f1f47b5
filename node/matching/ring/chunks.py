"""From the bits of a pdq to its sixteen chunks, and numbers of any width, packed."""

import numpy as np

from node.matching.compiled import compiled
from node.matching.ring.lanes import Address, Word, address_of, inlined, load64, store64
from node.matching.ring.layout import CHUNKS

_U16 = np.uint16
_U32 = np.uint32
_U64 = np.uint64
_MAYBE = 65_536


@inlined
def transpose(rows: Word) -> None:
    """Bit c of row r becomes bit r of row c, in a matrix of sixteen uint16, in place."""
    step = CHUNKS // 2
    mask = _U32(0x00FF)
    while step:
        r = 0
        while r < CHUNKS:
            other = r + step
            moved = ((_U32(rows[r]) >> _U32(step)) ^ _U32(rows[other])) & mask
            rows[r] = _U16(_U32(rows[r]) ^ (moved << _U32(step)))
            rows[other] = _U16(_U32(rows[other]) ^ moved)
            r = (r + step + 1) & ~step
        step >>= 1
        mask ^= mask << _U32(step)


@inlined
def to_chunks(rows: Word) -> None:
    """The sixteen uint16 rows of a bit matrix become its sixteen anti-diagonals, in place.

    Row r is rotated by r, then the matrix is transposed by exchanging ever smaller blocks
    (Warren, Hacker's Delight, 7-3).
    """
    for r in range(CHUNKS):
        row = _U32(rows[r])
        rows[r] = _U16(((row << _U32(r)) | (row >> _U32((CHUNKS - r) & 31))) & _U32(0xFFFF))
    transpose(rows)


@compiled
def chunks_of(pdqs: Word, chunks: Word) -> None:
    """Writes the chunks of each pdq.

    Args:
        pdqs: uint16 [n, 16], the bytes of the pdqs.
        chunks: uint16 [n, 16], written.
    """
    row = np.empty(CHUNKS, np.uint16)
    for i in range(pdqs.shape[0]):
        for j in range(CHUNKS):
            row[j] = pdqs[i, j]
        to_chunks(row)
        for j in range(CHUNKS):
            chunks[i, j] = row[j]


@inlined
def from_chunks(rows: Word) -> None:
    """Undoes to_chunks: the transposition is its own inverse, the rotations go back."""
    transpose(rows)
    for r in range(CHUNKS):
        row = _U32(rows[r])
        rows[r] = _U16(((row >> _U32(r)) | (row << _U32((CHUNKS - r) & 31))) & _U32(0xFFFF))


@compiled
def pdqs_of(chunks: Word, pdqs: Word) -> None:
    """Undoes chunks_of."""
    row = np.empty(CHUNKS, np.uint16)
    for i in range(pdqs.shape[0]):
        for j in range(CHUNKS):
            row[j] = chunks[i, j]
        from_chunks(row)
        for j in range(CHUNKS):
            pdqs[i, j] = row[j]


@inlined
def packed(array: Address, place: Word, bits: Word) -> Word:
    """The number at `place` among numbers of `bits` bits, at most 57, or 64."""
    at = place * bits
    word = load64(array + (at >> _U64(3))) >> (at & _U64(7))
    return word & (~_U64(0) >> (_U64(64) - bits))


@inlined
def pack(array: Address, place: Word, bits: Word, number: Word) -> None:
    """The number is at `place`, where there were only zeros; reads and writes 8 bytes."""
    at = place * bits
    byte = array + (at >> _U64(3))
    store64(byte, load64(byte) | (number << (at & _U64(7))))


@compiled
def pack_all(array: Word, bits: Word, numbers: Word, base: Word) -> None:
    """Packs `numbers[i] - base`, uint64, into the zeroed uint8 `array`, `bits` bits each."""
    at = address_of(array)
    for i in range(numbers.shape[0]):
        pack(at, _U64(i), bits, numbers[i] - base)


@compiled
def unpack_all(array: Word, bits: Word, base: Word, numbers: Word) -> None:
    """Writes the packed numbers plus `base` to `numbers`, uint64 [n]."""
    at = address_of(array)
    for i in range(numbers.shape[0]):
        numbers[i] = packed(at, _U64(i), bits) + base


@inlined
def holds(ordered: Word, number: Word) -> Word:
    """Whether a number is among ascending ones."""
    low = 0
    high = ordered.shape[0]
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low < ordered.shape[0] and ordered[low] == number


@compiled
def rows_with(array: Word, bits: Word, base: Word, wanted: Word, rows: Word) -> Word:
    """Writes at which places one of some numbers is packed; returns at how many.

    Args:
        array: uint8, the packed numbers less `base`.
        bits: of each.
        base: uint64.
        wanted: uint64, in the order of int64.
        rows: int64 [n], written from its beginning; n numbers are looked at.
    """
    at = address_of(array)
    maybe = np.zeros(_MAYBE, np.bool_)  # most numbers are refused by their lowest bits
    for number in wanted:
        maybe[number & _U64(_MAYBE - 1)] = True
    ordered = wanted.view(np.int64)
    found = 0
    for i in range(rows.shape[0]):
        number = packed(at, _U64(i), bits) + base
        if maybe[number & _U64(_MAYBE - 1)] and holds(ordered, np.int64(number)):
            rows[found] = i
            found += 1
    return found
