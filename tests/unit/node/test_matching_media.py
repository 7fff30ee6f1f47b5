import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from node.demo_pictures import picture_paths
from node.matching import pixels, reference
from node.matching.media import (
    MAX_FILE_BYTES,
    check_pdqhash,
    check_size,
    hash_file,
    hash_picture,
    read_picture,
)
from protocol.errors import InvalidError, LimitError, UnavailableError
from protocol.pdq import distance, is_degenerate
from unit.node import matching_pictures as made
from waiting import WITHIN_S

ALL_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"]


def pdq_of(image):
    """What the decode rules must arrive at for a picture shown as the RGB `image`."""
    return pixels.pdq_of(np.asarray(image.convert("RGB")))[0]


@pytest.mark.parametrize("kind", ALL_FORMATS)
def test_each_format_that_browsers_show_is_read(kind):
    if kind == "AVIF":
        assert features.check("avif")
    hashes = hash_picture(made.encoded(made.photograph(), kind))
    assert hashes.format == kind
    assert (hashes.width, hashes.height) == (600, 400)
    assert hashes.quality == 100
    assert distance(hashes.pdq, pdq_of(made.photograph())) <= 10


def test_the_digests_are_those_of_the_file_as_it_lies():
    data = picture_paths()[0].read_bytes()
    hashes = hash_picture(data)
    assert hashes.sha256 == hashlib.sha256(data).hexdigest()
    assert hashes.sha1 == hashlib.sha1(data).hexdigest()
    assert hashes.md5 == hashlib.md5(data).hexdigest()


def test_the_repr_holds_nothing_of_the_picture():
    assert repr(hash_picture(picture_paths()[0].read_bytes())) == "MediaHashes()"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    upright = made.synthetic()
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # our own inverse, by Pillow's numbers
    lying = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    hashes = hash_picture(made.encoded(lying, "PNG", exif=exif))
    assert (hashes.width, hashes.height) == upright.size
    assert hashes.pdq == pdq_of(upright)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_of_a_jpeg_brings_the_photograph_back_within_reach(orientation):
    undo = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
    lying = made.photograph().transpose(undo.get(orientation, Image.Transpose.ROTATE_270))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = hash_picture(made.encoded(lying, "JPEG", quality=95, exif=exif))
    plain = hash_picture(made.encoded(lying, "JPEG", quality=95))
    assert distance(turned.pdq, pdq_of(made.photograph())) <= 4
    assert distance(plain.pdq, pdq_of(made.photograph())) > 90


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_an_orientation_that_does_not_exist_is_ignored(value):
    exif = Image.Exif()
    exif[0x0112] = value
    data = made.encoded(made.synthetic(), "PNG", exif=exif)
    assert hash_picture(data).pdq == pdq_of(made.synthetic())


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 40]
)
def test_a_broken_exif_block_is_ignored_as_browsers_do(exif):
    data = made.encoded(made.synthetic(), "JPEG", exif=exif)
    assert hash_picture(data).pdq == hash_picture(made.encoded(made.synthetic(), "JPEG")).pdq


def test_orientation_in_xmp_alone_is_ignored_as_browsers_do():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"></x:xmpmeta>'
    data = made.encoded(made.synthetic(), "WEBP", lossless=True, xmp=xmp)
    assert hash_picture(data).pdq == pdq_of(made.synthetic())


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_cut_out_is_laid_on_white(mode):
    cut = made.synthetic(mode)
    hole = Image.new("L", cut.size, 255)
    hole.paste(0, (10, 10, 50, 50))
    cut.putalpha(hole)
    shown = made.synthetic(mode[:-1])
    shown.paste("white", (10, 10, 50, 50))
    assert hash_picture(made.encoded(cut)).pdq == pdq_of(shown)


def test_a_half_transparent_picture_is_mixed_with_white():
    veil = made.synthetic("RGBA")
    veil.putalpha(128)
    shown = Image.blend(Image.new("RGB", veil.size, "white"), made.synthetic(), 128 / 255)
    assert distance(hash_picture(made.encoded(veil)).pdq, pdq_of(shown)) <= 2


@pytest.mark.parametrize(("mode", "clear"), [("L", 20), ("RGB", (0, 0, 200))])
def test_one_colour_declared_transparent_is_white(mode, clear):
    picture = made.synthetic(mode)
    picture.paste(clear, (0, 0, 40, 40))
    shown = picture.convert("RGB")
    values = np.array(shown)
    values[(np.asarray(picture).reshape(*values.shape[:2], -1) == clear).all(2)] = 255
    data = made.encoded(picture, "PNG", transparency=clear)
    assert hash_picture(data).pdq == pdq_of(Image.fromarray(values))


def test_a_palette_picture_is_read_by_its_colours_not_its_indices():
    palette = made.synthetic().quantize(64)
    assert hash_picture(made.encoded(palette)).pdq == pdq_of(palette)
    assert hash_picture(made.encoded(palette)).pdq != pdq_of(Image.fromarray(np.asarray(palette)))


def test_a_transparent_palette_entry_is_white():
    palette = made.synthetic().quantize(64)
    first = palette.getpixel((0, 0))
    values = np.array(palette.convert("RGB"))
    values[np.asarray(palette) == first] = 255
    data = made.encoded(palette, "PNG", transparency=first)
    assert hash_picture(data).pdq == pdq_of(Image.fromarray(values))


