"""Films as lists of frames, and what the desk says about them."""

import hashlib
from collections.abc import Sequence

from node.services.films import QueryFrame
from protocol.statements import Frame, MediaItem


def frame_pdq(number: int, *, bits: int = 0) -> str:
    """The pdq of the frame of this number, so many bits changed; two numbers are far apart."""
    value = int.from_bytes(hashlib.sha256(b"frame %d" % number).digest())
    return f"{value ^ ((1 << bits) - 1):064x}"


def film(numbers: Sequence[int], *, quality: int = 90) -> MediaItem:
    """A flagged film of these frames, one each second."""
    return MediaItem(
        frames=tuple(
            Frame(pdq=frame_pdq(number), quality=quality, at_ms=at * 1_000)
            for at, number in enumerate(numbers)
        )
    )


def shown(
    numbers: Sequence[int], *, bits: int = 0, quality: int = 90, from_ms: int = 0
) -> tuple[QueryFrame, ...]:
    """The frames of an upload, one each second."""
    return tuple(
        QueryFrame(frame_pdq(number, bits=bits), quality, from_ms + at * 1_000)
        for at, number in enumerate(numbers)
    )
