"""Asking a circle for fingerprints: blind, ask t of n holders, verify every answer, unblind.

What leaves this node is uniformly random to everyone, and as many elements as one of `BATCHES`: the
holders learn neither the identifiers nor how many there were. What comes back is believed only with
a proof under the holder's share of the circle's published key. What this is not: a look-up. The
fingerprints are compared with this node's own copy of the statements.

As many holders as the threshold asks for are asked at once, the fastest first; one more as soon as
one fails, or takes longer than these usually do (`federation.holders`). So n - t of them may be
down, slow or lying.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from federation.holders import Holders
from federation.run import Run
from protocol.circles import Epoch
from protocol.encoding import encode_json, from_base64url, to_base64url
from protocol.errors import (
    PeerMisbehavedError,
    ProtocolError,
    QuorumError,
    SchutznetzError,
    SigningError,
)
from protocol.limits import MAX_OPRF_ELEMENTS
from protocol.messages import OprfAnswer, OprfRequest
from signing.oprf.fingerprints import fingerprint_from_output
from signing.oprf.shares import combine, share_public_key
from signing.oprf.voprf import (
    Blinded,
    Evaluation,
    VerifiedEvaluation,
    blind,
    verify_evaluation,
)

BATCHES: Final = (1, 8, MAX_OPRF_ELEMENTS)
"""Sizes of a request; a batch is filled up with random inputs, which count in the budget too."""

GRACE_S: Final = 1.0
"""How long an answer that is no longer needed is waited for: it tells how fast the holder is, a lie
in it is a lie, and its connection stays of use."""

_PADDING_BYTES: Final = 32
_INLINE_ELEMENTS: Final = 1  # handing over to a thread takes as long as to verify one

Asker = Callable[[OprfRequest], Awaitable[OprfAnswer]]
"""Asks one holder: `PeerClient.evaluate`, or this node's own evaluator where it is a holder."""


@dataclass(frozen=True, repr=False)
class Lie:
    """An answer of a holder that it alone can have to answer for.

    Question and answer show it to anyone who has the circle's descriptor: they reveal nothing of
    the identifiers. The answer is not signed, so who was not there has to believe this node that
    it came from the holder.

    Attributes:
        node: the holder.
        message: what it did, in a sentence.
        circle: whose key.
        epoch: of that key.
        public_key: of the holder's share, from the commitments of the epoch.
        request: as sent.
        answer: as received.
    """

    node: str
    message: str
    circle: str
    epoch: Epoch
    public_key: bytes
    request: OprfRequest
    answer: OprfAnswer

    def evidence(self, descriptor: str) -> bytes:
        """Returns all that is needed to see it, as JSON.

        Args:
            descriptor: statement id of the circle descriptor that was in force.
        """
        index = next(one.index for one in self.epoch.holders if one.node == self.node)
        return encode_json(
            {
                "kind": "oprf-answer",
                "circle": self.circle,
                "descriptor": descriptor,
                "epoch": self.epoch.epoch,
                "commitments": self.epoch.commitments,
                "holder": {"index": index, "node": self.node},
                "public_key": to_base64url(self.public_key),
                "request": self.request,
                "answer": self.answer,
            }
        )


Accuse = Callable[[Lie], None]
"""Keeps the evidence that a holder lied, and has it asked no more."""


@dataclass(frozen=True, repr=False)
class _Question:
    """One batch on its way; secret, except `request`."""

    blinded: Blinded
    request: OprfRequest

    @property
    def size(self) -> int:
        return len(self.request.blinded)


_Outcome = VerifiedEvaluation | SchutznetzError


