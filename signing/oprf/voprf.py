"""RFC 9497 in its mode VOPRF, ciphersuite ristretto255-SHA512, for batches.

::

    client                                   server (one holder of a key)
    blinded = blind(inputs)
                     -- blinded.elements -->
                                             evaluation = evaluate(key, elements)
                     <-- elements, proof --
    verified = verify_evaluation(public_key, blinded, evaluation)
    outputs = finalize(blinded, verified)

The server learns nothing about the inputs, whatever it can compute. The client learns the outputs
for these inputs only, and that they were made with the key that belongs to `public_key`.

What it is not: a defence against guessing. Who may ask can try every telephone number, so a caller
owes a budget that counts elements (docs/threat-model.md). And who holds the whole key needs not
even ask: a single holder is for tests and for a node's own use. `signing.oprf.shares` has the rest.

Python cannot wipe `bytes`. Blinds and keys live until their objects are freed; callers keep them no
longer than the exchange. The underscored parameters exist for the RFC's test vectors: a DLEQ nonce
that is used twice gives the key away.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.errors import BadSignatureError, LimitError, MalformedError
from protocol.limits import MAX_OPRF_ELEMENTS
from signing.oprf import transcripts
from signing.oprf.elements import (
    SCALAR_BYTES,
    ZERO_SCALAR,
    Element,
    check_bytes,
    check_encoding,
)
from signing.oprf.framing import length_prefixed
from signing.oprf.group import Group, default_group

PROOF_BYTES: Final = 2 * SCALAR_BYTES
"""A DLEQ proof: challenge c, then response s (RFC 9497 section 2.2.1)."""

SEED_BYTES: Final = 32
"""Seed of `derive_key_pair` (RFC 9497 section 3.2.1, Ns of section 4.1)."""

OUTPUT_BYTES: Final = 64
"""Output of the function (RFC 9497 section 4.1, Nh)."""


@dataclass(frozen=True, repr=False)
class KeyPair:
    """A server's key, or one share of it.

    Attributes:
        private: the scalar k, 32 bytes; secret.
        public: the element k*G, 32 bytes; known to all members of the circle, and kept there.
    """

    private: bytes
    public: bytes

    def __repr__(self) -> str:
        """Say what it is and nothing more: both halves stay out of logs."""
        return "KeyPair(hidden)"


@dataclass(frozen=True, repr=False)
class Blinded:
    """What a client keeps between asking and finalising. Secret, except `elements`.

    Attributes:
        inputs: the private inputs.
        scalars: the blind of each input, 32 bytes.
        elements: what is sent, 32 bytes for each input.
        points: the same elements, decoded, for the backend that made them.
    """

    inputs: tuple[bytes, ...]
    scalars: tuple[bytes, ...]
    elements: tuple[bytes, ...]
    points: tuple[Element, ...]

    def __repr__(self) -> str:
        """Say how many inputs there are and nothing more."""
        return f"Blinded({len(self.inputs)} inputs, hidden)"


@dataclass(frozen=True, repr=False)
class Received:
    """Blinded elements at the server, found to be elements. Made by `receive` and nowhere else.

    Attributes:
        elements: as they were sent, 32 bytes each.
        points: the same, decoded.
    """

    elements: tuple[bytes, ...]
    points: tuple[Element, ...]

    def __repr__(self) -> str:
        """Say how many elements there are and nothing more."""
        return f"Received({len(self.elements)} elements, hidden)"


@dataclass(frozen=True, repr=False)
class Evaluation:
    """A server's answer, on its way: nothing in it is checked.

    Attributes:
        elements: one evaluated element of 32 bytes for each blinded one, in order.
        proof: `PROOF_BYTES` that all were multiplied by the key of one public key.
    """

    elements: tuple[bytes, ...]
    proof: bytes

    def __repr__(self) -> str:
        """Say how many elements there are and nothing more."""
        return f"Evaluation({len(self.elements)} elements, hidden)"


@dataclass(frozen=True, repr=False)
class VerifiedEvaluation:
    """A server's answer whose proof held. Made by `verify_evaluation` and nowhere else.

    Attributes:
        public_key: under which the proof held.
        request: the blinded elements that it answers.
        points: the evaluated elements, decoded, in the same order.
    """

    public_key: bytes
    request: tuple[bytes, ...]
    points: tuple[Element, ...]

    def __repr__(self) -> str:
        """Say how many elements there are and nothing more."""
        return f"VerifiedEvaluation({len(self.points)} elements, hidden)"


def generate_key(*, group: Group | None = None) -> KeyPair:
    """Return a fresh random key pair (RFC 9497 section 3.2, GenerateKeyPair)."""
    group = group or default_group()
    return load_key_pair(group.random_scalar(), group=group)


def load_key_pair(private: bytes, *, group: Group | None = None) -> KeyPair:
    """Return the key pair of a stored private key.

    Args:
        private: 32 bytes, a scalar.
        group: the backend; `default_group` if absent, here and in every function of this module.

    Raises:
        MalformedError: not a scalar, or zero.
    """
    group = group or default_group()
    return KeyPair(private, group.encode_element(group.multiply_base(private)))


def derive_key_pair(seed: bytes, info: bytes, *, group: Group | None = None) -> KeyPair:
    """Return the key pair of a seed (RFC 9497 section 3.2.1, DeriveKeyPair).

    Args:
        seed: `SEED_BYTES` random bytes, as secret as the key.
        info: what tells keys of one seed apart; public, may be empty.
        group: the backend.

    Raises:
        MalformedError: the seed has another length, or no key comes of it (never seen: 2^-64000).
        LimitError: `info` is longer than 65535 bytes.
    """
    group = group or default_group()
    derive_input = check_bytes(seed, SEED_BYTES) + length_prefixed(info)
    for counter in range(256):
        transcript = derive_input + bytes([counter])
        private = transcripts.hash_to_scalar(
            group, transcript, b"DeriveKeyPair" + transcripts.CONTEXT
        )
        if private != ZERO_SCALAR:
            return load_key_pair(private, group=group)
    raise MalformedError("No key can be derived from this seed.")


def blind(
    inputs: Sequence[bytes],
    *,
    group: Group | None = None,
    _scalars: Sequence[bytes] | None = None,
) -> Blinded:
    """Return the inputs, each hidden behind a fresh blind (RFC 9497 section 3.3.1, Blind).

    Args:
        inputs: 1 to `MAX_OPRF_ELEMENTS` inputs of at most 65535 bytes.
        group: the backend.
        _scalars: blinds of the RFC's vectors; in tests only.

    Raises:
        MalformedError: no inputs, or one that is not `bytes`.
        LimitError: too many inputs, or one is too long.
    """
    group = group or default_group()
    _check_batch(inputs)
    for private_input in inputs:
        length_prefixed(private_input)  # refused here, before anything is sent
    scalars = tuple(_scalars or (group.random_scalar() for _ in inputs))
    points = tuple(
        group.multiply(scalar, transcripts.hash_to_group(group, private_input))
        for scalar, private_input in zip(scalars, inputs, strict=True)
    )
    elements = tuple(map(group.encode_element, points))
    return Blinded(tuple(inputs), scalars, elements, points)


def receive(blinded: Sequence[bytes], *, group: Group | None = None) -> Received:
    """Return what was sent as elements that can be evaluated.

    Costs a twentieth of the evaluation, so that what cannot be evaluated is refused before
    anything is taken from a budget. No byte reaches C code before all are known to have the form
    of an element.

    Args:
        blinded: 1 to `MAX_OPRF_ELEMENTS` elements of 32 bytes, as received.
        group: the backend.

    Raises:
        MalformedError: no element, or one that is no element or the identity.
        LimitError: too many elements.
    """
    group = group or default_group()
    _check_batch(blinded)
    elements = tuple(map(check_encoding, blinded))
    return Received(elements, tuple(map(group.decode_element, elements)))


def evaluate(
    key: KeyPair,
    blinded: Sequence[bytes] | Received,
    *,
    group: Group | None = None,
    _nonce: bytes | None = None,
) -> Evaluation:
    """Return the blinded elements under the key, with one proof for all of them.

    RFC 9497 section 3.3.2 (BlindEvaluate) and section 2.2.1 (GenerateProof, with
    ComputeCompositesFast). The caller has taken the elements from the asker's budget before.

    Args:
        key: the server's key pair, or its share.
        blinded: what `receive` returned, with the same backend, or what it takes.
        group: the backend.
        _nonce: proof nonce of the RFC's vectors; in tests only. The same nonce under two different
            batches reveals the key.

    Raises:
        MalformedError: no element, or one that is no element or the identity.
        LimitError: too many elements.
    """
    group = group or default_group()
    received = blinded if isinstance(blinded, Received) else receive(blinded, group=group)
    evaluated = [group.multiply(key.private, point) for point in received.points]
    elements = tuple(map(group.encode_element, evaluated))

    weights = transcripts.composite_weights(group, key.public, received.elements, elements)
    m = transcripts.weighted_sum(group, weights, received.points)
    z = group.multiply(key.private, m)
    nonce = _nonce or group.random_scalar()
    t2 = group.multiply_base(nonce)
    t3 = group.multiply(nonce, m)
    c = transcripts.challenge(group, key.public, (m, z, t2, t3))
    s = group.subtract_scalars(nonce, group.multiply_scalars(c, key.private))
    return Evaluation(elements, c + s)


def verify_evaluation(
    public_key: bytes,
    blinded: Blinded,
    evaluation: Evaluation,
    *,
    group: Group | None = None,
) -> VerifiedEvaluation:
    """Return the answer as one that `public_key`'s holder computed (RFC 9497 section 2.2.2).

    1. The answer has one element for each blinded one, and a proof of `PROOF_BYTES`.
    2. The public key, every element and both scalars of the proof are canonical; no identity.
    3. M and Z are the composites of the blinded and of the evaluated elements.
    4. The challenge over M, Z, s*G + c*B and s*M + c*Z is the one in the proof.

    Args:
        public_key: 32 bytes, from the signed circle descriptor and never from the answer.
        blinded: what was asked.
        evaluation: the answer as received.
        group: the backend that made `blinded`.

    Raises:
        MalformedError: step 1 or 2 fails.
        BadSignatureError: step 3 or 4 fails.
    """
    group = group or default_group()
    # 1
    if len(evaluation.elements) != len(blinded.elements):
        raise MalformedError("An evaluation has as many elements as were asked for.")
    check_bytes(evaluation.proof, PROOF_BYTES)
    # 2
    key_point = group.decode_element(public_key)
    evaluated = tuple(group.decode_element(element) for element in evaluation.elements)
    c = group.decode_scalar(evaluation.proof[:SCALAR_BYTES])
    s = group.decode_scalar(evaluation.proof[SCALAR_BYTES:])
    try:
        # 3
        weights = transcripts.composite_weights(
            group, public_key, blinded.elements, evaluation.elements
        )
        m = transcripts.weighted_sum(group, weights, blinded.points)
        z = transcripts.weighted_sum(group, weights, evaluated)
        # 4
        t2 = group.add(group.multiply_base(s), group.multiply(c, key_point))
        t3 = group.add(group.multiply(s, m), group.multiply(c, z))
    except MalformedError as error:
        # The identity came up. An honest proof has t2 = r*G and t3 = r*M with r not zero, and c or
        # s zero with probability 2^-252: this one was made up.
        raise BadSignatureError("The proof of an evaluation does not hold.") from error
    if not hmac.compare_digest(transcripts.challenge(group, public_key, (m, z, t2, t3)), c):
        raise BadSignatureError("The proof of an evaluation does not hold.")
    return VerifiedEvaluation(public_key, blinded.elements, evaluated)


def finalize(
    blinded: Blinded,
    evaluation: VerifiedEvaluation,
    *,
    group: Group | None = None,
) -> list[bytes]:
    """Return the output for each input, `OUTPUT_BYTES` each (RFC 9497 section 3.3.2, Finalize).

    Args:
        blinded: what was asked.
        evaluation: what `verify_evaluation` returned for it.
        group: the backend that made both.

    Raises:
        MalformedError: the evaluation answers another request.
    """
    group = group or default_group()
    if evaluation.request != blinded.elements:
        raise MalformedError("The evaluation answers another request.")
    outputs = []
    for private_input, scalar, point in zip(
        blinded.inputs, blinded.scalars, evaluation.points, strict=True
    ):
        unblinded = group.multiply(group.invert_scalar(scalar), point)
        outputs.append(output_of(private_input, group.encode_element(unblinded)))
    return outputs


def output_of(private_input: bytes, unblinded: bytes) -> bytes:
    """Return the output for an input and its evaluated, unblinded element (end of Finalize)."""
    message = length_prefixed(private_input) + length_prefixed(unblinded) + b"Finalize"
    return hashlib.sha512(message).digest()


def evaluate_unblinded(key: KeyPair, private_input: bytes, *, group: Group | None = None) -> bytes:
    """Return the output for an input in one step (RFC 9497 section 3.3.1, Evaluate).

    For whoever holds both the key and the input: a test, or a node that is alone.

    Raises:
        LimitError: the input is longer than 65535 bytes.
    """
    group = group or default_group()
    evaluated = group.multiply(key.private, transcripts.hash_to_group(group, private_input))
    return output_of(private_input, group.encode_element(evaluated))


def _check_batch(batch: Sequence[bytes]) -> None:
    if not batch:
        raise MalformedError("An OPRF request has at least one element.")
    if len(batch) > MAX_OPRF_ELEMENTS:
        raise LimitError(f"An OPRF request has at most {MAX_OPRF_ELEMENTS} elements.")
