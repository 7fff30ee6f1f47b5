"""Ed25519 keys, each for exactly one use.

What it is: the only place where an Ed25519 signature is made or decided on. Every node must come
to the same answer about the same bytes, and libraries do not agree on the edge cases (of C2SP's 914
edge vectors libsodium accepts 43 and OpenSSL 208), so exactly one verifier decides here: libsodium
through PyNaCl, over keys from which the small-order points are barred at the door.

What it is not: storage (`signing.keystore`) or trust. A `PublicKey` says nothing about whose it is.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final, NoReturn, Self

import nacl.exceptions
import nacl.signing

from protocol.encoding import from_base64url, to_base64url
from protocol.errors import BadSignatureError, MalformedError

KEY_BYTES: Final = 32
"""Length of an Ed25519 public key, and of the seed of a secret one (RFC 8032 section 5.1.5)."""

SIGNATURE_BYTES: Final = 64
"""Length of an Ed25519 signature (RFC 8032 section 5.1.6)."""

_FIELD_PRIME: Final = 2**255 - 19
_SIGN_BIT: Final = 1 << 255

# y-coordinates of the points of order 1, 2, 4 and 8 on edwards25519, as in libsodium's blacklist
# (ge25519_has_small_order). Both signs of x count, also the impossible "minus zero". Their
# non-canonical encodings are y + p, which the canonicity check refuses before.
_ORDER_8_Y: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y: Final = frozenset(
    {0, 1, _FIELD_PRIME - 1, _ORDER_8_Y, _FIELD_PRIME - _ORDER_8_Y},
)

_TEXT_PREFIX: Final = "schutznetz-key"
_CHECK_BYTES: Final = 4
_TEXT: Final = re.compile(r"schutznetz-key:([a-z]{1,16}):([A-Za-z0-9_-]{48})", re.ASCII)


class KeyUse(StrEnum):
    """What a key may be used for: one key per purpose, and never two purposes for one key."""

    ROOT = "root"
    """Signs node and circle descriptors; kept offline."""

    REQUEST = "request"
    """Signs HTTP requests (RFC 9421)."""

    LOG = "log"
    """Signs checkpoints of the node's own log (C2SP signature type 0x01)."""

    WITNESS = "witness"
    """Cosigns checkpoints of other logs (C2SP signature type 0x04)."""

    STATEMENT = "statement"
    """Signs the node's own statements (DSSE)."""

    FLAGGER = "flagger"
    """Signs a flagger's statements (DSSE); kept on the flagger's own machine."""


