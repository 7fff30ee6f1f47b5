"""Circles: who shares one fingerprint key, and how (docs/protocol.md sections 4.10 and 8).

A circle descriptor is a statement like any other, and the latest one of a circle that was accepted
says who may ask how much, who evaluates, and under which keys. Who may say it, and what may follow
what, is decided in `federation.trust`.
"""

from typing import Annotated, ClassVar

from msgspec import Meta

from protocol import limits
from protocol.encoding import check_order
from protocol.fields import (
    Bytes32,
    CircleName,
    Digest256,
    Digest512,
    IdentifierKindName,
    NodeName,
    Salt,
    TimeField,
)
from protocol.statements import Statement
from protocol.structs import ContradictionError, Hidden

_SHARED = 2
"""Least threshold of a key that several members share."""


class Member(Hidden, frozen=True, kw_only=True, omit_defaults=True):
    """A node that may ask, and how much: budgets count elements, whatever they are for.

    Attributes:
        node: its name.
        budget_per_day: elements that each holder evaluates for it in a UTC day.
        burst_per_minute: elements of these in any one minute.
        party: the node whose budget this one shares, where one legal person runs several nodes;
            absent, the node has its own. Budgets are those of the party.
    """

    node: NodeName
    budget_per_day: Annotated[int, Meta(ge=0, le=limits.MAX_BUDGET)]
    burst_per_minute: Annotated[int, Meta(ge=1, le=limits.MAX_BUDGET)] = limits.BURST_PER_MINUTE
    party: NodeName | None = None


class Holder(Hidden, frozen=True, kw_only=True):
    """A node that holds the share with this index (never 0)."""

    index: Annotated[int, Meta(ge=1, le=limits.MAX_HOLDERS)]
    node: NodeName


class Stretch(Hidden, frozen=True, kw_only=True):
    """Argon2id (RFC 9106, version 1.3, one lane) over an input before it is blinded.

    Attributes:
        kinds: of identifier whose inputs are stretched.
        memory_kib: memory of one run.
        passes: over that memory.
        salt: 16 bytes of this epoch.
    """

    kinds: Annotated[
        tuple[IdentifierKindName, ...], Meta(min_length=1, max_length=limits.MAX_KINDS)
    ]
    memory_kib: Annotated[int, Meta(ge=8, le=limits.MAX_STRETCH_KIB)]
    passes: Annotated[int, Meta(ge=1, le=limits.MAX_STRETCH_PASSES)]
    salt: Salt


class Epoch(Hidden, frozen=True, kw_only=True, omit_defaults=True):
    """One key of a circle: public key, Feldman commitments, and who evaluates.

    Attributes:
        epoch: number, counting up.
        not_before: first instant of use.
        not_after: last instant of use.
        threshold: how many holders must answer.
        commitments: to the sharing polynomial, constant term (the public key) first.
        holders: who answers, each under one share.
        stretch: what is done to inputs before they are blinded; absent, nothing.
        transcript: of the distributed key generation; absent, a dealer made the key and knew it.
    """

    epoch: Annotated[int, Meta(ge=1, le=10**6)]
    not_before: TimeField
    not_after: TimeField
    threshold: Annotated[int, Meta(ge=1, le=limits.MAX_HOLDERS)]
    commitments: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=limits.MAX_HOLDERS)]
    holders: Annotated[tuple[Holder, ...], Meta(min_length=1, max_length=limits.MAX_HOLDERS)]
    stretch: Stretch | None = None
    transcript: Digest512 | None = None

    def __post_init__(self) -> None:
        check_order(self.not_before, self.not_after)
        if len(self.commitments) != self.threshold:
            raise ContradictionError("There is one commitment for each of the holders needed.")
        if len(self.holders) < self.threshold:
            raise ContradictionError("There are fewer holders than the threshold asks for.")
        if len({holder.index for holder in self.holders}) != len(self.holders):
            raise ContradictionError("Two holders have one index.")
        # Else one node could be the whole threshold by itself.
        if len({holder.node for holder in self.holders}) != len(self.holders):
            raise ContradictionError("A node holds one share of a key at most.")


class CircleDescriptor(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """Who shares one fingerprint key, and how: versioned, N+1 follows N.

    Attributes:
        circle: its name, under that of its founder.
        version: counting up from 1.
        members: who may ask.
        admins: members who decide about the next version.
        admin_threshold: how many of them must sign it.
        epochs: the keys that are in use, or were, or will be.
        previous: statement id of the version before.
    """

    KIND: ClassVar[str] = "circle-descriptor"

    circle: CircleName
    version: Annotated[int, Meta(ge=1, le=10**6)]
    members: Annotated[tuple[Member, ...], Meta(min_length=1, max_length=limits.MAX_MEMBERS)]
    admins: Annotated[tuple[NodeName, ...], Meta(min_length=1, max_length=limits.MAX_ADMINS)]
    admin_threshold: Annotated[int, Meta(ge=1, le=limits.MAX_ADMINS)]
    epochs: Annotated[tuple[Epoch, ...], Meta(min_length=1, max_length=limits.MAX_EPOCHS)]
    previous: Digest256 | None = None

    @property
    def readers(self) -> tuple[NodeName, ...]:
        """Who must have the descriptor: members, and the holders, who need not be any."""
        members = (member.node for member in self.members)
        holders = (holder.node for epoch in self.epochs for holder in epoch.holders)
        return tuple(dict.fromkeys((*members, *holders)))

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.version == 1) != (self.previous is None):
            raise ContradictionError("Version 1 has no previous one, every later version names it.")
        members = {member.node for member in self.members}
        if len(members) != len(self.members):
            raise ContradictionError("A member is listed twice.")
        if not {member.party or member.node for member in self.members} <= members:
            raise ContradictionError("A member shares the budget of a node that is no member.")
        # Else nobody could say whose budget it is.
        sharing = {one.node for one in self.members if one.party not in (None, one.node)}
        if sharing & {one.party for one in self.members}:
            raise ContradictionError("A node whose budget is shared has a budget of its own.")
        if len(set(self.admins)) != len(self.admins) or not set(self.admins) <= members:
            raise ContradictionError("The admins are members, each listed once.")
        if self.admin_threshold > len(self.admins):
            raise ContradictionError("There are fewer admins than must sign.")
        if len({epoch.epoch for epoch in self.epochs}) != len(self.epochs):
            raise ContradictionError("An epoch is listed twice.")
        # Else one of them could list, by itself, whom all the others ask about.
        if len(members) > 1 and any(epoch.threshold < _SHARED for epoch in self.epochs):
            raise ContradictionError("A key that several members share is no one node's alone.")
