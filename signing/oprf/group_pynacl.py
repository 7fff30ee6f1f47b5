"""ristretto255 on top of PyNaCl's edwards25519, with RFC 9496's encodings in Python.

An element of ristretto255 is a class of points of edwards25519 that differ by small torsion. Here
each class is represented by its one member of the prime-order subgroup, on which libsodium (inside
PyNaCl) adds and multiplies; Python's integers only decode, encode and map. To get to that member,
torsion is cleared: 8 * P has none, and 1/8 modulo the order undoes the 8.

Scalars, which are the secrets, are only ever computed on by libsodium. The Python part is not
constant time in the points that it converts: for the server these are public, for the client one
is the hash of its own input, so a process on the client's own machine could time it. This is the
backend for development, checks and small installations; `signing.oprf.group_sodium` is the other.

Nothing here relies on `crypto_core_ed25519_is_valid_point`, the function of CVE-2025-69277.
"""

from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from protocol.errors import MalformedError
from signing.oprf.elements import (
    ELEMENT_BYTES,
    ORDER,
    PRIME,
    UNIFORM_BYTES,
    ZERO_SCALAR,
    Element,
    check_bytes,
    check_encoding,
    check_scalar,
    draw_scalar,
)

# The constants of RFC 9496 section 4.1, beside the prime.
D: Final = 37095705934669439343138083508754565189542113879843219016388785533085940283555
SQRT_M1: Final = 19681161376707505956807079304988542015446066515923890162744021073123829784752
SQRT_AD_MINUS_ONE: Final = (
    25063068953384623474111414158702152701244531502492656460079210482610430750235
)
INVSQRT_A_MINUS_D: Final = (
    54469307008909316920995813868745141605393597292927456921205312896311721017578
)
ONE_MINUS_D_SQ: Final = 1159843021668779879193775521855586647937357759715417654439879720876111806838
D_MINUS_ONE_SQ: Final = (
    40440834346308536858101042469323190826248399146238708352240133220865137265952
)

_LOW_255_BITS: Final = 2**255 - 1
_EIGHTH: Final = pow(8, -1, ORDER).to_bytes(32, "little")
_EDWARDS_IDENTITY: Final = (1).to_bytes(32, "little")  # x = 0, y = 1


class EdwardsElement(Element):
    """An element by a compressed point of edwards25519.

    Attributes:
        point: the representative in the prime-order subgroup, or eight times it.
        is_eightfold: which of the two. The 1/8 is left to the next multiplication, which then
            costs nothing more.
    """

    __slots__ = ("is_eightfold", "point")

    def __init__(self, point: bytes, *, is_eightfold: bool) -> None:
        self.point = point
        self.is_eightfold = is_eightfold


