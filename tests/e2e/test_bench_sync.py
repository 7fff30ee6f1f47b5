"""`bench sync` runs whole on a short list and times single flags: the form of its document."""

from cli_stage import call
from node.bench import flag_latency


def test_the_bench_of_syncing_prints_one_document():
    done = call("bench", "sync", "--hashes", 3_000, "--flags", 0, "--json")
    assert done.code == 0, done.err
    figures = {one["name"]: one for one in done.json["figures"]}
    assert list(figures) == [
        "sync.ratio_floor_sqlite", "sync.hashes_per_s_sqlite", "sync.rss_growth_mb",
        "sync.idle_serving_ms", "sync.ratio_floor_postgresql", "sync.hashes_per_s_postgresql",
    ]  # fmt: skip
    for database in ("sqlite", "postgresql"):
        ratio = figures[f"sync.ratio_floor_{database}"]
        assert (ratio["beside"]["must"], ratio["beside"]["statements"]) == (2.5, 3)
        assert ratio["value"] > 0
    assert figures["sync.rss_growth_mb"]["beside"]["must"] == 300
    assert figures["sync.idle_serving_ms"]["beside"]["must"] == 1.0


def test_the_way_of_a_flag_is_timed(tmp_path):
    (figure,) = flag_latency.figures(tmp_path / "flags", 2, peers=["peer.example"])
    assert (figure.name, figure.beside["flags"], figure.beside["peers"]) == ("flag.p99_ms", 2, 1)
    assert figure.bar is not None
    assert figure.bar.must == 500
    assert 0 < figure.beside["p50_ms"] <= figure.beside["slowest_ms"]