def test_a_one_bit_picture_is_read():
    picture = made.synthetic("1")
    assert hash_picture(made.encoded(picture)).pdq == pdq_of(picture)


def test_a_cmyk_jpeg_is_shown_in_its_colours():
    data = made.encoded(made.photograph().convert("CMYK"), "JPEG", quality=95)
    assert distance(hash_picture(data).pdq, pdq_of(made.photograph())) <= 4


def test_16_bit_grey_keeps_its_upper_8_bits():
    grey = np.asarray(made.photograph().convert("L")).astype(np.uint16)
    data = made.encoded(Image.fromarray(grey * 256 + 77), "PNG")
    hashes = hash_picture(data)
    assert hashes.pdq == pdq_of(made.photograph().convert("L"))
    assert hashes.quality == 100


def test_16_bit_grey_declared_transparent_is_white():
    grey = np.asarray(made.synthetic("L")).astype(np.uint16) * 256
    clear = int(grey[0, 0])
    shown = (grey >> 8).astype(np.uint8)
    shown[grey == clear] = 255
    data = made.encoded(Image.fromarray(grey), "PNG", transparency=clear)
    assert hash_picture(data).pdq == pdq_of(Image.fromarray(shown))


def test_colour_profiles_are_ignored():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    with_profile = made.encoded(made.synthetic(), "PNG", icc_profile=profile)
    assert hash_picture(with_profile).pdq == pdq_of(made.synthetic())


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_first_picture_counts(kind):
    first, size = made.photograph(), made.photograph().size
    others = [Image.new("RGB", size, "red"), made.photograph("rocket").resize(size)]
    data = made.encoded(first, kind, save_all=True, append_images=others, duration=100)
    assert distance(hash_picture(data).pdq, hash_picture(made.encoded(first, kind)).pdq) <= 8


def test_a_jpeg_with_a_second_picture_inside_is_a_jpeg():
    data = made.encoded(made.photograph(), "MPO", save_all=True, append_images=[made.synthetic()])
    hashes = hash_picture(data)
    assert hashes.format == "JPEG"
    assert distance(hashes.pdq, pdq_of(made.photograph())) <= 4


def test_a_picture_is_hashed_at_full_resolution():
    large = made.photograph().resize((2400, 1600), Image.Resampling.BICUBIC)
    assert hash_picture(made.encoded(large, "BMP")).pdq == pdq_of(large)


def test_a_kind_of_colours_that_browsers_do_not_show_is_refused():
    floats = Image.new("F", (64, 64))
    with pytest.raises(InvalidError, match="kind of colours is not read here"):
        pixels._on_white(floats)


def test_running_out_of_memory_is_not_mistaken_for_a_broken_file(monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    data = made.encoded(made.synthetic())
    monkeypatch.setattr(Image.Image, "convert", exhausted)
    with pytest.raises(MemoryError):
        hash_picture(data)
    monkeypatch.setattr(Image, "open", exhausted)
    with pytest.raises(MemoryError):
        hash_picture(data)


def test_a_file_is_hashed_as_its_bytes_are():
    path = picture_paths()[0]
    assert hash_file(path) == hash_picture(path.read_bytes())


def test_a_file_that_is_not_there_is_refused_without_its_name(tmp_path):
    with pytest.raises(InvalidError, match="there is no such file") as caught:
        hash_file(tmp_path / "secret.jpg")
    assert "secret" not in str(caught.value)


def test_a_folder_or_a_pipe_is_refused_at_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        with pytest.raises(InvalidError, match="not an ordinary file"):
            read_picture(path)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    with pytest.raises(InvalidError, match="cannot be read; check its permissions"):
        read_picture(loop)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(LimitError, match="larger than 64 MiB"):
        read_picture(path)
    with pytest.raises(LimitError, match="larger than 64 MiB"):
        check_size(MAX_FILE_BYTES + 1)
    check_size(MAX_FILE_BYTES)


def test_the_installed_pdqhash_computes_the_reference_values():
    check_pdqhash()


def test_a_pdqhash_that_rounds_differently_is_noticed(monkeypatch):
    name, size, pdq = reference.REFERENCE[0]
    other = format(int(pdq, 16) ^ 1, "064x")
    monkeypatch.setattr(pixels, "REFERENCE", ((name, size, other),))
    with pytest.raises(UnavailableError, match="ffp-contract=off"):
        check_pdqhash()


@pytest.mark.parametrize("colour", ["black", "white", "red", (12, 200, 99), (128, 128, 128)])
@pytest.mark.parametrize("size", [(64, 64), (300, 451), (640, 480)])
def test_pictures_of_one_colour_are_degenerate(colour, size):
    hashes = hash_picture(made.encoded(Image.new("RGB", size, colour)))
    assert hashes.quality == 0
    assert is_degenerate(hashes.pdq)


def test_photographs_are_fit_for_matching_and_far_apart():
    found = [hash_file(path) for path in picture_paths()]
    assert len(found) >= 4
    assert all(hashes.quality >= 80 and not is_degenerate(hashes.pdq) for hashes in found)
    assert all(distance(a.pdq, b.pdq) > 100 for a in found for b in found if a is not b)


def test_importing_media_or_the_pool_loads_no_decoder():
    code = (
        "import sys, node.matching.media, node.matching.pool;"
        "sys.exit(bool({'PIL', 'numpy', 'pdqhash', 'fastapi'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WITHIN_S)
