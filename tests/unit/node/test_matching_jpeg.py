"""The quick decode of JPEG is Pillow's, pixel by pixel and refusal by refusal; and what a draft is.

benchmarks/bench_pdq_kernel.py compares some thousands of files more.
"""

import numpy as np
import pytest
from PIL import Image

from node.matching import formats, media, pixels
from protocol.errors import InvalidError, LimitError
from protocol.pdq import distance
from unit.node import matching_pictures as made

SIZES = [(16, 16), (97, 61), (64, 64), (17, 133)]
SAVED = [
    {"quality": 10},
    {"quality": 75, "subsampling": 0},
    {"quality": 90, "subsampling": 1},
    {"quality": 95, "subsampling": 2},
    {"progressive": True},
    {"progressive": True, "subsampling": 0},
    {"optimize": True, "restart_marker_blocks": 3},
    {"keep_rgb": True, "quality": 90},
]


@pytest.fixture
def both(monkeypatch):
    """Decodes a file twice, with the quick decoder and by Pillow alone; the rule is that they agree."""
    quick = pixels._quick_jpeg
    taken = []

    def counting(image, data):
        found = quick(image, data)
        taken.append(found is not None)
        return found

    def outcome(data):
        try:
            picture = pixels.decode(data, max_pixels=4_000_000)
        except (InvalidError, LimitError) as error:
            return type(error), str(error)
        shape = (picture.orientation, picture.width, picture.height, picture.kind)
        return shape, picture.pixels.shape, picture.pixels.tobytes()

    def decode(data):
        monkeypatch.setattr(pixels, "_quick_jpeg", counting)
        ours = outcome(data)
        monkeypatch.setattr(pixels, "_quick_jpeg", lambda *_: None)
        assert ours == outcome(data)
        return bool(taken and taken.pop())

    return decode


@pytest.mark.parametrize("options", SAVED, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_ordinary_jpeg_gives_pillows_pixels(both, options, mode):
    for size in SIZES:
        assert both(made.encoded(made.photograph().resize(size).convert(mode), "JPEG", **options))


@pytest.mark.parametrize("progressive", [False, True])
def test_four_colours_are_left_to_pillow(both, progressive):
    image = made.photograph().resize((97, 61)).convert("CMYK")
    assert not both(made.encoded(image, "JPEG", progressive=progressive))


def test_the_first_of_two_pictures_in_one_jpeg_is_read(both):
    first, second = made.photograph().resize((97, 61)), made.synthetic()
    assert both(made.encoded(first, "MPO", save_all=True, append_images=[second]))


@pytest.mark.parametrize("options", SAVED[3:6], ids=str)
def test_a_jpeg_cut_short_is_taken_or_refused_as_by_pillow(both, options):
    data = made.encoded(made.photograph().resize((97, 61)), "JPEG", **options)
    for cut in [*range(1, 30), 100, len(data) // 2, len(data) - 300]:
        both(data[:-cut])


@pytest.mark.parametrize("options", SAVED[3:7], ids=str)
def test_a_jpeg_with_bytes_overwritten_is_taken_or_refused_as_by_pillow(both, options):
    whole = made.encoded(made.photograph().resize((97, 61)), "JPEG", **options)
    rng = np.random.default_rng(30)
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(2, len(data), rng.integers(1, 4)):
            data[at] = rng.integers(256)
        both(bytes(data))


@pytest.mark.parametrize("more", [b"more", b"\xff\xd9", bytes(500)])
def test_bytes_behind_a_jpeg_change_nothing(both, more):
    both(made.encoded(made.photograph().resize((97, 61)), "JPEG") + more)


@pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xC9, 0xCA, 0xCB, 0xCD, 0xCF])
def test_kinds_of_jpeg_that_browsers_do_not_show_are_left_to_pillow(frame):
    data = made.encoded(made.synthetic(), "JPEG")
    assert formats.is_huffman_coded(data)
    assert not formats.is_huffman_coded(data.replace(b"\xff\xc0", bytes([0xFF, frame]), 1))


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (b"\xff\xd8\xff\xc0\x00\x11\x08", True),
        (b"\xff\xd8\xff\xff\xff\xc2\x00\x11\x08", True),
        (b"\xff\xd8\xff\x01\xff\xd0\xff\xc1\x00\x11\x08", True),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08", True),
        (b"\xff\xd8\xff\xc0\x00\x11\x0c", False),
        (b"\xff\xd8\xff\xc0\x00", False),
        (b"\xff\xd8\xff\xe0\xff\xff\xff\xc0\x00\x11\x08", False),
        (b"\xff\xd8\x00\xff\xc0\x00\x11\x08", False),
        (b"\xff\xd8", False),
        (b"", False),
    ],
)
def test_the_frame_header_of_a_jpeg_is_found_behind_its_segments(data, is_one):
    assert formats.is_huffman_coded(data) is is_one


def test_what_the_quick_decoder_gives_in_another_size_is_not_believed(monkeypatch):
    data = made.encoded(made.synthetic(), "JPEG")
    monkeypatch.setattr(
        pixels.simplejpeg, "decode_jpeg", lambda *_, **__: np.zeros((1, 1, 3), np.uint8)
    )
    assert pixels.decode(data, max_pixels=10_000).pixels.shape == (64, 96, 3)


def large(orientation=1, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = made.photograph().resize((2_600, 1_300), Image.Resampling.BICUBIC)
    return made.encoded(image, "JPEG", exif=exif, **options)


def test_a_draft_is_near_the_full_picture_and_says_its_full_size():
    data = large(6)
    full, draft = media.hash_picture(data), media.hash_picture(data, draft=True)
    assert distance(full.pdq, draft.pdq) <= 12
    assert (draft.width, draft.height) == (full.width, full.height) == (1_300, 2_600)
    assert (draft.sha256, draft.format) == (full.sha256, full.format)


def test_neither_side_of_a_draft_is_shorter_than_512_pixels():
    assert pixels.decode(large(), max_pixels=10**7, draft=True).pixels.shape == (650, 1_300, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_draft_of_a_small_picture_or_of_another_format_is_the_picture(kind):
    data = made.encoded(made.photograph(), kind)
    assert media.hash_picture(data, draft=True) == media.hash_picture(data)


def test_a_damaged_draft_is_refused():
    with pytest.raises(InvalidError, match="damaged or cut short"):
        media.hash_picture(large()[:-5_000], draft=True)
