"""Films against what is flagged, frame by frame, by vPDQ's two shares.

A film is a bag of frames (vPDQ, Meta 2021): each frame of one is looked for among the frames of the
other, their order and number play no part. Two shares come out: of the upload's different frames,
how many resemble one of the flagged film's, and the reverse. A policy rule says how large both have
to be, so that one frame that many films have, such as a title, is no match. A flagged picture is a
film of one frame.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from node.matching.turned import turned_pdqs
from node.matching.variant_names import PLAIN
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
        variant: of the upload's frames that match, each in the same one.
    """

    entry: MediaHash
    distance: int
    overlap: Overlap
    query: Span
    target: Span | None
    variant: str = PLAIN

    @property
    def place(self) -> tuple[int, int, str]:
        """Which film or picture was met."""
        return self.entry.log_index, self.entry.item, self.entry.kind


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


def turned_frames(
    frames: Iterable[QueryFrame], families: Collection[str]
) -> dict[str, list[QueryFrame]]:
    """Returns the frames turned and mirrored as `families` ask for, by the name of the variant.

    From their bits, so that it costs no decoding: 6 of 256 are wrong in the median.
    """
    turned: dict[str, list[QueryFrame]] = {}
    for one in frames:
        for name, pdq in turned_pdqs(bytes.fromhex(one.pdq), families):
            if not is_degenerate(pdq):
                turned.setdefault(name, []).append(replace(one, pdq=pdq.hex()))
    return turned


def with_turned(plain: Sequence[FilmHit], turned: Iterable[FilmHit]) -> list[FilmHit]:
    """Returns what was met, without what frames as they are show as much of."""
    seen = {one.place: len(one.overlap.query) for one in plain}
    return [*plain, *(one for one in turned if len(one.overlap.query) > seen.get(one.place, 0))]


def find_films(
    catalogue: Catalogue,
    transaction: Transaction,
    frames: Sequence[QueryFrame],
    *,
    max_distance: int,
    most_pairs: int | None = None,
) -> FilmHits:
    """Returns every flagged film and picture that has a frame in common with these.

    Args:
        catalogue: in which to look.
        transaction: in which entries are checked to be active.
        frames: worth comparing, see `fit_frames`.
        max_distance: greatest distance of a pdq in bits.
        most_pairs: of like frames, after which no further frame is looked at; `MOST_PAIRS` where
            nothing is said.
    """
    most_pairs = MOST_PAIRS if most_pairs is None else most_pairs
    spread = _spread(list({one.pdq: one for one in frames}.values()))
    looked_at, pairs = 0, 0
    met: list[Met] = []
    while looked_at < len(spread) and pairs < most_pairs:
        block = spread[looked_at : looked_at + _BLOCK]
        pdqs = [bytes.fromhex(one.pdq) for one in block]
        near = catalogue.near(transaction, pdqs, max_distance=max_distance)
        for number, (one, found) in enumerate(zip(block, near, strict=True), start=looked_at):
            met += [(number, one.at_ms, entry, distance) for entry, distance in found]
        looked_at += len(block)
        pairs = len(met)
    hits = meet(transaction, met, query_frames=looked_at)
    return FilmHits(hits, looked_at, len(spread))


def find_in_all_forms(
    catalogue: Catalogue,
    transaction: Transaction,
    frames: Sequence[QueryFrame],
    families: Collection[str],
    *,
    max_distance: int,
    sieve: Callable[[Sequence[QueryFrame]], list[QueryFrame]],
) -> FilmHits:
    """Returns what a film resembles as it is, and turned and mirrored as `families` ask for.

    All turned forms together are judged by as many pairs as the film as it is.

    Args:
        catalogue: in which to look.
        transaction: in which entries are checked to be active.
        frames: worth comparing, see `fit_frames`.
        families: of variants, that the policy asks for.
        max_distance: greatest distance of a pdq in bits.
        sieve: leaves out the frames that are allowed.
    """
    look = partial(find_films, catalogue, transaction, max_distance=max_distance)
    plain = look(sieve(frames))
    forms = turned_frames(frames, families)
    turned = [
        replace(one, variant=name)
        for name, form in forms.items()
        for one in look(sieve(form), most_pairs=MOST_PAIRS // len(forms)).hits
    ]
    return replace(plain, hits=with_turned(plain.hits, turned))


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
