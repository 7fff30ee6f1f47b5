"""Films against what is flagged, frame by frame, by vPDQ's two shares.

A film is a bag of frames (vPDQ, Meta 2021): each frame of one is looked for among the frames of the
other, their order and number play no part. Two shares come out: of the upload's different frames,
how many resemble one of the flagged film's, and the reverse. A policy rule says how large both have
to be, so that one frame that many films have, such as a title, is no match. A flagged picture is a
film of one frame.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.policy.model import Overlap
from node.services.catalogue import Catalogue
from node.storage.media import MediaHash
from node.storage.transaction import Transaction
from protocol.limits import PDQ_MIN_QUALITY
from protocol.pdq import is_degenerate, parse_pdq

MOST_PAIRS: Final = 400_000
"""Pairs of like frames that one film is judged by. A film whose pictures stand still, against a
list of its like, has millions; the frames met until then are spread over the film."""

_BLOCK: Final = 64
_STRIDE: Final = 16


@dataclass(frozen=True, repr=False)
class QueryFrame:
    """One frame of an uploaded film or of a stream."""

    pdq: str
    quality: int
    at_ms: int


@dataclass(frozen=True)
class Span:
    """From where to where something matches, in milliseconds."""

    from_ms: int
    to_ms: int

    @classmethod
    def of(cls, times: Collection[int]) -> "Span":
        """Returns the span from the first to the last of some times."""
        return cls(min(times), max(times))


@dataclass(frozen=True, repr=False)
class FilmHit:
    """One flagged film or picture that frames resemble.

    Attributes:
        entry: the hash of it that lies nearest.
        distance: of that one, in bits.
        overlap: how much of both is the same.
        query: where the frames of the upload stand that match.
        target: where those of the flagged film stand; None for a picture.
    """

    entry: MediaHash
    distance: int
    overlap: Overlap
    query: Span
    target: Span | None


@dataclass(frozen=True, repr=False)
class FilmHits:
    """What a film resembles; `looked_at` frames of `frames` were compared."""

    hits: list[FilmHit]
    looked_at: int
    frames: int


@dataclass(repr=False)
class Meeting:
    """What has been met of one flagged film or picture so far.

    Attributes:
        nearest: (distance, hash) of the nearest pair.
        query: for each frame of the upload that was met, the distance to the nearest.
        target: likewise for the flagged frames, and where each stands.
    """

    nearest: tuple[int, MediaHash]
    query: dict[int, int] = field(default_factory=dict)
    target: dict[bytes, int] = field(default_factory=dict)
    query_times: list[int] = field(default_factory=list)
    target_times: list[int] = field(default_factory=list)

    def add(self, frame: int, at_ms: int, entry: MediaHash, distance: int) -> None:
        """Takes in that a frame of the upload, named by a number, resembles a flagged one."""
        if distance < self.nearest[0]:
            self.nearest = (distance, entry)
        self.query[frame] = min(distance, self.query.get(frame, distance))
        self.target[entry.value] = min(distance, self.target.get(entry.value, distance))
        self.query_times.append(at_ms)
        if entry.at_ms is not None:
            self.target_times.append(entry.at_ms)

    def hit(self, *, query_frames: int, target_frames: int, is_stream: bool = False) -> FilmHit:
        """Returns what became of it, given how many frames there are on both sides."""
        distance, entry = self.nearest
        return FilmHit(
            entry,
            distance,
            Overlap(
                query=tuple(sorted(self.query.values())),
                query_frames=query_frames,
                target=tuple(sorted(self.target.values())),
                target_frames=target_frames,
                is_stream=is_stream,
            ),
            query=Span.of(self.query_times),
            target=Span.of(self.target_times) if self.target_times else None,
        )


Met = tuple[int, int, MediaHash, int]
"""A frame of the upload by its number, where it stands, the flagged hash, the distance."""


def fit_frames(frames: Iterable[QueryFrame]) -> list[QueryFrame]:
    """Returns the frames that are worth comparing: not black, not blurred, not of one colour."""
    return [
        one
        for one in frames
        if one.quality >= PDQ_MIN_QUALITY and not is_degenerate(parse_pdq(one.pdq))
    ]


def find_films(
    catalogue: Catalogue,
    transaction: Transaction,
    frames: Sequence[QueryFrame],
    *,
    max_distance: int,
) -> FilmHits:
    """Returns every flagged film and picture that has a frame in common with these.

    Args:
        catalogue: in which to look.
        transaction: in which entries are checked to be active.
        frames: worth comparing, see `fit_frames`.
        max_distance: greatest distance of a pdq in bits.
    """
    spread = _spread(list({one.pdq: one for one in frames}.values()))
    looked_at, pairs = 0, 0
    met: list[Met] = []
    while looked_at < len(spread) and pairs < MOST_PAIRS:
        block = spread[looked_at : looked_at + _BLOCK]
        pdqs = [bytes.fromhex(one.pdq) for one in block]
        near = catalogue.near(transaction, pdqs, max_distance=max_distance)
        for number, (one, found) in enumerate(zip(block, near, strict=True), start=looked_at):
            met += [(number, one.at_ms, entry, distance) for entry, distance in found]
        looked_at += len(block)
        pairs = len(met)
    hits = meet(transaction, met, query_frames=looked_at)
    return FilmHits(hits, looked_at, len(spread))


def meet(
    transaction: Transaction, met: Iterable[Met], *, query_frames: int, is_stream: bool = False
) -> list[FilmHit]:
    """Returns what pairs of frames come to, for each flagged film and picture.

    Args:
        transaction: from which the number of flagged frames is read.
        met: the pairs.
        query_frames: different frames of the upload that were compared.
        is_stream: True if the upload has no end.
    """
    meetings: dict[tuple[int, int, bool], Meeting] = {}
    for number, at_ms, entry, distance in met:
        key = (entry.log_index, entry.item, entry.kind == "frame")
        if (meeting := meetings.get(key)) is None:
            meeting = meetings[key] = Meeting((distance, entry))
        meeting.add(number, at_ms, entry, distance)
    films = {(index, item) for index, item, is_film in meetings if is_film}
    counted = transaction.media.frames_in(films) if films else {}
    return [
        meeting.hit(
            query_frames=query_frames,
            # whatever was taken back in this moment leaves at least what was met
            target_frames=max(counted.get((index, item), 0) if is_film else 1, len(meeting.target)),
            is_stream=is_stream,
        )
        for (index, item, is_film), meeting in meetings.items()
    ]


def _spread(frames: Sequence[QueryFrame]) -> list[QueryFrame]:
    """Returns the frames in an order whose beginning is spread over the whole film."""

    def strides() -> Iterator[QueryFrame]:
        for start in range(_STRIDE):
            yield from frames[start::_STRIDE]

    return list(strides())
