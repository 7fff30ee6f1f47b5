"""The bench of past uploads: everything that is planted is found, and told in figures."""

from node.bench.retro import measure


def test_a_small_run_finds_everything_that_was_planted() -> None:
    said: list[str] = []
    document = measure(1_000, say=said.append).to_json()
    figures = {one["name"]: one for one in document["figures"]}
    assert figures["retro.recall"]["value"] == 1.0
    assert figures["retro.batch_s"]["beside"]["hashes"] == 1_000
    assert figures["retro.batch_s"]["beside"]["must"] == 10
    assert document["machine"]["uploads"] == 1_000
    assert said
