"""What platforms send and get about accounts: identifiers in clear, and leads."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from node.api.bodies import Answer, Body, like
from node.api.platform_shapes import (
    Audience,
    Category,
    Code,
    Decision,
    Jurisdictions,
    Reviewers,
    UsernameScope,
)
from protocol import fields, limits


class Identifier(Body):
    """One identifier of an account, in clear; it never leaves this node."""

    kind: fields.IdentifierKindName
    value: str = Field(min_length=1, max_length=limits.MAX_TEXT_CHARS)


Identifiers = Annotated[
    tuple[Identifier, ...],
    Field(strict=False, min_length=1, max_length=limits.MAX_FINGERPRINTS),
]
Region = Annotated[str, like(fields.Jurisdiction)]


class AvatarHash(Body):
    """The pdq of the picture that an account shows of itself."""

    pdq: Annotated[str, like(fields.Digest256)]
    quality: Annotated[int, like(fields.Quality)]


Avatar = Annotated[
    AvatarHash | None,
    Field(
        description="A weak signal: it adds the kind `avatar` to a lead, and is none by itself. "
        "Compared from a quality of 50 on."
    ),
]


class CheckRequest(Body):
    """A sign-up to be checked."""

    identifiers: Identifiers
    region: Region | None = Field(
        None, description="Country that a phone number without country code belongs to."
    )
    username_scope: UsernameScope | None = None
    avatar: Avatar = None


class Lead(Answer):
    """A ban that shares identifiers with the sign-up: a reason to look, never a verdict."""

    statement: str
    kinds: tuple[str, ...] = Field(
        description="Kinds of identifiers that fit; `avatar` where that fits too."
    )
    category: str
    issuers: tuple[str, ...]
    independent: int = Field(
        description="Organisations with a ban that at least these kinds of identifiers fit."
    )
    expires: str
    disputed: bool
    name_looks_alike: bool = Field(
        description="A user name looks like the banned one: a hint, which no rule counts."
    )


class CheckAnswer(Answer):
    """Whether a sign-up deserves a look; of one size whether or not anything was found."""

    decision: Decision
    rule: str | None
    why: tuple[str, ...]
    leads: tuple[Lead, ...] = Field(description="Bans that fit, those of most kinds first.")
    unavailable: bool = Field(
        description="True: nothing was checked, and the operator lets such a sign-up pass. Check "
        "it later."
    )
    unavailable_circles: tuple[str, ...] = Field(
        description="Circles that contradict themselves: their bans were not looked for."
    )


class Account(Body):
    """One account of a batch."""

    identifiers: Identifiers
    avatar: Avatar = None


class BatchRequest(Body):
    """Existing accounts to be checked once."""

    accounts: Annotated[
        tuple[Account, ...],
        Field(
            strict=False,
            min_length=1,
            max_length=limits.MAX_OPRF_ELEMENTS,
            description=f"Have {limits.MAX_OPRF_ELEMENTS} identifiers altogether at most; the "
            "circle is asked once about all of them.",
        ),
    ]
    region: Region | None = Field(
        None, description="Country that phone numbers without country code belong to."
    )
    username_scope: UsernameScope | None = None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if sum(len(one.identifiers) for one in self.accounts) > limits.MAX_OPRF_ELEMENTS:
            raise PydanticCustomError(
                "too_many",
                "The accounts have {most} identifiers altogether at most",
                {"most": limits.MAX_OPRF_ELEMENTS},
            )
        return self


class RefusedField(Answer):
    """What is wrong with one account; the others are checked all the same."""

    field: str = Field(description="Place in the request, such as `accounts[3].identifiers[0]`.")
    message: str = Field(description="One sentence; never the value.")


class BatchResult(Answer):
    """What became of one account: exactly one of the two is there."""

    answer: CheckAnswer | None = None
    error: RefusedField | None = None


class BatchAnswer(Answer):
    """One result per account, in the order asked; of one size whatever was found."""

    results: tuple[BatchResult, ...]


class BanRequest(Body):
    """A banned account; the identifiers become fingerprints and are not stored."""

    identifiers: Identifiers
    category: Category
    reviewers: Reviewers
    scope: Literal["account", "person"] = Field(
        description="`account`: this account; `person`: whoever holds these identifiers."
    )
    purpose: Code = Field(description="What others may use it for.")
    legal_basis: Code = Field(description="The ground for sharing it.")
    expires_days: int = Field(
        ge=1, le=limits.MAX_ACCOUNT_DAYS, description="Days until it is forgotten."
    )
    audience: Audience | None = Field(
        None, description="Who may read it; the circle whose key made the fingerprints if null."
    )
    jurisdictions: Jurisdictions = ()
    username_scope: UsernameScope | None = None
    avatar: Annotated[
        AvatarHash | None,
        Field(description="Goes with the ban, to whom that goes, and ends with it."),
    ] = None
    region: Region | None = Field(
        None, description="Country that a phone number without country code belongs to."
    )


class ReissueRequest(Body):
    """The identifiers of an account that is banned already; they are not stored."""

    identifiers: Identifiers
    username_scope: UsernameScope | None = None
    region: Region | None = Field(
        None, description="Country that a phone number without country code belongs to."
    )
