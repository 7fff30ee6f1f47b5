"""One question: which buckets, which of their entries pass the filter, which rows are near.

A query is bound by the latency of memory, so everything that it will need is asked for as early as
its address is known: first the bounds of all buckets, then every cache line of their filters, then
the numbers of all rows that passed, then the rows.
"""

import numpy as np
from numba.np.numpy_support import carray

from node.matching.compiled import compiled
from node.matching.ring.chunks import packed, to_chunks
from node.matching.ring.family_search import search_families
from node.matching.ring.lanes import (
    Address,
    Word,
    filters_within,
    inlined,
    load16,
    load32,
    load_counter,
    lowest_one,
    ones32,
    pointer_to,
    prefetch,
    prefetch_many,
)
from node.matching.ring.layout import (
    BLOCK,
    CHUNKS,
    HALF_BYTES,
    MASKS,
    MASKS_WITHIN,
    MOST_PASSED,
    RING_DISTANCE,
    ROWS_A_PASSED,
    SEARCH,
    SEGMENT,
    STARTS,
)
from node.matching.ring.rows import flips_for, look_at_row, scan

_U16 = np.uint16
_U32 = np.uint32
_U64 = np.uint64
_I64 = np.int64

_LINE = 64
_FLIPS_IN_LINE = 4  # lowest bits of a bucket's number: sixteen bounds are in one cache line
AT_ONCE = 256  # rows that are on their way at once
_LANES = 32
_SMALL = 4_096  # rows that are not worth asking whether a scan is quicker
_ENTRIES_A_ROW = 4  # a scan reads 16 bytes a row, a filter 2 an entry