class PyNaClGroup:
    """The group by PyNaCl; see `signing.oprf.group.Group` for what each method promises."""

    name = "pynacl"

    def __init__(self) -> None:
        """Check that PyNaCl's libsodium was built with edwards25519.

        Raises:
            RuntimeError: PyNaCl was built against a minimal libsodium.
        """
        if not (bindings.has_crypto_core_ed25519 and bindings.has_crypto_scalarmult_ed25519):
            raise RuntimeError("PyNaCl was built against a libsodium without edwards25519.")

    def decode_element(self, encoded: bytes) -> Element:
        """Return the element of 32 octets (RFC 9496 section 4.3.1); the identity is refused."""
        s = int.from_bytes(check_encoding(encoded), "little")
        ss = s * s % PRIME
        u1 = 1 - ss
        u2 = 1 + ss
        u2_sqr = u2 * u2 % PRIME
        v = (-D * u1 * u1 - u2_sqr) % PRIME
        was_square, inv_sqrt = _sqrt_ratio_m1(1, v * u2_sqr % PRIME)
        den_x = inv_sqrt * u2 % PRIME
        den_y = inv_sqrt * den_x * v % PRIME
        x = _abs(2 * s * den_x)
        y = u1 * den_y % PRIME
        if not was_square or x * y % PRIME & 1 or y == 0:
            raise MalformedError("A group element is not a valid encoding.")
        return _clear_torsion(_compress(x, y))

    def encode_element(self, element: Element) -> bytes:
        """Return the 32 octets that stand for the element (RFC 9496 section 4.3.2)."""
        # With z0 = 1 and t0 = x0 * y0, since the point is affine.
        x0, y0 = _decompress(_subgroup_point(element))
        t0 = x0 * y0 % PRIME
        u1 = (1 + y0) * (1 - y0) % PRIME
        _, inv_sqrt = _sqrt_ratio_m1(1, u1 * t0 * t0 % PRIME)
        den1 = inv_sqrt * u1 % PRIME
        den2 = inv_sqrt * t0 % PRIME
        z_inv = den1 * den2 * t0 % PRIME
        if t0 * z_inv % PRIME & 1:
            x, y = y0 * SQRT_M1 % PRIME, x0 * SQRT_M1 % PRIME
            den_inv = den1 * INVSQRT_A_MINUS_D
        else:
            x, y, den_inv = x0, y0, den2
        if x * z_inv % PRIME & 1:
            y = -y
        return _abs(den_inv * (1 - y)).to_bytes(ELEMENT_BYTES, "little")

    def element_from_uniform(self, uniform: bytes) -> Element:
        """Return the element of 64 uniform octets (RFC 9496 section 4.3.4)."""
        check_bytes(uniform, UNIFORM_BYTES)
        return _clear_torsion(_add(_map(uniform[:32]), _map(uniform[32:])))

    def multiply(self, scalar: bytes, element: Element) -> Element:
        """Return scalar times element."""
        check_scalar(scalar)
        point = _own(element).point
        if _own(element).is_eightfold:
            scalar = bindings.crypto_core_ed25519_scalar_mul(scalar, _EIGHTH)
        return _multiply(scalar, point)

    def multiply_base(self, scalar: bytes) -> Element:
        """Return scalar times the generator."""
        check_scalar(scalar)
        try:
            point = bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)
        except CryptoError as error:
            raise MalformedError("A group operation has no valid result.") from error
        return EdwardsElement(point, is_eightfold=False)

    def add(self, left: Element, right: Element) -> Element:
        """Return the sum of two elements."""
        point = _add(_subgroup_point(left), _subgroup_point(right))
        return EdwardsElement(_not_identity(point), is_eightfold=False)

    def decode_scalar(self, encoded: bytes) -> bytes:
        """Return the same 32 octets, checked."""
        return check_scalar(encoded)

    def reduce_scalar(self, uniform: bytes) -> bytes:
        """Return 64 octets modulo the order."""
        return bindings.crypto_core_ed25519_scalar_reduce(check_bytes(uniform, UNIFORM_BYTES))

    def multiply_scalars(self, left: bytes, right: bytes) -> bytes:
        """Return left times right modulo the order."""
        return bindings.crypto_core_ed25519_scalar_mul(check_scalar(left), check_scalar(right))

    def add_scalars(self, left: bytes, right: bytes) -> bytes:
        """Return left plus right modulo the order."""
        return bindings.crypto_core_ed25519_scalar_add(check_scalar(left), check_scalar(right))

    def subtract_scalars(self, left: bytes, right: bytes) -> bytes:
        """Return left minus right modulo the order."""
        return bindings.crypto_core_ed25519_scalar_sub(check_scalar(left), check_scalar(right))

    def invert_scalar(self, scalar: bytes) -> bytes:
        """Return the inverse modulo the order; zero is refused."""
        if check_scalar(scalar) == ZERO_SCALAR:
            raise MalformedError("A group operation has no valid result.")
        return bindings.crypto_core_ed25519_scalar_invert(scalar)

    def random_scalar(self) -> bytes:
        """Return a fresh uniform scalar that is not zero."""
        return draw_scalar(self.reduce_scalar)


