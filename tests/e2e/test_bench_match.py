"""`bench match` runs whole on a small corpus: the form of its document, and that it is right."""

import sys

from cli_stage import call


def test_the_bench_of_matching_prints_one_document_and_finds_exactly_what_is_there():
    done = call("bench", "match", "--hashes", 4_000, "--json")
    assert done.code == 0
    assert set(done.json) == {"machine", "figures"}
    figures = {one["name"]: one for one in done.json["figures"]}
    assert len(figures) == len(done.json["figures"])
    for one in figures.values():
        assert set(one) == {"name", "value", "unit", "goal", "ok", "beside"}
        assert one["name"].startswith("match.")
        assert one["value"] is not None or one["beside"]["why"]
    exact = ("match.recall", "match.recall_after_removal", "match.recall_at_64")
    assert [figures[name]["value"] for name in exact] == [1.0, 1.0, 1.0]
    assert figures["match.recall"]["beside"]["matches"] > 0
    assert figures["match.recall"]["beside"]["extra"] == 0
    assert figures["match.add_p99_us"]["beside"]["not_found_by_the_next_question"] == 0


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    done = call("bench", "match", "--hashes", 4_000)
    assert (done.code, done.out) == (1, "")
    assert "schutznetz[bench]" in done.err
