"""The compiled PDQ gives pdqhash's bits; benchmarks/bench_pdq_kernel.py has the large pictures."""

import subprocess
import sys

import numpy as np
import pdqhash
import pytest

from node.matching import compiled, pdq_filters, pdq_kernel, pixels, reference
from unit.node import matching_pictures as made
from waiting import WITHIN_S

DIHEDRAL = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
"""What each EXIF orientation does to the pixels before they are shown, in NumPy's words."""


def noise(rng, height, width):
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def gradient(rng, height, width):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 3 % 256], 2).astype(np.uint8)


def waves(rng, height, width):
    y, x = np.mgrid[0:height, 0:width]
    across, along, shift = rng.uniform(2, 40, 3)
    grey = np.sin(x / across + shift) * np.cos(y / along) * 120 + 128
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, 2)


def flat(rng, height, width):
    return np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)


def halves(rng, height, width):
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: rng.integers(height + 1), : rng.integers(width + 1)] = rng.integers(0, 256, 3)
    return picture


KINDS = (noise, gradient, waves, flat, halves)
EDGES = (3, 4, 5, 6, 63, 64, 65, 127, 128, 129, 130, 255, 256, 257)


def pictures():
    """1,000 pictures: every pair of sizes at which something changes, and others at random."""
    rng = np.random.default_rng(20)
    sizes = [(height, width) for height in EDGES for width in EDGES]
    sizes += [tuple(rng.integers(5, 150, 2)) for _ in range(1_000 - len(sizes) - 4)]
    sizes += [(5, 2_000), (2_000, 5), (7, 1_025), (513, 9)]
    for number, (height, width) in enumerate(sizes):
        yield KINDS[number % len(KINDS)](rng, int(height), int(width))


def by_pdqhash(picture):
    bits, quality = pdqhash.compute(np.ascontiguousarray(picture))
    return np.packbits(bits).tobytes(), int(quality)


def test_the_kernel_gives_the_bits_and_the_quality_of_pdqhash():
    count = 0
    for picture in pictures():
        assert pdq_kernel.pdq_of(picture) == by_pdqhash(picture), picture.shape
        count += 1
    assert count == 1_000


@pytest.mark.parametrize("size", [(64, 64), (97, 61), (61, 200), (3, 40), (128, 256)])
@pytest.mark.parametrize("make", KINDS)
def test_the_eight_forms_are_those_of_pdqhash(make, size):
    picture = make(np.random.default_rng(21), *size)
    vectors, quality = pdqhash.compute_dihedral(picture)
    expected = [np.packbits(vector).tobytes() for vector in vectors]
    assert pdq_kernel.dihedral_pdqs_of(picture) == (expected, int(quality))


@pytest.mark.parametrize("orientation", DIHEDRAL)
@pytest.mark.parametrize("size", [(64, 64), (97, 61), (40, 301), (130, 128)])
def test_a_lying_picture_is_hashed_as_it_is_displayed(orientation, size):
    picture = noise(np.random.default_rng(22), *size)
    shown = np.ascontiguousarray(DIHEDRAL[orientation](picture))
    assert pdq_kernel.pdq_of(picture, orientation=orientation) == by_pdqhash(shown)
    assert pixels.pdq_of(picture, orientation) == by_pdqhash(shown)
    forms, _quality = pdq_kernel.dihedral_pdqs_of(picture, orientation=orientation)
    assert forms == pdq_kernel.dihedral_pdqs_of(shown)[0]


def test_a_picture_that_may_not_be_written_to_is_hashed_and_stays_as_it_was():
    picture = noise(np.random.default_rng(23), 70, 80)
    before = picture.copy()
    expected = pdq_kernel.pdq_of(picture)
    picture.flags.writeable = False
    assert pdq_kernel.pdq_of(picture) == expected
    assert (picture == before).all()


def test_photographs_come_out_as_from_pdqhash():
    for name in ("cat", "coffee", "rocket", "retina"):
        picture = np.asarray(made.photograph(name))
        assert pdq_kernel.pdq_of(picture) == by_pdqhash(picture)


def test_luma_with_one_division_is_luma_in_double_precision():
    """All colours of 32 levels here; all 2^24 in benchmarks/bench_pdq_kernel.py."""
    levels = np.r_[np.arange(0, 256, 8), 255].astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    expected = colours[..., 0] * 0.299 + colours[..., 1] * 0.587 + colours[..., 2] * 0.114
    luma = np.empty(colours.shape[:2], np.float32)
    pdq_filters.read_luma(colours.reshape(-1), (0, colours.size, 3), 0, luma)
    assert (luma == expected.astype(np.float32)).all()


def test_the_functions_that_are_compiled_say_the_same_without_a_compiler():
    """The machine code is what runs; that the Python above it means the same is seen here."""
    picture = noise(np.random.default_rng(24), 21, 19)
    block, plain = (np.zeros((64, 64), np.float32) for _ in range(2))
    lie = (0, 19 * 3, 3)
    pdq_filters.filter_into(picture.reshape(-1), lie, 21, 19, block)
    parts = {
        name: getattr(function, "py_func", function)
        for name, function in vars(pdq_filters).items()
        if name.startswith("_") or name == "read_luma"
    }
    source = pdq_filters.filter_into.py_func
    type(source)(source.__code__, vars(pdq_filters) | parts)(
        picture.reshape(-1), lie, 21, 19, plain
    )
    assert (block == plain).all()


def test_the_kernel_is_used_only_once_it_gave_the_reference_values(monkeypatch):
    kernel = pixels.load_kernel()
    picture = np.asarray(made.photograph())
    assert kernel(picture, 1) == pixels.pdq_of(picture)
    name, size, pdq = reference.REFERENCE[0]
    other = format(int(pdq, 16) ^ 1, "064x")
    monkeypatch.setattr(pixels, "REFERENCE", ((name, size, other),))
    assert pixels.load_kernel() is None


def test_a_compiler_that_fails_leaves_pdqhash(monkeypatch):
    def failing(*_, **__):
        raise OSError("no room")

    monkeypatch.setattr(pdq_kernel, "pdq_of", failing)
    assert pixels.load_kernel() is None


def test_running_out_of_memory_while_compiling_is_said(monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(pdq_kernel, "pdq_of", exhausted)
    with pytest.raises(MemoryError):
        pixels.load_kernel()


def test_where_nothing_can_be_kept_on_disk_functions_are_compiled_all_the_same(monkeypatch):
    whole = compiled.numba.njit

    def no_folder(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return whole(**options)

    monkeypatch.setattr(compiled.numba, "njit", no_folder)
    assert compiled.compiled(lambda one: one + 1)(2) == 3


def test_hashing_one_picture_loads_no_compiler():
    code = (
        "import sys; from node.demo_pictures import picture_paths;"
        "from node.matching.media import hash_file; hash_file(picture_paths()[0]);"
        "sys.exit('numba' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WITHIN_S)
