"""What people do to a picture before they upload it again.

Each function takes a picture file and returns another, as JPEG where nothing else is said. Used by
the demo and by the figures of docs/adr/0004; no part of matching.
"""

import io
from collections.abc import Callable
from typing import Final

from PIL import Image, ImageDraw, ImageOps

_QUALITY: Final = 90
_BANNER_COLOUR: Final = (20, 20, 20)
_BANNER_TEXT: Final = "SHARED BY A STRANGER"


def recompress(data: bytes, quality: int) -> bytes:
    """The picture as a JPEG of `quality` (1 to 95)."""
    return _jpeg(_opened(data), quality)


def resize(data: bytes, scale: float) -> bytes:
    """The picture with both sides `scale` times as long."""
    image = _opened(data)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return _jpeg(image.resize(size, Image.Resampling.LANCZOS))


def crop(data: bytes, percent: float) -> bytes:
    """The picture without `percent` of its sides at each edge."""
    image = _opened(data)
    dx, dy = round(image.width * percent / 100), round(image.height * percent / 100)
    return _jpeg(image.crop((dx, dy, image.width - dx, image.height - dy)))


def banner(data: bytes, share: float = 0.06) -> bytes:
    """The picture with a dark bar of text over the lowest `share` of its height."""
    image = _opened(data)
    draw = ImageDraw.Draw(image)
    top = round(image.height * (1 - share))
    draw.rectangle((0, top, image.width, image.height), fill=_BANNER_COLOUR)
    height = (image.height - top) / 2
    draw.text((height / 2, top + height / 2), _BANNER_TEXT, fill="white", font_size=height)
    return _jpeg(image)


def mirror(data: bytes) -> bytes:
    """The picture with left and right exchanged."""
    return _jpeg(ImageOps.mirror(_opened(data)))


MANIPULATIONS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "JPEG quality 30": lambda data: recompress(data, 30),
    "half the size": lambda data: resize(data, 0.5),
    "cropped 2 % on each side": lambda data: crop(data, 2),
    "banner": banner,
    "mirrored": mirror,
}
"""The five of the demo, by the words in which it names them."""


def _opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def _jpeg(image: Image.Image, quality: int = _QUALITY) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
