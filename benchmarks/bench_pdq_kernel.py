"""The compiled PDQ and the quick JPEG decode against pdqhash and Pillow: the bits, then the time.

Run: python benchmarks/bench_pdq_kernel.py [--json] [--large N]

Ends with 1 if one bit, one quality, one pixel or one refusal differs. Compared are luma of all 2^24
colours; 1,206 pictures of 5 × 5 to 12 million pixels in six modes, upright and lying, with the
eight forms of every tenth; and 5,760 JPEG files, whole, cut, overwritten.
"""

import argparse
import io
import json
import sys
import time
from unittest import mock

import numpy as np
import pdqhash
from PIL import Image

from node.demo_pictures import picture_paths
from node.matching import pdq_filters, pdq_kernel, pixels
from node.matching.media import hash_picture
from protocol.errors import InvalidError, LimitError
from protocol.pdq import Pdq, distance

MODES = ("RGB", "L", "1", "P", "CMYK", "RGBA")
TIMED_MPX = (0.3, 1.0, 12.0)
ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description="bits and time of the compiled PDQ")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--large", type=int, default=30, help="pictures of 4 to 12 Mpx")
    arguments = parser.parse_args()
    found = {
        "colours whose luma differs": colours(),
        "pictures": compare_pictures(arguments.large),
        "files": compare_files(),
        "times": times(),
        "bits that a draft costs": drafts(),
    }
    if arguments.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name}: {value}")
    wrong = (found["colours whose luma differs"], found["pictures"]["wrong"])
    sys.exit(any(wrong) or bool(found["files"]["wrong"]))


def colours() -> int:
    """How many of all colours have another luma than in pdqhash."""
    wrong = 0
    green, blue = (one.astype(np.uint8) for one in np.mgrid[0:256, 0:256])
    luma = np.empty((256, 256), np.float32)
    for red in range(256):
        image = np.stack([np.full_like(green, red), green, blue], 2)
        expected = image[..., 0] * 0.299 + image[..., 1] * 0.587 + image[..., 2] * 0.114
        pdq_filters.read_luma(image.reshape(-1), (0, 256 * 3, 3), 0, luma)
        wrong += int((luma != expected.astype(np.float32)).sum())
    return wrong


def compare_pictures(large: int) -> dict[str, int]:
    rng = np.random.default_rng(1)
    edges = (5, 6, 7, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025)
    sizes = [(a, b) for a in edges for b in edges]
    sizes += [tuple(rng.integers(5, 900, 2)) for _ in range(1_170 - len(sizes))]
    sizes += [(3000, 4000), (4000, 3000), (2048, 4096), (4096, 2048), (16, 400_000), (400_000, 16)]
    sizes += [tuple(rng.integers(2_000, 3_500, 2)) for _ in range(large)]
    photos = [Image.open(path).convert("RGB") for path in picture_paths()]
    wrong = forms = 0
    for number, (height, width) in enumerate(sizes):
        image = np.asarray(made(photos, rng, number, int(height), int(width)).convert("RGB"))
        wrong += pdq_kernel.pdq_of(image) != pixels.pdq_of(image)
        turn = 2 + number % 7
        wrong += pdq_kernel.pdq_of(image, orientation=turn) != pixels.pdq_of(image, turn)
        if number % 10 == 0:
            forms += 1
            vectors, quality = pdqhash.compute_dihedral(image)
            expected = [np.packbits(vector).tobytes() for vector in vectors]
            wrong += pdq_kernel.dihedral_pdqs_of(image) != (expected, int(quality))
    return {"compared": len(sizes), "eight forms": forms, "wrong": wrong}


def made(photos: list, rng: np.random.Generator, number: int, height: int, width: int) -> Image:
    """A photograph, noise, a gradient or one colour, in one of the modes."""
    kind = number % 4
    if kind == 0:
        image = photos[number // 4 % len(photos)].resize((width, height))
    elif kind == 1:
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    elif kind == 2:
        y, x = np.mgrid[0:height, 0:width]
        values = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], 2)
        image = Image.fromarray(values.astype(np.uint8))
    else:
        image = Image.new(
            "RGB", (width, height), tuple(int(one) for one in rng.integers(256, size=3))
        )
    return image.convert(MODES[number % len(MODES)])


