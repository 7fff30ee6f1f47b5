"""What node.matching.media refuses: files of other kinds, broken ones, and hostile ones."""

import random
import warnings

import numpy as np
import pytest
from PIL import Image

from node.matching.media import hash_picture
from protocol.errors import InvalidError, LimitError
from unit.node import matching_pictures as made

ALL_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"]


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC pictures are not read here"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC pictures are not read here"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isommp41", "the file is a film"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "the file is a film"),
        (b"\x1a\x45\xdf\xa3", "the file is a film"),
        (b"RIFF\0\0\0\0AVI LIST", "the file is a film"),
        (b"%PDF-1.7", "the file is a document"),
    ],
)
def test_what_is_not_read_is_refused_with_what_to_do(head, sentence):
    with pytest.raises(InvalidError, match=rf"{sentence}.*; save .* as JPEG or PNG"):
        hash_picture(head + bytes(100))


def test_tiff_is_refused_though_pillow_could_read_it():
    with pytest.raises(InvalidError, match="TIFF pictures are not read here"):
        hash_picture(made.encoded(made.synthetic(), "TIFF"))


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "EPS"])
def test_formats_outside_the_list_are_refused_though_pillow_could_read_them(kind):
    with pytest.raises(InvalidError, match="use JPEG, PNG, WebP, GIF, BMP or AVIF"):
        hash_picture(made.encoded(made.synthetic(), kind))


NOISE = random.Random(1).randbytes(5_000)
"""The same each time: two bytes are enough to begin as a picture does."""


@pytest.mark.parametrize("data", [b"\0", b"hello, world\n" * 50, NOISE, b"RIFF"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(InvalidError, match="not a picture that can be read here"):
        hash_picture(data)


def test_an_empty_file_is_refused():
    with pytest.raises(InvalidError, match="the file is empty"):
        hash_picture(b"")


@pytest.mark.parametrize("kind", ALL_FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_picture_cut_short_is_refused(kind, share):
    data = made.encoded(made.photograph(), kind)
    with pytest.raises(InvalidError, match=r"damaged or cut short|not a picture"):
        hash_picture(data[: int(len(data) * share)])


@pytest.mark.parametrize("kind", ALL_FORMATS)
def test_a_picture_with_bytes_overwritten_gives_hashes_or_one_clear_error(kind):
    whole = made.encoded(made.photograph(), kind)
    rng = np.random.default_rng(3)
    sentences = set()
    for _ in range(12):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 6):
            data[at] = rng.integers(256)
        try:
            hash_picture(bytes(data))
        except (InvalidError, LimitError) as error:
            sentences.add(str(error))
    assert all(sentence.count("; ") == 1 for sentence in sentences)


def test_a_chunk_whose_checksum_is_wrong_is_refused():
    data = bytearray(made.encoded(made.synthetic()))
    data[29] ^= 1
    with pytest.raises(InvalidError):
        hash_picture(bytes(data))


def test_more_pixels_than_allowed_are_refused_by_the_header_alone():
    data = made.png(60_000, 60_000, b"no pixel is here")
    with pytest.raises(LimitError, match="more than 64 million pixels"):
        hash_picture(data)


def test_the_pixel_cap_is_exact():
    data = made.encoded(made.synthetic(size=(100, 50)))
    assert hash_picture(data, max_pixels=5_000).width == 100
    with pytest.raises(LimitError, match=r"more than 0.004999 million pixels"):
        hash_picture(data, max_pixels=4_999)


def test_a_cap_above_pillows_own_is_obeyed_too():
    data = made.png(10_000, 9_500, b"no pixel is here")
    with pytest.raises(LimitError, match="more than 64 million pixels"):
        hash_picture(data)
    with pytest.raises(InvalidError, match="damaged or cut short"):
        hash_picture(data, max_pixels=100_000_000)


def test_a_webp_that_declares_a_huge_canvas_is_refused_before_it_is_allocated():
    with pytest.raises(LimitError, match="more than 64 million pixels"):
        hash_picture(made.webp_bomb())


def test_pillows_settings_are_left_as_they_were():
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        hash_picture(made.encoded(made.synthetic()), max_pixels=10_000)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("size", [(1, 1), (15, 300), (300, 15)])
def test_pictures_too_small_to_tell_apart_are_refused(size):
    with pytest.raises(LimitError, match="less than 16 pixels wide or high"):
        hash_picture(made.encoded(made.synthetic(size=size)))


def test_a_picture_of_16_pixels_is_hashed():
    assert hash_picture(made.encoded(made.synthetic(size=(16, 16)))).width == 16


def test_a_colour_profile_of_many_megabytes_is_harmless():
    huge = random.Random(1).randbytes(3 << 20)
    jpeg = made.encoded(made.photograph(), "JPEG", icc_profile=huge)
    assert hash_picture(jpeg).quality == 100
    with pytest.raises(InvalidError, match="damaged or cut short"):
        hash_picture(made.encoded(made.synthetic(), "PNG", icc_profile=bytes(80 << 20)))
