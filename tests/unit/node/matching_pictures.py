"""Picture files for the tests of node.matching, good and hostile; every one is made here."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from node.demo_pictures import picture_paths


def photograph(name="coffee"):
    """One of the demo photographs, decoded."""
    path = next(path for path in picture_paths() if path.stem == name)
    with Image.open(path) as image:
        return image.convert("RGB")


def encoded(image, kind="PNG", **options):
    """`image` as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def synthetic(mode="RGB", size=(96, 64)):
    """A picture of gradients with a diagonal edge, in any of Pillow's 8-bit modes."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    red = x * 255 // width
    green = y * 255 // height
    blue = np.where(x > y, 200, 30)
    rgb = np.stack([red, green, blue], 2).astype(np.uint8)
    return Image.fromarray(rgb).convert(mode)


def png_chunk(kind, body):
    """One chunk with its length and checksum (PNG specification, section 5.3)."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, data, *, colour_type=0, depth=8, extra=b""):
    """A PNG that declares `width` × `height` and holds the compressed `data`."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + extra
        + png_chunk(b"IDAT", data)
        + png_chunk(b"IEND", b"")
    )


def zip_bomb_png(width, height):
    """A valid PNG of `width` × `height` black pixels, a thousandth of that in size."""
    compressor = zlib.compressobj(9)
    row = bytes(1 + width)
    data = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    return png(width, height, data)


def webp_bomb(side=16_384):
    """A lossless WebP of 64 × 64 pixels whose header declares `side` × `side`."""
    data = bytearray(encoded(Image.new("RGB", (64, 64)), "WEBP", lossless=True))
    at = data.index(b"VP8L") + 9
    flags = struct.unpack_from("<I", data, at)[0] & ~0xFFFFFFF
    struct.pack_into("<I", data, at, flags | (side - 1) | (side - 1) << 14)
    return bytes(data)
