"""From a descriptor that is pinned to a later one of the same node: step by step, or not at all.

What it is: the decision whether what was served goes on from what is known, contradicts it, or is
nothing of this node's. What it is not: the freezing of a peer. That is decided by who was asked.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from federation.descriptors import (
    follow,
    is_signed_by_root_of,
    open_descriptor,
    parse_descriptor,
)
from protocol.descriptors import NodeDescriptor
from protocol.errors import (
    ChainError,
    ConflictError,
    LimitError,
    MalformedError,
    RevokedError,
    SigningError,
)
from protocol.fields import StatementId


class Version(NamedTuple):
    """One version of a node's descriptor that was believed.

    Attributes:
        descriptor: what it says.
        id: its statement id.
        envelope: its exact bytes.
    """

    descriptor: NodeDescriptor
    id: StatementId
    envelope: bytes


def open_chain(envelopes: Sequence[bytes], *, now: int) -> list[Version]:
    """Returns a node's descriptors from the first to the latest, each signed as it should be.

    It says that somebody holds the keys, not who: before any is pinned, the operator compares the
    fingerprint of the first.

    Args:
        envelopes: untrusted bytes, version 1 first.
        now: Unix time in seconds; the latest must not have expired.

    Raises:
        ProtocolError, SigningError: as `open_descriptor` and `follow`.
    """
    if not envelopes:
        raise LimitError("A node has at least one descriptor.")
    first, *rest = envelopes
    found = [Version(*open_descriptor(first, now=now, followed=bool(rest)), first)]
    for at, data in enumerate(rest, 1):
        old = found[-1]
        is_last = at == len(rest)
        step = follow(old.descriptor, old.id, data, now=now, followed=not is_last)
        found.append(Version(*step, data))
    return found


def go_on(
    latest: Version,
    find: Callable[[int], Version | None],
    envelopes: Sequence[bytes],
    *,
    now: int,
) -> list[Version]:
    """Returns the versions behind `latest` that follow from it, in their order.

    What is known already is passed over.

    Args:
        latest: that is pinned.
        find: gives an earlier version that was believed, by its number.
        envelopes: untrusted bytes, in the order of their versions.
        now: Unix time in seconds; the last one must not have expired.

    Raises:
        ProtocolError: one of them is no descriptor, or dated ahead of this node's clock.
        ConflictError: versions are missing between what is known and these.
        RevokedError: the last one has expired.
        ChainError: one of them is not what comes after, or instead of, what is known.
    """
    found = [latest]
    begin = latest.descriptor.version
    for at, data in enumerate(envelopes, 1):
        hint, hinted_id = parse_descriptor(data)
        if hint.issuer != latest.descriptor.issuer:
            raise ChainError("The descriptor is of another node.", evidence=data, proven=False)
        end = found[-1].descriptor.version
        if hint.version > end + 1:
            raise ConflictError(f"Version {end} is known here: what lies between is missing.")
        if hint.version == end + 1:
            step = _step(found[-1], data, now=now, followed=at < len(envelopes))
            found.append(Version(*step, data))
            continue
        known = found[hint.version - begin] if hint.version > begin else find(hint.version)
        if known is not None and known.id != hinted_id:
            raise _contradiction(known, find(hint.version - 1), data)
    return found[1:]


def _contradiction(known: Version, before: Version | None, data: bytes) -> ChainError:
    """Returns what is said of another version under the number of one that was believed."""
    proven = is_signed_by_root_of(known.descriptor, data) or (
        before is not None and is_signed_by_root_of(before.descriptor, data)
    )
    return ChainError(
        f"Another version {known.descriptor.version} of the descriptor is shown than the one that "
        "is pinned.",
        evidence=known.envelope + b"\n" + data,
        proven=proven,
    )


def _step(
    old: Version, data: bytes, *, now: int, followed: bool
) -> tuple[NodeDescriptor, StatementId]:
    try:
        return follow(old.descriptor, old.id, data, now=now, followed=followed)
    except RevokedError:
        raise
    except (SigningError, MalformedError) as error:
        # What it says, signed by the root key that is pinned, is the word of whoever holds that
        # key. Of a signature that is missing or does not fit, nobody is convicted: whoever passes
        # on an envelope can take one out.
        proven = isinstance(error, MalformedError) and is_signed_by_root_of(old.descriptor, data)
        raise ChainError(
            f"Version {old.descriptor.version + 1} of the descriptor does not follow from the one "
            f"that is pinned: {error}",
            evidence=old.envelope + b"\n" + data,
            proven=proven,
        ) from None
