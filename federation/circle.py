"""Asking a circle for fingerprints: blind, ask t of n holders, verify every answer, unblind.

What leaves this node is uniformly random to everyone, and as many elements as one of `BATCHES`: the
holders learn neither the identifiers nor how many there were. What comes back is believed only with
a proof under the holder's share of the circle's published key. What this is not: a look-up. The
fingerprints are compared with this node's own copy of the statements.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

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

_PADDING_BYTES: Final = 32

Asker = Callable[[OprfRequest], Awaitable[OprfAnswer]]
"""Asks one holder: `PeerClient.evaluate`, or this node's own evaluator where it is a holder."""

Accuse = Callable[[str, str, bytes], None]
"""Keeps the evidence that a node misbehaved: node, message, evidence (as `Replica.misbehaved`)."""


@dataclass(frozen=True, repr=False)
class _Question:
    """One batch on its way; secret, except `request`."""

    epoch: Epoch
    blinded: Blinded
    request: OprfRequest
    public_keys: Mapping[int, bytes]


async def fingerprint(
    inputs: Sequence[bytes],
    epoch: Epoch,
    ask: Mapping[int, Asker],
    *,
    circle: str,
    misbehaved: Accuse,
    run: Run,
) -> list[bytes]:
    """Returns the fingerprint of each input, 32 bytes each, as confidential as the inputs.

    As many holders as the threshold asks for are asked at once, in the order of `ask`; for each
    that fails, the next one. A holder whose proof does not hold is named to `misbehaved`, and the
    answer is made without it.

    Args:
        inputs: 0 to `limits.MAX_OPRF_ELEMENTS`, from `fingerprint_input`.
        epoch: of the circle's verified descriptor.
        ask: by index; holders that are not in `epoch` are not asked.
        circle: its name.
        misbehaved: is told of every answer whose proof does not hold, or that is for another key.
        run: takes work off the event loop.

    Raises:
        LimitError: too many inputs.
        MalformedError: an input is no input, or the epoch's commitments are no elements.
        QuorumError: fewer good answers than the threshold; its cause is the last failure.
    """
    if not inputs:
        return []
    question = await run(_prepare, inputs, epoch, circle, tuple(ask))
    waiting = deque(question.public_keys)
    good: dict[int, VerifiedEvaluation] = {}
    failure: SchutznetzError | None = None
    while len(good) < epoch.threshold:
        if len(good) + len(waiting) < epoch.threshold:
            raise QuorumError(
                f"{len(good)} of {epoch.threshold} holders of the circle's key have answered."
            ) from failure
        wave = [waiting.popleft() for _ in range(epoch.threshold - len(good))]
        answers = await asyncio.gather(*(_ask_one(ask[index], question) for index in wave))
        for index, answer in zip(wave, answers, strict=True):
            if isinstance(answer, SchutznetzError):
                failure = answer
                continue
            try:
                good[index] = await run(_verify, index, answer, question)
            except PeerMisbehavedError as error:
                await run(misbehaved, _holder(epoch, index), str(error), error.evidence)
                failure = error
    return (await run(_finish, question, good))[: len(inputs)]


def _prepare(
    inputs: Sequence[bytes], epoch: Epoch, circle: str, indices: Sequence[int]
) -> _Question:
    size = next((size for size in BATCHES if size >= len(inputs)), len(inputs))
    padding = [secrets.token_bytes(_PADDING_BYTES) for _ in range(size - len(inputs))]
    blinded = blind([*inputs, *padding])
    request = OprfRequest(
        circle=circle,
        epoch=epoch.epoch,
        blinded=tuple(to_base64url(element) for element in blinded.elements),
    )
    commitments = [from_base64url(one, where="commitments") for one in epoch.commitments]
    holders = {holder.index for holder in epoch.holders}
    public_keys = {
        index: share_public_key(commitments, index) for index in indices if index in holders
    }
    return _Question(epoch, blinded, request, public_keys)


async def _ask_one(ask: Asker, question: _Question) -> OprfAnswer | SchutznetzError:
    try:
        return await ask(question.request)
    except SchutznetzError as error:
        return error


def _verify(index: int, answer: OprfAnswer, question: _Question) -> VerifiedEvaluation:
    """Returns the answer of a holder once its proof holds."""
    if (answer.index, answer.epoch) != (index, question.epoch.epoch):
        raise _misbehaviour(index, "answered for another share or epoch", answer, question)
    try:
        evaluation = Evaluation(
            tuple(from_base64url(element) for element in answer.evaluated),
            from_base64url(answer.proof),
        )
        return verify_evaluation(question.public_keys[index], question.blinded, evaluation)
    except (ProtocolError, SigningError):
        raise _misbehaviour(index, "gave a proof that does not hold", answer, question) from None


def _misbehaviour(
    index: int, deed: str, answer: OprfAnswer, question: _Question
) -> PeerMisbehavedError:
    # Question and answer show it to anyone who has the circle's descriptor, and reveal nothing.
    return PeerMisbehavedError(
        f"Holder {index} of the circle's key, {_holder(question.epoch, index)}, {deed}.",
        evidence=encode_json(question.request) + b"\n" + encode_json(answer),
    )


def _holder(epoch: Epoch, index: int) -> str:
    return next(holder.node for holder in epoch.holders if holder.index == index)


def _finish(question: _Question, good: Mapping[int, VerifiedEvaluation]) -> list[bytes]:
    outputs = combine(question.blinded, good, question.public_keys, question.epoch.threshold)
    return [fingerprint_from_output(output) for output in outputs]
