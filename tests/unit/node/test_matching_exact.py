"""Equality search over many entries."""

import hashlib
import re

import pytest

from node.matching.exact import ExactIndex


def digest(number):
    return hashlib.sha256(str(number).encode()).digest()


def test_every_entry_of_many_is_found_at_once_and_nothing_else():
    index = ExactIndex()
    for start in range(0, 60_000, 1_000):
        keys = range(start, start + 1_000)
        index.add(keys, [digest(key) for key in keys])
        assert index.find(digest(start + 999)) == [start + 999]
    assert len(index) == 60_000
    assert [index.find(digest(key)) for key in range(0, 60_000, 7)] == [
        [key] for key in range(0, 60_000, 7)
    ]
    assert not any(index.find(digest(key)) for key in range(60_000, 70_000))


def test_a_value_that_thousands_flagged_is_found_under_each_of_their_keys():
    index = ExactIndex()
    index.add(range(40_000), [digest(1)] * 40_000)
    index.add([40_000], [digest(1)])
    assert sorted(index.find(digest(1))) == list(range(40_001))
    index.remove((key, digest(1)) for key in range(0, 40_001, 2))
    assert sorted(index.find(digest(1))) == list(range(1, 40_001, 2))


def test_an_entry_costs_at_most_24_bytes():
    index = ExactIndex()
    index.add(range(100_000), [digest(key) for key in range(100_000)])
    assert index.memory_bytes() / len(index) <= 24


def test_keys_and_values_come_in_pairs():
    with pytest.raises(RuntimeError, match=re.escape("one key for each value")):
        ExactIndex().add([1, 2], [digest(1)])