def _own(element: Element) -> EdwardsElement:
    if type(element) is not EdwardsElement:
        raise MalformedError("A group element is not one of this backend.")
    return element


def _subgroup_point(element: Element) -> bytes:
    """Return the compressed representative in the prime-order subgroup."""
    own = _own(element)
    return _multiply(_EIGHTH, own.point).point if own.is_eightfold else own.point


def _multiply(scalar: bytes, point: bytes) -> EdwardsElement:
    """Return the multiple of a subgroup point that is not the identity.

    libsodium checks once more that the point is canonical and in the subgroup, and fails when the
    result is the identity.
    """
    try:
        multiple = bindings.crypto_scalarmult_ed25519_noclamp(scalar, point)
    except CryptoError as error:
        raise MalformedError("A group operation has no valid result.") from error
    return EdwardsElement(multiple, is_eightfold=False)


def _add(left: bytes, right: bytes) -> bytes:
    """Return the sum of two compressed points of the whole curve, identity included."""
    return bindings.crypto_core_ed25519_add(left, right)


def _not_identity(point: bytes) -> bytes:
    if point == _EDWARDS_IDENTITY:
        raise MalformedError("A group operation has no valid result.")
    return point


def _clear_torsion(point: bytes) -> EdwardsElement:
    """Return the element that a point of the curve stands for, as eight times the point."""
    for _ in range(3):
        point = _add(point, point)
    return EdwardsElement(_not_identity(point), is_eightfold=True)


def _sqrt_ratio_m1(u: int, v: int) -> tuple[bool, int]:
    """Return whether u/v is a square, and its even root or that of SQRT_M1 * u/v.

    RFC 9496 section 4.2; arguments are reduced modulo the prime.
    """
    v3 = v * v * v % PRIME
    r = u * v3 * pow(u * v3 * v3 * v, (PRIME - 5) // 8, PRIME) % PRIME
    check = v * r * r % PRIME
    is_correct = check == u
    is_flipped = check == PRIME - u
    is_flipped_i = check == -u * SQRT_M1 % PRIME
    if is_flipped or is_flipped_i:
        r = r * SQRT_M1
    return is_correct or is_flipped, _abs(r)


def _abs(value: int) -> int:
    """Return the one of value and -value that is "not negative", that is even, modulo the prime."""
    value %= PRIME
    return PRIME - value if value & 1 else value


def _map(half: bytes) -> bytes:
    """Return the compressed point for 32 octets, the top bit ignored: MAP of RFC 9496 4.3.4."""
    t = int.from_bytes(half, "little") & _LOW_255_BITS
    r = SQRT_M1 * t * t % PRIME
    u = (r + 1) * ONE_MINUS_D_SQ % PRIME
    v = (-1 - r * D) * (r + D) % PRIME
    was_square, s = _sqrt_ratio_m1(u, v)
    if was_square:
        c = -1
    else:
        s = -_abs(s * t)
        c = r
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % PRIME
    # Extended coordinates are (w0 * w3 : w2 * w1 : w1 * w3), and neither w1 nor w3 is ever 0: the
    # discriminants of the quadratic equations in r that this would take are not squares.
    w0 = 2 * s * v
    w1 = n * SQRT_AD_MINUS_ONE
    w2 = 1 - s * s
    w3 = 1 + s * s
    z_inv = pow(w1 * w3, -1, PRIME)
    return _compress(w0 * w3 * z_inv % PRIME, w2 * w1 * z_inv % PRIME)


def _compress(x: int, y: int) -> bytes:
    """Return the encoding of an affine point (RFC 8032 section 5.1.2)."""
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decompress(point: bytes) -> tuple[int, int]:
    """Return the affine coordinates of a point that libsodium computed (RFC 8032 section 5.1.3)."""
    encoded = int.from_bytes(point, "little")
    y = encoded & _LOW_255_BITS
    yy = y * y % PRIME
    _, x = _sqrt_ratio_m1((yy - 1) % PRIME, (D * yy + 1) % PRIME)
    return (PRIME - x if encoded >> 255 else x), y
