"""`bench upload` runs whole, on little: the form of its document, and that it finds no fault."""

import pytest

from cli_stage import call
from node.bench import upload
from node.demo.cast import alone


@pytest.fixture
def little(monkeypatch):
    """Everything as in earnest, but less of it."""
    changed = {"ROUNDS": 1, "MEGAPIXELS": (0.3, 12.0), "PROCESSES": (1,), "UPLOADS": 6}
    changed |= {"_ASKED": 20, "_RATE_S": 0.2, "_WARM_S": 0.5, "_SETTLE_S": 0.5}
    for name, value in changed.items():
        monkeypatch.setattr(upload, name, value)

    def patient(directory, made, **how):
        # No file is given up because the machine is busy: here counts that all of it runs.
        settings = directory / "schutznetz.toml"
        settings.write_text("hash_timeout_s = 600\n" + settings.read_text("utf-8"), "utf-8")
        return alone(directory, made, **how)

    monkeypatch.setattr(upload, "alone", patient)


@pytest.mark.usefixtures("little")
def test_the_bench_of_the_upload_check_prints_one_document():
    done = call("bench", "upload", "--entries", 2_000, "--json")
    assert done.code == 0, done.err
    figures = {one["name"]: one for one in done.json["figures"]}
    assert set(figures) == {
        "api.match_ratio_empty",
        "api.match_per_s",
        "api.file_ratio_plain_0.3_mpx",
        "api.file_ratio_plain_12_mpx",
        "api.rss_peak_mb",
        "api.rss_growth_mb",
    }
    assert all(one["value"] >= 0 for name, one in figures.items() if "growth" not in name)
    assert figures["api.match_ratio_empty"]["beside"]["list_entries"] == 2_000
    memory = figures["api.rss_peak_mb"]
    assert memory["beside"]["answered"] + memory["beside"]["told_to_come_back"] == 6
    assert memory["beside"]["otherwise"] == 0
    assert figures["api.rss_growth_mb"]["beside"]["must"] == 512
