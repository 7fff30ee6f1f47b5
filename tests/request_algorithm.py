"""Ed25519 by `signing.keys` for the RFC 9421 library, which checks our own requests in tests."""

from http_message_signatures import HTTPSignatureAlgorithm

from signing.keys import PublicKey, SigningKey
from signing.requests import ALGORITHM


class RequestAlgorithm(HTTPSignatureAlgorithm):
    """In place of the library's own, which accepts signatures that libsodium refuses."""

    algorithm_id = ALGORITHM

    def __init__(
        self, public_key: PublicKey | None = None, private_key: SigningKey | None = None
    ) -> None:
        self._public_key = public_key
        self._private_key = private_key

    def sign(self, message: bytes) -> bytes:
        assert self._private_key is not None
        return self._private_key.sign(message)

    def verify(self, signature: bytes, message: bytes) -> None:
        assert self._public_key is not None
        self._public_key.verify(message, signature)
