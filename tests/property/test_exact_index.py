"""The index of exact values against a dictionary."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from node.matching import exact
from node.matching.exact import ExactIndex

VALUES = st.integers(0, 12).map(lambda number: bytes([number]) * 32)
STEPS = st.lists(
    st.tuples(st.booleans(), st.lists(st.tuples(st.integers(0, 5), VALUES), max_size=12)),
    max_size=14,
)


@given(STEPS, st.integers(1, 8))
@settings(max_examples=200, deadline=None)
def test_adds_and_removals_in_any_order_leave_what_a_dictionary_has(steps, recent):
    """With few entries kept back, runs are made and merged all the time."""
    kept_back, exact._RECENT = exact._RECENT, recent
    try:
        index, oracle = ExactIndex(), Counter()
        for is_addition, entries in steps:
            if is_addition:
                index.add([key for key, _ in entries], [value for _, value in entries])
                oracle.update(entries)
            else:
                index.remove(entries)
                for entry in entries:
                    del oracle[entry]
            assert len(index) == oracle.total()
            for number in range(13):
                value = bytes([number]) * 32
                expected = sorted(key for key, other in oracle.elements() if other == value)
                assert sorted(index.find(value)) == expected
    finally:
        exact._RECENT = kept_back
