"""What platforms send and get about their registered uploads, matches of them, and webhooks."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from node.api.bodies import Answer, Body, like
from node.api.platform_shapes import Decision
from protocol import fields, limits

MAX_UPLOADS: int = 1_000
"""Uploads in one request."""

MAX_KEEP_DAYS: int = 3_650
"""Longest time for which an upload can be kept."""

UPLOAD_ID_PATTERN = r"^[A-Za-z0-9._~:@=+\-]{1,128}$"
"""An upload's id: what needs no escaping in an address."""

UploadId = Annotated[
    str,
    Field(
        pattern=UPLOAD_ID_PATTERN,
        min_length=1,
        max_length=128,
        description="What you call it; the node gives it no meaning. No personal data, please.",
    ),
]


class UploadHashes(Body):
    """One upload under its media hashes; at least one of them."""

    id: UploadId
    surface: fields.Surface = Field(description="Where it is shown; the policy looks at it.")
    pdq: Annotated[str, like(fields.Digest256)] | None = Field(
        None, description="Perceptual hash, 64 lower-case hexadecimal digits."
    )
    quality: Annotated[int, like(fields.Quality)] | None = Field(
        None, description="Quality that came with the pdq; a pdq below 50 matches nothing."
    )
    sha256: Annotated[str, like(fields.Digest256)] | None = None
    sha1: Annotated[str, like(fields.Digest160)] | None = None
    md5: Annotated[str, like(fields.Digest128)] | None = None
    uploaded: Annotated[int, Field(ge=0, le=limits.MAX_JSON_INT)] | None = Field(
        None, description="When, in Unix seconds."
    )
    keep_days: Annotated[int, Field(ge=1, le=MAX_KEEP_DAYS)] | None = Field(
        None,
        description="After so many days the node forgets it; the operator's setting if null, and "
        "never longer than that.",
    )

    @model_validator(mode="after")
    def _check_together(self) -> "UploadHashes":
        if self.quality is not None and self.pdq is None:
            raise PydanticCustomError("alone", "A quality stands with its pdq only")
        if not (self.pdq or self.sha256 or self.sha1 or self.md5):
            raise PydanticCustomError("empty", "At least one media hash is needed")
        return self


class RegisterRequest(Body):
    """Uploads that the node is to know of."""

    uploads: Annotated[
        tuple[UploadHashes, ...], Field(strict=False, min_length=1, max_length=MAX_UPLOADS)
    ]


class Registered(Answer):
    """What became of the uploads; together as many as there were different ids."""

    added: int
    replaced: int = Field(description="Known under this id, with other media hashes.")
    known: int = Field(description="Known just so; nothing was changed.")


class DeleteUploadsRequest(Body):
    """Uploads that the node is to forget."""

    ids: Annotated[tuple[UploadId, ...], Field(strict=False, min_length=1, max_length=MAX_UPLOADS)]


class DeletedUploads(Answer):
    """How many of them there were."""

    deleted: int


class RetroMatch(Answer):
    """A registered upload that turned out to match."""

    id: int = Field(description="Number of the match.")
    change: int = Field(description="Grows with every change: ask `after` it for later ones.")
    upload: str = Field(description="What you call the upload.")
    statement: str = Field(description="Id of the statement that says so.")
    item: int = Field(description="Place of the entry in the statement, from 0.")
    kind: Literal["pdq", "sha256", "sha1", "md5", "frame", "film"]
    distance: int = Field(description="Hamming distance of the pdq in bits; 0 for the others.")
    decision: Decision = Field(description="The policy's, of the upload as a whole.")
    rule: str | None = None
    found: str
    state: Literal["open", "done", "withdrawn"] = Field(
        description="`withdrawn`: the entry was taken back; undo what you did because of it."
    )


class RetroMatches(Answer):
    """Matches in the order in which they last changed."""

    matches: tuple[RetroMatch, ...]
    next: int = Field(description="What to ask `after` next time.")


class WebhookRequest(Body):
    """Where you want to be told."""

    url: str = Field(min_length=1, max_length=limits.MAX_URL_CHARS, description="An https URL.")


class WebhookSecret(Answer):
    """The secret that messages are signed with; it is shown this once."""

    secret: str = Field(description="As the Standard Webhooks specification writes it.")


class WebhookState(Answer):
    """A webhook, without its secret."""

    client: int
    url: str
    old_until: str | None = Field(None, description="Until when the secret before signs too.")
    waiting: int = Field(description="Messages that are to be sent.")
    dead: int = Field(description="Messages that were given up; see `/v1/webhooks/retry`.")
    problem: str | None = Field(None, description="What went wrong last.")


class WebhookStates(Answer):
    """The webhooks of all clients."""

    webhooks: tuple[WebhookState, ...]


class RetriedMessages(Answer):
    """How many messages are sent again."""

    messages: int
