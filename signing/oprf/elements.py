"""What both group backends share: sizes, the opaque element, and the checks before any C code.

A C function reads as many bytes as it likes from the address that it gets, so a short buffer is an
out-of-bounds read and not an error. Every value passes through here first.
"""

import secrets
from collections.abc import Callable
from typing import Final

from protocol.errors import MalformedError

ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""Number of elements of the group, a prime (RFC 9496 section 4)."""

PRIME: Final = 2**255 - 19
"""Order of the field below the group (RFC 9496 section 4.1)."""

ELEMENT_BYTES: Final = 32
"""Length of an encoded element (RFC 9496 section 4.3.2)."""

SCALAR_BYTES: Final = 32
"""Length of an encoded scalar: little-endian, less than `ORDER` (RFC 9496 section 4.4)."""

UNIFORM_BYTES: Final = 64
"""Length of what `element_from_uniform` and `reduce_scalar` take (RFC 9496 sections 4.3.4, 4.4)."""

IDENTITY_ENCODING: Final = bytes(ELEMENT_BYTES)
"""How the identity is encoded: RFC 9497 section 2.1 has it refused wherever it is read."""

ZERO_SCALAR: Final = bytes(SCALAR_BYTES)


class Element:
    """A valid group element that is not the identity.

    Opaque: made by a backend and understood by that backend alone. What one backend makes,
    another refuses.
    """

    __slots__ = ()


def check_bytes(value: object, length: int) -> bytes:
    """Return `value`, which is `bytes` of exactly `length` octets.

    Raises:
        MalformedError: another type (`bytearray` and `memoryview` too: they can change under the
            feet of C code) or another length.
    """
    if type(value) is not bytes:
        raise MalformedError("A group element or scalar must be given as bytes.")
    if len(value) != length:
        raise MalformedError(f"A group value has {length} bytes here, not {len(value)}.")
    return value


def check_encoding(value: object) -> bytes:
    """Return `value`, whose form is that of an encoded element; whether it is one is still open.

    Step 2 of decoding (RFC 9496 section 4.3.1): a number below the prime, and even. Done here for
    every backend, because libsodium 1.0.18 ignores the top bit and would take two encodings for
    one element.

    Raises:
        MalformedError: any other type or length, not canonical, or the identity.
    """
    encoded = check_bytes(value, ELEMENT_BYTES)
    number = int.from_bytes(encoded, "little")
    if number >= PRIME or number & 1 or number == 0:
        raise MalformedError("A group element is not a valid encoding.")
    return encoded


def check_scalar(value: object) -> bytes:
    """Return `value`, which is the only encoding of a scalar: 32 octets, less than `ORDER`.

    Zero passes; an operation that cannot take it says so itself.

    Raises:
        MalformedError: any other type, length or number.
    """
    scalar = check_bytes(value, SCALAR_BYTES)
    if int.from_bytes(scalar, "little") >= ORDER:
        raise MalformedError("A scalar is not less than the order of the group.")
    return scalar


def draw_scalar(reduce_scalar: Callable[[bytes], bytes]) -> bytes:
    """Return a random scalar that is not zero.

    512 random bits are reduced, so that the result differs from uniform by less than 2^-256
    (RFC 9497 section 4.7.2).

    Args:
        reduce_scalar: the backend's reduction of 64 octets.
    """
    while (scalar := reduce_scalar(secrets.token_bytes(UNIFORM_BYTES))) == ZERO_SCALAR:
        pass
    return scalar
