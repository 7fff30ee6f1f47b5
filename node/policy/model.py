"""The words of a policy: evidence in, a decision out, and the rules between them.

Values only: nothing here reads a file or decides anything. No value holds an identifier, a pdq or
a fingerprint, so that all of them may be logged and shown.
"""

from dataclasses import dataclass
from typing import Final, get_args

from node.matching.variant_names import PLAIN, is_asked_for
from protocol.fields import IdentifierKindName, Surface
from protocol.limits import PDQ_MATCH_DISTANCE

ACTIONS: Final = ("none", "note", "review", "hold", "block")
"""What a decision can be, weakest first. ``none`` is no rule's action: it is what is left."""

SURFACES: Final[tuple[str, ...]] = get_args(Surface)
"""Where a picture can be met: public post, hosted file, private message."""

IDENTIFIER_KINDS: Final[tuple[str, ...]] = get_args(IdentifierKindName)
"""Kinds of identifiers that an account statement can carry."""

AVATAR: Final = "avatar"
"""Stands among the kinds of a match whose avatar fits as well; never without another one."""

EXACT_KINDS: Final = frozenset({"sha256", "sha1", "md5"})
"""Kinds of media hashes that match by equality; a rule's `max_distance` is not for them."""

DEFAULT_SURFACES: Final = ("public", "hosted")
"""Surfaces of a rule that names none; private messages are always named."""


DEFAULT_MIN_QUERY_SHARE: Final = 0
"""Per cent of an upload's frames that a rule asks for if it says nothing: padding is no excuse."""

DEFAULT_MIN_TARGET_SHARE: Final = 80
"""Per cent of a flagged film's frames that a rule asks for if it says nothing (vPDQ's example)."""

DEFAULT_MIN_STREAM_FRAMES: Final = 3
"""Frames of a stream that a rule asks for within the window if it says nothing."""

_ALL: Final = 100


@dataclass(frozen=True)
class Overlap:
    """How much of a film or stream and of one flagged film or picture is the same.

    Attributes:
        query: for each frame of the upload that resembles one of the flagged item's, the distance
            to the nearest, in bits.
        query_frames: different frames of the upload that were compared.
        target: likewise for the frames of the flagged item; a flagged picture is its only frame.
        target_frames: different frames of the flagged item.
        is_stream: True if the upload has no end: then the frames are those of the window.
    """

    query: tuple[int, ...]
    query_frames: int
    target: tuple[int, ...]
    target_frames: int
    is_stream: bool = False

    def within(self, max_distance: int) -> tuple[int, int]:
        """Returns how many frames of the upload and of the flagged item are as near as that."""
        return (
            sum(distance <= max_distance for distance in self.query),
            sum(distance <= max_distance for distance in self.target),
        )

    def shares(self, max_distance: int) -> tuple[int, int]:
        """Returns the same in per cent of the frames compared, rounded down."""
        query, target = self.within(max_distance)
        return (
            query * _ALL // max(1, self.query_frames),
            target * _ALL // max(1, self.target_frames),
        )


@dataclass(frozen=True)
class MediaEvidence:
    """One entry of a media statement that an upload was found to match.

    Attributes:
        statement: id of the statement.
        item: place of the entry in the statement, from 0.
        kind: ``pdq``, ``sha256``, ``sha1`` or ``md5``; ``frame`` if a picture resembles one frame
            of a film, ``film`` if frames resemble a film's.
        distance: Hamming distance in bits, of frames the nearest; 0 for the exact kinds.
        category: the statement's category.
        review_only: True where the vocabulary says that this category never goes beyond review,
            or does not know it; where the organisation is frozen or no longer pinned; where a
            pdq was compared whose quality nobody knows; and where a single frame is all there is.
        issuer: who signed.
        organisation: the organisation behind the issuer; independent issuers are counted by it.
        accredited: True if the issuer is accredited for this category by an authority that the
            operator trusts.
        disputed: True while a dispute about this entry is open.
        surfaces: the statement's own limit; empty means no limit.
        jurisdictions: the statement's own limit; empty means no limit.
        overlap: set exactly if a film or stream was compared frame by frame.
        variant: of the upload by which it was met; `PLAIN` is the upload itself.
    """

    statement: str
    item: int
    kind: str
    distance: int
    category: str
    review_only: bool
    issuer: str
    organisation: str
    accredited: bool
    disputed: bool
    surfaces: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    overlap: Overlap | None = None
    variant: str = PLAIN


