"""Which files are read as pictures, and what to say of the others that people often choose.

Every format here is one that browsers show, so that a flagger's page and a platform's node see the
same pixels (docs/adr/0004).
"""

from typing import Final

from protocol.errors import InvalidError

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")
"""Pillow's names of the formats that are read; everything else it knows stays switched off."""

FORMAT_NAMES: Final = "JPEG, PNG, WebP, GIF, BMP or AVIF"
"""The same for people."""

_HEIC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF: Final = frozenset({b"avif", b"avis"})
_FTYP_BYTES: Final = 64
_BRAND_BYTES: Final = 4

_PICTURE: Final = "{} pictures are not read here; save the picture as JPEG or PNG"
_FILM: Final = "the file is a film; save the pictures that matter from it as JPEG or PNG"
_DOCUMENT: Final = "the file is a document; save the pictures in it as JPEG or PNG"

_PREFIXES: Final = (
    (b"II*\0", _PICTURE.format("TIFF")),
    (b"MM\0*", _PICTURE.format("TIFF")),
    (b"II+\0", _PICTURE.format("TIFF")),
    (b"MM\0+", _PICTURE.format("TIFF")),
    (b"\x1a\x45\xdf\xa3", _FILM),  # Matroska, WebM
    (b"FLV\x01", _FILM),
    (b"\x00\x00\x01\xba", _FILM),  # MPEG program stream
    (b"%PDF-", _DOCUMENT),
)


def refuse_known_others(data: bytes) -> None:
    """The file `data` is of no kind that is known, common and not read here.

    Raises:
        InvalidError: it is HEIC, TIFF, a film or a document; the sentence says what to do.
    """
    for prefix, sentence in _PREFIXES:
        if data.startswith(prefix):
            raise InvalidError(sentence)
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        raise InvalidError(_FILM)
    if data[4:8] == b"ftyp":
        _refuse_other_brands(data[8:_FTYP_BYTES])


def _refuse_other_brands(head: bytes) -> None:
    """ISO base media files are told apart by brands alone: AVIF, HEIC, or else a film."""
    brands = {head[i : i + _BRAND_BYTES] for i in range(0, len(head), _BRAND_BYTES)}
    if brands & _AVIF:
        return
    raise InvalidError(_PICTURE.format("HEIC") if brands & _HEIC else _FILM)
