"""A film is flagged on the flagger's machine, and its copies are found: whole, inside, cut out."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from nodes import Node, make_node, serving
from unit.node import matching_films as made
from waiting import WITHIN_S

_PROGRAM = "from node.cli.main import run; run()"
CAT, COFFEE, GALAXIES, RETINA, ROCKET = made.photographs((480, 360))


def unlike(number: int) -> Any:
    """A picture that is like no other: large patches of grey."""
    patches = np.random.default_rng(number).integers(0, 255, (9, 12), np.uint8)
    grey = cv2.resize(patches, (480, 360), interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def node(place: Path) -> Iterator[Node]:
    node = make_node(place / "node", "platform.example", settings={"film_timeout_s": 30})
    with serving(node):
        made.make(place / "film.mp4", [CAT, COFFEE, GALAXIES, RETINA, ROCKET])
        told = command(node, "flag", place / "film.mp4", "--category", "csam.act.prepub", "--yes",
                       "--reviewers", "2")  # fmt: skip
        assert told["statements"][0]["items"] == [{"item": 0, "file": str(place / "film.mp4")}]
        yield node


def command(node: Node, verb: str, *arguments: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, verb, *map(str, arguments), "--json"]
        + (["--node", node.local] if verb != "hash" else []),
        capture_output=True,
        text=True,
        timeout=5 * WITHIN_S,
        check=False,
        env=os.environ | {"SCHUTZNETZ_API_KEY": node.made.api_key},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def upload(node: Node, data: bytes) -> Any:
    files = {"file": ("x", data, "video/webm")}
    return node.ask("POST", "/v1/media/match-file?surface=public", files=files)


def test_a_copy_that_was_compressed_again_is_found_with_its_times(node: Node, place: Path) -> None:
    pictures = [cv2.resize(one, (320, 240)) for one in (CAT, COFFEE, GALAXIES, RETINA, ROCKET)]
    copy = made.make(place / "copy.webm", pictures)
    answer = upload(node, copy)
    (match,) = answer["result"]["matches"]
    assert (answer["result"]["decision"], match["kind"]) == ("hold", "film")
    assert match["film"]["query_share"] == match["film"]["target_share"] == 100
    assert match["film"]["query"] == match["film"]["target"] == {"from_ms": 0, "to_ms": 4_000}
    assert len(answer["hashes"]["frames"]) == 5
    (told,) = command(node, "match", place / "copy.webm")["results"]
    assert told["matches"] == answer["result"]["matches"]


def test_the_film_inside_another_is_found_where_it_is(node: Node, place: Path) -> None:
    pictures = [*map(unlike, range(6)), CAT, COFFEE, GALAXIES, RETINA, ROCKET, unlike(7)]
    answer = upload(node, made.make(place / "inside.avi", pictures))
    (match,) = answer["result"]["matches"]
    assert match["film"]["query"] == {"from_ms": 6_000, "to_ms": 10_000}
    assert (match["film"]["target_share"], answer["result"]["decision"]) == (100, "hold")


def test_a_piece_leads_to_review_and_a_single_frame_to_nothing(node: Node, place: Path) -> None:
    piece = upload(node, made.make(place / "piece.avi", [GALAXIES, RETINA]))
    assert piece["result"]["rule"] == "review-excerpt"
    (match,) = piece["result"]["matches"]
    assert match["film"]["target"] == {"from_ms": 2_000, "to_ms": 3_000}
    title = upload(node, made.make(place / "title.avi", [CAT, *map(unlike, range(6))]))
    assert (title["result"]["decision"], title["result"]["matches"]) == ("none", [])


def test_a_still_of_the_film_is_told_as_such(node: Node) -> None:
    still = cv2.imencode(".jpg", ROCKET)[1].tobytes()
    result = upload(node, still)["result"]
    (match,) = result["matches"]
    assert (match["kind"], match["at_ms"], result["decision"]) == ("frame", 4_000, "review")


def test_the_very_same_file_is_found_by_its_digests_too(node: Node, place: Path) -> None:
    result = upload(node, (place / "film.mp4").read_bytes())["result"]
    assert {one["kind"] for one in result["matches"]} == {"film", "sha256", "sha1", "md5"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\x1a\x45\xdf\xa3" + bytes(4_000), "damaged or cut short"),
        (b"#EXTM3U\nhttp://198.51.100.1/a.ts\n", "not a picture that can be read here"),
        (b"\0\0\0\x18ftypmp42" + random.Random(1).randbytes(9_000), "damaged or cut short"),
    ],
)
def test_a_broken_film_gets_a_sentence_and_the_node_goes_on(
    node: Node, data: bytes, sentence: str
) -> None:
    answer = node.call(
        "POST", "/v1/media/match-file?surface=public", files={"file": ("x", data, "video/mp4")}
    )
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    assert node.call("GET", "/readyz").is_success


def test_a_platform_flags_frames_that_it_has_hashed_already(node: Node, place: Path) -> None:
    made.make(place / "own.avi", [unlike(50), unlike(51), unlike(52)])
    (row,) = command(node, "hash", place / "own.avi")["files"]
    assert (row["pdq"], row["duration_ms"], len(row["frames"])) == (None, 2_900, 3)
    item = {"frames": row["frames"], "sha256": row["sha256"]}
    body = {
        "items": [item],
        "category": "csam.act.prepub",
        "reviewers": 1,
        "purpose": "removal",
        "legal_basis": "dsa-art-16",
        "review_days": 30,
    }
    node.ask("POST", "/v1/media/flag", json=body)
    assert node.match(frames=row["frames"])["matches"][0]["kind"] == "film"