class Panel:
    """The holders of one key of a circle, as this process has come to know them.

    It lasts as long as the key does: the public keys of the shares are derived once, and how fast
    each holder answers is remembered. Used on one event loop.
    """

    def __init__(self, circle: str, epoch: Epoch, *, holders: Holders | None = None) -> None:
        """Derives the public keys of the shares.

        Args:
            circle: its name.
            epoch: of the circle's verified descriptor.
            holders: what is known of them.

        Raises:
            MalformedError: the epoch's commitments are no elements.
        """
        self.circle = circle
        self.epoch = epoch
        self.holders = holders or Holders()
        commitments = [from_base64url(one, where="commitments") for one in epoch.commitments]
        self._nodes = {holder.index: holder.node for holder in epoch.holders}
        self._public_keys = {index: share_public_key(commitments, index) for index in self._nodes}
        self._late: set[asyncio.Task[_Outcome]] = set()

    async def fingerprint(
        self,
        inputs: Sequence[bytes],
        ask: Mapping[int, Asker],
        *,
        misbehaved: Accuse,
        run: Run,
        first: Collection[int] = (),
    ) -> list[bytes]:
        """Returns the fingerprint of each input, 32 bytes each, as confidential as the inputs.

        A holder whose proof does not hold is named to `misbehaved`, and the answer is made without
        it. How long that may take is for the caller to bound.

        Args:
            inputs: 0 to `limits.MAX_OPRF_ELEMENTS`, from `fingerprint_input`.
            ask: by index; holders that are not in the epoch are not asked.
            misbehaved: is told of every answer whose proof does not hold, or is for another key.
            run: takes work off the event loop.
            first: indices of holders that are asked before all others.

        Raises:
            LimitError: too many inputs.
            MalformedError: an input is no input.
            QuorumError: fewer good answers than the threshold; its cause is the last failure.
        """
        if not inputs:
            return []
        if len(inputs) <= _INLINE_ELEMENTS:
            question = self._prepare(inputs)
        else:
            question = await run(self._prepare, inputs)
        good = await self._collect(question, ask, misbehaved=misbehaved, run=run, first=first)
        if question.size <= _INLINE_ELEMENTS:
            return self._finish(question, good)
        return (await run(self._finish, question, good))[: len(inputs)]

    async def _collect(
        self,
        question: _Question,
        ask: Mapping[int, Asker],
        *,
        misbehaved: Accuse,
        run: Run,
        first: Collection[int],
    ) -> dict[int, VerifiedEvaluation]:
        """Returns good answers of as many holders as are needed, asking more as others fail."""
        needed = self.epoch.threshold
        chosen, beside = self.holders.choose(
            [index for index in ask if index in self._nodes],
            threshold=needed,
            size=question.size,
            first=first,
        )
        good: dict[int, VerifiedEvaluation] = {}
        failure: SchutznetzError | None = None
        asked: dict[asyncio.Task[_Outcome], int] = {}
        # Whom there is no time to ask too is not asked at all: an answer costs its budget.
        waiting = deque(chosen if len(chosen) >= needed else ())

        def ask_next(index: int) -> None:
            one = self._ask_one(index, ask[index], question, misbehaved, run)
            asked[asyncio.create_task(one)] = index

        hedge_s = self.holders.hedge_s(chosen[:needed], question.size)
        for index in [waiting.popleft() for _ in range(min(needed, len(waiting)))] + beside:
            ask_next(index)
        try:
            while len(good) < needed:
                if len(good) + len(asked) + len(waiting) < needed:
                    raise QuorumError(
                        f"{len(good)} of {needed} holders of the circle's key have answered."
                    ) from failure
                done, _ = await asyncio.wait(
                    asked,
                    timeout=hedge_s if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                more = 0 if done else 1
                for task in done:
                    index, outcome = asked.pop(task), task.result()
                    if isinstance(outcome, VerifiedEvaluation):
                        good[index] = outcome
                    else:
                        failure = outcome
                        more += index not in beside
                for _ in range(min(more, len(waiting))):
                    ask_next(waiting.popleft())
        finally:
            for task in asked:
                self._let_finish(task)
        return good

    def _let_finish(self, task: asyncio.Task[_Outcome]) -> None:
        """Gives a task that nobody waits for a little more time."""
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        asyncio.get_running_loop().call_later(GRACE_S, task.cancel)

    def _prepare(self, inputs: Sequence[bytes]) -> _Question:
        size = next((size for size in BATCHES if size >= len(inputs)), len(inputs))
        padding = [secrets.token_bytes(_PADDING_BYTES) for _ in range(size - len(inputs))]
        blinded = blind([*inputs, *padding])
        request = OprfRequest(
            circle=self.circle,
            epoch=self.epoch.epoch,
            blinded=tuple(to_base64url(element) for element in blinded.elements),
        )
        return _Question(blinded, request)

    async def _ask_one(
        self, index: int, ask: Asker, question: _Question, misbehaved: Accuse, run: Run
    ) -> _Outcome:
        """Returns the answer of a holder once its proof holds, or what was wrong instead."""
        since = self.holders.ask(index)
        try:
            answer = await ask(question.request)
            if question.size > _INLINE_ELEMENTS:
                verified = await run(self._verify, index, answer, question)
            else:
                verified = self._verify(index, answer, question)
        except _LieError as error:
            self.holders.failed(index, since, error)
            # Where it cannot be noted now, the answer is as unusable, and the next lie is noted.
            with suppress(SchutznetzError):
                await run(misbehaved, error.lie)
            return error
        except SchutznetzError as error:
            self.holders.failed(index, since, error)
            return error
        except asyncio.CancelledError:
            self.holders.failed(index, since)
            raise
        self.holders.answered(index, since, question.size)
        return verified

    def _verify(self, index: int, answer: OprfAnswer, question: _Question) -> VerifiedEvaluation:
        """Returns the answer of a holder once its proof holds."""
        if (answer.index, answer.epoch) != (index, self.epoch.epoch):
            raise self._lie(index, "answered for another share or epoch", answer, question)
        try:
            evaluation = Evaluation(
                tuple(from_base64url(element) for element in answer.evaluated),
                from_base64url(answer.proof),
            )
            return verify_evaluation(self._public_keys[index], question.blinded, evaluation)
        except (ProtocolError, SigningError):
            raise self._lie(index, "gave a proof that does not hold", answer, question) from None

    def _lie(self, index: int, deed: str, answer: OprfAnswer, question: _Question) -> "_LieError":
        node = self._nodes[index]
        return _LieError(
            Lie(
                node=node,
                message=f"Holder {index} of the circle's key, {node}, {deed}.",
                circle=self.circle,
                epoch=self.epoch,
                public_key=self._public_keys[index],
                request=question.request,
                answer=answer,
            )
        )

    def _finish(self, question: _Question, good: Mapping[int, VerifiedEvaluation]) -> list[bytes]:
        outputs = combine(question.blinded, good, self._public_keys, self.epoch.threshold)
        return [fingerprint_from_output(output) for output in outputs]


class _LieError(PeerMisbehavedError):
    """Carries a lie to where it is told of."""

    def __init__(self, lie: Lie) -> None:
        super().__init__(lie.message, evidence=b"")
        self.lie = lie
