"""`bench ingest` runs whole on a short list: the form of its document."""

from cli_stage import call


def test_the_bench_of_taking_in_prints_one_document():
    done = call("bench", "ingest", "--hashes", 5_000, "--json")
    assert done.code == 0, done.err
    assert set(done.json) == {"machine", "figures"}
    figures = {one["name"]: one for one in done.json["figures"]}
    assert list(figures) == [
        "ingest.ratio_floor", "ingest.hashes_per_s", "ingest.rss_growth_mb", "ingest.matchable_s",
    ]  # fmt: skip
    for one in figures.values():
        assert set(one) == {"name", "value", "unit", "goal", "ok", "beside"}
        assert one["value"] is not None
    ratio = figures["ingest.ratio_floor"]
    assert (ratio["goal"], ratio["beside"]["must"], ratio["beside"]["better"]) == (2.0, 2.0, "less")
    assert ratio["beside"]["statements"] == 5
    assert ratio["value"] > 0
