"""From a picture file's bytes to pixels, and from pixels to a pdq; the rules are media's.

Apart from node.matching.media because importing Pillow, NumPy and pdqhash takes longer than the
command line may take to start.

Two ways lead to each result, and both give the same bits (docs/adr/0010):

- Pillow says what a file is and whether it is read at all; the pixels of an ordinary JPEG come from
  simplejpeg, which is libjpeg-turbo with the same transform in half of Pillow's time. Whatever it
  will not decode without a complaint is Pillow's again, to accept or to refuse.
- The pdq comes from pdqhash, or from node.matching.pdq_kernel where `load_kernel` found it exact.
"""

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pdqhash
import simplejpeg
from PIL import ExifTags, Image, UnidentifiedImageError

from node.matching.formats import FORMAT_NAMES, FORMATS, is_huffman_coded
from node.matching.reference import REFERENCE, reference_picture
from protocol.errors import InvalidError, LimitError, UnavailableError
from protocol.pdq import Pdq

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SIDE_PX: Final = 16
"""Shorter pictures are refused: below it the pdq no longer resembles the full-size picture's."""

DRAFT_SIDE_PX: Final = 512
"""Neither side of a draft is shorter: below it a draft is farther from the full picture."""

_UPRIGHT: Final = 1
_ORIENTATIONS: Final = range(1, 9)
_LYING: Final = 5
"""EXIF orientations (EXIF 2.32, section 4.6.4); from 5 on, width and height change places."""

_pillow_settings = threading.Lock()
"""Pillow's pixel cap and Python's warning filters belong to the process: one change at a time."""


PdqFunction = Callable[["NDArray[np.uint8]", int], tuple[Pdq, int]]
"""From RGB pixels [height, width, 3], C-contiguous, and their EXIF orientation to the pdq and
quality (0 to 100) of the picture as it is displayed."""


@dataclass(frozen=True, repr=False)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: RGB as they lie in the file, uint8 [height, width, 3], C-contiguous.
        orientation: EXIF's, 1 to 8: how a browser turns them.
        width: pixels, as displayed at full resolution.
        height: likewise.
        kind: the file's format.
    """

    pixels: "NDArray[np.uint8]"
    orientation: int
    width: int
    height: int
    kind: str


def check_pdqhash() -> None:
    """The pdqhash library of this machine computes the reference values, bit for bit.

    A build with fused multiply-add (gcc's default on arm64) rounds differently: gradients come out
    up to 126 bits away from everybody else's, without any error (docs/adr/0004).

    Raises:
        UnavailableError: it does not, so that pictures hashed here would match nowhere.
    """
    if not _is_exact(pdq_of):
        raise UnavailableError(
            "the installed pdqhash computes other values than the reference; "
            "reinstall its wheel, or build it with CXXFLAGS=-ffp-contract=off"
        )


def load_kernel() -> PdqFunction | None:
    """The compiled PDQ, once it has given the reference values; None where it does not.

    Takes half a second, and some seconds more where it was never compiled before.
    """
    try:
        from node.matching import pdq_kernel  # noqa: PLC0415 - numba only where it is wanted

        def kernel(pixels: "NDArray[np.uint8]", orientation: int) -> tuple[Pdq, int]:
            pdq, quality = pdq_kernel.pdq_of(pixels, orientation=orientation)
            return Pdq(pdq), quality

        return kernel if _is_exact(kernel) else None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a compiler may fail in any way; pdqhash is there
        return None


def pdq_of(pixels: "NDArray[np.uint8]", orientation: int = _UPRIGHT) -> tuple[Pdq, int]:
    """The pdq and quality (0 to 100) of RGB `pixels`, [height, width, 3], by pdqhash."""
    # pdqhash reads the luma as if it lay row by row, whatever NumPy made of it
    upright = np.ascontiguousarray(turned(pixels, orientation))
    bits, quality = pdqhash.compute(upright)
    return Pdq(np.packbits(bits).tobytes()), int(quality)


def decode(data: bytes, *, max_pixels: int, draft: bool = False) -> Picture:
    """The picture in the file `data`, with what a browser does to show it.

    Args:
        data: the whole file.
        max_pixels: width × height above which nothing is decoded.
        draft: a JPEG may be decoded in grey and at 1/2, 1/4 or 1/8 of its size, as long as neither
            side becomes shorter than DRAFT_SIDE_PX. Changes some bits of the pdq.

    Raises:
        InvalidError: not a picture, of a kind that is not read, broken or cut short.
        LimitError: more pixels than allowed, or a side under MIN_SIDE_PX; nothing was decoded.
        MemoryError: as it says.
    """
    with _opened(data, max_pixels) as image:
        width, height = image.size
        if min(width, height) < MIN_SIDE_PX:
            raise LimitError(
                f"the picture is less than {MIN_SIDE_PX} pixels wide or high; "
                "pictures this small cannot be told apart"
            )
        try:
            with _pillow_set(max_pixels):
                orientation = _orientation(image)
            if draft:
                image.draft("L", (DRAFT_SIDE_PX, DRAFT_SIDE_PX))
            pixels = None if image.size != (width, height) else _quick_jpeg(image, data)
            if pixels is None:
                image.load()
                pixels = np.asarray(_on_white(image))
        except (InvalidError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - a decoder given hostile bytes may raise anything at all
            raise _broken() from None
        # JPEG files with a second, embedded picture (many phones) are named MPO by Pillow
        kind = "JPEG" if image.format == "MPO" else str(image.format)
    if orientation >= _LYING:
        width, height = height, width
    return Picture(pixels, orientation, width, height, kind)


def _is_exact(function: PdqFunction) -> bool:
    """Whether a way to compute pdqs gives the reference values."""
    return all(
        function(reference_picture(name, width, height), _UPRIGHT)[0].hex() == expected
        for name, (width, height), expected in REFERENCE
    )


def _opened(data: bytes, max_pixels: int) -> "Image.Image":
    """What Pillow makes of the file's header; its pixels are not decoded yet.

    Raises:
        InvalidError, LimitError, MemoryError: as decode.
    """
    try:
        with _pillow_set(max_pixels):
            return Image.open(io.BytesIO(data), formats=FORMATS)
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
    except Exception:  # noqa: BLE001 - as in decode
        raise _broken() from None


def _quick_jpeg(image: "Image.Image", data: bytes) -> "NDArray[np.uint8] | None":
    """The pixels of an ordinary JPEG, equal to Pillow's; None where Pillow must see to it.

    Ordinary is: Huffman-coded, 8 bits, grey or three colours, without any fault. A decoder that
    tolerates a fault may fill in other pixels than Pillow, or read what Pillow refuses.
    """
    if image.format not in {"JPEG", "MPO"} or image.mode not in {"L", "RGB"}:
        return None
    if not is_huffman_coded(data):
        return None
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except (ValueError, RuntimeError):
        return None
    return pixels if pixels.shape == (image.height, image.width, 3) else None


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
        return _UPRIGHT
    return value if value in _ORIENTATIONS else _UPRIGHT


def turned(pixels: "NDArray[np.uint8]", orientation: int) -> "NDArray[np.uint8]":
    """A view of the pixels, [height, width, 3], as a browser shows them."""
    if orientation >= _LYING:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in {2, 3, 6, 7} else pixels


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
