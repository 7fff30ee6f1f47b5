"""Addresses of Ethereum and the chains that share its addresses."""

import re

from protocol.errors import MalformedError
from protocol.identifiers.keccak import keccak256

_ADDRESS = re.compile(r"0[xX]([0-9a-fA-F]{40})", re.ASCII)

_NOBODYS_V1 = frozenset({"0" * 40, "f" * 40, "dead".rjust(40, "0"), "e" * 40})
"""Zero, burning and placeholder addresses (``0xEeee…`` stands for ether itself); part of the
scheme."""


def canonical(text: str) -> str:
    """Returns ``evm:0x`` and 40 lower-case hexadecimal digits.

    All-lower and all-upper text carries no checksum and is taken as it is; mixed case is a checksum
    by EIP-55 and has to fit.

    Raises:
        MalformedError: of another form, a checksum that does not fit, or nobody's address.
    """
    found = _ADDRESS.fullmatch(text)
    if not found:
        raise MalformedError("An EVM address is 0x and 40 hexadecimal digits.")
    digits, lower = found[1], found[1].lower()
    if digits not in {lower, digits.upper()} and digits != _with_checksum(lower):
        raise MalformedError(
            "The upper and lower case of that EVM address do not fit (EIP-55); check for a typo."
        )
    if lower in _NOBODYS_V1:
        raise MalformedError("That EVM address is nobody's; leave it out.")
    return f"evm:0x{lower}"


def _with_checksum(lower: str) -> str:
    """Returns the digits with EIP-55's case: upper where the digest's nibble is 8 or more."""
    digest = keccak256(lower.encode("ascii")).hex()
    return "".join(
        digit.upper() if nibble in "89abcdef" else digit
        for digit, nibble in zip(lower, digest, strict=False)
    )
