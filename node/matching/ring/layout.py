"""What the kernels are given: records of addresses and sizes, and the scratch of one search."""

from typing import Final

import numpy as np

CHUNKS: Final = 16
"""Chunks of a pdq, 16 bits each."""

BUCKETS: Final = 65_536
"""Buckets of a table: one for each value of a chunk."""

STARTS: Final = BUCKETS + 1
"""uint32 of a table: where each bucket starts, and where the last one ends."""

HALF_BYTES: Final = 16
"""Bytes of a row in each of the two arrays that hold it: chunks 0 to 7, and 8 to 15."""

PADDING: Final = 64
"""Entries behind the end of a filter table, and rows behind a delta, that vectors may read."""

MOST_FLIPS: Final = 2
"""Bits that a bucket's number may differ from the question's chunk; MASKS holds that many flips."""

MASKS: Final = np.array(
    sorted(
        (mask for mask in range(BUCKETS) if mask.bit_count() <= MOST_FLIPS),
        key=lambda mask: (mask.bit_count(), mask),
    ),
    np.uint16,
)
"""What a chunk is xored with for the buckets around it, uint16 [137]: 1 without a flip, 16, 120."""

MASKS_WITHIN: Final = (1, 17, 137)
"""How many of MASKS have at most 0, 1, 2 bits."""

RING_DISTANCE: Final = CHUNKS * (MOST_FLIPS + 1) - 1
"""The greatest distance that the tables serve: 47."""

MOST_PASSED: Final = 4_096
"""Entries of one question that may pass the filter in any case, before all rows are scanned."""

ROWS_A_PASSED: Final = 64
"""Or one for so many rows: an entry that passed costs a random access, a scanned row far less."""

MOST_FAMILIES: Final = 32
"""Families of a segment: a question is compared with each one's pivot."""

BUNDLE_ROWS: Final = 32
"""Rows of a family that are told of together."""

BUNDLE_BYTES: Final = 64
"""What is told: the value of each bit, and in which bits the rows agree."""

FAMILY: Final = np.dtype(
    [
        ("pivot", np.uint64, (4,)),  # its chunks
        ("radius", np.uint64),  # bits from it to the farthest row
        ("first", np.uint64),  # row of the family
        ("end", np.uint64),  # behind its last row
        ("bundle", np.uint64),  # number of its first one
    ]
)
"""Rows around a pivot, which are in no table: one cache line, of which the pivot is the first."""

FAMILY_BYTES: Final = FAMILY.itemsize
"""64."""

SEGMENT: Final = np.dtype(
    [
        ("rows", np.uint64),  # how many, families included
        ("tabled", np.uint64),  # how many of them, the first ones, are in the tables
        ("starts", np.uint64),  # uint32 [16, STARTS]
        ("filters", np.uint64),  # uint16 [16, filter_stride / 2]
        ("filter_stride", np.uint64),  # bytes from a table to the next
        ("numbers", np.uint64),  # row numbers of tables 1 to 15, number_bits each, packed
        ("number_stride", np.uint64),  # bytes
        ("number_bits", np.uint64),
        ("near", np.uint64),  # uint64 [rows, 2], chunks 0 to 7; those in the tables by table 0
        ("far", np.uint64),  # uint64 [rows, 2], chunks 8 to 15
        ("keys", np.uint64),  # key - key_base, key_bits each, packed
        ("key_bits", np.uint64),
        ("key_base", np.uint64),  # of an int64, as it is
        ("families", np.uint64),  # FAMILY [family_count]
        ("family_count", np.uint64),
        ("bundles", np.uint64),  # uint64 [bundles, 8]: four words of values, four of agreement
        ("dead", np.uint64),  # one bit a row, or address 0
    ]
)
"""An immutable segment; addresses unless said otherwise."""

BLOCK: Final = np.dtype(
    [
        ("used", np.uint64),  # address of a uint64: how many rows are there
        ("near", np.uint64),  # uint64 [capacity + PADDING, 2]
        ("far", np.uint64),
        ("keys", np.uint64),  # int64 [capacity]
        ("key_bits", np.uint64),  # 64
        ("key_base", np.uint64),  # 0
        ("dead", np.uint64),  # one bit a row, or address 0
    ]
)
"""A block of the delta: rows in the order they came; named alike where they are alike."""

SEARCH: Final = np.dtype(
    [
        ("asked", np.uint64, (4,)),  # the question as it came
        ("question", np.uint64, (4,)),  # its sixteen chunks
        ("segments", np.uint64),  # SEGMENT [segment_count]
        ("segment_count", np.uint64),
        ("blocks", np.uint64),  # BLOCK [block_count]
        ("block_count", np.uint64),
        ("most", np.uint64),  # greatest distance
        ("limit", np.uint64),  # stop when so many are found
        ("keys", np.uint64),  # int64 [capacity], results
        ("distances", np.uint64),  # uint8 [capacity], results
        ("numbers", np.uint64),  # uint32 [capacity], which question of a batch; or address 0
        ("capacity", np.uint64),
        ("entries", np.uint64),  # of the buckets looked at by the last search, for the bench
        ("survivors", np.uint64),  # of them those that passed the filter
        ("passed", np.uint64),  # uint64 [passed_size], scratch
        ("passed_size", np.uint64),
        ("bounds", np.uint32, (CHUNKS, len(MASKS), 2)),
        ("first", np.int64, (CHUNKS + 1,)),
    ]
)
"""One search: its question, where it looks, where its results go, and its scratch."""
