"""Many questions: table by table, so that one table at a time is in the processor's cache.

For each table, a few questions at a time have their buckets' bounds read and their filters asked
for; then the filters are compared. The rows that passed, of all questions of the block, are looked
at together. Questions whose buckets are too full, and all rows of the delta, are scanned.
"""

import numpy as np
from numba.np.numpy_support import carray

from node.matching.compiled import compiled
from node.matching.ring.chunks import packed
from node.matching.ring.family_search import search_families
from node.matching.ring.lanes import (
    Address,
    Word,
    address_of,
    inlined,
    load16,
    load32,
    load_counter,
    pointer_to,
    prefetch,
)
from node.matching.ring.layout import (
    BLOCK,
    CHUNKS,
    HALF_BYTES,
    MASKS,
    MASKS_WITHIN,
    RING_DISTANCE,
    SEARCH,
    SEGMENT,
    STARTS,
)
from node.matching.ring.rows import flips_for, look_at_row, scan
from node.matching.ring.searching import AT_ONCE, enough_of, pass_filter

_U16 = np.uint16
_U32 = np.uint32
_U64 = np.uint64

_GROUP = 16  # questions whose filters are on their way at once
_PASSED = 1 << 15  # entries that pass the filter before they are looked at
_LANES = 32
_LINE = 64
_MOST_BYTES = 512  # of one bucket's filters that are asked for ahead


@inlined
def find_buckets_of_group(
    questions: Address, count: Word, starts: Address, filters: Address, j: Word, bounds: Word
) -> None:
    """Writes the bounds of all buckets in one table of some questions, and asks for their filters.

    Args:
        questions: address of their chunks, 32 bytes each.
        count: how many questions.
        starts: of the table.
        filters: of the table.
        j: its number.
        bounds: uint32 [_GROUP, masks, 2], written.
    """
    for i in range(count):
        chunk = load16(questions + _U64(32 * i + 2 * j))
        for f in range(bounds.shape[1]):
            at = starts + _U64(chunk ^ MASKS[f]) * _U64(4)
            start = load32(at)
            end = load32(at + _U64(4))
            bounds[i, f, 0] = start
            bounds[i, f, 1] = end
            line = filters + _U64(start) * _U64(2)
            length = min(_U64(end - start) * _U64(2) + _U64(_LINE - 1), _U64(_MOST_BYTES))
            behind = line + length
            while line < behind:
                prefetch(line)
                line += _U64(_LINE)


@inlined
def look_at_passed(
    search: Word,
    segment: Word,
    questions: Word,
    j: Word,
    places: Word,
    owners: Word,
    count: Word,
    found: Word,
) -> Word:
    """Reports which entries of table j are near their questions; returns how many are found."""
    flips = flips_for(search[0].most)
    bits = segment.number_bits
    table = segment.numbers + _U64(max(j - 1, 0)) * segment.number_stride
    asked = address_of(questions)
    for start in range(0, count, AT_ONCE):
        end = min(start + AT_ONCE, count)
        if j > 0:
            for k in range(start, end):
                prefetch(table + ((places[k] * bits) >> _U64(3)))
            for k in range(start, end):
                places[k] = packed(table, places[k], bits)
        for k in range(start, end):
            prefetch(segment.near + places[k] * _U64(HALF_BYTES))
        for k in range(start, end):
            question = asked + _U64(owners[k]) * _U64(32)
            found = look_at_row(search, segment, places[k], question, j, flips, owners[k], found)
    return found


@inlined
def search_tables_for_all(search: Word, segment: Word, questions: Word, found: Word) -> Word:
    """Looks for all questions in a segment, table by table; returns how many are found in all.

    A question of which too much passes the filter in one table is answered by a scan of all rows of
    the tables, which leaves out what the tables before reported. Families are not looked at.
    """
    flips = flips_for(search[0].most)
    rows = segment.tabled
    n = questions.shape[0]
    asked = address_of(questions)
    enough = enough_of(rows)
    bounds = np.empty((_GROUP, MASKS_WITHIN[flips], 2), np.uint32)
    places = np.empty(_PASSED + np.int64(enough) + 2 * _LANES, np.uint64)
    owners = np.empty(places.shape[0], np.uint32)
    met = np.zeros(n, np.uint64)
    for j in range(CHUNKS):
        starts = segment.starts + _U64(4 * STARTS) * _U64(j)
        filters = segment.filters + segment.filter_stride * _U64(j)
        count = 0
        for first in range(0, n, _GROUP):
            size = min(_GROUP, n - first)
            at = asked + _U64(first * 32)
            find_buckets_of_group(at, size, starts, filters, j, bounds)
            for i in range(size):
                owner = first + i
                if met[owner] > enough:
                    continue
                question = at + _U64(32 * i)
                following = load16(question + _U64(2 * ((j + 1) & (CHUNKS - 1))))
                room = places[: count + np.int64(enough) + 2 * _LANES]
                after = pass_filter(filters, following, flips, bounds[i], room, count)
                met[owner] += _U64(after - count)
                if met[owner] > enough:
                    found = scan(search, segment, rows, question, j, _U32(owner), found)
                    continue
                owners[count:after] = owner
                count = after
                if count > _PASSED:
                    found = look_at_passed(
                        search, segment, questions, j, places, owners, count, found
                    )
                    count = 0
        found = look_at_passed(search, segment, questions, j, places, owners, count, found)
    return found


@compiled
def search_block(address: Address, questions: Word) -> Word:
    """Answers a block of questions; returns how many are found, of which `capacity` are written.

    Args:
        address: of a SEARCH with `numbers` and without a limit, as a Python int.
        questions: uint64 [n, 4], the chunks of each question.
    """
    search = carray(pointer_to(_U64(address)), (1,), SEARCH)
    asked = address_of(questions)
    found = _U64(0)
    segments = carray(pointer_to(search[0].segments), (search[0].segment_count,), SEGMENT)
    for k in range(search[0].segment_count):
        tables_serve = search[0].most <= _U64(RING_DISTANCE)
        if tables_serve:
            found = search_tables_for_all(search, segments[k], questions, found)
        for i in range(questions.shape[0]):
            question = asked + _U64(32 * i)
            if not tables_serve:
                found = scan(search, segments[k], segments[k].tabled, question, 0, _U32(i), found)
            found = search_families(search, segments[k], question, _U32(i), found)
    blocks = carray(pointer_to(search[0].blocks), (search[0].block_count,), BLOCK)
    for k in range(search[0].block_count):
        rows = load_counter(blocks[k].used)
        for i in range(questions.shape[0]):
            question = asked + _U64(32 * i)
            found = scan(search, blocks[k], rows, question, 0, _U32(i), found)
    return np.int64(found)
