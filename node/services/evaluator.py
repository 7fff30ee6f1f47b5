"""This node as a holder of a share: it evaluates blinded elements for members, within budgets.

It learns nothing of what is evaluated. The budget is what keeps a member from listing every
telephone number there is, so elements are taken from it before anything is evaluated.

The order of a request: its elements are looked at (what is no element costs nothing), the
descriptor is read, one transaction takes from the budget, and only then, without the database, it
is evaluated. The answer is kept in this process's memory for a repeat; the database keeps only that
it was paid for, so that another process evaluates a repeat once more, and nobody pays twice.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.services.budgets import REPEAT_S, Budgets
from node.services.directory import StoredDirectory
from node.services.keys import NodeKeys
from node.services.newcomers import is_waiting
from node.services.once import Once
from node.storage.engine import Store
from protocol.circles import CircleDescriptor, Epoch
from protocol.encoding import encode_json, from_base64url, parse_time, to_base64url
from protocol.errors import (
    ConflictError,
    NotFoundError,
    SigningError,
    UnavailableError,
)
from protocol.limits import REQUEST_SKEW_S
from protocol.messages import OprfAnswer, OprfRequest
from signing.oprf.shares import verify_share
from signing.oprf.voprf import KeyPair, evaluate, receive

MOST_ANSWERS: Final = 1_024
"""Answers that one process keeps for repeats: 6 MB at most."""


@dataclass(frozen=True, repr=False)
class _Share:
    """A share that may be used: it fits the commitments of its epoch."""

    index: int
    key: KeyPair


class Evaluator:
    """Evaluates under the shares that this node holds."""

    def __init__(
        self,
        store: Store,
        keys: NodeKeys,
        budgets: Budgets,
        *,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._keys = keys
        self._budgets = budgets
        self._name = name
        self._clock = clock
        self._shares: dict[tuple[str, int], tuple[object, _Share]] = {}
        self._circles: dict[str, tuple[int, CircleDescriptor]] = {}
        self._answers = _Answers()
        self._newcomers: tuple[int, dict[str, bool]] = (0, {})

    def evaluate(
        self, request: OprfRequest, *, member: str, once: Once | None = None
    ) -> OprfAnswer:
        """Returns the evaluation of the blinded elements, with one proof for all of them.

        The same list again within ten minutes costs nothing, whichever process is asked.

        Args:
            request: from the member.
            member: name of the node that asks, as its signature showed.
            once: of its signature; used up with the budget, in one transaction. None for this node
                itself.

        Raises:
            MalformedError: an element is none; nothing was taken.
            NotFoundError: this node holds no share of such a circle, or the caller is no member.
            ConflictError: that epoch is not current.
            UnavailableError: this node's share is not the one that the descriptor describes.
            RateLimitedError: the budget of the member's party is used up, of the day or the minute.
            ReplayedError: the request was here before; nothing was taken.
        """
        received = receive([from_base64url(one) for one in request.blinded])
        now = int(self._clock())
        circle, epoch = self._check(self._circle(request.circle, now), request, member, now)
        share = self._share(request.circle, epoch)
        is_newcomer = self._is_newcomer(member, now)
        digest = hashlib.sha256(
            b"\0".join((b"oprf", member.encode(), encode_json(request)))
        ).digest()
        with self._store.write_soon(durable=True) as transaction:
            # With a refusal too: else it could be played back when there is a budget again.
            if once is not None:
                once.use(transaction)
            refusal = self._budgets.take(
                transaction,
                circle,
                member,
                elements=len(request.blinded),
                digest=digest,
                is_newcomer=is_newcomer,
            )
        if refusal is not None:
            raise refusal
        # Paid. A crash from here on costs the member nothing more: a repeat is free.
        slot = (digest, share.key.public)
        answer = self._answers.get(slot, since=now - REPEAT_S)
        if answer is None:
            evaluation = evaluate(share.key, received)
            answer = OprfAnswer(
                index=share.index,
                epoch=epoch.epoch,
                evaluated=tuple(to_base64url(one) for one in evaluation.elements),
                proof=to_base64url(evaluation.proof),
            )
            self._answers.put(slot, answer, now=now)
        return answer

    def _is_newcomer(self, member: str, now: int) -> bool:
        """Whether what a member says still waits here, as it was within this second."""
        at, known = self._newcomers
        if at != now:
            known = {}
            self._newcomers = (now, known)
        if member not in known:
            with self._store.read() as transaction:
                newcomers = transaction.joining.newcomers()
                known[member] = member in newcomers and is_waiting(
                    transaction, member, newcomers, now=now
                )
        return known[member]

    def _circle(self, name: str, now: int) -> CircleDescriptor | None:
        """Returns the latest descriptor of a circle, as it was within this second.

        To look it up costs four times as much as to evaluate an element, so it is done once in a
        second and not for each request; who is a member no longer is served for that second still.
        """
        known = self._circles.get(name)
        if known is not None and known[0] == now:
            return known[1]
        with self._store.read() as transaction:
            circle = StoredDirectory(transaction).circle(name)
        if circle is not None:
            self._circles[name] = (now, circle)
        return circle

    def _check(
        self, circle: CircleDescriptor | None, request: OprfRequest, member: str, now: int
    ) -> tuple[CircleDescriptor, Epoch]:
        # One answer for both: who is no member does not learn which circles there are.
        is_member = circle is not None and member in {one.node for one in circle.members}
        if (
            circle is None
            or not is_member
            or (request.circle, request.epoch) not in self._keys.shares
        ):
            raise NotFoundError("This node holds no share of such a circle and epoch for you.")
        for epoch in circle.epochs:
            # By the clock of who asks, which may differ: else checks fail whenever a key changes.
            begins = parse_time(epoch.not_before) - REQUEST_SKEW_S
            ends = parse_time(epoch.not_after) + REQUEST_SKEW_S
            if (
                epoch.epoch == request.epoch
                and begins <= now <= ends
                and any(holder.node == self._name for holder in epoch.holders)
            ):
                return circle, epoch
        raise ConflictError("That epoch of the circle is not current.")

    def _share(self, circle: str, epoch: Epoch) -> _Share:
        """Returns this node's share of an epoch; checked once for as long as nothing changes."""
        index = next(one.index for one in epoch.holders if one.node == self._name)
        private = self._keys.shares[circle, epoch.epoch]
        basis = (private, index, epoch.commitments)
        known = self._shares.get((circle, epoch.epoch))
        if known is not None and known[0] == basis:
            return known[1]
        commitments = [from_base64url(one) for one in epoch.commitments]
        # Feldman's check: never answer under a share that the descriptor does not describe.
        try:
            key = verify_share(commitments, index, private)
        except SigningError:
            raise UnavailableError(
                "This node's share is not the one that the circle's descriptor describes."
            ) from None
        share = _Share(index, key)
        self._shares[circle, epoch.epoch] = (basis, share)
        return share


class _Answers:
    """The latest answers of this process, `MOST_ANSWERS` at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[bytes, bytes], tuple[int, OprfAnswer]] = OrderedDict()

    def get(self, slot: tuple[bytes, bytes], *, since: int) -> OprfAnswer | None:
        with self._lock:
            at, answer = self._kept.get(slot, (since - 1, None))
        return answer if at >= since else None

    def put(self, slot: tuple[bytes, bytes], answer: OprfAnswer, *, now: int) -> None:
        with self._lock:
            self._kept[slot] = (now, answer)
            # What is too old goes with the next one, so that no answer outlives its use for long.
            while self._kept and (
                len(self._kept) > MOST_ANSWERS
                or next(iter(self._kept.values()))[0] < now - REPEAT_S
            ):
                self._kept.popitem(last=False)
