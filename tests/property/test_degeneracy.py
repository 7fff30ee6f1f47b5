"""Many pdqs judged at once are judged as each is by itself."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from node.matching.degeneracy import degenerate
from protocol.pdq import Pdq, is_degenerate

PHOTOGRAPH = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"
"""The pdq of Meta's own example picture."""

LINES = st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=9)


@st.composite
def of_few_lines(draw):
    """A matrix whose rows, or columns, are few different ones: on both sides of the limit."""
    lines = draw(LINES)
    rows = [draw(st.sampled_from(lines)) for _ in range(16)]
    matrix = np.array([[row >> (15 - at) & 1 for at in range(16)] for row in rows], np.uint8)
    if draw(st.booleans()):
        matrix = matrix.T
    return np.packbits(matrix).tobytes()


@st.composite
def of_so_many_ones(draw):
    """A matrix of about as many ones as the rule allows at least, or at most."""
    ones = draw(st.integers(94, 98) | st.integers(158, 162))
    places = draw(st.permutations(range(256)))[:ones]
    return sum(1 << place for place in places).to_bytes(32)


PDQS = st.binary(min_size=32, max_size=32) | of_few_lines() | of_so_many_ones()


@given(st.lists(PDQS, max_size=20))
@settings(max_examples=150, deadline=None)
def test_pdqs_are_judged_together_as_they_are_alone(pdqs):
    array = np.frombuffer(b"".join(pdqs), np.uint8).reshape(-1, 32)
    assert degenerate(array).tolist() == [is_degenerate(Pdq(one)) for one in pdqs]


def test_pdqs_that_lie_apart_in_memory_are_judged_as_well():
    pdqs = np.zeros((6, 64), np.uint8)
    pdqs[::2, 16:48] = np.frombuffer(bytes.fromhex(PHOTOGRAPH), np.uint8)
    assert degenerate(pdqs[::2, 16:48]).tolist() == [False] * 3
