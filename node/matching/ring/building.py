"""How a segment's tables are made: counting sorts by one chunk each."""

import numpy as np

from node.matching.compiled import compiled
from node.matching.ring.chunks import pack
from node.matching.ring.lanes import Word, address_of, prefetch
from node.matching.ring.layout import BUCKETS

_U64 = np.uint64
_AHEAD = 8


@compiled
def order_of_rows(chunks: Word, families: Word, counts: Word, order: Word) -> None:
    """Writes which row comes when in the order of chunk 0; equal ones stay in their order.

    Args:
        chunks: uint16 [n, 16].
        families: uint8 [n]: 0 for the rows that are meant; the others are passed over.
        counts: uint32 [STARTS], scratch.
        order: uint32 [n], written from its beginning.
    """
    counts[:] = 0
    for i in range(chunks.shape[0]):
        if families[i] == 0:
            counts[chunks[i, 0] + 1] += 1
    for bucket in range(BUCKETS):
        counts[bucket + 1] += counts[bucket]
    for i in range(chunks.shape[0]):
        if families[i] != 0:
            continue
        bucket = chunks[i, 0]
        order[counts[bucket]] = i
        counts[bucket] += 1


@compiled
def take_rows(words: Word, order: Word, near: Word, far: Word) -> None:
    """Copies rows in an order, each cut into its halves.

    Args:
        words: uint64 [n, 4], the chunks of each row.
        order: uint32 [n].
        near: uint64 [n, 2], written.
        far: uint64 [n, 2], written.
    """
    n = order.shape[0]
    at = address_of(words)
    for place in range(n):
        if place + _AHEAD < n:
            prefetch(at + _U64(order[place + _AHEAD]) * _U64(32))
        row = order[place]
        near[place, 0] = words[row, 0]
        near[place, 1] = words[row, 1]
        far[place, 0] = words[row, 2]
        far[place, 1] = words[row, 3]


@compiled
def fill_table(
    here: Word, following: Word, starts: Word, filters: Word, numbers: Word, bits: Word
) -> None:
    """Fills one table from the rows in their final order.

    Args:
        here: uint16 [n], any stride: the chunk that the table is sorted by.
        following: uint16 [n], any stride: the next chunk.
        starts: uint32 [STARTS], written.
        filters: uint16 [≥ n], written.
        numbers: uint8, zeros; the packed row numbers are written. Empty for table 0, where an
            entry's place is its row's number.
        bits: uint64, of a row's number.
    """
    n = here.shape[0]
    counts = np.zeros(BUCKETS + 1, np.uint32)
    for i in range(n):
        counts[here[i] + 1] += 1
    for bucket in range(BUCKETS):
        counts[bucket + 1] += counts[bucket]
    starts[:] = counts
    if numbers.shape[0] == 0:
        for i in range(n):
            filters[i] = following[i]
        return
    at = address_of(numbers)
    for i in range(n):
        place = counts[here[i]]
        counts[here[i]] = place + 1
        filters[place] = following[i]
        pack(at, _U64(place), bits, _U64(i))


@compiled
def checksum(words: Word) -> Word:
    """A sum that every change of a word and every exchange of two alters, as fast as memory.

    Fletcher's sums in four lanes of 64 bits; finds damage, not malice.

    Args:
        words: uint64 [n], n divisible by 4.
    """
    plain = np.zeros(4, np.uint64)
    weighted = np.zeros(4, np.uint64)
    for i in range(0, words.shape[0], 4):
        for lane in range(4):
            plain[lane] += words[i + lane]
            weighted[lane] += plain[lane]
    total = _U64(words.shape[0])
    for lane in range(4):
        for part in (plain[lane], weighted[lane]):
            total = (total ^ part) * _U64(0x9E3779B97F4A7C15)
            total ^= total >> _U64(29)
    return total
