"""The media hashes of one film: about one pdq for each second.

A film is decoded by OpenCV's FFmpeg (docs/adr/0011), which is the most that a stranger's bytes can
reach: so only in a process of its own (`node.matching.film_process`), only from a file that is
open already, and only with the reader that `node.matching.containers` has chosen.

1. A frame is looked at each `interval_ms` of the film's own clock; rotation is applied.
2. Its pdq is that of a picture (`node.matching.media`), at full resolution.
3. A frame of a quality below 50, or of one colour, is left out: it would match anything.
4. So is one that differs from the last that was kept by at most NEAR_BITS: nothing has moved.
5. A film with more than MAX_FRAMES of them keeps every second one, and is looked at half as often.
"""

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta

from node.matching.containers import CONTAINERS
from protocol.errors import InvalidError, LimitError, UnavailableError
from protocol.limits import MAX_FRAMES, PDQ_MIN_QUALITY
from protocol.pdq import PDQ_BYTES, Pdq, distance, is_degenerate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DEFAULT_INTERVAL_MS: Final = 1_000
"""One frame for each second, as vPDQ does."""

NEAR_BITS: Final = 6
"""Two frames this near are the same picture: as much as a new compression changes."""

MAX_FRAME_PIXELS: Final = 36_000_000
"""Width times height of a film; 8K has 33 million."""

MAX_FILM_MS: Final = 86_400_000
"""A film's clock may say at most a day."""

MISSING: Final = "films cannot be read here: install the extra, pip install 'schutznetz[video]'"

_CODECS: Final = frozenset(
    b"avc1 avc3 h264 x264 hev1 hvc1 hevc h265 vp80 vp90 vp08 vp09 av01 fmp4 mp4v xvid divx dx50 "
    b"mjpg jpeg mpg1 mpg2 mp2v m2v1 h263 s263 div3 mp43".split()
)
"""Codecs that are decoded, as their four letters in lower case: what phones, cameras and browsers
make. FFmpeg knows some three hundred more, each a decoder that hostile bytes could reach."""

_DECODERS: Final = (
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg4,mjpeg,mpeg1video,"
    "mpeg2video,h263,msmpeg4,aac,mp3,mp3float,opus,libopus,vorbis,ac3,pcm_s16le,pcm_u8"
)
"""Decoders, by FFmpeg's names, that may look at a file when it is opened."""

_DAMAGED: Final = (
    "the film cannot be read: it is damaged or cut short, or holds no moving pictures; "
    "save it again from its source"
)


_AV1: Final = b"av01"
_NO_AV1: Final = (
    "this film is AV1, which the decoder installed here does not read; "
    "save it as H.264, H.265, VP8 or VP9"
)
"""OpenCV's wheels have no decoder for AV1 in software (docs/matching.md); other builds may have."""


@dataclass(frozen=True)
class FilmFrame:
    """One frame of a film. The `repr` holds none of it.

    Attributes:
        pdq: 32 bytes.
        quality: of the pdq, 50 to 100.
        at_ms: where it stands, in milliseconds.
    """

    pdq: Annotated[Pdq, Meta(min_length=PDQ_BYTES, max_length=PDQ_BYTES)] = field(repr=False)
    quality: Annotated[int, Meta(ge=0, le=100)] = field(repr=False)
    at_ms: Annotated[int, Meta(ge=0, le=MAX_FILM_MS)] = field(repr=False)


@dataclass(frozen=True)
class Sampled:
    """What was seen of a film.

    Attributes:
        frames: at most MAX_FRAMES.
        width: pixels, as displayed.
        height: likewise.
        duration_ms: where the last frame stands that could be read.
    """

    frames: Annotated[tuple[FilmFrame, ...], Meta(max_length=MAX_FRAMES)] = field(repr=False)
    width: Annotated[int, Meta(ge=1)]
    height: Annotated[int, Meta(ge=1)]
    duration_ms: Annotated[int, Meta(ge=0, le=MAX_FILM_MS)]


