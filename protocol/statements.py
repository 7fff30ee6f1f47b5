"""Every kind of statement, as strict frozen types (docs/protocol.md section 4).

A statement is what somebody signs: an issuer says something to an audience. The types here refuse
to exist when invalid. They say nothing about who may say it: that is `federation.trust`.
"""

from typing import Annotated, ClassVar, Literal, TypeVar

from msgspec import Meta

from protocol import limits
from protocol.encoding import check_order, check_span, convert, encode_json, parse_json, parse_time
from protocol.errors import LimitError, MalformedError, VersionError
from protocol.fields import (
    AudienceName,
    Bytes32,
    Category,
    CategoryPattern,
    CircleName,
    Code,
    Count,
    Day,
    Digest128,
    Digest160,
    Digest256,
    Flag,
    IdentifierKindName,
    Index,
    IssuerName,
    Jurisdiction,
    Language,
    LogSize,
    Milliseconds,
    Nonce,
    Quality,
    Scheme,
    Surface,
    Text,
    TimeField,
)
from protocol.structs import ContradictionError, Hidden


class Statement(Hidden, frozen=True, kw_only=True, omit_defaults=True):
    """What all statements carry.

    Attributes:
        issuer: who says it; the signing key must be one that speaks for this name.
        nonce: 128 random bits, so that the id of an erased statement says nothing.
        issued: when it was signed, by the issuer's clock.
        audience: who may read the body; the log carries the id for everyone.
        crit: names of fields that a reader must understand to use the statement at all.
    """

    KIND: ClassVar[str] = ""

    issuer: IssuerName
    nonce: Nonce
    issued: TimeField
    audience: Annotated[
        tuple[AudienceName, ...], Meta(min_length=1, max_length=limits.MAX_AUDIENCE)
    ]
    crit: Annotated[tuple[Text, ...], Meta(max_length=limits.MAX_LIST)] = ()

    def __post_init__(self) -> None:
        parse_time(self.issued, where="issued")


class Basis(Hidden, frozen=True, kw_only=True):
    """What a finding rests on: how many people looked, and when the last one did."""

    reviewers: Annotated[int, Meta(ge=1, le=99)]
    reviewed: TimeField

    def __post_init__(self) -> None:
        parse_time(self.reviewed, where="basis.reviewed")


class Frame(Hidden, frozen=True, kw_only=True):
    """One frame of a film: pdq, its quality, and where it stands."""

    pdq: Digest256
    quality: Quality
    at_ms: Milliseconds


class MediaItem(Hidden, frozen=True, kw_only=True, omit_defaults=True):
    """One picture or film under all its media hashes; at least one of them."""

    pdq: Digest256 | None = None
    quality: Quality | None = None
    sha256: Digest256 | None = None
    sha1: Digest160 | None = None
    md5: Digest128 | None = None
    frames: Annotated[tuple[Frame, ...], Meta(max_length=limits.MAX_FRAMES)] = ()

    def __post_init__(self) -> None:
        if (self.pdq is None) != (self.quality is None):
            raise ContradictionError("pdq and quality stand together or not at all.")
        if not (self.pdq or self.sha256 or self.sha1 or self.md5 or self.frames):
            raise ContradictionError("An item needs at least one media hash.")


