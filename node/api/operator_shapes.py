"""What the operator's tools send and get."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from node.api.bodies import Answer, Body, unanchored
from node.services.clients import SCOPES
from protocol import fields, limits
from protocol.encoding import format_time


def _to_time(value: Any) -> Any:
    return format_time(value) if isinstance(value, int) else value


When = Annotated[str, BeforeValidator(_to_time)]
"""An instant: Unix seconds in the house, RFC 3339 outside."""

NODE_NAME = unanchored(get_args(fields.NodeName)[1].pattern)
"""Form of a node's name in a path."""

Scope = Literal["match", "check", "flag", "ban", "statements", "uploads", "admin"]


class AddPeerRequest(Body):
    """A node to be pinned, after its fingerprint was compared over another channel."""

    descriptor: str = Field(
        min_length=1,
        max_length=limits.MAX_ENVELOPE_BYTES,
        description="The node's first descriptor envelope, exactly as the node gives it.",
    )
    later: list[str] = Field(
        default_factory=list,
        max_length=limits.MAX_DESCRIPTORS,
        description="The later versions of its descriptor, in their order.",
    )
    fingerprint: str = Field(
        min_length=1,
        max_length=limits.MAX_NAME_CHARS,
        description="As it was read out on the telephone: typed, not copied.",
    )
    authority: bool = Field(
        False, description="Whether what it says, or vouches for, counts as accredited."
    )


class Peer(Answer):
    """A pinned node, and how far each side has come with the other's log."""

    name: str
    url: str
    fingerprint: str
    authority: bool
    state: str = Field(description="`active`, or `frozen`: nothing new is believed of it.")
    seen_size: int = Field(description="Entries of its log that were taken over.")
    synced: When | None = Field(description="When it was last heard from.")
    problem: str | None = Field(description="Why the last sync failed, if it did.")
    acked_size: int = Field(description="Entries of this node's log that it took over.")
    acked_at: When | None
    set_aside: int = Field(description="Statements of its log that were not accepted.")


class Peers(Answer):
    """All pinned nodes, by name."""

    peers: tuple[Peer, ...]


class CreateClientRequest(Body):
    """A program that may call this node."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")
    scopes: Annotated[
        tuple[Scope, ...], Field(strict=False, min_length=1, max_length=len(SCOPES))
    ] = Field(description="What its key is good for.")


class CreatedClient(Answer):
    """A new client and its key, which is shown this once and stored nowhere."""

    id: int
    name: str
    scopes: tuple[str, ...]
    token: str

    def __repr_args__(self) -> Any:
        """Shows nothing: there is a key in it."""
        return ()


class ClientState(Answer):
    """A client as it is listed."""

    id: int = Field(validation_alias="number")
    name: str
    scopes: tuple[str, ...]
    created: When
    revoked: When | None


class Clients(Answer):
    """All clients, revoked ones too."""

    clients: tuple[ClientState, ...]


class AuditLine(Answer):
    """Who did what and when; one line of JSON each."""

    number: int = Field(description="Continue with `after` set to the last one.")
    at: When
    actor: str
    action: str
    subject: str | None
    detail: str | None


class PolicyState(Answer):
    """The policy file as it stands."""

    text: str | None = Field(description="Content of the file; null if it cannot be read.")
    problem: str | None = Field(description="Why it is not the policy in force; null while it is.")


class SetAside(Answer):
    """A statement that was not accepted."""

    id: str
    origin: str = Field(description="The log it came in.")
    reason: str
    retry: bool = Field(description="Whether it is tried again when more is known.")
    seen: When


class SetAsides(Answer):
    """Statements that were not accepted, oldest first."""

    set_aside: tuple[SetAside, ...]


class Allowance(Answer):
    """How many elements a party may have evaluated."""

    per_day: int
    per_minute: int


class BudgetUse(Answer):
    """How much one party had evaluated on one day: never what."""

    circle: str
    party: str = Field(description="The node by whose name the legal person goes.")
    allowed: Allowance | None = Field(description="Null where it is no member any more.")
    used: int
    left: int
    alarm: int = Field(description="50, 80 or 100: so many per cent were reached; 0 for none.")
    members: dict[str, int] = Field(description="Elements by node of the party.")


class BudgetUses(Answer):
    """Budgets of one day, by circle and party."""

    day: str
    budgets: tuple[BudgetUse, ...]


class FrozenHolder(Answer):
    """A holder of a circle's key that gave a false answer, and is asked no more."""

    circle: str
    node: str
    since: When
    message: str = Field(description="What it did.")


class FrozenHolders(Answer):
    """Holders that are not asked, and those that this process leaves alone for a while."""

    frozen: tuple[FrozenHolder, ...]
    failing: dict[str, tuple[str, ...]] = Field(
        description="By circle: nodes that did not answer several times in a row."
    )


class ThawHolderRequest(Body):
    """A holder to be asked again."""

    circle: str = Field(min_length=1, max_length=limits.MAX_NAME_CHARS)
    node: str = Field(min_length=1, max_length=limits.MAX_NAME_CHARS)


class PublicationStatus(Answer):
    """How far witnesses vouch for this node's log."""

    is_asked: bool = Field(description="Whether there is a witness policy.")
    size: int = Field(description="Statements that are published: enough have cosigned.")
    asked_size: int = Field(description="Of the checkpoint that is being cosigned.")
    missing: int = Field(description="Cosignatures that it lacks.")


class Status(Answer):
    """A node on one screen."""

    name: str
    url: str
    fingerprint: str
    log_size: int
    list_entries: int
    ready: bool
    reasons: tuple[str, ...] = Field(description="What keeps it from being ready.")
    quarantined: int = Field(description="Entries in quarantine: `/v1/admin/quarantine`.")
    publication: PublicationStatus
    budget_alarms: tuple[BudgetUse, ...] = Field(
        description="Parties that have used half of today's budget or more."
    )
    peers: tuple[Peer, ...]
