"""How several nodes make a circle's next descriptor together (docs/protocol.md section 8.15).

One node coordinates and passes everything on; it is trusted with nothing else. What a participant
says in a ceremony is signed by its node as a statement is, but stands in no log: these kinds are
not in `protocol.kinds.KINDS`, so nobody can pass one off as a statement, or the reverse.
"""

import hashlib
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from protocol import limits
from protocol.circles import CircleDescriptor, Epoch, Holder, Member, Stretch
from protocol.encoding import Time, check_span, convert, encode_json, parse_json, to_base64url
from protocol.errors import MalformedError
from protocol.fields import (
    Bytes32,
    Bytes64,
    CircleName,
    Digest128,
    Digest256,
    Digest512,
    NodeName,
    Nonce,
    Text,
    TimeField,
)
from protocol.messages import Message
from protocol.statements import Statement, encode_statement, parse_as
from protocol.structs import ContradictionError, Hidden

State = Literal[
    "unconfirmed", "refused", "confirmed", "committed", "certified", "generated", "signed", "failed"
]
"""How far a participant has come."""

EnvelopeText = Annotated[str, Meta(max_length=limits.MAX_CEREMONY_ENVELOPE_BYTES)]

_PLACEHOLDER = to_base64url(bytes(32))


class NewEpoch(Hidden, frozen=True, kw_only=True, omit_defaults=True):
    """A key that is to be generated: an `Epoch` but for what only the generation gives."""

    epoch: Annotated[int, Meta(ge=1, le=10**6)]
    not_before: TimeField
    not_after: TimeField
    threshold: Annotated[int, Meta(ge=1, le=limits.MAX_HOLDERS)]
    holders: Annotated[tuple[Holder, ...], Meta(min_length=1, max_length=limits.MAX_HOLDERS)]
    stretch: Stretch | None = None