@dataclass(frozen=True)
class AccountEvidence:
    """One account statement that a sign-up was found to match.

    Attributes:
        statement: id of the statement.
        kinds: the kinds of identifiers that matched in this statement; `AVATAR` beside them
            where its avatar did as well.
        category: the statement's category.
        review_only: as in `MediaEvidence`, and for a category that is no reason for a ban.
        issuer: who signed.
        organisation: the organisation behind the issuer.
        accredited: as in `MediaEvidence`.
        disputed: True while a dispute about this statement is open.
        jurisdictions: the statement's own limit; empty means no limit.
    """

    statement: str
    kinds: tuple[str, ...]
    category: str
    review_only: bool
    issuer: str
    organisation: str
    accredited: bool
    disputed: bool
    jurisdictions: tuple[str, ...]


Evidence = MediaEvidence | AccountEvidence


@dataclass(frozen=True)
class Decision:
    """What the policy makes of the evidence.

    Attributes:
        action: ``block``, ``hold``, ``review``, ``note`` or ``none``.
        rule: name of the rule whose action this is; None if no rule fired.
        why: sentences for a person: first what was left aside before any rule was asked, then one
            per rule, in the order of the file. They name rules and figures, never a value.
    """

    action: str
    rule: str | None
    why: tuple[str, ...]


@dataclass(frozen=True)
class Operator:
    """The ``[operator]`` table.

    Attributes:
        jurisdictions: ISO 3166-1 codes of the countries whose law the operator answers to.
        match_private_messages: True if rules may name the surface ``private``.
    """

    jurisdictions: tuple[str, ...] = ()
    match_private_messages: bool = False


@dataclass(frozen=True)
class Rule:
    """One ``[[rule]]`` of the file; docs/policy.md describes every key.

    Attributes:
        name: unique in the file.
        applies_to: ``media`` or ``account``.
        action: ``block``, ``hold``, ``review`` or ``note``.
        categories: patterns; an entry counts if one of them fits.
        surfaces: media only; where the picture has to be met.
        min_issuers: organisations that have to say so, independently.
        accredited: True if one of them has to be accredited.
        max_distance: media only; greatest distance of a pdq in bits.
        variants: media only; the families of variants of a picture that count beside itself.
        min_query_share: media only; per cent of an uploaded film's frames that have to match.
        min_target_share: media only; per cent of the flagged film's frames that have to match.
        min_stream_frames: media only; frames of a stream that have to match within the window.
        kinds: account only; the kinds of identifiers that count.
        min_kinds: account only; how many of them have to match in one statement.
        kinds_all: account only; each of these has to match in that statement as well, `AVATAR`
            among them.
        not_disputed: True if disputed entries do not count at all.
    """

    name: str
    applies_to: str
    action: str
    categories: tuple[str, ...]
    surfaces: tuple[str, ...] = DEFAULT_SURFACES
    min_issuers: int = 1
    accredited: bool = False
    max_distance: int = PDQ_MATCH_DISTANCE
    variants: tuple[str, ...] = ()
    min_query_share: int = DEFAULT_MIN_QUERY_SHARE
    min_target_share: int = DEFAULT_MIN_TARGET_SHARE
    min_stream_frames: int = DEFAULT_MIN_STREAM_FRAMES
    kinds: tuple[str, ...] = IDENTIFIER_KINDS
    min_kinds: int = 1
    kinds_all: tuple[str, ...] = ()
    not_disputed: bool = False

    @property
    def goes_beyond_review(self) -> bool:
        """True if the rule would block or hold."""
        return self.action in {"block", "hold"}

    def admits(self, variant: str) -> bool:
        """Says whether an entry counts that was met by this variant of a picture."""
        return is_asked_for(variant, self.variants)

    def takes(self, overlap: Overlap) -> bool:
        """Says whether so much in common is enough: vPDQ's two shares, or frames of a stream.

        Of a flagged film, a stream has to show as many different frames as the rule asks for, or
        all: one picture that stands still, such as a title, is not the film.
        """
        query, target = overlap.within(self.max_distance)
        if overlap.is_stream:
            wanted = min(self.min_stream_frames, overlap.target_frames)
            return query >= self.min_stream_frames and target >= wanted
        query_share, target_share = overlap.shares(self.max_distance)
        return (
            query > 0
            and query_share >= self.min_query_share
            and target_share >= self.min_target_share
        )


def strength(action: str) -> int:
    """Returns the place of an action in `ACTIONS`: greater is stronger."""
    return ACTIONS.index(action)


def fits(pattern: str, category: str) -> bool:
    """Says whether a category lies under a pattern.

    ``csam.*`` fits everything below ``csam`` but not ``csam`` itself; ``*`` fits everything.
    """
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return category.startswith(pattern[:-1])
    return category == pattern