class Sampler:
    """Keeps the frames that tell a film from others, never more than `most` of them."""

    def __init__(self, interval_ms: int, *, most: int = MAX_FRAMES) -> None:
        self.frames: list[FilmFrame] = []
        self._interval_ms = interval_ms
        self._most = most
        self._next_ms = 0

    def wants(self, at_ms: int) -> bool:
        """Whether it is time for another frame."""
        return at_ms >= self._next_ms

    def add(self, pdq: Pdq, quality: int, at_ms: int) -> None:
        """Takes a frame that was wanted, if it tells anything new."""
        self._next_ms = (at_ms // self._interval_ms + 1) * self._interval_ms
        if quality < PDQ_MIN_QUALITY or is_degenerate(pdq):
            return
        if self.frames and distance(self.frames[-1].pdq, pdq) <= NEAR_BITS:
            return
        if len(self.frames) == self._most:
            self.frames = self.frames[::2]
            self._interval_ms *= 2
        self.frames.append(FilmFrame(pdq, quality, at_ms))


def check_video() -> None:
    """Returns if films can be read here.

    Raises:
        UnavailableError: the extra is not installed; the sentence says what to do.
    """
    from importlib.util import find_spec  # noqa: PLC0415  # for the one who asks

    if find_spec("cv2") is None:
        raise UnavailableError(MISSING)


def import_decoder(container: str) -> Any:
    """Returns OpenCV, told to read one container from files only. Once in a process's life.

    Raises:
        UnavailableError: the extra is not installed.
    """
    # Read by OpenCV when a file is opened; FFmpeg's options of those names
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "|".join(
        (
            "protocol_whitelist;file",
            f"input_format;{CONTAINERS[container]}",
            f"format_whitelist;{CONTAINERS[container]},mov,mp4,m4a,3gp,3g2,mj2",
            f"codec_whitelist;{_DECODERS}",
            "enable_drefs;0",
        )
    )
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    try:
        import cv2  # noqa: PLC0415  # an extra, and slow to import
    except ImportError:
        raise UnavailableError(MISSING) from None
    cv2.setNumThreads(1)
    return cv2


def sample(cv2: Any, path: str, *, interval_ms: int, max_pixels: int) -> Sampled:
    """What is seen of the film at `path`.

    Args:
        cv2: from `import_decoder`.
        path: of a file that holds a film of that container.
        interval_ms: time from one frame to the next.
        max_pixels: width times height above which nothing is decoded.

    Raises:
        InvalidError: nothing in it can be read.
        LimitError: more pixels or hours than allowed.
        MemoryError: the process may not use as much memory as the film needs.
    """
    from node.matching import pixels  # noqa: PLC0415  # Pillow and NumPy only when needed

    sampler = Sampler(interval_ms)
    width = height = last_ms = 0
    try:
        capture = cv2.VideoCapture(
            path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1, cv2.CAP_PROP_HW_ACCELERATION, 0]
        )
        codec = _check_opened(cv2, capture, max_pixels)
        for at_ms in _clock(cv2, capture):
            last_ms = at_ms
            if not sampler.wants(at_ms):
                continue
            shown = _shown(cv2, capture)
            if shown is None:
                continue
            height, width = shown.shape[:2]
            if height * width > max_pixels:
                raise _too_large(max_pixels)
            if min(height, width) < pixels.MIN_SIDE_PX:
                raise LimitError(
                    f"the film is less than {pixels.MIN_SIDE_PX} pixels wide or high; "
                    "pictures this small cannot be told apart"
                )
            sampler.add(*pixels.pdq_of(shown), at_ms)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        raise InvalidError(_DAMAGED) from None
    if not width:
        raise InvalidError(_NO_AV1 if codec == _AV1 else _DAMAGED)
    return Sampled(tuple(sampler.frames), width, height, last_ms)


def _check_opened(cv2: Any, capture: Any, max_pixels: int) -> bytes:
    """Refuses what the film's head says already; returns the four letters of its codec."""
    if not capture.isOpened():
        raise InvalidError(_DAMAGED)
    number = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    codec = number.to_bytes(4, "little").lower()
    if codec not in _CODECS:
        raise InvalidError("the film's codec is not read here; save it as H.264, H.265, VP8 or VP9")
    if capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT) > max_pixels:
        raise _too_large(max_pixels)
    return codec


def _too_large(max_pixels: int) -> LimitError:
    return LimitError(
        f"the film's pictures have more than {max_pixels / 1e6:g} million pixels; save it smaller"
    )


def _clock(cv2: Any, capture: Any) -> "Iterator[int]":
    """Decodes frame by frame, and gives where each stands; a clock that runs backwards stands."""
    last_ms = 0
    while capture.grab():
        at_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
        if not math.isfinite(at_ms) or at_ms > MAX_FILM_MS:
            raise LimitError("the film's clock says more than a day; cut it into shorter ones")
        last_ms = max(last_ms, round(at_ms))
        yield last_ms


def _shown(cv2: Any, capture: Any) -> "NDArray[Any] | None":
    """The decoded frame in RGB, [height, width, 3]; None if it cannot be shown."""
    found, picture = capture.retrieve()
    if not found or picture is None or picture.ndim != 3:  # noqa: PLR2004  # height, width, colours
        return None
    rgb: NDArray[Any] = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return rgb
