"""What may follow a circle descriptor: the rules of the chain, and the next one made by them.

Pure: signatures are `federation.trust`'s, keys are made elsewhere. What is made here by
`next_descriptor` is what `check_succession` lets pass, so nobody is asked to sign in vain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from protocol.circles import CircleDescriptor, Epoch, Member
from protocol.encoding import format_time, parse_time
from protocol.errors import MalformedError
from protocol.fields import StatementId


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is to be different in the next version of a circle; everything else stays.

    Attributes:
        members: who joins, or has another budget, burst or party from now on.
        leaves: names of nodes that are members and admins no more. A key that they hold a share of
            stays as it is until it ends: close it, or bring a new one.
        admins: who decides from the next version on; None: as before, without those who leave.
        admin_threshold: how many of them must sign from then on; None: as before.
        epoch: a new key, whose number is `next_epoch_number`.
        overlap_s: with a new key: seconds from its beginning after which every earlier key ends.
        ends: by number of an epoch, when it ends (Unix time); only earlier than it would.
    """

    members: Sequence[Member] = ()
    leaves: Sequence[str] = ()
    admins: Sequence[str] | None = None
    admin_threshold: int | None = None
    epoch: Epoch | None = None
    overlap_s: int | None = None
    ends: Mapping[int, int] = field(default_factory=dict)


def newest_epoch(circle: CircleDescriptor) -> Epoch:
    """Returns the epoch with the highest number, under which bans are made."""
    return max(circle.epochs, key=lambda one: one.epoch)


def next_epoch_number(circle: CircleDescriptor) -> int:
    """Returns the number that the next key of a circle has."""
    return newest_epoch(circle).epoch + 1


def next_descriptor(
    current: CircleDescriptor,
    current_id: StatementId,
    change: Change,
    *,
    issuer: str,
    nonce: str,
    now: int,
) -> CircleDescriptor:
    """Returns the version after `current`; it still has to be signed by the admins of both.

    Epochs that are over are left out, the newest excepted.

    Args:
        current: the latest version.
        current_id: its statement id.
        change: what is to be different.
        issuer: who issues it, an admin of `current`.
        nonce: as `signing.envelopes.new_nonce` makes it.
        now: Unix time in seconds.

    Raises:
        MalformedError: there is no such version: see `check_succession`, `Epoch` and
            `CircleDescriptor`; or the change names what is not there.
    """
    left = set(change.leaves)
    members = {one.node: one for one in current.members} | {one.node: one for one in change.members}
    if not left <= members.keys():
        raise MalformedError("Who leaves a circle is one of its members.", where="members")
    admins = current.admins if change.admins is None else change.admins
    audience = tuple(dict.fromkeys(_audience(one, left) for one in current.audience))
    new = CircleDescriptor(
        issuer=issuer,
        nonce=nonce,
        issued=format_time(now),
        audience=tuple(one for one in audience if one) or (f"circle:{current.circle}",),
        circle=current.circle,
        version=current.version + 1,
        members=tuple(one for node, one in members.items() if node not in left),
        admins=tuple(one for one in admins if one not in left),
        admin_threshold=(
            current.admin_threshold if change.admin_threshold is None else change.admin_threshold
        ),
        epochs=_epochs(current, change, now),
        previous=current_id,
    )
    check_succession(current, current_id, new)
    return new


def _audience(name: str, left: set[str]) -> str:
    return "" if name.removeprefix("node:") in left else name


def _epochs(current: CircleDescriptor, change: Change, now: int) -> tuple[Epoch, ...]:
    if not change.ends.keys() <= {one.epoch for one in current.epochs}:
        raise MalformedError("There is no epoch of this number to be ended.", where="epochs")
    ends = dict(change.ends)
    if change.epoch is not None and change.overlap_s is not None:
        last = parse_time(change.epoch.not_before) + change.overlap_s
        for one in current.epochs:
            ends[one.epoch] = min(ends.get(one.epoch, last), last)
    newest = newest_epoch(current) if change.epoch is None else change.epoch
    kept = [one for one in current.epochs if one == newest or parse_time(one.not_after) >= now]
    epochs = [_ended(one, ends.get(one.epoch)) for one in kept]
    return tuple(epochs if change.epoch is None else [*epochs, change.epoch])


def _ended(epoch: Epoch, end: int | None) -> Epoch:
    if end is None or end >= parse_time(epoch.not_after):
        return epoch
    # One that has not begun is over a second after its beginning: an epoch lasts for some time.
    end = max(end, parse_time(epoch.not_before) + 1)
    return msgspec.structs.replace(epoch, not_after=format_time(end))


def check_succession(old: CircleDescriptor, old_id: StatementId, new: CircleDescriptor) -> None:
    """Returns if `new` may follow `old`, as far as that can be seen without signatures.

    The rules are those of docs/protocol.md section 4.10; the clock is `new.issued`, so that they
    give one answer everywhere and at any time.

    Raises:
        MalformedError: it may not.
    """
    if new.circle != old.circle or new.version != old.version + 1:
        raise MalformedError("The versions of a circle follow one another.", where="version")
    if new.previous != old_id:
        raise MalformedError("Another version than the latest is named.", where="previous")
    if new.admin_threshold < old.admin_threshold:
        raise MalformedError(
            "The number of admins who must sign is never lowered.", where="admin_threshold"
        )
    before = {one.epoch: one for one in old.epochs}
    for epoch in new.epochs:
        if epoch.epoch in before:
            _check_same(before.pop(epoch.epoch), epoch)
        elif epoch.epoch < next_epoch_number(old):
            raise MalformedError("The numbers of epochs only grow.", where="epochs")
    if newest_epoch(new).epoch < newest_epoch(old).epoch:
        raise MalformedError("The newest epoch stays listed until a newer one is.", where="epochs")
    # All times have one length and sort as the instants do.
    if any(one.not_after >= new.issued for one in before.values()):
        raise MalformedError("An epoch is dropped only once it is over.", where="epochs")
    check_thresholds((newest_epoch(old), *new.epochs))


def _check_same(old: Epoch, new: Epoch) -> None:
    if new.commitments != old.commitments:
        raise MalformedError("The key of an epoch never changes.", where="epochs")
    if new.not_after > old.not_after:
        raise MalformedError("An epoch may end earlier, and never later.", where="epochs")
    if msgspec.structs.replace(new, not_after=old.not_after) != old:
        raise MalformedError("Nothing of an epoch changes but its end.", where="epochs")


def check_thresholds(epochs: Sequence[Epoch]) -> None:
    """Returns if no epoch asks for fewer holders than one with a lower number.

    Raises:
        MalformedError: one does.
    """
    ordered = sorted(epochs, key=lambda one: one.epoch)
    for earlier, later in pairwise(ordered):
        if later.threshold < earlier.threshold:
            raise MalformedError("The threshold of a circle is never lowered.", where="epochs")
