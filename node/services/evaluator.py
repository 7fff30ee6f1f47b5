"""This node as a holder of a share: it evaluates blinded elements for members, within budgets.

It learns nothing of what is evaluated. The budget is what keeps a member from listing every
telephone number there is, so elements are taken from it before anything is evaluated.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from node.services.directory import StoredDirectory
from node.services.keys import NodeKeys
from node.storage.engine import Store
from protocol.circles import CircleDescriptor, Epoch
from protocol.encoding import encode_json, from_base64url, parse_time, to_base64url
from protocol.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    RateLimitedError,
    SigningError,
    UnavailableError,
)
from protocol.limits import MAX_PEER_RESPONSE_BYTES
from protocol.messages import OprfAnswer, OprfRequest, parse_message
from signing.oprf.shares import verify_share
from signing.oprf.voprf import evaluate

_REPEAT_S = 600
_SECONDS_PER_DAY = 86_400


class Evaluator:
    """Evaluates under the shares that this node holds."""

    def __init__(
        self,
        store: Store,
        keys: NodeKeys,
        *,
        name: str,
        budget_per_day: int,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._keys = keys
        self._name = name
        self._budget_per_day = budget_per_day
        self._clock = clock

    def evaluate(self, request: OprfRequest, *, member: str) -> OprfAnswer:
        """Returns the evaluation of the blinded elements, with one proof for all of them.

        The same list again within ten minutes is answered from memory and costs nothing.

        Args:
            request: from the member.
            member: name of the node that asks, as its signature showed.

        Raises:
            NotFoundError: this node holds no share of that circle.
            NotAllowedError: the caller is no member.
            ConflictError: that epoch is not current.
            RateLimitedError: the member's budget of the day is used up.
            MalformedError: an element is none.
            UnavailableError: this node's share is not the one that the descriptor describes.
        """
        now = int(self._clock())
        digest = hashlib.sha256(
            b"\0".join((b"oprf", member.encode(), encode_json(request)))
        ).digest()
        with self._store.write() as transaction:
            circle = StoredDirectory(transaction).circle(request.circle)
            epoch, budget = self._check(circle, request, member, now)
            known = transaction.access.cached_answer(digest, since=now - _REPEAT_S)
            if known is not None:
                return parse_message(OprfAnswer, known, max_bytes=MAX_PEER_RESPONSE_BYTES)
            day = datetime.fromtimestamp(now, UTC).date().isoformat()
            # Committed before the evaluation: a crash after it costs the member, never the secret.
            if not transaction.access.spend(
                request.circle, member, day, elements=len(request.blinded), budget=budget
            ):
                raise RateLimitedError(
                    "The budget of this member for today is used up.",
                    retry_after_s=_SECONDS_PER_DAY - now % _SECONDS_PER_DAY,
                )
        answer = self._evaluate(request, epoch)
        with self._store.write() as transaction:
            transaction.access.cache_answer(digest, encode_json(answer), now=now)
        return answer

    def _check(
        self, circle: CircleDescriptor | None, request: OprfRequest, member: str, now: int
    ) -> tuple[Epoch, int]:
        if circle is None or (request.circle, request.epoch) not in self._keys.shares:
            raise NotFoundError("This node holds no share of that circle and epoch.")
        budgets = {one.node: one.budget_per_day for one in circle.members}
        if member not in budgets:
            raise NotAllowedError("Only members of the circle may ask for evaluations.")
        for epoch in circle.epochs:
            if (
                epoch.epoch == request.epoch
                and parse_time(epoch.not_before) <= now <= parse_time(epoch.not_after)
                and any(holder.node == self._name for holder in epoch.holders)
            ):
                return epoch, min(budgets[member], self._budget_per_day)
        raise ConflictError("That epoch of the circle is not current.")

    def _evaluate(self, request: OprfRequest, epoch: Epoch) -> OprfAnswer:
        index = next(one.index for one in epoch.holders if one.node == self._name)
        commitments = [from_base64url(one) for one in epoch.commitments]
        private = self._keys.shares[request.circle, request.epoch]
        # Feldman's check: never answer under a share that the descriptor does not describe.
        try:
            key = verify_share(commitments, index, private)
        except SigningError:
            raise UnavailableError(
                "This node's share is not the one that the circle's descriptor describes."
            ) from None
        evaluation = evaluate(key, [from_base64url(one) for one in request.blinded])
        return OprfAnswer(
            index=index,
            epoch=epoch.epoch,
            evaluated=tuple(to_base64url(one) for one in evaluation.elements),
            proof=to_base64url(evaluation.proof),
        )
