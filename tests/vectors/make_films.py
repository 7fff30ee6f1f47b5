"""Makes the tiny films of tests/vectors/films, which show that modern codecs are read.

    python tests/vectors/make_films.py

Four made-up pictures, a second each, in every codec that phones and platforms use today. They were
encoded with Debian 12's ffmpeg 5.1 (libx264, libx265, libvpx, libaom); no encoder is needed to run
the tests, and no test runs this. films.json has the pdq of each picture before it was encoded.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from node.matching.pixels import pdq_of

FOLDER: Final = Path(__file__).parent / "films"
SIZE: Final = (160, 120)
FPS: Final = 5
PICTURES: Final = 4

CODECS: Final = {
    "h264.mp4": ("-c:v", "libx264", "-crf", "24", "-preset", "veryslow"),
    "h264-b-frames.mkv": ("-c:v", "libx264", "-crf", "24", "-bf", "3", "-g", "8"),
    "h264.ts": ("-c:v", "libx264", "-crf", "26"),
    "hevc.mp4": (
        "-c:v",
        "libx265",
        "-crf",
        "26",
        "-tag:v",
        "hvc1",
        "-x265-params",
        "info=0:log-level=none",
    ),
    "hevc-in-order.mov": (
        "-c:v",
        "libx265",
        "-crf",
        "26",
        "-bf",
        "0",
        "-x265-params",
        "info=0:log-level=none",
    ),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-crf", "32", "-b:v", "0"),
    "av1.mp4": ("-c:v", "libaom-av1", "-crf", "34", "-b:v", "0", "-cpu-used", "6"),
}


def picture(number: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """A picture like no other: soft patches of grey, uint8 [height, width, 3]."""
    patches = np.random.default_rng(number).integers(0, 255, (12, 16), dtype=np.uint8)
    grey = Image.fromarray(patches).resize(SIZE, Image.Resampling.BILINEAR)
    return np.asarray(grey.convert("RGB"))


def make() -> None:
    """The films and films.json are there."""
    FOLDER.mkdir(exist_ok=True)
    pictures = [picture(number) for number in range(PICTURES)]
    frames = b"".join(one.tobytes() for one in pictures for _ in range(FPS))
    size = f"{SIZE[0]}x{SIZE[1]}"
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(FPS), "-i", "-")
    for name, codec in CODECS.items():
        out = ("-pix_fmt", "yuv420p", "-bitexact", "-map_metadata", "-1", "-y", FOLDER / name)
        subprocess.run(
            ["ffmpeg", "-loglevel", "error", *raw, *codec, *out], input=frames, check=True
        )
    pdqs = [pdq_of(one)[0].hex() for one in pictures]
    document = {"at_ms": [1_000 * at for at in range(PICTURES)], "pdqs": pdqs}
    (Path(__file__).parent / "films.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    make()
