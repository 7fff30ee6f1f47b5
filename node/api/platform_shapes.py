"""What platforms send and get (docs/protocol.md says what the fields mean on the wire)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from node.api.bodies import Answer, Body, like
from node.matching.variant_names import MAX_VARIANTS, MAX_VARIANTS_AT_ONCE, VariantName
from protocol import fields, limits

StatementPath = Annotated[str, like(fields.Digest256)]
Category = Annotated[str, like(fields.Category)]
Code = Annotated[str, like(fields.Code)]
ItemIndex = Annotated[int, like(fields.Index)]
Audience = Annotated[
    tuple[Annotated[str, like(fields.AudienceName)], ...],
    Field(
        strict=False,
        min_length=1,
        max_length=limits.MAX_AUDIENCE,
        description="Who may read it: `peers`, a `circle:…`, or single nodes `node:…`.",
    ),
]
Items = Annotated[
    tuple[ItemIndex, ...],
    Field(
        strict=False,
        max_length=limits.MAX_ITEMS,
        description="Places of the items meant, from 0; empty means all of them.",
    ),
]
Jurisdictions = Annotated[
    tuple[Annotated[str, like(fields.Jurisdiction)], ...],
    Field(
        strict=False,
        max_length=limits.MAX_LIST,
        description="Countries where it may be applied (ISO 3166-1); empty means everywhere.",
    ),
]
UsernameScope = Annotated[
    str,
    like(fields.NodeName),
    Field(description="Name space of the user names, where it is not the node's own."),
]
Reviewers = Annotated[int, Field(ge=1, le=99, description="How many people looked at it.")]
Decision = Literal["block", "hold", "review", "note", "none"]


REFERENCE_PATTERN = r"^[A-Za-z0-9._~:@=+\-]{1,128}$"
"""What a platform may call an upload: what needs no escaping in an address."""


class FrameHashes(Body):
    """One frame of a film."""

    pdq: Annotated[str, like(fields.Digest256)]
    quality: Annotated[int, like(fields.Quality)]
    at_ms: Annotated[int, like(fields.Milliseconds)] = Field(
        description="Where it stands, in milliseconds from the film's begin."
    )


class FrameFound(Answer):
    """One frame of an uploaded film."""

    pdq: str
    quality: int
    at_ms: int


class MediaHashes(Body):
    """One picture or film under its media hashes; at least one of them."""

    pdq: Annotated[str, like(fields.Digest256)] | None = Field(
        None, description="Perceptual hash, 64 lower-case hexadecimal digits."
    )
    quality: Annotated[int, like(fields.Quality)] | None = Field(
        None, description="Quality that came with the pdq; a pdq below 50 matches nothing."
    )
    sha256: Annotated[str, like(fields.Digest256)] | None = None
    sha1: Annotated[str, like(fields.Digest160)] | None = None
    md5: Annotated[str, like(fields.Digest128)] | None = None
    frames: Annotated[
        tuple[FrameHashes, ...],
        Field(
            strict=False,
            max_length=limits.MAX_FRAMES,
            description="Frames of a film, about one for each second.",
        ),
    ] = ()

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.quality is not None and self.pdq is None:
            raise PydanticCustomError("alone", "A quality stands with its pdq only")
        if not (self.pdq or self.sha256 or self.sha1 or self.md5 or self.frames):
            raise PydanticCustomError("empty", "At least one media hash is needed")
        return self


class VariantHash(Body):
    """One variant of an uploaded picture, which the policy's rules may ask for."""

    name: VariantName = Field(
        description="What was done to the picture before its pdq was computed (docs/matching.md)."
    )
    pdq: Annotated[str, like(fields.Digest256)]
    quality: Annotated[int, like(fields.Quality)]