@inlined
def enough_of(rows: Word) -> Word:
    """How many entries of one question may pass the filter before a scan is quicker."""
    return max(_U64(MOST_PASSED), rows // _U64(ROWS_A_PASSED))


@inlined
def pass_filter(
    filters: Address, following: Word, flips: Word, bounds: Word, places: Word, count: Word
) -> Word:
    """Writes the places of the entries that pass; returns how many there are then in `places`.

    Ends early, with `places` full up to its last 32, where more pass than there is room for.

    Args:
        filters: address of the table's.
        following: the question's next chunk, uint16.
        flips: q - 1.
        bounds: uint32 [masks, 2].
        places: uint64 [capacity], written from `count` on.
        count: how many are there already.
    """
    for f in range(bounds.shape[0]):
        most = _U16(_U64(2) * flips + _U64(1) - _U64(ones32(_U32(MASKS[f]))))
        place = bounds[f, 0]
        end = bounds[f, 1]
        while place < end:
            near = filters_within(filters + _U64(place) * _U64(2), following, most)
            left = end - place
            if left < _U32(_LANES):
                near &= (_U32(1) << left) - _U32(1)
            while near:
                places[count] = _U64(place + lowest_one(near))
                near &= near - _U32(1)
                count += 1
            if count > places.shape[0] - _LANES:
                return count
            place += _U32(_LANES)
    return count


@inlined
def ask_for_starts(starts: Address, question: Address, masks: Word) -> None:
    """The bounds of every bucket are on their way; flips of four low bits share a cache line.

    Without this each bucket's loop over its lines would wait for its own bounds, one by one.

    Args:
        starts: address of all tables' starts.
        question: address of its chunks.
        masks: how many buckets of each table.
    """
    for j in range(CHUNKS):
        chunk = load16(question + _U64(2 * j))
        prefetch(starts + _U64(chunk) * _U64(4))
        for f in range(1 + _FLIPS_IN_LINE, masks):
            prefetch(starts + _U64(chunk ^ MASKS[f]) * _U64(4))
        starts += _U64(4 * STARTS)


@inlined
def find_buckets(search: Word, segment: Word, question: Address, masks: Word) -> Word:
    """Writes the bounds of every bucket to look at, and asks for their filters.

    Returns:
        How many entries they hold together.
    """
    bounds = search[0].bounds
    starts = segment.starts
    filters = segment.filters
    filter_stride = segment.filter_stride
    entries = _U64(0)
    ask_for_starts(starts, question, masks)
    for j in range(CHUNKS):
        chunk = load16(question + _U64(2 * j))
        for f in range(masks):
            at = starts + _U64(chunk ^ MASKS[f]) * _U64(4)
            start = load32(at)
            end = load32(at + _U64(4))
            bounds[j, f, 0] = start
            bounds[j, f, 1] = end
            entries += _U64(end - start)
            line = filters + _U64(start) * _U64(2)
            behind = line + min(_U64(end - start) * _U64(2) + _U64(_LINE - 1), _U64(512))
            while line < behind:
                prefetch_many(line)
                line += _U64(_LINE)
        starts += _U64(4 * STARTS)
        filters += filter_stride
    return entries


@inlined
def find_numbers(
    segment: Word, passed: Word, first: Word, start: Word, end: Word, table: Word
) -> None:
    """Turns some entries' places into their rows' numbers, and asks for the rows.

    Args:
        segment: the SEGMENT.
        passed: uint64, the places; see look_at_rows.
        first: int64 [CHUNKS + 1], where each table's begin in `passed`.
        start: the first entry in question.
        end: behind the last one.
        table: of the first one, or any below.
    """
    stride = segment.number_stride
    bits = segment.number_bits
    near = segment.near
    numbers = segment.numbers - stride  # those of table j are j strides further; table 0 has none
    j = table
    for k in range(start, end):
        while first[j + 1] <= k:
            j += 1
        if j:
            prefetch(numbers + _U64(j) * stride + ((passed[k] * bits) >> _U64(3)))
    j = table
    for k in range(start, end):
        while first[j + 1] <= k:
            j += 1
        if j:
            passed[k] = packed(numbers + _U64(j) * stride, passed[k], bits)
        prefetch(near + passed[k] * _U64(HALF_BYTES))


@inlined
def look_at_rows(search: Word, segment: Word, question: Address, passed: Word, found: Word) -> Word:
    """Reports which of the entries that passed are near; returns how many are found in all.

    Args:
        search: the SEARCH.
        segment: the SEGMENT.
        question: address of its chunks.
        passed: uint64, the places of entries within their tables; the rows' numbers afterwards.
            Those of table j are from `search.first[j]` to `search.first[j + 1]`.
        found: how many were found before.
    """
    first = search[0].first
    flips = flips_for(search[0].most)
    table = 0
    for start in range(0, first[CHUNKS], AT_ONCE):
        end = min(start + AT_ONCE, first[CHUNKS])
        find_numbers(segment, passed, first, start, end, table)
        for k in range(start, end):
            while first[table + 1] <= k:
                table += 1
            row = passed[k]
            found = look_at_row(search, segment, row, question, table, flips, _U32(0), found)
            if found == search[0].limit:
                return found
    return found


@inlined
def search_tables(search: Word, segment: Word, question: Address, found: Word) -> Word:
    """Looks for the question in a segment's tables; returns how many are found in all.

    Where the buckets hold so much, or so much of it passes the filter, that looking at all rows of
    the tables in their order is quicker, that is done: a query costs hardly more than a scan.
    """
    flips = flips_for(search[0].most)
    rows = segment.tabled
    entries = find_buckets(search, segment, question, MASKS_WITHIN[flips])
    search[0].entries = entries
    if entries > rows * _U64(_ENTRIES_A_ROW) and rows > _U64(_SMALL):
        return scan(search, segment, rows, question, 0, _U32(0), found)
    enough = np.int64(enough_of(rows))
    bounds = search[0].bounds[:, : MASKS_WITHIN[flips]]
    passed = carray(pointer_to(search[0].passed), (search[0].passed_size,), np.uint64)
    passed = passed[: enough + 2 * _LANES]
    first = search[0].first
    filters = segment.filters
    filter_stride = segment.filter_stride
    first[0] = 0
    for j in range(CHUNKS):
        following = load16(question + _U64(2 * ((j + 1) & (CHUNKS - 1))))
        count = pass_filter(filters, following, flips, bounds[j], passed, first[j])
        if count > enough:
            return scan(search, segment, rows, question, 0, _U32(0), found)
        first[j + 1] = count
        filters += filter_stride
    search[0].survivors = _U64(first[CHUNKS])
    return look_at_rows(search, segment, question, passed, found)


@inlined
def search_everywhere(search: Word, question: Address) -> Word:
    """Looks for the question in all segments and blocks; returns how many are found."""
    found = _U64(0)
    limit = search[0].limit
    segments = carray(pointer_to(search[0].segments), (search[0].segment_count,), SEGMENT)
    for k in range(search[0].segment_count):
        if search[0].most <= _U64(RING_DISTANCE):
            found = search_tables(search, segments[k], question, found)
        else:
            found = scan(search, segments[k], segments[k].tabled, question, 0, _U32(0), found)
        if found == limit:
            return found
        found = search_families(search, segments[k], question, _U32(0), found)
        if found == limit:
            return found
    blocks = carray(pointer_to(search[0].blocks), (search[0].block_count,), BLOCK)
    for k in range(search[0].block_count):
        rows = load_counter(blocks[k].used)
        found = scan(search, blocks[k], rows, question, 0, _U32(0), found)
        if found == limit:
            return found
    return found


@compiled
def search_one(address: Address) -> Word:
    """Answers `search.asked`; returns how many are found, of which `capacity` are written.

    Args:
        address: of a SEARCH, as a Python int.
    """
    search = carray(pointer_to(_U64(address)), (1,), SEARCH)
    asked = search[0].asked
    question = search[0].question
    for word in range(4):
        question[word] = asked[word]
    to_chunks(question.view(np.uint16))
    return _I64(search_everywhere(search, question.ctypes.data))
