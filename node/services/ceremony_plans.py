"""Plans of ceremonies: whether they fit what this node knows, and what to beware of in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from federation.ceremony import holders_of, participants_of
from node.services.directory import StoredDirectory
from node.services.keys import NodeKeys
from node.storage.ceremonies import CeremonyRecord
from node.storage.transaction import Transaction
from protocol.ceremonies import NewEpoch, Plan, describe, draft_epoch, parse_plan
from protocol.circles import CircleDescriptor, Holder, Member, Stretch
from protocol.encoding import format_time, parse_time
from protocol.errors import ConflictError
from protocol.fields import StatementId, organisation_of
from protocol.limits import MAX_FUTURE_S
from protocol.statements import Statement
from protocol.succession import (
    Change,
    check_succession,
    newest_epoch,
    next_descriptor,
    next_epoch_number,
)
from signing.envelopes import new_nonce, sign_statement
from signing.oprf.stretch import MOST_KIB

OPEN: Final = ("unconfirmed", "confirmed", "committed", "certified", "generated")
"""States of a ceremony that may still come to something, and may still be refused here."""

AGREED: Final = ("confirmed", "committed", "certified", "generated", "signed")
"""States in which this node's operator has agreed: at most one ceremony for a version is."""

_SECONDS_PER_DAY = 86_400
_HEARD_S = 3_600  # until every node has a descriptor that was issued
_DEAR_STRETCH: Final = 8 * (MOST_KIB * 2)
"""Memory in KiB times passes: what a stretch of 40 ms has, eight times."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the operator wants of a new circle; what is None follows from the rest.

    Attributes:
        members: elements a day by name of node.
        days: how long the key lasts.
        holders: who gets a share, in order; all members if None.
        threshold: how many of them must answer; more than half if None.
        admins: who decides about the next version; the holders if None.
        admin_threshold: how many of them must sign; more than half if None.
        stretch: of the key.
        open_days: how long the operators have to confirm.
    """

    members: Mapping[str, int]
    days: int
    holders: Sequence[str] | None = None
    threshold: int | None = None
    admins: Sequence[str] | None = None
    admin_threshold: int | None = None
    stretch: Stretch | None = None
    open_days: int = 14


