"""Time and memory of hashing pictures, good and hostile, and how far manipulations move a pdq.

Run: python benchmarks/bench_hashing.py [--json]

Each file is hashed three times in a process of its own, under the address-space limit of a HashPool
worker for 64 million pixels. `peak_mib` is the process's highest resident memory, of which a worker
that has hashed nothing holds what the first line says.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from node.demo_pictures import picture_paths
from node.demo_pictures.manipulations import MANIPULATIONS, crop, recompress, resize
from node.matching.media import DEFAULT_MAX_PIXELS, check_pdqhash, hash_picture
from node.matching.pool import HashPool, memory_for
from node.matching.worker import answer_to
from protocol.pdq import distance

REPEATS = 3
ALSO = {
    "JPEG quality 10": lambda data: recompress(data, 10),
    "a quarter of the size": lambda data: resize(data, 0.25),
    "twice the size": lambda data: resize(data, 2),
    "cropped 1 % on each side": lambda data: crop(data, 1),
    "cropped 5 % on each side": lambda data: crop(data, 5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="figures of picture hashing")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one.read_bytes())))
        return
    files = [
        {"file": name, "kib": round(len(data) / 1024, 1), **in_a_process(data)}
        for name, data in samples()
    ]
    moved = distances()
    pool = pool_rate()
    if arguments.json:
        print(json.dumps({"files": files, "distances": moved, "pool": pool}))
        return
    print(f"{'file':34} {'KiB':>9} {'ms':>8} {'peak MiB':>9}  outcome")
    for row in files:
        print(
            f"{row['file']:34} {row['kib']:9.1f} {row['ms']:8.1f} {row['peak_mib']:9.0f}  "
            f"{row['outcome']}"
        )
    print()
    names = [path.stem for path in picture_paths()]
    print(f"{'pdq distance':28}" + "".join(f"{name:>10}" for name in names))
    for words, row in moved.items():
        print(f"{words:28}" + "".join(f"{row[name]:>10}" for name in names))
    print()
    print(" · ".join(f"{name} {value}" for name, value in pool.items()))


def samples() -> list[tuple[str, bytes]]:
    photo = picture_paths()[0].read_bytes()
    noise = Image.effect_noise((4_000, 3_000), 40).convert("RGB")
    return [
        ("not a picture", b"hello"),
        ("photograph 451 × 300", photo),
        ("JPEG 1 Mpx", jpeg(noise.resize((1_155, 866)))),
        ("JPEG 12 Mpx", jpeg(noise)),
        ("PNG 12 Mpx, transparent", png_of(noise.convert("RGBA"))),
        ("WebP 12 Mpx", encoded(noise, "WEBP", method=0)),
        ("JPEG cut at half", jpeg(noise)[:2_000_000]),
        ("PNG, 64 Mpx black (zip bomb)", bomb(8_000, 8_000)),
        ("PNG, 400 Mpx black (zip bomb)", bomb(20_000, 20_000)),
        ("PNG, 16 × 4,000,000", bomb(16, 4_000_000)),
        (
            "PNG, 30 MB profile in 30 kB",
            png_of(noise.resize((64, 64)), icc_profile=bytes(30 << 20)),
        ),
    ]


def in_a_process(data: bytes) -> dict[str, object]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        done = subprocess.run(
            [sys.executable, __file__, "--one", file.name], capture_output=True, check=True
        )
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def one(data: bytes) -> dict[str, object]:
    limit = memory_for(DEFAULT_MAX_PIXELS) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    check_pdqhash()
    times = []
    for _ in range(REPEATS):
        before = time.perf_counter()
        answer = answer_to(data, max_pixels=DEFAULT_MAX_PIXELS)
        times.append((time.perf_counter() - before) * 1e3)
    outcome = getattr(answer, "sentence", type(answer).__name__.lower())
    status = Path("/proc/self/status").read_text("utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return {
        "ms": round(float(np.median(times)), 1),
        "peak_mib": int(peak.split()[1]) / 1024,
        "outcome": outcome,
    }


def distances() -> dict[str, dict[str, int]]:
    rows: dict[str, dict[str, int]] = {}
    for path in picture_paths():
        before = hash_picture(path.read_bytes()).pdq
        for words, manipulation in (MANIPULATIONS | ALSO).items():
            after = hash_picture(manipulation(path.read_bytes())).pdq
            rows.setdefault(words, {})[path.stem] = distance(before, after)
    return rows


def pool_rate() -> dict[str, float]:
    photo = picture_paths()[0].read_bytes()
    before = time.perf_counter()
    with HashPool(1) as pool:
        start_ms = (time.perf_counter() - before) * 1e3
        times = []
        for _ in range(100):
            before = time.perf_counter()
            pool.hash(photo)
            times.append((time.perf_counter() - before) * 1e3)
    direct = []
    for _ in range(100):
        before = time.perf_counter()
        hash_picture(photo)
        direct.append((time.perf_counter() - before) * 1e3)
    return {
        "start of a worker, ms": round(start_ms, 1),
        "photograph by the pool, p50 ms": round(float(np.median(times)), 2),
        "in this process, p50 ms": round(float(np.median(direct)), 2),
    }


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(image: Image.Image) -> bytes:
    return encoded(image, "JPEG", quality=85)


def png_of(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "PNG", compress_level=1, **options)


def bomb(width: int, height: int) -> bytes:
    """A PNG of black pixels, written by hand: a thousandth of its pixels in bytes."""
    compressor = zlib.compressobj(9)
    rows = bytes(1 + width) * max(1, 1_000_000 // width)
    whole, rest = divmod((1 + width) * height, len(rows))
    body = b"".join(compressor.compress(rows) for _ in range(whole))
    body += compressor.compress(rows[:rest]) + compressor.flush()
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, 0])
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)
        for kind, data in chunks
    )


if __name__ == "__main__":
    main()