class UploadHashes(MediaHashes):
    """One upload that is looked up."""

    variants: Annotated[
        tuple[VariantHash, ...],
        Field(
            strict=False,
            max_length=MAX_VARIANTS,
            description="Variants of the picture; those that no rule asks for are not compared.",
        ),
    ] = ()

    reference: Annotated[str, Field(pattern=REFERENCE_PATTERN, min_length=1)] | None = Field(
        None,
        description="What you call the upload; kept only where the answer is to block, hold or "
        "review it, so that a task to restore can name it. No personal data, please.",
    )

    @model_validator(mode="after")
    def _check_variants(self) -> Self:
        if self.variants and self.pdq is None:
            raise PydanticCustomError("alone", "Variants stand with the picture's own pdq only")
        return self


class FlaggedHashes(MediaHashes):
    """One confirmed picture or film; its pdq carries its quality."""

    @model_validator(mode="after")
    def _check_quality(self) -> Self:
        if self.pdq is not None and self.quality is None:
            raise PydanticCustomError("quality", "A pdq stands with its quality")
        return self


def _check_frames(items: "tuple[MediaHashes, ...]") -> None:
    if sum(len(item.frames) for item in items) > limits.MAX_FRAMES_PER_STATEMENT:
        raise PydanticCustomError(
            "frames",
            "All items together have at most {most} frames",
            {"most": limits.MAX_FRAMES_PER_STATEMENT},
        )


class MatchRequest(Body):
    """Uploads to be looked up."""

    surface: fields.Surface = Field(description="Where the pictures were met.")
    items: Annotated[
        tuple[UploadHashes, ...], Field(strict=False, min_length=1, max_length=limits.MAX_ITEMS)
    ]

    @model_validator(mode="after")
    def _check_sums(self) -> Self:
        _check_frames(self.items)
        if sum(len(item.variants) for item in self.items) > MAX_VARIANTS_AT_ONCE:
            raise PydanticCustomError(
                "variants",
                "All items together have at most {most} variants",
                {"most": MAX_VARIANTS_AT_ONCE},
            )
        return self


class Span(Answer):
    """From where to where, in milliseconds."""

    from_ms: int
    to_ms: int


class FilmMatch(Answer):
    """How much of a film or stream and of what was flagged is the same."""

    query_share: int | None = Field(
        None, description="Per cent of the upload's different frames; null for a stream."
    )
    target_share: int = Field(description="Per cent of the flagged film's different frames.")
    frames: int = Field(description="Different frames of the upload that match.")
    query: Span = Field(description="Where they stand in the upload.")
    target: Span | None = Field(
        description="Where the flagged film's frames stand; null for a flagged picture."
    )


class Match(Answer):
    """One entry of the list that an upload was found to match."""

    statement: str = Field(description="Id of the statement that says so.")
    item: int = Field(description="Place of the entry in the statement, from 0.")
    kind: Literal["pdq", "sha256", "sha1", "md5", "frame", "film"] = Field(
        description="What matched; `frame`: a picture is like one frame of a flagged film; "
        "`film`: frames are like those of a flagged film."
    )
    distance: int = Field(
        description="Hamming distance of the pdq in bits, of frames the nearest; 0 for the others."
    )
    category: str
    issuer_code: str | None = Field(description="The issuer's own classification.")
    flags: tuple[str, ...]
    issuers: tuple[str, ...] = Field(description="Organisations that say so, independently.")
    accredited: bool
    disputed: bool = Field(description="Somebody contests it, and the issuer has not answered yet.")
    issued: str
    at_ms: int | None = Field(
        None,
        description="Where the frame stands in the flagged film; null unless the kind is `frame`.",
    )
    film: FilmMatch | None = Field(None, description="Null unless frames were compared.")
    variant: Literal["plain"] | VariantName = Field(
        "plain",
        description="By which variant of the upload it was found; `plain`: as it is.",
    )


class MatchResult(Answer):
    """What was found for one upload, and what the operator's policy makes of it."""

    decision: Decision
    rule: str | None = Field(description="The policy's rule that decided; null if none did.")
    why: tuple[str, ...] = Field(description="One sentence per rule, why it fired or did not.")
    matches: tuple[Match, ...]


