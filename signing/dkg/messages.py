"""What a participant says in round 1, and the bytes that it is (COCKTAIL-DKG, "Protocol Messages").

Parsing looks at form alone: lengths, points and their number. Whether the proof holds and the
shares fit is for `signing.dkg.rounds`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.errors import LimitError, MalformedError
from signing.dkg.ciphersuite import CIPHERSUITE, SIGNATURE_BYTES, TAG_BYTES
from signing.oprf.elements import ELEMENT_BYTES, SCALAR_BYTES, Element
from signing.oprf.group import Group

MIN_CIPHERTEXT_BYTES: Final = SCALAR_BYTES + TAG_BYTES
"""An encrypted share without a payload."""

MAX_CIPHERTEXT_BYTES: Final = 64 << 10
"""The ceiling that the specification recommends. Our own ceremonies send no payload."""

_LENGTH_BYTES: Final = 8


@dataclass(frozen=True, repr=False)
class Commitment:
    """One participant's message of round 1.

    Attributes:
        coefficients: commitments to its polynomial, 32 bytes each, as many as the threshold.
        proof: its proof that it knows the polynomial's constant, 64 bytes.
        ephemeral: its ephemeral public key, 32 bytes.
        ciphertexts: one encrypted share for each participant, in their order.
        points: the coefficients, decoded, for the backend that parsed them.
    """

    coefficients: tuple[bytes, ...]
    proof: bytes
    ephemeral: bytes
    ciphertexts: tuple[bytes, ...]
    points: tuple[Element, ...]

    def __repr__(self) -> str:
        """Say how many shares there are and nothing more."""
        return f"Commitment({len(self.ciphertexts)} shares, hidden)"


def encode_commitment(
    coefficients: tuple[bytes, ...], proof: bytes, ephemeral: bytes, ciphertexts: tuple[bytes, ...]
) -> bytes:
    """Return msg1: ``C || PoP || E``, then each ciphertext after its length in eight octets."""
    framed = (len(text).to_bytes(_LENGTH_BYTES, "big") + text for text in ciphertexts)
    return b"".join((*coefficients, proof, ephemeral, *framed))


def parse_commitment(data: bytes, *, threshold: int, participants: int, group: Group) -> Commitment:
    """Return the message of round 1 in `data`.

    Args:
        data: the bytes as received.
        threshold: exactly how many coefficients there must be. One more would raise the threshold
            behind everybody's back.
        participants: exactly how many ciphertexts there must be.
        group: the backend.

    Raises:
        MalformedError: another number of points or ciphertexts, a point that is none or the
            identity, a ciphertext shorter than a share, or bytes left over.
        LimitError: a ciphertext above `MAX_CIPHERTEXT_BYTES`.
    """
    if type(data) is not bytes:
        raise MalformedError("A message of a key generation must be given as bytes.")
    reader = _Reader(data)
    coefficients = tuple(reader.take(ELEMENT_BYTES) for _ in range(threshold))
    proof = reader.take(SIGNATURE_BYTES)
    ephemeral = reader.take(ELEMENT_BYTES)
    points = tuple(group.decode_element(coefficient) for coefficient in coefficients)
    group.decode_element(ephemeral)
    ciphertexts = tuple(reader.take_framed() for _ in range(participants))
    reader.finish()
    return Commitment(coefficients, proof, ephemeral, ciphertexts, points)


def encode_transcript(
    context: bytes,
    threshold: int,
    publics: Sequence[bytes],
    commitments: Sequence[Commitment],
    extension: bytes,
) -> bytes:
    """Return T, which all participants sign ("Round 3: Certification", step 1)."""
    return b"".join(
        (
            len(CIPHERSUITE).to_bytes(8, "little"),
            CIPHERSUITE,
            len(context).to_bytes(8, "little"),
            context,
            len(publics).to_bytes(4, "little"),
            threshold.to_bytes(4, "little"),
            *publics,
            *(point for commitment in commitments for point in commitment.coefficients),
            *(commitment.proof for commitment in commitments),
            *(commitment.ephemeral for commitment in commitments),
            len(extension).to_bytes(8, "little"),
            extension,
        )
    )


class _Reader:
    """Takes bytes off the front, and never fewer than asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise MalformedError("A message of a key generation is too short.")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def take_framed(self) -> bytes:
        length = int.from_bytes(self.take(_LENGTH_BYTES), "big")
        if length > MAX_CIPHERTEXT_BYTES:
            raise LimitError(f"An encrypted share has at most {MAX_CIPHERTEXT_BYTES} bytes.")
        if length < MIN_CIPHERTEXT_BYTES:
            raise MalformedError("An encrypted share is shorter than a share.")
        return self.take(length)

    def finish(self) -> None:
        if self._position != len(self._data):
            raise MalformedError("A message of a key generation has bytes left over.")
