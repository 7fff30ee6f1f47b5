"""COCKTAIL(Ristretto255, SHA-512): the primitives of the key generation, and nothing else.

The signatures are Schnorr's over ristretto255 with prefixes of their own. They are no Ed25519, and
nothing outside a key generation accepts them.
"""

import hashlib
import hmac
from typing import Final, NamedTuple

from nacl import bindings
from nacl.exceptions import CryptoError

from protocol.errors import BadSignatureError, MalformedError
from signing.oprf.elements import ELEMENT_BYTES, SCALAR_BYTES, check_bytes
from signing.oprf.group import Group
from signing.oprf.voprf import KeyPair

CIPHERSUITE: Final = b"COCKTAIL(Ristretto255, SHA-512)"
"""The identifier, byte for byte (COCKTAIL-DKG, "Ciphersuite Definitions")."""

SIGNATURE_BYTES: Final = ELEMENT_BYTES + SCALAR_BYTES
"""A signature: the commitment R, then the response z ("Schnorr Signature Format")."""

TAG_BYTES: Final = 16
"""What XChaCha20-Poly1305 adds to a plaintext."""

_PREFIX: Final = b"COCKTAIL-DKG-Ristretto255-SHA512-"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 24


class Channel(NamedTuple):
    """From whom to whom a share is encrypted: the public inputs of H6.

    Attributes:
        ephemeral: the sender's ephemeral public key E, 32 bytes.
        sender: the sender's static public key.
        recipient: the recipient's static public key.
        context: the context of the session.
    """

    ephemeral: bytes
    sender: bytes
    recipient: bytes
    context: bytes


def sign(key: KeyPair, message: bytes, *, group: Group) -> bytes:
    """Return the signature over the message, `SIGNATURE_BYTES` ("Schnorr Sign Algorithm").

    The nonce follows from key and message, so that no two messages ever share one.

    Raises:
        MalformedError: the nonce came out as zero, which happens once in 2^252 messages. There is
            no signature of this key for this message then.
    """
    nonce = _hash_to_scalar(group, b"NONCE", key.private + message)
    commitment = group.encode_element(group.multiply_base(nonce))
    challenge = _challenge(group, commitment, key.public, message)
    response = group.add_scalars(nonce, group.multiply_scalars(challenge, key.private))
    return commitment + response


def verify_signature(public: bytes, signature: bytes, message: bytes, *, group: Group) -> None:
    """The message was signed with the key of `public` ("Schnorr Verify Algorithm").

    Raises:
        MalformedError: the key or the signature is not of its form.
        BadSignatureError: the signature does not fit.
    """
    check_bytes(signature, SIGNATURE_BYTES)
    response = group.decode_scalar(signature[ELEMENT_BYTES:])
    commitment = group.decode_element(signature[:ELEMENT_BYTES])
    challenge = _challenge(group, signature[:ELEMENT_BYTES], public, message)
    key = group.decode_element(public)
    try:
        left = group.encode_element(group.multiply_base(response))
        right = group.encode_element(group.add(commitment, group.multiply(challenge, key)))
    except MalformedError as error:
        # The identity came up: with an honest signature once in 2^252 times.
        raise BadSignatureError("A signature does not hold.") from error
    if not hmac.compare_digest(left, right):
        raise BadSignatureError("A signature does not hold.")


def seal(shared: bytes, channel: Channel, plaintext: bytes) -> bytes:
    """Return the plaintext encrypted for its recipient, `TAG_BYTES` longer.

    Key and nonce both follow from H6, as the specification demands: `shared` holds a fresh
    ephemeral secret, so neither ever repeats.

    Args:
        shared: both Diffie-Hellman secrets, S^e then S^d, 32 bytes each.
        channel: whose they are.
        plaintext: the share, and the payload where there is one.
    """
    key, nonce = _key_and_nonce(shared, channel)
    return bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, None, nonce, key)


def unseal(shared: bytes, channel: Channel, ciphertext: bytes) -> bytes:
    """Return what `seal` encrypted.

    Raises:
        BadSignatureError: it was made for somebody else, by somebody else, or changed on its way.
    """
    key, nonce = _key_and_nonce(shared, channel)
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, None, nonce, key)
    except CryptoError as error:
        raise BadSignatureError("An encrypted share does not open.") from error


def _key_and_nonce(shared: bytes, channel: Channel) -> tuple[bytes, bytes]:
    """Split the output of H6 ("Helper: Key and Nonce Derivation")."""
    length = len(channel.context).to_bytes(8, "little")
    publics = channel.ephemeral + channel.sender + channel.recipient
    output = hashlib.sha512(_PREFIX + b"H6" + shared + publics + length + channel.context).digest()
    return output[:_KEY_BYTES], output[_KEY_BYTES : _KEY_BYTES + _NONCE_BYTES]


def _challenge(group: Group, commitment: bytes, public: bytes, message: bytes) -> bytes:
    return _hash_to_scalar(group, b"H7", commitment + public + message)


def _hash_to_scalar(group: Group, label: bytes, data: bytes) -> bytes:
    """HashToScalar: SHA-512, little-endian, reduced ("Schnorr Hash-to-Scalar Reduction")."""
    return group.reduce_scalar(hashlib.sha512(_PREFIX + label + data).digest())
