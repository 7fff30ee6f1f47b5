"""ristretto255 through ctypes on the libsodium of the system.

PyNaCl ships a libsodium that does not export ristretto255, hence the second copy. ctypes releases
the interpreter's lock during each call, so threads evaluate in parallel. No value reaches a C
function before signing/oprf/elements.py has checked its type, length and range, and every return
code is checked.
"""

import contextlib
import ctypes
import re
from collections.abc import Iterable
from typing import Any, Final

from protocol.errors import MalformedError
from signing.oprf.elements import (
    ELEMENT_BYTES,
    IDENTITY_ENCODING,
    SCALAR_BYTES,
    UNIFORM_BYTES,
    Element,
    check_bytes,
    check_encoding,
    check_scalar,
    draw_scalar,
)

LIBRARY_NAMES: Final = (
    "libsodium.so.26",
    "libsodium.so.23",
    "libsodium.26.dylib",
    "libsodium.23.dylib",
)
"""What the loader is asked for. By name and not by `ctypes.util.find_library`, which starts a
compiler to find out."""

MIN_VERSION: Final = (1, 0, 18)
"""First libsodium with ristretto255."""

# Name, number of buffers (the result first), and whether the function returns a status.
_FUNCTIONS: Final = (
    ("crypto_core_ristretto255_is_valid_point", 1, True),
    ("crypto_core_ristretto255_from_hash", 2, True),
    ("crypto_core_ristretto255_add", 3, True),
    ("crypto_scalarmult_ristretto255", 3, True),
    ("crypto_scalarmult_ristretto255_base", 2, True),
    ("crypto_core_ristretto255_scalar_reduce", 2, False),
    ("crypto_core_ristretto255_scalar_mul", 3, False),
    ("crypto_core_ristretto255_scalar_add", 3, False),
    ("crypto_core_ristretto255_scalar_sub", 3, False),
    ("crypto_core_ristretto255_scalar_invert", 2, True),
)


class SodiumElement(Element):
    """An element, kept as its canonical encoding, which libsodium has found valid."""

    __slots__ = ("encoded",)

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded


class SodiumGroup:
    """The group by libsodium; see `signing.oprf.group.Group` for what each method promises."""

    name = "libsodium"

    def __init__(self, library: ctypes.CDLL) -> None:
        """Bind the functions of a library that `load_group` has found usable.

        Raises:
            AttributeError: the library lacks one of the functions.
        """
        functions: dict[str, Any] = {}
        for name, buffers, has_status in _FUNCTIONS:
            function = getattr(library, name)
            function.argtypes = [ctypes.c_char_p] * buffers
            function.restype = ctypes.c_int if has_status else None
            functions[name.removeprefix("crypto_").removeprefix("core_ristretto255_")] = function
        self._is_valid = functions["is_valid_point"]
        self._from_hash = functions["from_hash"]
        self._add = functions["add"]
        self._multiply = functions["scalarmult_ristretto255"]
        self._multiply_base = functions["scalarmult_ristretto255_base"]
        self._reduce = functions["scalar_reduce"]
        self._multiply_scalars = functions["scalar_mul"]
        self._add_scalars = functions["scalar_add"]
        self._subtract_scalars = functions["scalar_sub"]
        self._invert = functions["scalar_invert"]

    def decode_element(self, encoded: bytes) -> Element:
        """Return the element of 32 octets; the identity is refused."""
        if self._is_valid(check_encoding(encoded)) != 1:
            raise MalformedError("A group element is not a valid encoding.")
        return SodiumElement(encoded)

    def encode_element(self, element: Element) -> bytes:
        """Return the 32 octets that stand for the element."""
        return _encoding(element)

    def element_from_uniform(self, uniform: bytes) -> Element:
        """Return the element of 64 uniform octets."""
        check_bytes(uniform, UNIFORM_BYTES)
        return _element(_call(self._from_hash, ELEMENT_BYTES, uniform))

    def multiply(self, scalar: bytes, element: Element) -> Element:
        """Return scalar times element."""
        encoded = _encoding(element)
        return _element(_call(self._multiply, ELEMENT_BYTES, check_scalar(scalar), encoded))

    def multiply_base(self, scalar: bytes) -> Element:
        """Return scalar times the generator."""
        return _element(_call(self._multiply_base, ELEMENT_BYTES, check_scalar(scalar)))

    def add(self, left: Element, right: Element) -> Element:
        """Return the sum of two elements."""
        return _element(_call(self._add, ELEMENT_BYTES, _encoding(left), _encoding(right)))

    def decode_scalar(self, encoded: bytes) -> bytes:
        """Return the same 32 octets, checked."""
        return check_scalar(encoded)

    def reduce_scalar(self, uniform: bytes) -> bytes:
        """Return 64 octets modulo the order."""
        return _call(self._reduce, SCALAR_BYTES, check_bytes(uniform, UNIFORM_BYTES))

    def multiply_scalars(self, left: bytes, right: bytes) -> bytes:
        """Return left times right modulo the order."""
        left, right = check_scalar(left), check_scalar(right)
        return _call(self._multiply_scalars, SCALAR_BYTES, left, right)

    def add_scalars(self, left: bytes, right: bytes) -> bytes:
        """Return left plus right modulo the order."""
        left, right = check_scalar(left), check_scalar(right)
        return _call(self._add_scalars, SCALAR_BYTES, left, right)

    def subtract_scalars(self, left: bytes, right: bytes) -> bytes:
        """Return left minus right modulo the order."""
        left, right = check_scalar(left), check_scalar(right)
        return _call(self._subtract_scalars, SCALAR_BYTES, left, right)

    def invert_scalar(self, scalar: bytes) -> bytes:
        """Return the inverse modulo the order; zero is refused."""
        return _call(self._invert, SCALAR_BYTES, check_scalar(scalar))

    def random_scalar(self) -> bytes:
        """Return a fresh uniform scalar that is not zero."""
        return draw_scalar(self.reduce_scalar)


def load_group(names: Iterable[str] = LIBRARY_NAMES) -> SodiumGroup | None:
    """Return the group on the first usable libsodium of the system, None where there is none.

    Args:
        names: shared libraries to try, in order.
    """
    for name in names:
        # OSError: not there. AttributeError: a build, or another library, without ristretto255.
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(name)
            if is_usable(library):
                return SodiumGroup(library)
    return None


def is_usable(library: ctypes.CDLL) -> bool:
    """Tell whether the library is a libsodium of at least `MIN_VERSION` that could start."""
    library.sodium_version_string.restype = ctypes.c_char_p
    version = re.match(r"(\d+)\.(\d+)\.(\d+)", library.sodium_version_string().decode())
    if version is None or tuple(map(int, version.groups())) < MIN_VERSION:
        return False
    # 0 at first, 1 when it has been started before, -1 when it must not be used.
    return bool(library.sodium_init() >= 0)


def _call(function: Any, length: int, *arguments: bytes) -> bytes:
    """Return what `function` wrote to its first buffer, after it reported success.

    A function without a status gives None. A status other than 0 can only mean a result that does
    not exist: all arguments are valid by now.
    """
    result = ctypes.create_string_buffer(length)
    if function(result, *arguments):
        raise MalformedError("A group operation has no valid result.")
    return result.raw


def _element(encoded: bytes) -> SodiumElement:
    """Return the element of a result. Sums may be the identity without a bad status."""
    if encoded == IDENTITY_ENCODING:
        raise MalformedError("A group operation has no valid result.")
    return SodiumElement(encoded)


def _encoding(element: Element) -> bytes:
    if type(element) is not SodiumElement:
        raise MalformedError("A group element is not one of this backend.")
    return element.encoded