def compare_files() -> dict[str, int]:
    name = "_quick_jpeg"
    quick = getattr(pixels, name)
    taken = 0

    def outcome(data: bytes, decoder: object) -> object:
        try:
            with mock.patch.object(pixels, name, decoder):
                picture = pixels.decode(data, max_pixels=20_000_000)
        except (InvalidError, LimitError) as error:
            return str(error)
        return picture.orientation, picture.kind, picture.pixels.shape, picture.pixels.tobytes()

    def counting(image: object, data: bytes) -> object:
        nonlocal taken
        found = quick(image, data)
        taken += found is not None
        return found

    count = wrong = 0
    for data in files():
        count += 1
        wrong += outcome(data, counting) != outcome(data, lambda *_: None)
    return {"compared": count, "decoded quickly": taken, "wrong": wrong}


def files():
    rng = np.random.default_rng(2)
    options = (
        *({"quality": q, "subsampling": s} for q in (10, 75, 95) for s in (0, 1, 2)),
        {"progressive": True},
        {"optimize": True, "restart_marker_blocks": 3},
        {"keep_rgb": True},
    )
    for path in picture_paths():
        photo = Image.open(path).convert("RGB")
        for size in (photo.size, (97, 61), (64, 64), (17, 33)):
            for mode in ("RGB", "L", "CMYK"):
                for one in options:
                    whole = encoded(photo.resize(size).convert(mode), **one)
                    yield whole
                    if size != (97, 61):
                        continue
                    for cut in (1, 2, 3, 5, 8, 20, 100, len(whole) // 2):
                        yield whole[:-cut]
                    for _ in range(20):
                        data = bytearray(whole)
                        for at in rng.integers(2, len(data), rng.integers(1, 5)):
                            data[at] = rng.integers(256)
                        yield bytes(data)


def encoded(image: Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def sized(photo: Image, mpx: float) -> Image:
    """The photograph in 4:3 with about so many million pixels, and some grain as cameras add."""
    width = round((mpx * 1e6 * 4 / 3) ** 0.5)
    large = photo.resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(3).normal(0, 3, (width * 3 // 4, width, 1))
    return Image.fromarray((np.asarray(large) + grain).clip(0, 255).astype(np.uint8))


def plain(data: bytes) -> tuple[bytes, int]:
    """What a platform does that has no node: Pillow and pdqhash."""
    with Image.open(io.BytesIO(data)) as image:
        bits, quality = pdqhash.compute(np.asarray(image.convert("RGB")))
    return np.packbits(bits).tobytes(), int(quality)


def times() -> list[dict[str, float]]:
    kernel = pixels.load_kernel()
    rows = []
    photo = Image.open(picture_paths()[0]).convert("RGB")
    for mpx in TIMED_MPX:
        data = encoded(sized(photo, mpx), quality=85)
        ways = {
            "plain": lambda data=data: plain(data),
            "pixels": lambda data=data: pixels.decode(data, max_pixels=20_000_000),
            "hash_picture": lambda data=data: hash_picture(data, pdq_of=kernel),
            "draft": lambda data=data: hash_picture(data, pdq_of=kernel, draft=True),
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                before = time.perf_counter()
                way()
                spent[name].append((time.perf_counter() - before) * 1e3)
        row = {f"{name} ms": round(float(np.median(all_)), 2) for name, all_ in spent.items()}
        ratio = round(row["hash_picture ms"] / row["plain ms"], 3)
        rows.append({"Mpx": mpx, "KiB": len(data) >> 10, **row, "ratio": ratio})
    return rows


def drafts() -> list[int]:
    """Bits by which the pdq of a draft is off, for each photograph at 3 and 12 million pixels."""
    found = []
    for path in picture_paths():
        for mpx in (3, 12):
            data = encoded(sized(Image.open(path).convert("RGB"), mpx), quality=85)
            full, draft = hash_picture(data), hash_picture(data, draft=True)
            found.append(distance(Pdq(full.pdq), Pdq(draft.pdq)))
    return found


if __name__ == "__main__":
    main()