@dataclass(frozen=True, repr=False)
class PublicKey:
    """An Ed25519 public key together with the one use that it has.

    Constructing one checks its form: that somebody vouches for the key is the caller's to know.

    Attributes:
        use: what the key may sign.
        raw: the 32-byte encoding of RFC 8032 section 5.1.2.

    Raises:
        MalformedError: `raw` has another length, is not the canonical encoding, or is a point of
            small order, under which one signature fits many messages.
    """

    use: KeyUse
    raw: bytes

    def __post_init__(self) -> None:
        """Refuse what must never be a key (RFC 8032 section 5.1.3; libsodium's blacklist)."""
        if len(self.raw) != KEY_BYTES:
            raise MalformedError(f"A public key has {KEY_BYTES} bytes, not {len(self.raw)}.")
        y = int.from_bytes(self.raw, "little") & ~_SIGN_BIT
        if y >= _FIELD_PRIME:
            raise MalformedError("The public key is not in its canonical encoding.")
        if y in _SMALL_ORDER_Y:
            raise MalformedError("The public key is a point of small order.")

    @cached_property
    def kid(self) -> str:
        """Key id: first 16 bytes of SHA-256("schutznetz/key/v1" 0x00 use 0x00 raw), as 32 hex."""
        digest = hashlib.sha256(b"\x00".join((b"schutznetz/key/v1", self.use.encode(), self.raw)))
        return digest.digest()[:16].hex()

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if `signature` is this key's over exactly `message`.

        Args:
            message: the signed bytes.
            signature: 64 bytes, R and S of RFC 8032 section 5.1.6.

        Raises:
            BadSignatureError: it is not.
        """
        if len(signature) != SIGNATURE_BYTES:
            raise BadSignatureError(f"A signature has {SIGNATURE_BYTES} bytes.")
        try:
            nacl.signing.VerifyKey(self.raw).verify(message, signature)
        except nacl.exceptions.BadSignatureError:
            raise BadSignatureError("The signature does not fit the bytes and the key.") from None

    def to_text(self) -> str:
        """Return the key as one line that survives copying: ``schutznetz-key:<use>:<48 chars>``.

        The 48 characters are base64url (RFC 4648 section 5) of the key and four check bytes, the
        first of SHA-256("schutznetz/key-text/v1" 0x00 use 0x00 raw): a mistyped character, or a
        changed use, goes unnoticed once in 2^32.
        """
        data = to_base64url(self.raw + _check(self.use, self.raw))
        return f"{_TEXT_PREFIX}:{self.use}:{data}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the key that `to_text` wrote, with no blank or line end around it.

        Raises:
            MalformedError: not of that form, mistyped, of an unknown use, or not a usable key.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise MalformedError("A key has the form schutznetz-key:<use>:<48 characters>.")
        try:
            use = KeyUse(match[1])
        except ValueError:
            raise MalformedError("The key is for a use that this version does not know.") from None
        # 48 characters are exactly 36 bytes: no padding, no spare bits, one encoding per key.
        data = from_base64url(match[2])
        raw, check = data[:KEY_BYTES], data[KEY_BYTES:]
        if check != _check(use, raw):
            raise MalformedError("The key's check characters do not fit: it was mistyped or cut.")
        return cls(use, raw)

    def __repr__(self) -> str:
        """Name the key by its id only."""
        return f"PublicKey(use={self.use.value!r}, kid={self.kid!r})"


class SigningKey:
    """The secret half of an Ed25519 key, for one use.

    It shows itself nowhere: not in its `repr`, not in a copy, not in a pickle.

    Attributes:
        use: what the key may sign.
        public: the public half.
    """

    __slots__ = ("_secret", "public", "use")

    def __init__(self, use: KeyUse, seed: bytes) -> None:
        if len(seed) != KEY_BYTES:
            raise MalformedError(f"The seed of a key has {KEY_BYTES} bytes, not {len(seed)}.")
        self.use: Final = use
        self._secret: Final = nacl.signing.SigningKey(seed)
        self.public: Final = PublicKey(use, bytes(self._secret.verify_key))

    @classmethod
    def generate(cls, use: KeyUse) -> Self:
        """Return a new key from the system's randomness."""
        return cls(use, bytes(nacl.signing.SigningKey.generate()))

    @classmethod
    def from_seed(cls, use: KeyUse, seed: bytes) -> Self:
        """Return the key of a 32-byte seed (RFC 8032 section 5.1.5).

        Raises:
            MalformedError: `seed` has another length.
        """
        return cls(use, seed)

    @property
    def kid(self) -> str:
        """Key id of the public half."""
        return self.public.kid

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, for `signing.keystore` and nobody else."""
        return bytes(self._secret)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over exactly `message` (RFC 8032 section 5.1.6)."""
        return self._secret.sign(message).signature

    def __repr__(self) -> str:
        """Name the key by its id only."""
        return f"SigningKey(use={self.use.value!r}, kid={self.kid!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse copies and pickles: the secret leaves this object through the keystore only."""
        raise RuntimeError("A signing key is neither copied nor pickled.")


def _check(use: KeyUse, raw: bytes) -> bytes:
    """Return the check bytes of the one-line form."""
    digest = hashlib.sha256(b"\x00".join((b"schutznetz/key-text/v1", use.encode(), raw)))
    return digest.digest()[:_CHECK_BYTES]
