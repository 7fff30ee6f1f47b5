"""What the figures of a bench of matching are held to, by the size of the index."""

import pytest

from node.bench.match import bars_for

OF_A_SIZE = "match.lookups_per_s"


@pytest.mark.parametrize(
    ("hashes", "must"),
    [(500_000, 90_000), (1_000_000, 90_000), (5_000_000, 40_000), (10_000_000, 40_000)],
)
def test_an_index_is_held_to_the_bars_of_the_size_that_it_is_nearest_to(hashes, must):
    assert bars_for(hashes)[OF_A_SIZE].must == must


@pytest.mark.parametrize("hashes", [1_000, 20_000_000, 30_000_000])
def test_a_size_for_which_nothing_was_set_is_held_to_what_holds_at_any_size_only(hashes):
    bars = bars_for(hashes)
    assert OF_A_SIZE not in bars
    assert bars["match.recall"].must == 1.0
