"""From a picture file's bytes to pixels, and from pixels to a pdq; the rules are media's.

Apart from node.matching.media because importing Pillow, NumPy and pdqhash takes longer than the
command line may take to start.
"""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pdqhash
from PIL import ExifTags, Image, UnidentifiedImageError

from node.matching.formats import FORMAT_NAMES, FORMATS
from node.matching.reference import REFERENCE, reference_picture
from protocol.errors import InvalidError, LimitError, UnavailableError
from protocol.pdq import Pdq

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SIDE_PX: Final = 16
"""Shorter pictures are refused: below it the pdq no longer resembles the full-size picture's."""

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation but 1 (EXIF 2.32, section 4.6.4)."""

_pillow_settings = threading.Lock()
"""Pillow's pixel cap and Python's warning filters belong to the process: one change at a time."""


def check_pdqhash() -> None:
    """The pdqhash library of this machine computes the reference values, bit for bit.

    A build with fused multiply-add (gcc's default on arm64) rounds differently: gradients come out
    up to 126 bits away from everybody else's, without any error (docs/adr/0004).

    Raises:
        UnavailableError: it does not, so that pictures hashed here would match nowhere.
    """
    for name, (width, height), expected in REFERENCE:
        pdq, _quality = pdq_of(reference_picture(name, width, height))
        if pdq.hex() != expected:
            raise UnavailableError(
                "the installed pdqhash computes other values than the reference; "
                "reinstall its wheel, or build it with CXXFLAGS=-ffp-contract=off"
            )


def pdq_of(pixels: "NDArray[np.uint8]") -> tuple[Pdq, int]:
    """The pdq and quality (0 to 100) of RGB `pixels`, [height, width, 3]."""
    bits, quality = pdqhash.compute(pixels)
    return Pdq(np.packbits(bits).tobytes()), int(quality)


def decode(data: bytes, *, max_pixels: int) -> tuple["NDArray[np.uint8]", str]:
    """The pixels [height, width, 3] as a browser shows the picture file, and its format.

    Raises:
        InvalidError: not a picture, of a kind that is not read, broken or cut short.
        LimitError: more pixels than allowed, or a side under MIN_SIDE_PX; nothing was decoded.
        MemoryError: as it says.
    """
    try:
        with _pillow_set(max_pixels):
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise InvalidError(
            f"the file is not a picture that can be read here; use {FORMAT_NAMES}"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise LimitError(
            f"the picture has more than {max_pixels / 1e6:g} million pixels; save it smaller"
        ) from None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a decoder given hostile bytes may raise anything at all
        raise _broken() from None
    with image:
        if min(image.size) < MIN_SIDE_PX:
            raise LimitError(
                f"the picture is less than {MIN_SIDE_PX} pixels wide or high; "
                "pictures this small cannot be told apart"
            )
        try:
            image.load()
            with _pillow_set(max_pixels):
                orientation = _orientation(image)
            rgb = _on_white(_turned(image, orientation))
        except (InvalidError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - as above; the message could quote the file
            raise _broken() from None
        # JPEG files with a second, embedded picture (many phones) are named MPO by Pillow
        kind = "JPEG" if image.format == "MPO" else str(image.format)
    return np.asarray(rgb), kind


@contextmanager
def _pillow_set(max_pixels: int) -> Iterator[None]:
    """Pillow refuses a header that declares more than `max_pixels`, and warns of nothing else.

    Above twice that it refuses even before a decoder exists (WebP's allocates its canvas on
    opening). Its other warnings speak of metadata that we do not use.
    """
    with _pillow_settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _broken() -> InvalidError:
    return InvalidError("the picture file is damaged or cut short; save it again from its source")


def _orientation(image: "Image.Image") -> int:
    """EXIF orientation, 1 to 8; 1 where it is absent, broken, or said in XMP alone."""
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        value: Any = exif.get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - hostile EXIF; browsers show such a picture as it lies
        return 1
    return value if value in _TURNS else 1


def _turned(image: "Image.Image", orientation: int) -> "Image.Image":
    """The image upright, as a browser shows it."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _on_white(image: "Image.Image") -> "Image.Image":
    """The image in RGB, 8 bits a sample, transparent parts laid on white.

    Raises:
        InvalidError: samples of a kind that no browser shows either.
    """
    if image.mode == "I;16":
        wide = np.asarray(image)
        grey = (wide >> 8).astype(np.uint8)
        if isinstance(clear := image.info.get("transparency"), int):
            grey[wide == clear] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.mode not in {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"}:
        raise InvalidError("the picture's kind of colours is not read here; save it as RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")
