"""What RFC 9497 hashes for ristretto255-SHA512 (VOPRF): inputs, weights, and the challenge.

Every hash is separated from all others by the suite's context string and by what it is for.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from signing.oprf.elements import UNIFORM_BYTES, Element
from signing.oprf.framing import length_prefixed
from signing.oprf.group import Group

CONTEXT: Final = b"OPRFV1-\x01-ristretto255-SHA512"
"""CreateContextString(modeVOPRF, identifier) of RFC 9497 sections 3.1 and 4.1."""

_SHA512_BLOCK_BYTES: Final = 128


def _expand_message(message: bytes, domain: bytes) -> bytes:
    """expand_message_xmd of RFC 9380 section 5.3.1 for SHA-512 and 64 bytes: one block, ell = 1."""
    domain_prime = domain + bytes([len(domain)])
    length = UNIFORM_BYTES.to_bytes(2, "big")
    b_0 = hashlib.sha512(bytes(_SHA512_BLOCK_BYTES) + message + length + b"\x00" + domain_prime)
    return hashlib.sha512(b_0.digest() + b"\x01" + domain_prime).digest()


def hash_to_group(group: Group, message: bytes) -> Element:
    """HashToGroup of RFC 9497 section 4.1."""
    return group.element_from_uniform(_expand_message(message, b"HashToGroup-" + CONTEXT))


def hash_to_scalar(group: Group, message: bytes, domain: bytes) -> bytes:
    """HashToScalar of RFC 9497 section 4.1; the 64 bytes are read little-endian."""
    return group.reduce_scalar(_expand_message(message, domain))


def composite_weights(
    group: Group,
    public_key: bytes,
    blinded: Sequence[bytes],
    evaluated: Sequence[bytes],
) -> list[bytes]:
    """Return the scalars d_i of ComputeComposites (RFC 9497 section 2.2.1)."""
    seed_transcript = length_prefixed(public_key) + length_prefixed(b"Seed-" + CONTEXT)
    seed = length_prefixed(hashlib.sha512(seed_transcript).digest())
    domain = b"HashToScalar-" + CONTEXT
    return [
        hash_to_scalar(
            group,
            seed + i.to_bytes(2, "big") + length_prefixed(c) + length_prefixed(d) + b"Composite",
            domain,
        )
        for i, (c, d) in enumerate(zip(blinded, evaluated, strict=True))
    ]


def weighted_sum(group: Group, weights: Sequence[bytes], points: Sequence[Element]) -> Element:
    """Return the sum of weights[i] times points[i]; at least one."""
    total = group.multiply(weights[0], points[0])
    for weight, point in zip(weights[1:], points[1:], strict=True):
        total = group.add(total, group.multiply(weight, point))
    return total


def challenge(group: Group, public_key: bytes, points: Sequence[Element]) -> bytes:
    """Return c of GenerateProof and VerifyProof over B, M, Z, t2, t3 (RFC 9497 section 2.2)."""
    encoded = (public_key, *map(group.encode_element, points))
    transcript = b"".join(map(length_prefixed, encoded)) + b"Challenge"
    return hash_to_scalar(group, transcript, b"HashToScalar-" + CONTEXT)
