"""The length prefix of RFC 9497: ``I2OSP(len(x), 2) || x``, big-endian."""

from typing import Final

from protocol.errors import LimitError, MalformedError

MAX_FRAMED_BYTES: Final = 2**16 - 1
"""Longest input that RFC 9497 section 1.2 allows, and the longest that two octets can announce."""


def length_prefixed(data: bytes) -> bytes:
    """Return the data after its length in two octets.

    Raises:
        MalformedError: not `bytes`.
        LimitError: longer than `MAX_FRAMED_BYTES`.
    """
    if type(data) is not bytes:
        raise MalformedError("An OPRF input must be given as bytes.")
    if len(data) > MAX_FRAMED_BYTES:
        raise LimitError(f"An OPRF input has at most {MAX_FRAMED_BYTES} bytes.")
    return len(data).to_bytes(2, "big") + data
