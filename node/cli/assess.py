"""Which pictures are fit to be flagged, and under which media hashes.

The node refuses what is judged here again; a flagger hears it before anything is sent, per file and
in words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from node.cli.gather import Read
from node.matching.film_process import FilmHashes
from node.matching.media import MediaHashes
from protocol.limits import PDQ_MIN_QUALITY
from protocol.pdq import is_degenerate
from protocol.statements import Frame, MediaItem

_NO_DETAIL: Final = "too little detail to recognise changed copies"
_ONE_COLOUR: Final = "almost of one colour, so that changed copies cannot be recognised"
_NO_FRAMES: Final = "no frame with detail enough to recognise changed copies"
_ONLY_EXACT: Final = "only exact copies will be found"


class Chosen(NamedTuple):
    """A picture that will be flagged: its file, and what is sent of it."""

    name: str
    item: MediaItem


class Remark(NamedTuple):
    """What a flagger should know about a file, in words."""

    name: str
    sentence: str


@dataclass(frozen=True)
class Assessment:
    """What is sent of which file, and what was said about the others.

    Attributes:
        chosen: in the order of the files.
        limited: sent, but without a pdq.
        left_out: readable, but not sent.
        unreadable: files that could not be hashed.
    """

    chosen: list[Chosen] = field(default_factory=list)
    limited: list[Remark] = field(default_factory=list)
    left_out: list[Remark] = field(default_factory=list)
    unreadable: list[Remark] = field(default_factory=list)

    def remarks(self) -> Iterator[tuple[str, Remark]]:
        """Gives every remark after a word for what becomes of its file."""
        for word, remarks in (
            ("not read", self.unreadable),
            ("left out", self.left_out),
            ("sent", self.limited),
        ):
            yield from ((word, remark) for remark in remarks)


def assess(files: Sequence[Read], *, strict: bool) -> Assessment:
    """Returns what is to be sent of these files.

    A file that is byte for byte another one adds nothing, and is left out. One whose pdq is not fit
    for matching, or is that of an earlier file, is sent under its exact digests alone.

    Args:
        files: as they were read.
        strict: leave out what would be sent under its exact digests alone.
    """
    made = Assessment()
    by_sha256: dict[str, str] = {}
    by_looks: dict[object, str] = {}
    for file in files:
        hashes = file.hashes
        if hashes is None:
            made.unreadable.append(Remark(file.name, file.problem or ""))
            continue
        twin = by_sha256.setdefault(hashes.sha256, file.name)
        if twin != file.name:
            made.left_out.append(Remark(file.name, f"the same file as {twin}"))
            continue
        why = unfit(hashes)
        looks = _looks(hashes)
        if why is None and (like := by_looks.setdefault(looks, file.name)) != file.name:
            why = f"looks exactly like {like}"
        if why is not None and strict:
            made.left_out.append(Remark(file.name, why))
            continue
        if why is not None:
            made.limited.append(Remark(file.name, f"{why}: {_ONLY_EXACT}"))
        made.chosen.append(Chosen(file.name, _item(hashes, with_pdq=why is None)))
    return made


def unfit(hashes: MediaHashes | FilmHashes) -> str | None:
    """Returns why a picture's pdq must not be matched by; None if it may (design gates)."""
    if isinstance(hashes, FilmHashes):
        return None if hashes.frames else _NO_FRAMES
    if hashes.quality < PDQ_MIN_QUALITY:
        return _NO_DETAIL
    return _ONE_COLOUR if is_degenerate(hashes.pdq) else None


def _looks(hashes: MediaHashes | FilmHashes) -> object:
    """What two files have in common that look exactly alike."""
    if isinstance(hashes, FilmHashes):
        return frozenset(one.pdq for one in hashes.frames)
    return hashes.pdq


def frames_of(hashes: MediaHashes | FilmHashes) -> tuple[Frame, ...]:
    """Returns the frames of a film as the wire has them; none of a picture."""
    if not isinstance(hashes, FilmHashes):
        return ()
    return tuple(
        Frame(pdq=one.pdq.hex(), quality=one.quality, at_ms=one.at_ms) for one in hashes.frames
    )


def _item(hashes: MediaHashes | FilmHashes, *, with_pdq: bool) -> MediaItem:
    if isinstance(hashes, FilmHashes):
        return MediaItem(
            sha256=hashes.sha256,
            sha1=hashes.sha1,
            md5=hashes.md5,
            frames=frames_of(hashes) if with_pdq else (),
        )
    return MediaItem(
        pdq=hashes.pdq.hex() if with_pdq else None,
        quality=hashes.quality if with_pdq else None,
        sha256=hashes.sha256,
        sha1=hashes.sha1,
        md5=hashes.md5,
    )