class MediaFlag(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """Confirmed material: 1 to 1000 pictures or films of one category.

    Attributes:
        items: the pictures or films.
        category: ours, from the vocabulary.
        issuer_code: the issuer's own classification, kept beside ours.
        flags: such as ``generative_ai``.
        basis: what the finding rests on.
        surfaces: where it may be applied; empty means wherever the reader's own policy allows.
        jurisdictions: where it may be applied; empty means everywhere.
        purpose: what it may be used for.
        legal_basis: the issuer's ground for sharing it.
        review_by: when the issuer looks at it again; the entry rests after that day.
    """

    KIND: ClassVar[str] = "media-flag"

    items: Annotated[tuple[MediaItem, ...], Meta(min_length=1, max_length=limits.MAX_ITEMS)]
    category: Category
    basis: Basis
    purpose: Code
    legal_basis: Code
    review_by: TimeField
    issuer_code: Code | None = None
    flags: Annotated[tuple[Flag, ...], Meta(max_length=16)] = ()
    surfaces: Annotated[tuple[Surface, ...], Meta(max_length=3)] = ()
    jurisdictions: Annotated[tuple[Jurisdiction, ...], Meta(max_length=limits.MAX_LIST)] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(len(item.frames) for item in self.items) > limits.MAX_FRAMES_PER_STATEMENT:
            raise LimitError("Too many video frames in one statement.", where="items")
        check_span(self.issued, self.review_by, max_days=limits.MAX_REVIEW_DAYS)


class Fingerprint(Hidden, frozen=True, kw_only=True):
    """One fingerprint of an account: the OPRF output of a normalised identifier.

    Attributes:
        kind: of the identifier.
        circle: whose key made it.
        epoch: of that key.
        scheme: normalisation and its version.
        value: first 32 bytes of the RFC 9497 output.
    """

    kind: IdentifierKindName
    circle: CircleName
    epoch: Annotated[int, Meta(ge=1, le=10**6)]
    scheme: Scheme
    value: Bytes32


class Avatar(Hidden, frozen=True, kw_only=True):
    """The picture that an account showed of itself: its pdq, and the quality of that."""

    pdq: Digest256
    quality: Quality


class AccountBan(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """One banned account, under 1 to 8 fingerprints; it always expires.

    Attributes:
        fingerprints: of the account's identifiers.
        category: why.
        basis: what the decision rests on.
        scope: ``account``: this account; ``person``: whoever holds these identifiers.
        purpose: what it may be used for.
        legal_basis: the issuer's ground for sharing it.
        expires: at most 24 months after `issued`.
        avatar: of the account; a weak signal beside a fingerprint, and nothing without one.
    """

    KIND: ClassVar[str] = "account-ban"

    fingerprints: Annotated[
        tuple[Fingerprint, ...], Meta(min_length=1, max_length=limits.MAX_FINGERPRINTS)
    ]
    category: Category
    basis: Basis
    scope: Literal["account", "person"]
    purpose: Code
    legal_basis: Code
    expires: TimeField
    avatar: Avatar | None = None
    issuer_code: Code | None = None
    jurisdictions: Annotated[tuple[Jurisdiction, ...], Meta(max_length=limits.MAX_LIST)] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_span(self.issued, self.expires, max_days=limits.MAX_ACCOUNT_DAYS)


class Retract(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """The issuer takes a statement back, or some items of it (empty: all)."""

    KIND: ClassVar[str] = "retract"

    target: Digest256
    reason: Literal["wrong", "expired", "appeal-upheld", "duplicate", "other"]
    items: Annotated[tuple[Index, ...], Meta(max_length=limits.MAX_ITEMS)] = ()


class Erase(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """The issuer asks that the body be deleted everywhere; the log entry stays."""

    KIND: ClassVar[str] = "erase"

    target: Digest256
    reason: Literal["subject-request", "court-order", "retention", "other"]


class Dispute(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """Someone affected by acting on a statement contests it, or some items of it (empty: all)."""

    KIND: ClassVar[str] = "dispute"

    target: Digest256
    reason: Literal[
        "not-illegal", "wrong-person", "wrong-category", "not-a-match", "lawful-use", "other"
    ]
    items: Annotated[tuple[Index, ...], Meta(max_length=limits.MAX_ITEMS)] = ()


class Resolve(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """The issuer of the target answers a dispute; ``upheld`` is a retract with remedy."""

    KIND: ClassVar[str] = "resolve"

    target: Digest256
    dispute: Digest256
    outcome: Literal["upheld", "rejected"]


class FeedbackRow(Hidden, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the matches of one item on one day; never user data."""

    item: Index = 0
    confirmed: Count = 0
    refuted: Count = 0
    unreviewed: Count = 0


class Feedback(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """A platform tells the issuer how its statement did on one day."""

    KIND: ClassVar[str] = "feedback"

    target: Digest256
    day: Day
    rows: Annotated[tuple[FeedbackRow, ...], Meta(min_length=1, max_length=limits.MAX_ITEMS)]

    def __post_init__(self) -> None:
        super().__post_init__()
        issued = parse_time(f"{self.issued[:10]}T00:00:00Z")
        apart = abs(parse_time(f"{self.day}T00:00:00Z", where="day") - issued)
        if apart > limits.MAX_FEEDBACK_DAYS * 86_400:
            raise ContradictionError("The day is too far from the one on which this was issued.")


Outcome = Literal["not-acted", "restoring", "restored", "settled"]
"""What came of it at one node that a statement was taken back."""


class Remedied(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """A node tells the issuer what came of it that a statement was taken back; for nobody else.

    Attributes:
        target: the statement that was taken back.
        cause: the retract, resolve or erase that did it.
        outcome: ``not-acted``: nothing was done on its strength; ``restoring``: something was, and
            is being undone; ``restored``: it is undone; ``settled``: one of the first and the
            last, and which of them is not said.
    """

    KIND: ClassVar[str] = "remedied"

    target: Digest256
    cause: Digest256
    outcome: Outcome


class Erased(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """A node proves to the issuer that it has deleted a body; for nobody else.

    Attributes:
        target: the statement whose body is gone.
        cause: the erase that asked for it.
        erased: when the last of it was gone.
        places: what was cleared.
    """

    KIND: ClassVar[str] = "erased"

    target: Digest256
    cause: Digest256
    erased: TimeField
    places: Annotated[tuple[Code, ...], Meta(min_length=1, max_length=16)]

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_time(self.erased, where="erased")


class Revocation(Hidden, frozen=True, kw_only=True):
    """From where on nothing that a key has signed counts: as of a size of its node's log.

    Attributes:
        at: from when on.
        log: origin of the log of the node that revokes.
        size: what the key signed counts where its place in that log is below.
        reason: why.
    """

    at: TimeField
    log: Text
    size: LogSize
    reason: Literal["compromised", "lost", "misused", "other"]

    def __post_init__(self) -> None:
        parse_time(self.at, where="revoked.at")


class Accredit(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """A node vouches for a flagger under its own name; the latest one for a key counts.

    Attributes:
        flagger: whom it vouches for.
        key: of the flagger.
        categories: what the flagger may flag: categories, branches such as ``csam.*``, or ``*``.
        not_before: from when on.
        not_after: until when.
        status: ``suspended`` and ``revoked``: nothing new is believed.
        languages: for information.
        revoked: with status ``revoked``: what was said before still counts, and nothing else.
    """

    KIND: ClassVar[str] = "accredit"

    flagger: IssuerName
    key: Bytes32
    categories: Annotated[tuple[CategoryPattern, ...], Meta(min_length=1, max_length=64)]
    not_before: TimeField
    not_after: TimeField
    status: Literal["active", "suspended", "revoked"]
    languages: Annotated[tuple[Language, ...], Meta(max_length=64)] = ()
    revoked: Revocation | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_order(self.not_before, self.not_after)
        if self.revoked is not None and self.status != "revoked":
            raise ContradictionError("Only a revoked accreditation says from where on.")


S = TypeVar("S", bound=Statement)


def parse_as(kind: type[S], payload: bytes) -> S:
    """Returns the statement of one given kind; raises as `parse_statement` does."""
    value = parse_json(payload, max_bytes=limits.MAX_ENVELOPE_BYTES)
    if not isinstance(value, dict):
        raise MalformedError("A statement is a JSON object.")
    # Looked at before the rest: what this code does not know may change what the rest means.
    critical = value.get("crit", [])
    if isinstance(critical, list) and any(name not in kind.__struct_fields__ for name in critical):
        raise VersionError(
            "The statement needs an extension that this version does not know.", where="crit"
        )
    return convert(value, kind)


def encode_statement(statement: Statement) -> bytes:
    """Returns the payload bytes of a statement: compact JSON, fields in the order of the type.

    Raises:
        MalformedError: a field holds what JSON cannot carry.
    """
    try:
        return encode_json(statement)
    except (TypeError, ValueError, OverflowError):
        raise MalformedError("A field of the statement holds what JSON cannot carry.") from None
