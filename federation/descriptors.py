"""Descriptors of nodes: which of them to believe, and what is pinned of them.

What it is: the chain from a node's first descriptor, whose fingerprint the operator compares over
the telephone, to its latest one. What it is not: the decision to pin; that is the operator's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from protocol import limits
from protocol.descriptors import NodeDescriptor, fingerprint_of
from protocol.encoding import from_base64url, parse_time
from protocol.envelope import parse_envelope
from protocol.errors import (
    LimitError,
    MalformedError,
    ProtocolError,
    QuorumError,
    RevokedError,
    SigningError,
    UnknownKeyError,
    VersionError,
)
from protocol.fields import StatementId
from protocol.statements import Revocation, Statement, parse_as
from signing.envelopes import Verified, verify_envelope
from signing.keys import KeyUse, PublicKey

State = Literal["active", "frozen"]


class StatementKey(NamedTuple):
    """An operational key of a node, and from when until when it may be used (Unix seconds)."""

    key: PublicKey
    not_before: int
    not_after: int
    revoked: Revocation | None = None


@dataclass(frozen=True)
class PinnedNode:
    """A node that the operator has pinned, as its descriptor says.

    Attributes:
        name: of the node; also of the organisation behind it.
        url: where it answers.
        request_keys: sign its requests (RFC 9421); several while one takes another's place.
        log_keys: sign its checkpoints; likewise.
        log_origin: name of its log.
        statement_keys: sign its own statements.
        witness_keys: cosign the checkpoints of other logs; none of a node that is no witness.
        authority: set by the operator: what it says, or vouches for, counts as accredited.
        state: ``frozen``: nothing new is believed of it until the operator thaws it.
        fingerprint: of its first descriptor, as it was compared over the telephone.
        expires: after this instant (Unix time in seconds) its descriptor must not be used, or has
            no valid request or log key any more.
    """

    name: str
    url: str
    request_keys: tuple[StatementKey, ...]
    log_keys: tuple[StatementKey, ...]
    log_origin: str
    statement_keys: tuple[StatementKey, ...]
    authority: bool
    state: State
    fingerprint: str
    expires: int
    witness_keys: tuple[StatementKey, ...] = ()

    @property
    def request_key(self) -> PublicKey:
        """The newest of its request keys."""
        return newest(self.request_keys).key

    @property
    def log_key(self) -> PublicKey:
        """The newest of its log keys."""
        return newest(self.log_keys).key

    def at(self, now: int) -> "PinnedNode":
        """Returns the same without the request and log keys that may not be used at an instant."""
        return replace(
            self,
            request_keys=valid_at(self.request_keys, now),
            log_keys=valid_at(self.log_keys, now),
        )


def newest(keys: Sequence[StatementKey]) -> StatementKey:
    """Returns the key that begins last; of several, the last one in the descriptor."""
    return max(reversed(keys), key=lambda one: one.not_before)


def valid_at(keys: Iterable[StatementKey], now: int) -> tuple[StatementKey, ...]:
    """Returns the keys that may be used at an instant, by a clock that may be a little behind."""
    return tuple(
        one for one in keys if one.not_before - limits.MAX_FUTURE_S <= now <= one.not_after
    )


def open_descriptor(
    data: bytes, *, now: int, followed: bool = False
) -> tuple[NodeDescriptor, StatementId]:
    """Returns a node's first descriptor and its id, signed by the root key that it names.

    It says that somebody holds that key, not who: before it is pinned, the operator compares
    `protocol.descriptors.fingerprint_of` the id over another channel.

    Args:
        data: untrusted bytes.
        now: Unix time in seconds.
        followed: a later version comes behind it; so it may have expired.

    Raises:
        ProtocolError: not a descriptor, not version 1, dated ahead, or with unusable keys.
        UnknownKeyError: not signed by the root key.
        BadSignatureError: the signature does not fit.
        RevokedError: it has expired.
    """
    descriptor, verified = _open(data, now, followed=followed)
    if descriptor.version != 1:
        raise MalformedError("A node is introduced by its first descriptor.", where="version")
    return descriptor, verified.id


def follow(
    old: NodeDescriptor, old_id: StatementId, data: bytes, *, now: int, followed: bool = False
) -> tuple[NodeDescriptor, StatementId]:
    """Returns the descriptor that comes after `old`, signed by the root keys of both.

    Args:
        old: the latest descriptor that was believed.
        old_id: its statement id.
        data: untrusted bytes.
        now: Unix time in seconds.
        followed: as `open_descriptor` has it.

    Raises:
        ProtocolError: as `open_descriptor`, or not the version after `old` of the same node.
        UnknownKeyError: not signed by its own root key.
        QuorumError: not signed by the root key of `old`.
        BadSignatureError: a signature does not fit.
        RevokedError: it has expired.
    """
    new, verified = _open(data, now, followed=followed)
    if new.issuer != old.issuer:
        raise MalformedError("The descriptor is of another node.", where="issuer")
    if new.version != old.version + 1:
        raise MalformedError("The descriptor is not the next version.", where="version")
    if new.previous != old_id:
        raise MalformedError("Another version than the latest is named.", where="previous")
    try:
        verify_envelope(data, lambda _new, keyid: _root_key(old, keyid), kinds=_DESCRIPTORS)
    except UnknownKeyError:
        raise QuorumError("The root key of the version before has not signed.") from None
    return new, verified.id


def pin(
    descriptor: NodeDescriptor,
    first_id: StatementId,
    *,
    authority: bool,
    state: State = "active",
) -> PinnedNode:
    """Returns a node as it is kept here.

    Args:
        descriptor: the latest one, from `open_descriptor` or `follow`.
        first_id: statement id of the node's *first* descriptor, which gives the fingerprint.
        authority: as the operator says.
        state: as it is known here.

    Raises:
        MalformedError: the descriptor has no key for one of the uses.
    """
    keys = {use: _keys(descriptor, use) for use in (KeyUse.REQUEST, KeyUse.LOG, KeyUse.STATEMENT)}
    if not all(keys.values()):
        raise MalformedError("The descriptor lacks a request, log or statement key.", where="keys")
    return PinnedNode(
        name=descriptor.issuer,
        url=descriptor.url,
        request_keys=keys[KeyUse.REQUEST],
        log_keys=keys[KeyUse.LOG],
        log_origin=descriptor.log_origin,
        statement_keys=keys[KeyUse.STATEMENT],
        authority=authority,
        state=state,
        fingerprint=fingerprint_of(first_id),
        expires=min(
            parse_time(descriptor.expires),
            max(one.not_after for one in keys[KeyUse.REQUEST]),
            max(one.not_after for one in keys[KeyUse.LOG]),
        ),
        witness_keys=_keys(descriptor, KeyUse.WITNESS),
    )


_DESCRIPTORS: dict[str, type[Statement]] = {NodeDescriptor.KIND: NodeDescriptor}


def parse_descriptor(data: bytes) -> tuple[NodeDescriptor, StatementId]:
    """Returns what an envelope says that it is: unverified, for looking up only.

    Raises:
        ProtocolError: not a descriptor.
    """
    if len(data) > limits.MAX_DESCRIPTOR_BYTES:
        raise LimitError("A descriptor is not that long.")
    envelope = parse_envelope(data)
    if envelope.kind != NodeDescriptor.KIND:
        raise VersionError("This kind of statement is not accepted here.")
    return parse_as(NodeDescriptor, envelope.payload), envelope.statement_id


def is_signed_by_root_of(old: NodeDescriptor, data: bytes) -> bool:
    """Says whether the root key of a descriptor that was believed has signed another one."""
    try:
        verify_envelope(data, lambda _new, keyid: _root_key(old, keyid), kinds=_DESCRIPTORS)
    except (ProtocolError, SigningError):
        return False
    return True


def _open(data: bytes, now: int, *, followed: bool) -> tuple[NodeDescriptor, Verified]:
    if len(data) > limits.MAX_DESCRIPTOR_BYTES:
        raise LimitError("A descriptor is not that long.")
    verified = verify_envelope(data, _root_key, kinds=_DESCRIPTORS)
    descriptor = verified.statement
    assert isinstance(descriptor, NodeDescriptor)
    if parse_time(descriptor.issued) > now + limits.MAX_FUTURE_S:
        raise LimitError("The descriptor is dated ahead of this node's clock.", where="issued")
    if not followed and parse_time(descriptor.expires) < now:
        raise RevokedError("The descriptor has expired.")
    raw = [descriptor.root, *(one.key for one in descriptor.keys)]
    if len(set(raw)) != len(raw):
        raise MalformedError("One key stands for two purposes.", where="keys")
    pin(descriptor, verified.id, authority=False)
    return descriptor, verified


def _root_key(descriptor: Statement, keyid: str) -> PublicKey | None:
    assert isinstance(descriptor, NodeDescriptor)
    key = PublicKey(KeyUse.ROOT, from_base64url(descriptor.root, where="root"))
    return key if key.kid == keyid else None


def _keys(descriptor: NodeDescriptor, use: KeyUse) -> tuple[StatementKey, ...]:
    """Returns the keys of one use; none outlives its descriptor."""
    expires = parse_time(descriptor.expires)
    return tuple(
        StatementKey(
            PublicKey(use, from_base64url(one.key, where="keys")),
            parse_time(one.not_before),
            min(parse_time(one.not_after), expires),
            one.revoked,
        )
        for one in descriptor.keys
        if one.use == use
    )
