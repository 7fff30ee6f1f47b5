"""Films in the codecs of today, made by other encoders, are read as the pictures that they show."""

import json
from pathlib import Path

import pytest

from node.matching.film_process import FilmHasher, FilmHashes
from protocol.errors import InvalidError
from protocol.pdq import distance, parse_pdq

HERE = Path(__file__).parent
SHOWN = json.loads((HERE / "films.json").read_text("utf-8"))
NEAR = 12
"""Bits that a codec may change of so small a picture."""

FILMS = {path.name: path.read_bytes() for path in sorted((HERE / "films").iterdir())}
READ = sorted(set(FILMS) - {"av1.mp4"})


@pytest.fixture(scope="module")
def hasher() -> FilmHasher:
    return FilmHasher(1, interval_ms=1_000, timeout_s=120, max_waiting=1)


@pytest.fixture(scope="module")
def seen(hasher: FilmHasher) -> dict[str, FilmHashes]:
    return {name: hasher.hash(FILMS[name]) for name in READ}


@pytest.mark.parametrize("name", READ)
def test_a_film_shows_the_pictures_that_were_encoded_when_they_were(
    seen: dict[str, FilmHashes], name: str
) -> None:
    film = seen[name]
    assert (film.width, film.height) == (160, 120)
    assert [one.at_ms for one in film.frames] == SHOWN["at_ms"]
    for frame, pdq in zip(film.frames, SHOWN["pdqs"], strict=True):
        assert distance(frame.pdq, parse_pdq(pdq)) <= NEAR


def test_the_same_film_in_two_codecs_has_the_same_frames(seen: dict[str, FilmHashes]) -> None:
    first, *others = (film.frames for film in seen.values())
    for other in others:
        for one, another in zip(first, other, strict=True):
            assert distance(one.pdq, another.pdq) <= NEAR


def test_av1_is_refused_in_words(hasher: FilmHasher) -> None:
    # once OpenCV's wheels can read it, it belongs to the others, and docs/matching.md says so
    with pytest.raises(InvalidError, match=r"this film is AV1.*save it as H\.264"):
        hasher.hash(FILMS["av1.mp4"])
