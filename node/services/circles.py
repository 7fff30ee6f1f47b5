"""Circles: who shares a fingerprint key with whom.

Whoever holds a key alone could list every telephone number offline: that is for a node's own use,
and every place that shows such a circle says so. A circle of several members has several holders.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from node.services.audit import Audit
from node.services.authoring import Author
from node.services.directory import StoredDirectory
from node.services.keys import save_share, share_file
from node.storage.engine import Store
from node.storage.transaction import Transaction
from node.storage.trust import CircleRecord, FrozenHolder
from protocol.circles import CircleDescriptor, Epoch, Holder, Member, Stretch
from protocol.encoding import Time, convert, encode_json, format_time, parse_time, to_base64url
from protocol.errors import ConflictError, NotAllowedError, NotFoundError
from protocol.fields import CircleName
from protocol.limits import BURST_PER_MINUTE
from protocol.messages import Receipt
from protocol.succession import newest_epoch
from signing.oprf.shares import split_key
from signing.oprf.voprf import generate_key

ONE_HOLDER_WARNING = (
    "One node alone holds this circle's key: it could list every telephone number by itself. "
    "Let it be a node that is no platform."
)

CONTRADICTED = (
    "The admins of this circle have signed two different versions of one number: ask the other "
    "members over the telephone which one they have, and keep out of it until you agree."
)

_SECONDS_PER_DAY = 86_400
_SOON_S = 30 * _SECONDS_PER_DAY
_ANY_END = Time("9999-12-31T23:59:59Z")


@dataclass(frozen=True)
class CircleState:
    """A circle as this node knows it.

    Attributes:
        unconfirmed: numbers of epochs of a circle that was joined, which came or were changed
            since: they are not used until the operator joins again.
        contradicted: its admins have signed two versions of one number; it is not used here.
        frozen: holders that gave a false answer here, and are asked no more.
        advice: what the operator should do about its keys, one sentence each.
    """

    name: str
    version: int
    joined: bool
    members: tuple[str, ...]
    holders: tuple[str, ...]
    threshold: int
    epoch: int
    not_after: str
    warning: str | None
    unconfirmed: tuple[int, ...]
    contradicted: bool
    frozen: tuple[str, ...]
    advice: tuple[str, ...]


class Circles:
    """Creates, joins and lists circles."""

    def __init__(
        self,
        store: Store,
        author: Author,
        audit: Audit,
        *,
        directory: Path,
        name: str,
        passphrase: Callable[[], bytes],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._author = author
        self._audit = audit
        self._directory = directory
        self._name = name
        self._passphrase = passphrase
        self._clock = clock

    def create(
        self,
        name: str,
        members: Mapping[str, int],
        days: int,
        *,
        stretch: Stretch | None = None,
    ) -> Receipt:
        """Creates a circle of this node alone, which holds its whole key.

        For a node's own use: whoever holds a key alone could list every telephone number.

        Raises: as `deal`; ContradictionError where there are other members.
        """
        receipt, _ = self.deal(
            name, members, days, holders=(self._name,), threshold=1, stretch=stretch
        )
        return receipt

    def deal(
        self,
        name: str,
        members: Mapping[str, int],
        days: int,
        *,
        holders: Sequence[str],
        threshold: int,
        stretch: Stretch | None = None,
        burst_per_minute: int = BURST_PER_MINUTE,
    ) -> tuple[Receipt, dict[str, bytes]]:
        """Creates a circle whose key this node deals, as a *trusted dealer*; nobody else decides.

        For one machine, demonstrations and tests: for a moment this node knows the whole key, and
        nobody can check that it forgot it. Its own share is kept; it must be started anew to
        evaluate.

        Args:
            name: of the circle, such as ``de-minors-1``; this node's name is put before it.
            members: elements a day by name of node; this node becomes a member too.
            days: how long the first epoch lasts.
            holders: names of nodes, in the order of their indices 1, 2, …
            threshold: how many of them must answer.
            stretch: of the epoch; `signing.oprf.stretch.choose_stretch` measures one.
            burst_per_minute: elements of these in a minute, of each member.

        Returns:
            The statement, and by node the 32-byte share of every other holder: each goes to its
            holder alone (`node.services.keys.save_share`).

        Raises:
            ProtocolError: the name is none of a circle, a member none of a node, or the like.
            KeystoreError: a share of such a circle lies here already.
            ConflictError: there is a circle of this name.
        """
        now = int(self._clock())
        name = convert(f"{self._name}/{name}", CircleName)
        with self._store.read() as transaction:
            if transaction.trust.circle(name) is not None:
                raise ConflictError("There is a circle of this name already.")
        split = split_key(generate_key().private, threshold, len(holders))
        fields: dict[str, Any] = {
            "audience": (f"circle:{name}",),
            "circle": name,
            "version": 1,
            "members": tuple(
                Member(node=node, budget_per_day=budget, burst_per_minute=burst_per_minute)
                for node, budget in {self._name: 0, **members}.items()
            ),
            "admins": (self._name,),
            "admin_threshold": 1,
            "epochs": (
                Epoch(
                    epoch=1,
                    not_before=format_time(now),
                    not_after=format_time(now + days * _SECONDS_PER_DAY),
                    threshold=threshold,
                    commitments=tuple(to_base64url(one) for one in split.commitments),
                    holders=tuple(
                        Holder(index=index, node=node) for index, node in enumerate(holders, 1)
                    ),
                    stretch=stretch,
                ),
            ),
        }
        self._author.check(CircleDescriptor, **fields)
        shares = {node: split.shares[index].private for index, node in enumerate(holders, 1)}
        own = shares.pop(self._name, None)
        # The share is on disk before the descriptor promises that this node holds it. A crash in
        # between leaves a share that nobody asks for; the operator moves it away to try again.
        if own is not None:
            save_share(self._directory, name, 1, own, self._passphrase())
        audited = self._audit.with_statement("operator", "circle.create", subject=name)
        return self._author.issue(CircleDescriptor, also=audited, **fields), shares

    def join(self, name: str, *, despite_contradiction: bool = False) -> CircleState:
        """Has this node's bans and checks go through a circle, with the epochs that it has now.

        A later descriptor may bring other keys. Where one admin decides alone, those are used once
        the operator joins again; where several must, the operator agrees to what they decide.

        Args:
            name: of the circle.
            despite_contradiction: the operator has compared, with the other members, which of two
                versions of one number is theirs, and it is the one that is here.

        Raises:
            NotFoundError: no descriptor of such a circle has arrived.
            NotAllowedError: this node is not among its members.
            ConflictError: its admins have signed two versions of one number.
        """
        with self._store.read() as transaction:
            descriptor = StoredDirectory(transaction).circle(name)
            record = transaction.trust.circle(name)
        if descriptor is None:
            raise NotFoundError(
                "No descriptor of a circle of this name has arrived here, or the key that signed "
                "it is no longer one of its founder."
            )
        if self._name not in {member.node for member in descriptor.members}:
            raise NotAllowedError("This node is not among the circle's members.")
        if record is not None and record.contradicted and not despite_contradiction:
            raise ConflictError(CONTRADICTED)
        with self._store.write() as transaction:
            transaction.trust.join(
                name,
                [mark_of(one) for one in descriptor.epochs],
                follows=descriptor.admin_threshold > 1,
            )
            transaction.journal.audit(
                "operator", "circle.join", at=int(self._clock()), subject=name, detail=None
            )
        return next(one for one in self.list() if one.name == name)

    def descriptor(self, name: str) -> CircleDescriptor:
        """Returns the latest descriptor of a circle.

        Raises:
            NotFoundError: this node knows no such circle.
        """
        with self._store.read() as transaction:
            found = StoredDirectory(transaction).circle(name)
        if found is None:
            raise NotFoundError("This node knows no such circle.")
        return found

    def list(self) -> list[CircleState]:
        """Returns every circle that is known here, and whose founder is still the one pinned."""
        with self._store.read() as transaction:
            directory = StoredDirectory(transaction)
            records = transaction.trust.circles()
            found = [(one, directory.circle(one.name)) for one in records]
            frozen = transaction.trust.frozen_holders()
        states = []
        for record, descriptor in found:
            if descriptor is None:
                continue  # its founder was removed, or pinned anew under other keys
            newest = max(descriptor.epochs, key=lambda one: one.epoch)
            states.append(
                CircleState(
                    name=record.name,
                    version=record.version,
                    joined=record.joined,
                    members=tuple(member.node for member in descriptor.members),
                    holders=tuple(holder.node for holder in newest.holders),
                    threshold=newest.threshold,
                    epoch=newest.epoch,
                    not_after=newest.not_after,
                    warning=ONE_HOLDER_WARNING if newest.threshold == 1 else None,
                    unconfirmed=tuple(
                        one.epoch
                        for one in descriptor.epochs
                        if record.joined and not _is_confirmed(record, one)
                    ),
                    contradicted=record.contradicted,
                    frozen=tuple(one.node for one in frozen if one.circle == record.name),
                    advice=tuple(self._advice(descriptor)),
                )
            )
        return states

    def _advice(self, circle: CircleDescriptor) -> Iterator[str]:
        now, newest = int(self._clock()), newest_epoch(circle)
        for epoch in circle.epochs:
            holds = self._name in {holder.node for holder in epoch.holders}
            share = share_file(self._directory, circle.circle, epoch.epoch)
            if holds and parse_time(epoch.not_after) >= now and not share.exists():
                yield _missing(epoch)
        if parse_time(newest.not_after) < now + _SOON_S:
            yield (
                f"Key {newest.epoch} ends on {newest.not_after}, and what is banned with it: hold "
                "a ceremony for a new one (`circle change --new-key`), and have the platforms ban "
                "again (`schutznetz reissue`)."
            )

    def frozen_holders(self) -> Sequence[FrozenHolder]:
        """Returns the holders that gave a false answer here, and are asked no more."""
        with self._store.read() as transaction:
            return transaction.trust.frozen_holders()

    def thaw_holder(self, circle: str, node: str, *, actor: str = "operator") -> None:
        """Has a holder asked again. What is kept against it stays.

        Raises:
            NotFoundError: it is not frozen.
        """
        with self._store.write() as transaction:
            if not transaction.trust.thaw_holder(circle, node):
                raise NotFoundError("No holder of this name is frozen in this circle.")
            transaction.journal.audit(
                actor, "circle.thaw-holder", at=int(self._clock()), subject=node, detail=circle
            )


def _missing(epoch: Epoch) -> str:
    return (
        f"This node's share of key {epoch.epoch} is not here: put it back from the backup. If it "
        f"is lost, checks go on while {epoch.threshold} holders have theirs; hold a ceremony for a "
        "new key soon (`circle change --new-key`)."
    )


def confirmed_epochs(transaction: Transaction, circle: CircleDescriptor) -> tuple[Epoch, ...]:
    """Returns those epochs of a circle that the operator has agreed to: what may be used.

    Either the operator has confirmed each exactly as it is, or agreed to admins of whom several
    must sign; none while two versions of the circle contradict each other.
    """
    record = transaction.trust.circle(circle.circle)
    if record is None or not record.joined or record.contradicted:
        return ()
    return tuple(one for one in circle.epochs if _is_confirmed(record, one))


def _is_confirmed(record: CircleRecord, epoch: Epoch) -> bool:
    return record.follows or mark_of(epoch) in record.confirmed


def mark_of(epoch: Epoch) -> str:
    """Returns what tells this epoch from any other: its number, and the digest of all but its end.

    An epoch may be ended earlier, and whoever agreed to use it for longer has nothing against it.
    """
    same = msgspec.structs.replace(epoch, not_after=_ANY_END)
    return f"{epoch.epoch}:{hashlib.sha256(encode_json(same)).hexdigest()}"
