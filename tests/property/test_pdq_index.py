"""The scan against an oracle that computes every distance in plain Python."""

from hypothesis import given, settings
from hypothesis import strategies as st

from node.matching.scan import ScanIndex
from protocol.pdq import Pdq, distance

UNIFORM = st.binary(min_size=32, max_size=32)
DISTANCES = st.sampled_from([0, 1, 2, 31, 32]) | st.integers(0, 256)


@st.composite
def clustered(draw):
    """Pdqs around a few centres, some equal, at distances on both sides of the limits."""
    centres = draw(st.lists(UNIFORM, min_size=1, max_size=3))
    pdqs = []
    for _ in range(draw(st.integers(0, 30))):
        centre = int.from_bytes(draw(st.sampled_from(centres)))
        bits = draw(st.sampled_from([0, 0, 1, 2, 3, 30, 31, 32, 33, 128]))
        flips = draw(st.permutations(range(256)))[:bits]
        pdqs.append((centre ^ sum(1 << bit for bit in flips)).to_bytes(32))
    return centres, pdqs


def oracle(entries, pdq, max_distance):
    near = [(key, distance(Pdq(pdq), Pdq(other))) for key, other in entries]
    return sorted((m for m in near if m[1] <= max_distance), key=lambda m: (m[1], m[0]))


@given(st.lists(UNIFORM, max_size=40), UNIFORM, DISTANCES)
@settings(max_examples=150, deadline=None)
def test_uniform_entries_are_found_exactly(pdqs, question, max_distance):
    index = ScanIndex()
    entries = list(enumerate(pdqs))
    index.add([key for key, _ in entries], pdqs)
    assert index.query(question, max_distance) == oracle(entries, question, max_distance)


@given(clustered(), DISTANCES)
@settings(max_examples=60, deadline=None)
def test_clustered_and_equal_entries_are_found_exactly(clusters, max_distance):
    centres, pdqs = clusters
    index = ScanIndex()
    entries = list(enumerate(pdqs))
    index.add([key for key, _ in entries], pdqs)
    expected = [oracle(entries, centre, max_distance) for centre in centres]
    assert index.query_many(centres, max_distance) == expected


@given(
    st.lists(
        st.tuples(st.booleans(), st.lists(st.tuples(st.integers(0, 9), UNIFORM), max_size=8)),
        max_size=8,
    ),
    UNIFORM,
    st.integers(60, 256),
)
@settings(max_examples=80, deadline=None)
def test_adds_and_removals_in_any_order_leave_what_they_should(steps, question, max_distance):
    index = ScanIndex()
    entries = []
    for adds, batch in steps:
        keys = [key for key, _ in batch]
        if adds:
            index.add(keys, [pdq for _, pdq in batch])
            entries += batch
        else:
            index.remove(keys)
            entries = [entry for entry in entries if entry[0] not in keys]
        assert len(index) == len(entries)
        assert index.query(question, max_distance) == oracle(entries, question, max_distance)
