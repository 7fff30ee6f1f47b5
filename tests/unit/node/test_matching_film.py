"""Films from files to frames, and what hostile ones cost."""

import contextlib
import itertools
import os
import random
import subprocess
import sys
import threading
import time

import cv2
import pytest

from node.matching import film, film_process
from node.matching.containers import CONTAINERS, container_of
from node.matching.film import NEAR_BITS, Sampler, check_video
from node.matching.film_process import FilmHasher
from protocol.errors import (
    InvalidError,
    LimitError,
    RateLimitedError,
    UnavailableError,
)
from protocol.pdq import Pdq, distance
from unit.node import matching_films as made
from unit.node.matching_pictures import encoded, synthetic
from waiting import WITHIN_S

HASHER = FilmHasher(timeout_s=WITHIN_S)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """The same five photographs, a second each, as every kind of film."""
    folder = tmp_path_factory.mktemp("films")
    return {
        suffix: made.make(folder / f"film.{suffix}", made.photographs()) for suffix in made.KINDS
    }


def pdq_of(number: int) -> Pdq:
    return Pdq(random.Random(number).randbytes(32))


@pytest.mark.parametrize("suffix", made.KINDS)
def test_every_kind_of_film_gives_a_frame_for_each_second(films, suffix):
    found = HASHER.hash(films[suffix])
    assert [one.at_ms for one in found.frames] == [0, 1_000, 2_000, 3_000, 4_000]
    assert all(one.quality >= 50 for one in found.frames)
    assert (found.width, found.height, found.duration_ms) == (320, 240, 4_900)
    assert found.format == made.KINDS[suffix][1]
    assert found.format in CONTAINERS


def test_the_same_film_smaller_and_in_another_container_has_near_frames(films, tmp_path):
    first = HASHER.hash(films["mp4"])
    again = made.make(tmp_path / "again.webm", made.photographs((480, 360)))
    second = HASHER.hash(again)
    apart = [min(distance(one.pdq, other.pdq) for other in second.frames) for one in first.frames]
    assert max(apart) <= 31
    assert first.sha256 != second.sha256


def test_a_film_on_disk_says_what_the_same_bytes_say_under_whatever_name(films, tmp_path):
    path = tmp_path / "letter.txt"
    path.write_bytes(films["webm"])
    assert HASHER.hash_file(path) == HASHER.hash(films["webm"])


def test_the_interval_says_how_often_a_film_is_looked_at(films):
    every_two = FilmHasher(interval_ms=2_000).hash(films["avi"])
    assert [one.at_ms for one in every_two.frames] == [0, 2_000, 4_000]


def test_black_and_still_frames_are_left_out(tmp_path):
    cat, *_others = made.photographs()
    pictures = [made.one_colour(), cat, cat, cat, made.one_colour(value=200)]
    found = HASHER.hash(made.make(tmp_path / "still.avi", pictures))
    assert [one.at_ms for one in found.frames] == [1_000]
    assert HASHER.hash(made.make(tmp_path / "black.avi", [made.one_colour()] * 3)).frames == ()


# what is kept of many frames


def test_frames_that_differ_by_little_from_the_last_kept_are_left_out():
    first = pdq_of(1)
    near = Pdq((int.from_bytes(first) ^ ((1 << NEAR_BITS) - 1)).to_bytes(32))
    far = Pdq((int.from_bytes(first) ^ ((2 << NEAR_BITS) - 1)).to_bytes(32))
    sampler = Sampler(1_000)
    for at, pdq in enumerate((first, near, far, first)):
        sampler.add(pdq, 90, at * 1_000)
    assert [one.at_ms for one in sampler.frames] == [0, 2_000, 3_000]


def test_a_film_without_end_is_thinned_out_over_its_whole_length():
    sampler = Sampler(1_000, most=100)
    for at in range(1_000):
        if sampler.wants(at * 1_000):
            sampler.add(pdq_of(at), 90, at * 1_000)
    times = [one.at_ms for one in sampler.frames]
    assert 50 <= len(times) <= 100
    assert (times[0], times[-1] > 900_000) == (0, True)
    assert max(late - early for early, late in itertools.pairwise(times)) == 16_000


