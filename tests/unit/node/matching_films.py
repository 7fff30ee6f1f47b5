"""Films that the tests make: the demo's photographs one after another, whole and broken."""

from pathlib import Path

import cv2
import numpy as np

from node.demo_pictures import picture_paths

FPS = 10
KINDS = {
    "mp4": ("mp4v", "MP4"),
    "mov": ("mp4v", "MP4"),
    "webm": ("VP80", "WEBM"),
    "mkv": ("VP90", "WEBM"),
    "avi": ("MJPG", "AVI"),
    "ts": ("mpg2", "MPEG-TS"),
}


def photographs(size=(320, 240)):
    """The demo's pictures, [height, width, 3]."""
    return [cv2.resize(cv2.imread(str(path)), size) for path in picture_paths()]


def make(path: Path, pictures, *, seconds_each=1.0, fps=FPS) -> bytes:
    """The bytes of a film that shows each picture for so long; its name says of which kind."""
    height, width = pictures[0].shape[:2] if pictures else (240, 320)
    code = cv2.VideoWriter_fourcc(*KINDS[path.suffix[1:]][0])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        for _ in range(round(seconds_each * fps)):
            writer.write(picture)
    writer.release()
    return path.read_bytes()


def one_colour(size=(320, 240), value=0):
    return np.full((size[1], size[0], 3), value, np.uint8)


def patched(data: bytes, mark: bytes, at: int, new: bytes) -> bytes:
    """The bytes with some of them replaced, at an offset from the first place of a mark."""
    start = data.index(mark) + at
    return data[:start] + new + data[start + len(new) :]
