"""The media hashes of one picture, by rules that every node and every browser page shares.

Two organisations match only if both see the same pixels, so how a file becomes pixels is part of
the protocol (docs/protocol.md; docs/adr/0004 says why and has the figures):

1. EXIF orientation is applied; orientation in XMP is not, because browsers ignore it.
2. Transparency is laid on white.
3. Colour profiles are ignored; CMYK becomes RGB by Pillow's plain inversion.
4. 16-bit samples keep their upper 8 bits.
5. Of an animation the first picture counts.
6. The pdq is computed at full resolution: no draft decoding, no thumbnail.

A decoder given hostile bytes can spend memory and time before it fails. What the header declares is
checked before anything is decoded; the hard bounds are node.matching.pool's. The decoding itself is
node.matching.pixels', imported when the first picture is hashed, so that a command line that must
start quickly and a server that must not decode may import this module.
"""

import hashlib
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from node.matching.formats import refuse_known_others
from node.matching.variant_names import MAX_VARIANTS, VariantPdq
from protocol.errors import InvalidError, LimitError
from protocol.pdq import PDQ_BYTES, Pdq

if TYPE_CHECKING:
    from node.matching.pixels import PdqFunction

DEFAULT_MAX_PIXELS: Final = 64_000_000
"""Pixels that a picture may declare; 64 million cost about 2 GiB while they are hashed."""

MAX_FILE_BYTES: Final = 64 << 20
"""Size of a picture file."""


@dataclass(frozen=True)
class MediaHashes:
    """What a picture is looked up by. The `repr` holds none of it.

    Attributes:
        pdq: of the decoded pixels, 32 bytes.
        quality: of the pdq, 0 to 100; below 50 it is not fit for matching.
        sha256: of the file's bytes, 64 lower-case hexadecimal digits.
        sha1: of the file's bytes, 40 digits; for lists that know nothing better.
        md5: of the file's bytes, 32 digits; likewise.
        width: pixels, as displayed (after orientation).
        height: likewise.
        format: ``JPEG``, ``PNG``, ``WEBP``, ``GIF``, ``BMP`` or ``AVIF``.
        variants: those that were asked for.
    """

    pdq: Annotated[Pdq, Meta(min_length=PDQ_BYTES, max_length=PDQ_BYTES)] = field(repr=False)
    quality: Annotated[int, Meta(ge=0, le=100)] = field(repr=False)
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)] = field(repr=False)
    sha1: Annotated[str, Meta(pattern="^[0-9a-f]{40}$", max_length=40)] = field(repr=False)
    md5: Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)] = field(repr=False)
    width: Annotated[int, Meta(ge=1)] = field(repr=False)
    height: Annotated[int, Meta(ge=1)] = field(repr=False)
    format: Annotated[str, Meta(max_length=8)] = field(repr=False)
    variants: Annotated[tuple[VariantPdq, ...], Meta(max_length=MAX_VARIANTS)] = field(
        default=(), repr=False
    )


def hash_picture(
    data: bytes,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    draft: bool = False,
    pdq_of: "PdqFunction | None" = None,
    variants: Collection[str] = (),
) -> MediaHashes:
    """The media hashes of the picture file `data`.

    The caller owes a bound on time and memory where `data` comes from a stranger: see HashPool.

    Args:
        data: the whole file.
        max_pixels: width × height above which nothing is decoded.
        draft: a large JPEG is decoded in less than its full size, against rule 6: for look-ups
            that must be cheap, never for a flag. Some bits of the pdq change (docs/adr/0010).
        pdq_of: what computes the pdq; pdqhash where it is not given. Both give the same bits.
        variants: families of variants to be computed as well, of FAMILIES; never for a flag.

    Raises:
        InvalidError: not a picture, of a format or kind that is not read, broken or cut short.
        LimitError: more bytes or pixels than allowed, or fewer than a pdq needs.
        MemoryError: the process may not use as much memory as the picture needs.
    """
    check_size(len(data))
    refuse_known_others(data)
    from node.matching import pixels  # noqa: PLC0415 - Pillow and NumPy only when needed

    picture = pixels.decode(data, max_pixels=max_pixels, draft=draft)
    pdq, quality = (pdq_of or pixels.pdq_of)(picture.pixels, picture.orientation)
    found: tuple[VariantPdq, ...] = ()
    if variants:
        from node.matching.variants import variants_of  # noqa: PLC0415 - NumPy, as above

        lie = partial(pixels.turned, orientation=picture.orientation)
        found = variants_of(picture.pixels, lie, variants)
    return MediaHashes(
        pdq=pdq,
        quality=quality,
        sha256=hashlib.sha256(data).hexdigest(),
        sha1=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        width=picture.width,
        height=picture.height,
        format=picture.kind,
        variants=found,
    )


def hash_file(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> MediaHashes:
    """The media hashes of the picture at `path`; no message names the path.

    Raises:
        InvalidError: as hash_picture, and for what is not a readable, ordinary file.
        LimitError: as hash_picture; a file that is too large is not read.
    """
    return hash_picture(read_picture(path), max_pixels=max_pixels)


def read_picture(path: Path) -> bytes:
    """The bytes of the file at `path`, of which no more than MAX_FILE_BYTES are ever read.

    Raises:
        InvalidError: not a readable, ordinary file (a pipe would wait for ever).
        LimitError: too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InvalidError("this is not an ordinary file; name a picture file")
        check_size(status.st_size)
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise InvalidError("there is no such file; check its name") from None
    except OSError:
        raise InvalidError("the file cannot be read; check its permissions") from None
    check_size(len(data))
    return data


def check_size(size_bytes: int) -> None:
    """A picture file of this size is worth opening.

    Raises:
        InvalidError: it is empty.
        LimitError: it is larger than MAX_FILE_BYTES.
    """
    if size_bytes == 0:
        raise InvalidError("the file is empty; choose a picture file")
    if size_bytes > MAX_FILE_BYTES:
        raise LimitError(
            f"the file is larger than {MAX_FILE_BYTES >> 20} MiB; save the picture smaller"
        )


def check_pdqhash() -> None:
    """The pdqhash library of this machine computes the reference values, bit for bit.

    Raises:
        UnavailableError: it does not, so that pictures hashed here would match nowhere.
    """
    from node.matching import pixels  # noqa: PLC0415 - as above

    pixels.check_pdqhash()