# what is no film, and what is broken


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<MPD><BaseURL>http://198.51.100.1/</BaseURL></MPD>",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypavif" + bytes(40),
        b"FLV\x01" + bytes(40),
        encoded(synthetic()),
        bytes(2_000),
    ],
    ids=["empty", "hls", "concat", "dash", "wav", "avif", "flv", "picture", "zeros"],
)
def test_what_is_no_film_of_a_kind_that_is_read_starts_no_decoder(data, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_a, **_k: pytest.fail("a decoder"))
    assert container_of(data) is None
    with pytest.raises(InvalidError, match="not a film that can be read here; use MP4"):
        HASHER.hash(data)


def test_a_playlist_in_the_clothes_of_a_film_opens_nothing(tmp_path):
    secret = tmp_path / "secret.avi"
    made.make(secret, made.photographs())
    packets = (b"G" + b"#EXTM3U\n".ljust(187, b"\n")) * 6
    listed = packets + f"#EXTINF:10,\nfile://{secret}\n".encode()
    assert container_of(listed) == "MPEG-TS"
    with pytest.raises(InvalidError, match="damaged or cut short"):
        HASHER.hash(listed)


def test_a_decoder_can_open_the_film_and_nothing_beside_it(tmp_path):
    probe = tmp_path / "film"
    probe.write_bytes(b"x")
    program = (
        "import os, socket, sys\n"
        "from node.matching import film_worker\n"
        f"path = film_worker._keep_only(os.open({str(probe)!r}, os.O_RDONLY))\n"
        "film = open(path)\n"
        "for attempt in (socket.socket, lambda: open('/etc/hostname')):\n"
        "    try:\n"
        "        attempt()\n"
        "        sys.exit('opened')\n"
        "    except OSError as error:\n"
        "        print(error.errno)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["24", "24"])


def broken(films):
    """Hostile and broken films by name, and the sentence each gets."""
    avi, mp4, webm = films["avi"], films["mp4"], films["webm"]
    huge = (65_500).to_bytes(2)
    return {
        "cut short before its index": (mp4[: len(mp4) // 2], "damaged or cut short"),
        "nothing behind its head": (mp4[:40], "damaged or cut short"),
        "no bytes behind the mark": (webm[:64], "damaged or cut short"),
        "sound only": (made.patched(avi, b"vids", 0, b"auds"), "damaged or cut short"),
        "a codec of its own": (
            made.patched(made.patched(avi, b"MJPG", 0, b"FFV1"), b"MJPG", 0, b"FFV1"),
            "codec is not read here|damaged",
        ),
        "pictures of 65500 by 65500": (
            made.patched(avi, b"\xff\xc0", 5, huge + huge),
            "damaged|more than 36 million pixels|needs more than|decoder failed",
        ),
    }


@pytest.mark.parametrize(
    "name",
    [
        "cut short before its index",
        "nothing behind its head",
        "no bytes behind the mark",
        "sound only",
        "a codec of its own",
        "pictures of 65500 by 65500",
    ],
)
def test_a_broken_film_gets_its_sentence_in_bounded_time(films, name):
    data, sentence = broken(films)[name]
    began = time.monotonic()
    with pytest.raises((InvalidError, LimitError), match=sentence):
        HASHER.hash(data)
    assert time.monotonic() - began < WITHIN_S / 2


class FakeCapture:
    """An open film whose clock says what it is told."""

    def __init__(self, *times):
        self.times = [None, *times]

    def grab(self):
        self.times.pop(0)
        return bool(self.times)

    def get(self, _what):
        return self.times[0]


@pytest.mark.parametrize("says", [86_400_001, 1e300, float("inf"), float("nan")])
def test_a_clock_of_years_is_not_believed(says):
    with pytest.raises(LimitError, match="more than a day"):
        list(film._clock(cv2, FakeCapture(0, says)))


def test_a_clock_that_runs_backwards_stands():
    assert list(film._clock(cv2, FakeCapture(0, 500, -3, 400, 501))) == [0, 500, 500, 500, 501]


def test_a_film_whose_index_tells_of_ages_costs_no_more_than_another(films):
    slow = made.patched(films["mp4"], b"mdhd", 16, (1).to_bytes(4))
    ages = made.patched(slow, b"stts", 16, (1 << 30).to_bytes(4))
    began = time.monotonic()
    assert len(HASHER.hash(ages).frames) <= 5
    assert time.monotonic() - began < WITHIN_S / 2


def test_a_film_without_a_frame_is_refused(tmp_path):
    for suffix in ("avi", "webm"):
        with pytest.raises(InvalidError, match="holds no moving pictures"):
            HASHER.hash(made.make(tmp_path / f"none.{suffix}", []))


def test_what_a_cut_film_still_shows_is_hashed(films):
    found = HASHER.hash(films["ts"][: len(films["ts"]) // 2])
    assert 1 <= len(found.frames) < 5


def test_any_damage_ends_in_a_sentence_or_in_frames(films):
    chance = random.Random(11)
    for suffix in ("mp4", "webm", "avi", "ts"):
        data = bytearray(films[suffix])
        for _ in range(200):
            data[chance.randrange(len(data))] = chance.randrange(256)
        data[:12] = films[suffix][:12]
        with contextlib.suppress(InvalidError, LimitError):
            assert HASHER.hash(bytes(data)).format == made.KINDS[suffix][1]


def test_larger_pictures_than_allowed_are_not_decoded(films):
    with pytest.raises(LimitError, match=r"more than 0.05 million pixels"):
        FilmHasher(max_pixels=50_000).hash(films["mp4"])


def test_tiny_pictures_are_refused(tmp_path):
    tiny = made.make(tmp_path / "tiny.avi", made.photographs((14, 14)))
    with pytest.raises(LimitError, match="less than 16 pixels"):
        HASHER.hash(tiny)


def test_a_film_that_takes_too_long_is_given_up(films):
    with pytest.raises(LimitError, match=r"took longer than 0.001 s"):
        FilmHasher(timeout_s=0.001).hash(films["mkv"])


def test_a_film_that_needs_too_much_memory_costs_its_process_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(film_process, "_BYTES_PER_PIXEL", 1)
    monkeypatch.setattr(film_process, "_BASE_MIB", 400)
    large = made.make(tmp_path / "large.avi", made.photographs((3_000, 2_000))[:1], fps=2)
    with pytest.raises((LimitError, InvalidError)):
        FilmHasher(max_pixels=6_000_000).hash(large)


def test_where_the_extra_is_missing_one_sentence_says_what_to_install(films, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UnavailableError, match=r"pip install 'schutznetz\[video\]'"):
        check_video()
    with pytest.raises(UnavailableError, match="install the extra"):
        HASHER.hash(films["avi"])


def test_the_process_itself_says_so_where_the_decoder_does_not_load(tmp_path, films, monkeypatch):
    (tmp_path / "cv2.py").write_text("raise ImportError('half installed')\n")
    path = os.pathsep.join((str(tmp_path), *(one for one in sys.path if one)))
    monkeypatch.setenv("PYTHONPATH", path)
    with pytest.raises(UnavailableError, match="install the extra"):
        HASHER.hash(films["avi"])


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(InvalidError, match="cannot be read; check its permissions"):
        HASHER.hash_file(tmp_path / "none.mp4")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidError, match="not an ordinary file"):
        HASHER.hash_file(tmp_path / "pipe")


def test_too_many_films_at_once_are_told_to_come_back(films, monkeypatch):
    hasher = FilmHasher(workers=1, max_waiting=0)
    began, go_on = threading.Event(), threading.Event()

    def wait(_self, _fd):
        began.set()
        assert go_on.wait(WITHIN_S)

    monkeypatch.setattr(FilmHasher, "_hash", wait)
    thread = threading.Thread(target=hasher.hash, args=[b"first"])
    thread.start()
    assert began.wait(WITHIN_S)
    with pytest.raises(RateLimitedError, match="too many films"):
        hasher.hash(films["avi"])
    go_on.set()
    thread.join()


def test_nothing_of_a_film_shows_in_a_repr(films):
    found = HASHER.hash(films["avi"])
    assert found.sha256 not in repr(found)
    assert found.frames[0].pdq.hex() not in repr(found.frames)
    assert film.MISSING.count("video") == 1