class Plan(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What is proposed: the next version of a circle, and the key that is to be generated for it.

    Attributes:
        circle: its name.
        version: of the descriptor that comes of it.
        previous: statement id of the version before.
        coordinator: node that passes everything on, and issues the descriptor.
        nonce: becomes the descriptor's; makes every plan another one.
        issued: when it was proposed.
        expires: from then on nobody takes part any more.
        members: who may ask, and how much.
        admins: who decides about the version after.
        admin_threshold: how many of them must sign that one, and this one.
        epochs: keys that are kept as they are.
        generate: the key that is to be generated, if any.
    """

    circle: CircleName
    version: Annotated[int, Meta(ge=1, le=10**6)]
    coordinator: NodeName
    nonce: Nonce
    issued: TimeField
    expires: TimeField
    members: Annotated[tuple[Member, ...], Meta(min_length=1, max_length=limits.MAX_MEMBERS)]
    admins: Annotated[tuple[NodeName, ...], Meta(min_length=1, max_length=limits.MAX_ADMINS)]
    admin_threshold: Annotated[int, Meta(ge=1, le=limits.MAX_ADMINS)]
    epochs: Annotated[tuple[Epoch, ...], Meta(max_length=limits.MAX_EPOCHS)] = ()
    generate: NewEpoch | None = None
    previous: Digest256 | None = None

    def __post_init__(self) -> None:
        check_span(self.issued, self.expires, max_days=limits.MAX_CEREMONY_DAYS)
        members = {member.node for member in self.members}
        if self.generate is None:
            return
        if self.generate.epoch in {epoch.epoch for epoch in self.epochs}:
            raise ContradictionError("A new key has a number of its own.")
        if not {holder.node for holder in self.generate.holders} <= members:
            raise ContradictionError("A holder of the key is a member too.")
        indices = [holder.index for holder in self.generate.holders]
        if indices != list(range(1, len(indices) + 1)):
            raise ContradictionError("The holders of a new key have the indices 1, 2, 3 and on.")
        if self.generate.threshold == 1 and len(members) > 1:
            raise ContradictionError(
                "One holder alone would have the whole key of several members: it takes two or "
                "more to evaluate."
            )


class _Step(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """What all that is said in a ceremony carries.

    Attributes:
        ceremony: its id, see `ceremony_id`.
    """

    ceremony: Digest256


class Confirmation(_Step, frozen=True, kw_only=True, omit_defaults=True):
    """An operator has looked at the plan and agrees.

    Attributes:
        key: the static public key with which the node takes part in the generation; of a holder.
    """

    KIND: ClassVar[str] = "ceremony-confirmation"

    key: Bytes32 | None = None


class Commitment(_Step, frozen=True, kw_only=True, omit_defaults=True):
    """Round 1 of the key generation.

    Attributes:
        session: context of the generation that it was made in: it says which confirmations its
            author was shown, so that nobody is blamed who was shown others.
        message: msg1 of COCKTAIL-DKG, in base64url.
    """

    KIND: ClassVar[str] = "ceremony-commitment"

    session: Digest512
    message: Annotated[str, Meta(max_length=limits.MAX_CEREMONY_ENVELOPE_BYTES)]


class Certificate(_Step, frozen=True, kw_only=True, omit_defaults=True):
    """Round 3 of the key generation.

    Attributes:
        seen: statement ids of the commitments that the node was shown, in the holders' order.
        transcript: SHA-512 of the transcript that follows from them.
        signature: of COCKTAIL-DKG over that transcript, by the key of the node's confirmation.
    """

    KIND: ClassVar[str] = "ceremony-certificate"

    seen: Annotated[tuple[Digest256, ...], Meta(max_length=limits.MAX_HOLDERS)]
    transcript: Digest512
    signature: Bytes64


class CeremonyRequest(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The coordinator tells a participant everything so far; asking again changes nothing.

    Attributes:
        ceremony: id of the plan.
        plan: its exact text.
        confirmations: envelopes of all participants that have confirmed, all holders among them.
        commitments: envelopes of all holders, in their order.
        certificates: likewise.
        descriptor: payload of the descriptor that is to be signed, its exact text.
        failed: why the ceremony is given up.
        culprit: whose fault it is said to be.
    """

    ceremony: Digest256
    plan: Annotated[str, Meta(max_length=limits.MAX_ENVELOPE_BYTES)]
    confirmations: Annotated[
        tuple[EnvelopeText, ...], Meta(max_length=limits.MAX_PARTICIPANTS)
    ] = ()
    commitments: Annotated[tuple[EnvelopeText, ...], Meta(max_length=limits.MAX_HOLDERS)] = ()
    certificates: Annotated[tuple[EnvelopeText, ...], Meta(max_length=limits.MAX_HOLDERS)] = ()
    descriptor: Annotated[str, Meta(max_length=limits.MAX_ENVELOPE_BYTES)] | None = None
    failed: Text | None = None
    culprit: NodeName | None = None


class CeremonyAnswer(Message, frozen=True, kw_only=True, omit_defaults=True):
    """How far the participant has come, and everything that it has said so far.

    Attributes:
        state: see `State`.
        confirmation: its envelope.
        commitment: its envelope.
        certificate: its envelope.
        keyid: of the key that signed the descriptor.
        signature: over the descriptor.
        reason: why it refused or failed.
        culprit: whose fault that was, where it can be told.
    """

    state: State
    confirmation: EnvelopeText | None = None
    commitment: EnvelopeText | None = None
    certificate: EnvelopeText | None = None
    keyid: Digest128 | None = None
    signature: Bytes64 | None = None
    reason: Text | None = None
    culprit: NodeName | None = None


def encode_plan(plan: Plan) -> bytes:
    """Returns the plan as it travels; `parse_plan` takes it back."""
    return encode_json(plan)


def ceremony_id(plan: bytes) -> str:
    """Returns what names a ceremony: the SHA-256 of the plan's exact bytes, in hexadecimal."""
    return hashlib.sha256(plan).hexdigest()


def parse_plan(data: bytes) -> Plan:
    """Returns the plan in `data`, if a descriptor can come of it.

    Raises:
        ProtocolError: it is not of its form, or the descriptor would not be.
    """
    plan = convert(parse_json(data, max_bytes=limits.MAX_ENVELOPE_BYTES), Plan)
    draft = None if plan.generate is None else draft_epoch(plan.generate)
    encode_descriptor(describe(plan, draft, issued=plan.issued))
    return plan


def describe(plan: Plan, epoch: Epoch | None, *, issued: Time) -> CircleDescriptor:
    """Returns the descriptor that comes of a plan and of the key generated for it.

    Raises:
        MalformedError: the two of them do not make one.
    """
    new = () if epoch is None else (epoch,)
    try:
        return CircleDescriptor(
            issuer=plan.coordinator,
            nonce=plan.nonce,
            issued=issued,
            audience=(f"circle:{plan.circle}",),
            circle=plan.circle,
            version=plan.version,
            members=plan.members,
            admins=plan.admins,
            admin_threshold=plan.admin_threshold,
            epochs=(*plan.epochs, *new),
            previous=plan.previous,
        )
    except ContradictionError as error:
        raise MalformedError(str(error), where="plan") from None


def finished_epoch(new: NewEpoch, commitments: tuple[bytes, ...], transcript: bytes) -> Epoch:
    """Returns the epoch that a key generation has filled in.

    Args:
        new: as planned.
        commitments: 32 bytes each, as many as the threshold.
        transcript: SHA-512 of the transcript.
    """
    return _fill(new, tuple(map(to_base64url, commitments)), transcript.hex())


def encode_descriptor(descriptor: CircleDescriptor) -> bytes:
    """Returns the payload of a descriptor, once reading it back gives the same.

    Raises:
        ProtocolError: nobody would accept it.
    """
    payload = encode_statement(descriptor)
    if parse_as(CircleDescriptor, payload) != descriptor:
        raise MalformedError("A field of the plan is of another type than it should be.")
    return payload


def draft_epoch(new: NewEpoch) -> Epoch:
    """Returns the epoch with nothing where the key will stand: for checking the rest of it."""
    return _fill(new, (_PLACEHOLDER,) * new.threshold, bytes(64).hex())


def _fill(new: NewEpoch, commitments: tuple[str, ...], transcript: str) -> Epoch:
    fields = {name: getattr(new, name) for name in new.__struct_fields__}
    try:
        return Epoch(**fields, commitments=commitments, transcript=transcript)
    except ContradictionError as error:
        raise MalformedError(str(error), where="plan.generate") from None


STEPS: dict[str, type[Statement]] = {
    kind.KIND: kind for kind in (Confirmation, Commitment, Certificate)
}
"""What may be said in a ceremony, by kind."""
