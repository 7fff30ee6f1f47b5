"""Descriptors of nodes: which of them to believe, and what is pinned of them.

What it is: the chain from a node's first descriptor, whose fingerprint the operator compares over
the telephone, to its latest one. What it is not: the decision to pin; that is the operator's.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from protocol import limits
from protocol.descriptors import NodeDescriptor, fingerprint_of
from protocol.encoding import from_base64url, parse_time
from protocol.errors import (
    LimitError,
    MalformedError,
    QuorumError,
    RevokedError,
    UnknownKeyError,
)
from protocol.fields import StatementId
from protocol.statements import Statement
from signing.envelopes import Verified, verify_envelope
from signing.keys import KeyUse, PublicKey

State = Literal["active", "frozen"]


class StatementKey(NamedTuple):
    """A key with which a node signs its own statements, or cosigns, and when (Unix seconds)."""

    key: PublicKey
    not_before: int
    not_after: int


@dataclass(frozen=True)
class PinnedNode:
    """A node that the operator has pinned, as its descriptor says.

    Attributes:
        name: of the node; also of the organisation behind it.
        url: where it answers.
        request_key: signs its requests (RFC 9421).
        log_key: signs its checkpoints.
        log_origin: name of its log.
        statement_keys: sign its own statements.
        witness_keys: cosign the checkpoints of other logs; none of a node that is no witness.
        authority: set by the operator: what it says, or vouches for, counts as accredited.
        state: ``frozen``: nothing new is believed of it until the operator thaws it.
        fingerprint: of its first descriptor, as it was compared over the telephone.
        expires: after this instant (Unix time in seconds) its descriptor must not be used, or the
            request or log key in it.
    """

    name: str
    url: str
    request_key: PublicKey
    log_key: PublicKey
    log_origin: str
    statement_keys: tuple[StatementKey, ...]
    authority: bool
    state: State
    fingerprint: str
    expires: int
    witness_keys: tuple[StatementKey, ...] = ()


def open_descriptor(data: bytes, *, now: int) -> tuple[NodeDescriptor, StatementId]:
    """Returns a node's first descriptor and its id, signed by the root key that it names.

    It says that somebody holds that key, not who: before it is pinned, the operator compares
    `protocol.descriptors.fingerprint_of` the id over another channel.

    Args:
        data: untrusted bytes.
        now: Unix time in seconds.

    Raises:
        ProtocolError: not a descriptor, not version 1, dated ahead, or with unusable keys.
        UnknownKeyError: not signed by the root key.
        BadSignatureError: the signature does not fit.
        RevokedError: it has expired.
    """
    descriptor, verified = _open(data, now)
    if descriptor.version != 1:
        raise MalformedError("A node is introduced by its first descriptor.", where="version")
    return descriptor, verified.id


def follow(
    old: NodeDescriptor, old_id: StatementId, data: bytes, *, now: int
) -> tuple[NodeDescriptor, StatementId]:
    """Returns the descriptor that comes after `old`, signed by the root keys of both.

    Args:
        old: the latest descriptor that was believed.
        old_id: its statement id.
        data: untrusted bytes.
        now: Unix time in seconds.

    Raises:
        ProtocolError: as `open_descriptor`, or not the version after `old` of the same node.
        UnknownKeyError: not signed by its own root key.
        QuorumError: not signed by the root key of `old`.
        BadSignatureError: a signature does not fit.
        RevokedError: it has expired.
    """
    new, verified = _open(data, now)
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
    """Returns a node as it is kept here; its first request and log key are the ones in use.

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
        request_key=keys[KeyUse.REQUEST][0].key,
        log_key=keys[KeyUse.LOG][0].key,
        log_origin=descriptor.log_origin,
        statement_keys=keys[KeyUse.STATEMENT],
        authority=authority,
        state=state,
        fingerprint=fingerprint_of(first_id),
        expires=min(
            parse_time(descriptor.expires),
            keys[KeyUse.REQUEST][0].not_after,
            keys[KeyUse.LOG][0].not_after,
        ),
        witness_keys=_keys(descriptor, KeyUse.WITNESS),
    )


_DESCRIPTORS: dict[str, type[Statement]] = {NodeDescriptor.KIND: NodeDescriptor}


def _open(data: bytes, now: int) -> tuple[NodeDescriptor, Verified]:
    verified = verify_envelope(data, _root_key, kinds=_DESCRIPTORS)
    descriptor = verified.statement
    assert isinstance(descriptor, NodeDescriptor)
    if parse_time(descriptor.issued) > now + limits.MAX_FUTURE_S:
        raise LimitError("The descriptor is dated ahead of this node's clock.", where="issued")
    if parse_time(descriptor.expires) < now:
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
        )
        for one in descriptor.keys
        if one.use == use
    )
