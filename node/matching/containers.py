"""Which files are read as films, told by their first bytes, and the one reader of each.

Some containers are no more than a list of addresses, of files on the machine or in the network
(HLS, DASH, concat lists), and FFmpeg follows them. So a film's container is told here, only those
that carry their pictures themselves are read, and FFmpeg is given no choice of its reader.
"""

from typing import Final

HEAD_BYTES: Final = 1_024
"""How much of a file `container_of` has to see."""

CONTAINERS: Final = {"MP4": "mov", "WEBM": "matroska,webm", "AVI": "avi", "MPEG-TS": "mpegts"}
"""Containers that are read, and FFmpeg's name of the one demuxer that may read each."""

CONTAINER_NAMES: Final = "MP4, MOV, WebM, MKV, AVI or MPEG-TS"
"""The same for people."""

_STILL: Final = frozenset(
    (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
)
_OLD_QUICKTIME: Final = frozenset((b"moov", b"mdat", b"wide", b"free", b"skip"))
_BRAND_BYTES: Final = 4
_SYNC: Final = 0x47
_PACKETS: Final = (188, 192, 204)
_PACKETS_SEEN: Final = 4


def container_of(head: bytes) -> str | None:
    """Returns the container that a file is, one of `CONTAINERS`; None if it is no film.

    Args:
        head: its first `HEAD_BYTES`, or all of it.
    """
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "WEBM"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "AVI"
    if head[4:8] == b"ftyp":
        size = min(max(int.from_bytes(head[:4]), 16), len(head))
        brands = {head[at : at + _BRAND_BYTES] for at in range(8, size, _BRAND_BYTES)}
        return None if brands & _STILL else "MP4"
    if head[4:8] in _OLD_QUICKTIME:
        return "MP4"
    return "MPEG-TS" if _is_transport_stream(head) else None


def _is_transport_stream(head: bytes) -> bool:
    """Whether the sync byte comes again at one of the lengths that packets have."""
    for length in _PACKETS:
        first = 4 if length == _PACKETS[1] else 0  # a time code stands before each packet
        marks = head[first : first + length * _PACKETS_SEEN : length]
        if len(marks) == _PACKETS_SEEN and set(marks) == {_SYNC}:
            return True
    return False
