import threading

import numpy as np
import pytest

from node.matching import scan
from node.matching.index import PdqIndex
from node.matching.scan import BLOCK_ROWS, ScanIndex

ZERO = bytes(32)
RNG = np.random.default_rng(11)


def uniform(count):
    """So many unrelated pdqs, always the same."""
    return [
        row.tobytes() for row in np.random.default_rng(5).integers(0, 256, (count, 32), np.uint8)
    ]


def at_distance(pdq, bits):
    """A pdq that differs from `pdq` in so many bits."""
    flips = sum(1 << int(bit) for bit in RNG.choice(256, bits, replace=False))
    return (int.from_bytes(pdq) ^ flips).to_bytes(32)


def test_an_empty_index_finds_nothing():
    index: PdqIndex = ScanIndex()
    index.add([], [])
    index.remove([1])
    assert len(index) == 0
    assert index.query(ZERO, 256) == []
    assert index.query_many([], 256) == []


@pytest.mark.parametrize("bits", [0, 1, 2, 30, 31, 32, 127, 128, 129, 255, 256])
def test_an_entry_is_found_from_its_distance_on_and_not_before(bits):
    index = ScanIndex()
    for pdq in uniform(20):
        index.add([7], [at_distance(pdq, bits)])
        assert index.query(pdq, bits) == [(7, bits)]
        if bits:
            assert index.query(pdq, bits - 1) == []
        index.remove([7])


@pytest.mark.parametrize("half", [slice(0, 16), slice(16, 32)])
def test_bits_that_differ_all_in_one_half_are_counted_all(half):
    pdq = bytearray(32)
    pdq[half] = b"\xff" * 16
    index = ScanIndex()
    index.add([1], [bytes(pdq)])
    assert index.query(ZERO, 128) == [(1, 128)]
    assert index.query(ZERO, 127) == []


def test_the_default_distance_is_the_protocols():
    index = ScanIndex()
    index.add([1, 2], [at_distance(ZERO, 31), at_distance(ZERO, 32)])
    assert index.query(ZERO) == [(1, 31)]


def test_matches_come_by_distance_then_key():
    index = ScanIndex()
    index.add([9, 4, 3, 8], [ZERO, at_distance(ZERO, 2), at_distance(ZERO, 2), ZERO])
    assert index.query(ZERO) == [(8, 0), (9, 0), (3, 2), (4, 2)]


def test_one_key_may_have_several_pdqs_and_goes_with_all_of_them():
    index = ScanIndex()
    index.add([5, 5, 6], [ZERO, at_distance(ZERO, 4), ZERO])
    assert index.query(ZERO) == [(5, 0), (6, 0), (5, 4)]
    index.remove([5, 999])
    assert index.query(ZERO) == [(6, 0)]
    assert len(index) == 1
    index.remove([5])
    assert len(index) == 1


def test_the_whole_range_of_keys_is_kept():
    index = ScanIndex()
    index.add([-(2**63), 2**63 - 1], [ZERO, ZERO])
    assert index.query(ZERO) == [(-(2**63), 0), (2**63 - 1, 0)]


def test_entries_beyond_a_block_are_found_and_none_is_moved():
    index = ScanIndex()
    pdqs = uniform(1_000) * 140
    index.add(range(70_000), pdqs[:70_000])
    first = index._blocks[0].words
    index.add(range(70_000, 140_000), pdqs[70_000:])
    assert index._blocks[0].words is first
    assert len(index) == 140_000
    assert len(index._blocks) == 3
    assert [key for key, _ in index.query(pdqs[3])] == list(range(3, 140_000, 1_000))
    batch = index.query_many([pdqs[3], ZERO, pdqs[4]])
    assert [len(matches) for matches in batch] == [140, 0, 140]


def test_memory_of_removed_entries_is_given_back_when_most_are_gone():
    index = ScanIndex()
    count = 3 * BLOCK_ROWS
    pdqs = (uniform(1_000) * 200)[:count]
    index.add(range(count), pdqs)
    reader = index._blocks
    index.remove(range(BLOCK_ROWS, count))
    assert len(index._blocks) == 1
    assert len(index) == BLOCK_ROWS
    assert [key for key, _ in index.query(pdqs[3])] == list(range(3, BLOCK_ROWS, 1_000))
    assert len(reader) == 3
    index.add([count], [pdqs[3]])
    assert index.query(pdqs[3])[-1] == (count, 0)


def test_queries_beside_an_add_see_whole_entries_and_all_that_were_there_before():
    index = ScanIndex()
    index.add([0], [ZERO])
    done = threading.Event()

    def add():
        for start in range(1, 200_000, 1_000):
            index.add(range(start, start + 1_000), [ZERO] * 1_000)
        done.set()

    thread = threading.Thread(target=add)
    thread.start()
    last = 0
    while not done.is_set():
        found = index.query(ZERO, 0)
        keys = [key for key, _ in found]
        assert keys == list(range(len(keys)))
        assert len(keys) >= max(1, last)
        last = len(keys)
    thread.join()
    assert len(index.query(ZERO, 0)) == len(index) == 200_001


def test_wrong_use_is_a_programming_mistake():
    index = ScanIndex()
    with pytest.raises(RuntimeError, match="one key for each pdq"):
        index.add([1, 2], [ZERO])
    with pytest.raises(RuntimeError, match="32 bytes"):
        index.add([1], [bytes(31)])
    with pytest.raises(RuntimeError, match="32 bytes"):
        index.query(bytes(33))
    for distance in (-1, 257):
        with pytest.raises(RuntimeError, match="0 to 256"):
            index.query(ZERO, distance)
    assert len(index) == 0


def test_a_block_takes_no_more_than_it_has_room_for():
    block = scan._Block()
    words = np.zeros((BLOCK_ROWS + 5, 4), np.uint64)
    assert block.append(np.zeros(BLOCK_ROWS + 5, np.int64), words) == BLOCK_ROWS
    assert block.append(np.zeros(1, np.int64), words[:1]) == 0


def test_a_list_is_quick_to_scan_up_to_a_size(monkeypatch):
    index = ScanIndex()
    assert index.is_quick()
    monkeypatch.setattr(scan, "QUICK_ROWS", 1)
    index.add([1, 2], [bytes(32), bytes(32)])
    assert not index.is_quick()