class ListState(Answer):
    """The list that was matched against."""

    entries: int
    size: int = Field(description="Statements in this node's log.")
    age_s: int | None = Field(
        description="Seconds since the last peer was in step; null before the first sync."
    )


class MatchAnswer(Answer):
    """One result per item, in the order asked."""

    results: tuple[MatchResult, ...]
    list: ListState


class FileHashes(Answer):
    """The media hashes of an uploaded file, and what the decoder saw.

    A picture has a pdq and its quality, a film has frames and a duration.
    """

    pdq: str | None = None
    quality: int | None = None
    sha256: str
    sha1: str
    md5: str
    width: int
    height: int
    format: str
    duration_ms: int | None = None
    frames: tuple[FrameFound, ...] = ()


class FileAnswer(Answer):
    """The result for one uploaded file."""

    result: MatchResult
    list: ListState
    hashes: FileHashes


class FlagRequest(Body):
    """The platform's own confirmed finding."""

    items: Annotated[
        tuple[FlaggedHashes, ...], Field(strict=False, min_length=1, max_length=limits.MAX_ITEMS)
    ]
    category: Category
    reviewers: Reviewers
    purpose: Code = Field(description="What others may use it for.")
    legal_basis: Code = Field(description="The ground for sharing it.")
    review_days: int = Field(
        ge=1, le=limits.MAX_REVIEW_DAYS, description="Days until you look at it again."
    )
    issuer_code: Code | None = None
    flags: Annotated[
        tuple[Annotated[str, like(fields.Flag)], ...], Field(strict=False, max_length=16)
    ] = ()
    surfaces: Annotated[tuple[fields.Surface, ...], Field(strict=False, max_length=3)] = ()
    jurisdictions: Jurisdictions = ()
    audience: Audience = ("peers",)

    @model_validator(mode="after")
    def _check_frames(self) -> Self:
        _check_frames(self.items)
        return self


class RetractRequest(Body):
    """Takes an own statement back."""

    reason: Literal["wrong", "expired", "appeal-upheld", "duplicate", "other"]
    items: Items = ()


class EraseRequest(Body):
    """Asks everyone to delete the body of an own statement."""

    reason: Literal["subject-request", "court-order", "retention", "other"]


class DisputeRequest(Body):
    """Contests somebody's statement."""

    reason: Literal[
        "not-illegal", "wrong-person", "wrong-category", "not-a-match", "lawful-use", "other"
    ]
    items: Items = ()


class ResolveRequest(Body):
    """Answers a dispute about an own statement."""

    dispute: StatementPath = Field(description="Id of the dispute.")
    outcome: Literal["upheld", "rejected"]


class FeedbackRow(Body):
    """What became of the matches of one item; counts only."""

    item: ItemIndex = 0
    confirmed: Annotated[int, like(fields.Count)] = 0
    refuted: Annotated[int, like(fields.Count)] = 0
    unreviewed: Annotated[int, like(fields.Count)] = 0


class FeedbackRequest(Body):
    """How a statement did on one day."""

    day: Annotated[str, like(fields.Day)] = Field(description="A day in UTC, YYYY-MM-DD.")
    rows: Annotated[
        tuple[FeedbackRow, ...], Field(strict=False, min_length=1, max_length=limits.MAX_ITEMS)
    ]


class Remedy(Answer):
    """Something to make good: an action that rested on a statement which is no more."""

    id: int
    statement: str = Field(description="Id of the statement that was taken back.")
    kind: str = Field(description="Kind of that statement.")
    items: tuple[int, ...] = Field(description="Places of the items that had led to an action.")
    reason: str
    since: str
    state: str


class Remedies(Answer):
    """What is to be restored, oldest first."""

    remedies: tuple[Remedy, ...]