def first_plan(label: str, wish: Wish, *, name: str, now: int) -> Plan:
    """Returns the plan for a circle that this node founds.

    Args:
        label: such as ``de-minors-1``; this node's name is put before it.
        wish: of the operator.
        name: of this node; it becomes a member if it is none, with no budget.
        now: Unix time in seconds.

    Raises:
        ContradictionError: there is no such circle.
    """
    members = dict(wish.members) if name in wish.members else {name: 0, **wish.members}
    holders = tuple(members) if wish.holders is None else tuple(wish.holders)
    members = {**dict.fromkeys(holders, 0), **members}
    admins = holders if wish.admins is None else tuple(wish.admins)
    threshold = wish.threshold or len(holders) // 2 + 1
    return Plan(
        circle=f"{name}/{label}",
        version=1,
        coordinator=name,
        nonce=new_nonce(),
        issued=format_time(now),
        expires=format_time(now + wish.open_days * _SECONDS_PER_DAY),
        members=tuple(Member(node=node, budget_per_day=budget) for node, budget in members.items()),
        admins=admins,
        admin_threshold=wish.admin_threshold or len(admins) // 2 + 1,
        generate=NewEpoch(
            epoch=1,
            not_before=format_time(now),
            not_after=format_time(now + wish.days * _SECONDS_PER_DAY),
            threshold=threshold,
            holders=tuple(Holder(index=at, node=node) for at, node in enumerate(holders, 1)),
            stretch=wish.stretch,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """What the operator wants of a circle's next key; what is None is as it is with the last one.

    Attributes:
        days: how long it lasts.
        overlap_days: how long the earlier keys are used beside it.
        holders: who gets a share, in order; as now, without those who leave.
        threshold: how many of them must answer.
        stretch: of the key.
    """

    days: int
    overlap_days: int
    holders: Sequence[str] | None = None
    threshold: int | None = None
    stretch: Stretch | None = None


def next_plan(
    latest: tuple[CircleDescriptor, StatementId],
    change: Change,
    key: NewKey | None,
    *,
    name: str,
    now: int,
    open_days: int,
) -> Plan:
    """Returns the plan for the version after the latest one.

    Args:
        latest: the descriptor, and its statement id.
        change: what is to be different, but for the key.
        key: the key that is to be generated, if any.
        name: of this node, which proposes it.
        now: Unix time in seconds.
        open_days: how long the operators have to confirm.

    Raises:
        MalformedError: there is no such version; see `protocol.succession`.
    """
    current, current_id = latest
    expires = now + open_days * _SECONDS_PER_DAY
    new = None if key is None else _new_key(current, change, key, now=now, agreed_by=expires)
    if new is not None and key is not None:
        overlap_s = key.overlap_days * _SECONDS_PER_DAY
        change = replace(change, epoch=draft_epoch(new), overlap_s=overlap_s)
    draft = next_descriptor(current, current_id, change, issuer=name, nonce=new_nonce(), now=now)
    return Plan(
        circle=draft.circle,
        version=draft.version,
        previous=draft.previous,
        coordinator=name,
        nonce=draft.nonce,
        issued=draft.issued,
        expires=format_time(expires),
        members=draft.members,
        admins=draft.admins,
        admin_threshold=draft.admin_threshold,
        epochs=tuple(one for one in draft.epochs if new is None or one.epoch != new.epoch),
        generate=new,
    )


def _new_key(
    current: CircleDescriptor, change: Change, key: NewKey, *, now: int, agreed_by: int
) -> NewEpoch:
    """The key that is wanted; it begins when the ceremony is over and everybody has heard of it.

    A member that had the new version while its holders had not could check nobody. So where the
    last key lasts long enough, both are left the time; else the new one begins in time for it.
    """
    newest = newest_epoch(current)
    begins = min(agreed_by + _HEARD_S, parse_time(newest.not_after) - _HEARD_S)
    holders = key.holders or [
        one.node for one in newest.holders if one.node not in set(change.leaves)
    ]
    return NewEpoch(
        epoch=next_epoch_number(current),
        not_before=format_time(max(now, begins)),
        not_after=format_time(max(now, begins) + key.days * _SECONDS_PER_DAY),
        threshold=key.threshold or newest.threshold,
        holders=tuple(Holder(index=at, node=node) for at, node in enumerate(holders, 1)),
        stretch=key.stretch,
    )


def check_plan(plan: Plan, name: str, directory: StoredDirectory) -> None:
    """Returns if this node may agree to a plan.

    1. Whoever coordinates has a part in it; it founded the circle, or is an admin of its latest
       version.
    2. Everybody who has a part in it is pinned here and not frozen: else their words could not be
       told from anybody's.
    3. A key that the version before has not comes of this ceremony, under the next number: one
       that was only listed is one that somebody may know.
    4. What comes of it may follow the latest version that is known here, if one is.

    Raises:
        ConflictError: it may not, as far as this node knows.
        MalformedError: what comes of it may not follow the latest version.
    """
    current = directory.circle(plan.circle)
    admins = () if current is None else current.admins
    everybody = participants_of(plan, admins)
    # 1
    may_conduct = admins if current is not None else (organisation_of(plan.circle),)
    if plan.version > 1 and current is None:
        may_conduct = plan.admins
    if plan.coordinator not in everybody or plan.coordinator not in may_conduct:
        raise ConflictError("Whoever conducts it is no admin of the circle.")
    # 2
    strangers = unknown_nodes(plan, name, directory)
    if strangers:
        raise ConflictError(
            f"Not pinned here, or frozen: {', '.join(strangers)}. Add them first, by their "
            "fingerprints: schutznetz node peer add"
        )
    # 3
    _check_keys(plan, current)
    # 4
    if current is None:
        return
    if plan.version <= current.version:
        raise ConflictError("The circle has this version already.")
    if plan.version > current.version + 1:
        raise ConflictError("The version before this one has not arrived here yet.")
    previous = directory.circle_id(plan.circle)
    assert previous is not None
    draft = None if plan.generate is None else draft_epoch(plan.generate)
    check_succession(current, previous, describe(plan, draft, issued=plan.issued))


def _check_keys(plan: Plan, current: CircleDescriptor | None) -> None:
    if current is None and plan.version > 1:
        return  # what it takes over cannot be compared; `warnings_about` says so
    known = set() if current is None else {one.epoch for one in current.epochs}
    if not {one.epoch for one in plan.epochs} <= known:
        raise ConflictError("It lists a new key that nobody here has seen being generated.")
    following = 1 if current is None else next_epoch_number(current)
    if plan.generate is not None and plan.generate.epoch != following:
        raise ConflictError(f"The next key of the circle has the number {following}.")


def unknown_nodes(plan: Plan, name: str, directory: StoredDirectory) -> tuple[str, ...]:
    """Returns who has a part in the plan and is not pinned and active here."""
    current = directory.circle(plan.circle)
    found = []
    for one in participants_of(plan, () if current is None else current.admins):
        node = directory.node(one)
        if one != name and (node is None or node.state != "active"):
            found.append(one)
    return tuple(found)


def warnings_about(plan: Plan, name: str, directory: StoredDirectory) -> tuple[str, ...]:
    """Returns what the operator should know before agreeing, one sentence each."""
    found = [
        f"{one} is not pinned here, or frozen: without that, this node cannot confirm."
        for one in unknown_nodes(plan, name, directory)
    ]
    current = directory.circle(plan.circle)
    if current is None and plan.version > 1:
        found.append(
            "The version before is not known here: what it takes over cannot be compared. The "
            "admins of that version must sign it all the same."
        )
    parties = {member.node: member.party or member.node for member in plan.members}
    if plan.generate is not None:
        found += _about_key(plan.generate, [parties[one] for one in holders_of(plan)])
    if plan.admin_threshold == 1 and len(plan.admins) > 1:
        found.append("One admin alone decides about every later version.")
    return tuple(found)


def _about_key(new: NewEpoch, parties: list[str]) -> list[str]:
    found = []
    count, threshold = len(new.holders), new.threshold
    if threshold == 1:
        found.append("One node alone holds the whole key: it could list every telephone number.")
    elif len(set(parties)) < len(parties):
        found.append("Several holders are of one party: together they count as one.")
    if threshold == count > 1:
        found.append("All holders must answer: when one is down, nobody can check a sign-up.")
    if new.stretch is None or "phone" not in new.stretch.kinds:
        found.append(
            "Telephone numbers are not stretched: whoever gets the key lists all of them in hours."
        )
    if new.stretch is not None and new.stretch.memory_kib * new.stretch.passes > _DEAR_STRETCH:
        found.append(
            f"Each check would take {new.stretch.memory_kib >> 10} MiB of memory "
            f"{new.stretch.passes} times over: on many machines no check would end in time."
        )
    return found


def check_time(plan: Plan, now: int) -> None:
    """Returns if a ceremony may go on.

    Raises:
        ConflictError: its time is over, or has not come.
    """
    if not parse_time(plan.issued) - MAX_FUTURE_S <= now <= parse_time(plan.expires):
        raise ConflictError("The time for this ceremony is over, or has not come.")


def check_rivals(transaction: Transaction, record: CeremonyRecord, *, now: int) -> None:
    """Returns if this node has agreed to no other plan for the same version of the circle.

    Raises:
        ConflictError: it has, and that one may still come to something. What was signed may at any
            time, however long its coordinator has kept it back: with a second signature the two
            would contradict each other, and stop the circle. The operator can refuse it.
    """
    for rival in transaction.ceremonies.rivals(record, AGREED):
        if rival.state == "signed":
            raise ConflictError(
                "This node has signed another descriptor of this version, which its coordinator "
                f"may still publish: have it published, or refuse it first, {rival.id[:12]}."
            )
        if parse_time(parse_plan(rival.plan).expires) >= now:
            raise ConflictError(
                "Another ceremony for this version of the circle was confirmed here: refuse that "
                f"one first, {rival.id[:12]}, or let its time pass."
            )


def check_first(transaction: Transaction, plan: Plan) -> None:
    """Returns if no other descriptor of this version has arrived since the plan was agreed to.

    Raises:
        ConflictError: one has: a second would contradict it.
    """
    current = StoredDirectory(transaction).circle(plan.circle)
    if current is not None and current.version >= plan.version and current.nonce != plan.nonce:
        raise ConflictError("The circle has this version already.")


def say(
    keys: NodeKeys, name: str, now: int, plan: Plan, kind: type[Statement], **fields: Any
) -> bytes:
    """Returns one step of this node in a ceremony, signed.

    Raises:
        MalformedError: a programming mistake; nothing in a step comes from outside.
    """
    return sign_statement(
        kind(
            issuer=name,
            nonce=new_nonce(),
            issued=format_time(now),
            audience=(f"circle:{plan.circle}",),
            **fields,
        ),
        keys.statement,
    )
