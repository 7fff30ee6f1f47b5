"""Films on the flagger's machine: what is sent of them, and what is said about what they match."""

import hashlib
import json

import pytest
from typer.testing import CliRunner

from node.cli.assess import assess
from node.cli.gather import Read, hash_pictures
from node.cli.main import build
from node.cli.sheet import Finding, batches, in_parts, show_sheet
from node.cli.verbs.match import _signals, clock
from node.demo_pictures import picture_paths
from node.matching.film import FilmFrame
from node.matching.film_process import FilmHashes
from protocol.limits import MAX_FRAMES_PER_STATEMENT, MAX_ITEMS
from protocol.pdq import Pdq
from unit.node import matching_films as made


def film(name, numbers, *, data=None):
    data = data or name.encode()
    frames = tuple(
        FilmFrame(Pdq(hashlib.sha256(b"%d" % number).digest()), 90, at * 1_000)
        for at, number in enumerate(numbers)
    )
    hashes = FilmHashes(
        frames=frames,
        sha256=hashlib.sha256(data).hexdigest(),
        sha1=hashlib.sha1(data).hexdigest(),
        md5=hashlib.md5(data).hexdigest(),
        width=640,
        height=480,
        duration_ms=5_900,
        format="MP4",
    )
    return Read(name, hashes)


def test_a_film_is_sent_as_its_frames_and_the_digests_of_its_file():
    ((name, item),) = assess([film("a.mp4", range(3))], strict=True).chosen
    assert name == "a.mp4"
    assert [one.at_ms for one in item.frames] == [0, 1_000, 2_000]
    assert (item.pdq, item.quality) == (None, None)
    assert None not in (item.sha256, item.sha1, item.md5)


def test_a_film_that_is_black_throughout_is_sent_under_its_digests_alone():
    made_of = assess([film("black.mp4", [])], strict=False)
    ((_name, item),) = made_of.chosen
    assert item.frames == ()
    assert "no frame with detail enough" in made_of.limited[0].sentence
    assert assess([film("black.mp4", [])], strict=True).chosen == []


def test_of_films_that_look_alike_one_sends_its_frames():
    made_of = assess([film("a.mp4", range(3)), film("b.mp4", range(3))], strict=False)
    assert [bool(one.item.frames) for one in made_of.chosen] == [True, False]
    assert made_of.limited[0].sentence.startswith("looks exactly like a.mp4")


def test_statements_hold_as_many_frames_as_they_may():
    most = MAX_FRAMES_PER_STATEMENT
    sizes = [most - 1, 1, 1, most, 0, 0, 5]
    parts = in_parts(sizes, frames=lambda size: size)
    assert parts == [[most - 1, 1], [1], [most, 0, 0], [5]]
    assert [len(part) for part in in_parts(range(MAX_ITEMS + 1), frames=lambda _: 0)] == [1_000, 1]
    assert in_parts([], frames=lambda _: 0) == []


def test_the_sheet_counts_films_and_their_frames(capsys):
    made_of = assess([film("a.mp4", range(3)), film("b.mp4", range(9, 11))], strict=False)
    assert len(batches(made_of.chosen)) == 1
    finding = Finding("csam.act.prepub", 1, "removal", "dsa-art-22", 365)
    show_sheet(made_of, finding, to="there", signed_by="me")
    told = capsys.readouterr().err
    assert "5 frames of 2 films, each with pdq, quality and time" in told
    assert "What stays here: the pictures and films" in told


@pytest.mark.parametrize(
    ("ms", "shown"), [(0, "0:00"), (61_999, "1:01"), (3_600_000, "1:00:00"), (59_000, "0:59")]
)
def test_a_place_in_a_film_is_shown_as_players_do(ms, shown):
    assert clock(ms) == shown


def span(begin, end):
    return {"from_ms": begin, "to_ms": end}


@pytest.mark.parametrize(
    ("match", "told"),
    [
        (
            {"kind": "film", "film": {"query_share": 40, "target_share": 100,
             "query": span(6_000, 10_000), "target": span(0, 4_000)}},
            "40 % of it, at 0:06 to 0:10, are 100 % of a flagged film, at 0:00 to 0:04",
        ),
        (
            {"kind": "pdq", "film": {"query": span(9_000, 9_000), "target": None}},
            "a flagged picture at 0:09, pdq at distance 4",
        ),
        ({"kind": "frame", "at_ms": 65_000}, "like the frame of a film at 1:05, pdq at distance 4"),
        ({"kind": "pdq", "film": None}, "pdq at distance 4"),
        ({"kind": "pdq", "variant": "plain"}, "pdq at distance 4"),
        ({"kind": "pdq", "variant": "mirrored"}, "pdq at distance 4 (mirrored)"),
        ({"kind": "md5"}, "the very same file"),
    ],
)  # fmt: skip
def test_a_match_is_told_in_words(match, told):
    assert _signals([{"distance": 4, **match}]) == told


def test_pictures_and_films_are_read_in_one_go_whatever_their_names(tmp_path):
    one = tmp_path / "holiday.doc"
    made.make(tmp_path / "holiday.webm", made.photographs()[:2]).startswith(b"\x1a")
    (tmp_path / "holiday.webm").rename(one)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypmp42")
    first, second, third = hash_pictures([one, picture_paths()[0], broken], workers=1)
    assert isinstance(first.hashes, FilmHashes)
    assert len(first.hashes.frames) == 2
    assert second.hashes is not None
    assert not isinstance(second.hashes, FilmHashes)
    assert "damaged or cut short" in (third.problem or "")


def test_hash_shows_a_film_as_text_and_as_a_table_without_its_frames(tmp_path):
    path = tmp_path / "film.avi"
    made.make(path, made.photographs()[:2])
    runner = CliRunner()
    text = runner.invoke(build(), ["hash", str(path)]).stdout
    assert "frames  2 in 1.9 s; --json shows them" in text
    head, row = runner.invoke(build(), ["hash", "--csv", str(path)]).stdout.splitlines()
    assert head.startswith("file,pdq,quality,sha256")
    assert f"{path},,," in row
    shown = json.loads(runner.invoke(build(), ["hash", "--json", str(path)]).stdout)
    assert [one["at_ms"] for one in shown["files"][0]["frames"]] == [0, 1_000]
