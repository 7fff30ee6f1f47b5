"""The group ristretto255 (RFC 9496) as RFC 9497 section 2.1 wants it, and the choice of a backend.

Two backends exist because ristretto255 is in libsodium but not in PyNaCl's build of it. They give
the same bytes for the same input; tests/vectors and tests/property hold them to that.
"""

import functools
import typing

from signing.oprf import group_pynacl, group_sodium
from signing.oprf.elements import Element


class Group(typing.Protocol):
    """A prime-order group of `ORDER` elements with scalars modulo `ORDER`.

    Elements are opaque (`Element`). Scalars, and elements when encoded, are `bytes` of exactly 32
    octets. Every method raises `MalformedError` for a value that is of another type or length, not
    canonical, or of another backend, and whenever the *result* would be the identity: no
    computation of ours reaches the identity with honest input.
    """

    name: str

    def decode_element(self, encoded: bytes) -> Element:
        """Return the element of 32 octets (RFC 9496 section 4.3.1); the identity is refused."""

    def encode_element(self, element: Element) -> bytes:
        """Return the 32 octets that stand for the element (RFC 9496 section 4.3.2)."""

    def element_from_uniform(self, uniform: bytes) -> Element:
        """Return the element of 64 uniform octets, logarithm unknown (RFC 9496 section 4.3.4)."""

    def multiply(self, scalar: bytes, element: Element) -> Element:
        """Return scalar times element; constant time in the scalar."""

    def multiply_base(self, scalar: bytes) -> Element:
        """Return scalar times the generator; constant time in the scalar."""

    def add(self, left: Element, right: Element) -> Element:
        """Return the sum of two elements."""

    def decode_scalar(self, encoded: bytes) -> bytes:
        """Return the same 32 octets, checked to be the encoding of a scalar; zero passes."""

    def reduce_scalar(self, uniform: bytes) -> bytes:
        """Return 64 octets, little-endian, modulo the order."""

    def multiply_scalars(self, left: bytes, right: bytes) -> bytes:
        """Return left times right modulo the order."""

    def add_scalars(self, left: bytes, right: bytes) -> bytes:
        """Return left plus right modulo the order."""

    def subtract_scalars(self, left: bytes, right: bytes) -> bytes:
        """Return left minus right modulo the order."""

    def invert_scalar(self, scalar: bytes) -> bytes:
        """Return the inverse modulo the order; zero has none and is refused."""

    def random_scalar(self) -> bytes:
        """Return a fresh uniform scalar that is not zero."""


@functools.cache
def default_group() -> Group:
    """Return the fastest group that this machine has, the same one on every call.

    libsodium 1.0.18 or later of the system where there is one, else PyNaCl with RFC 9496 in
    Python: three to ten times slower and not constant time in the client's own *element* (a timing
    that only somebody on the same machine can take), constant time in every scalar.
    """
    return group_sodium.load_group() or group_pynacl.PyNaClGroup()
