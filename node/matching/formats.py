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

# markers of JPEG, ITU-T T.81, table B.1
_FILL: Final = 0xFF
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_BARE: Final = frozenset(range(0xD0, 0xDA)) | {0x01}
_SEGMENT_BYTES: Final = 5

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


def is_huffman_coded(data: bytes) -> bool:
    """The JPEG file `data` is baseline, extended or progressive with Huffman codes, 8 bits deep.

    These are the kinds that every browser shows (ITU-T T.81, table B.1: SOF0, SOF1, SOF2); the
    lossless, hierarchical and arithmetic ones are read by some builds of libjpeg and not by others.
    False also for what is no JPEG, or whose segments do not lead to a frame header.
    """
    at = 2  # behind the start of image
    while data[at : at + 1] == b"\xff" and at + _SEGMENT_BYTES <= len(data):
        marker = data[at + 1]
        if marker == _FILL:
            at += 1
        elif marker in _FRAMES:
            return marker in _HUFFMAN_FRAMES and data[at + 4 : at + 5] == b"\x08"
        elif marker in _BARE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return False


def _refuse_other_brands(head: bytes) -> None:
    """ISO base media files are told apart by brands alone: AVIF, HEIC, or else a film."""
    brands = {head[i : i + _BRAND_BYTES] for i in range(0, len(head), _BRAND_BYTES)}
    if brands & _AVIF:
        return
    raise InvalidError(_PICTURE.format("HEIC") if brands & _HEIC else _FILM)
