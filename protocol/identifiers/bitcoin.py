"""Bitcoin addresses: base58check, bech32 (BIP-173) and bech32m (BIP-350), taproot among them.

Main network only. Each spelling of one address gives one value. Two address forms of one key stay
two values, because nobody but the owner can tell that they belong together.
"""

import hashlib
import re

from protocol.errors import MalformedError

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_ADDRESS = re.compile(rf"[13mn2][{_BASE58}]{{24,34}}", re.ASCII)
_BASE58_BYTES = 25  # version, 20 bytes of digest, 4 bytes of checksum
_MAIN_VERSIONS = frozenset({0x00, 0x05})  # pay to public key hash, pay to script hash

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
# one human-readable part, the separator, a version, and the checksum of 6 at the end
_BECH32_ADDRESS = re.compile(rf"(bc|tb|bcrt)1([{_BECH32}]{{7,}})", re.ASCII)
_MAX_BECH32_CHARS = 90  # BIP-173: the checksum finds 4 errors up to here
_CHECKSUM_CHARS = 6
_GROUP_BITS = 5
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CONSTANT = 1
_BECH32M_CONSTANT = 0x2BC830A3
_MAX_WITNESS_VERSION = 16

_NOBODYS_V1 = frozenset(
    {
        "btc:1BitcoinEaterAddressDontSendf59kuE",  # coins are burnt here
        "btc:1111111111111111111114oLvT2",  # 20 zero bytes
        "btc:bc1pfeessrawgf",  # pay to anchor: anyone may spend
    }
)
"""Addresses without an owner; part of the scheme."""

_NO_ADDRESS = "That is no Bitcoin address, or it has a typo: its checksum does not fit."


def is_like_address(text: str) -> bool:
    """Says whether `text` has the look of an address, of any network."""
    return bool(text.lower().startswith(("bc1", "tb1", "bcrt1")) or _BASE58_ADDRESS.fullmatch(text))


def canonical(text: str) -> str:
    """Returns ``btc:`` and the address; bech32 in lower case.

    Raises:
        MalformedError: no address of the main network, a checksum that does not fit, or an address
            that is nobody's.
    """
    segwit = text.lower().startswith(("bc1", "tb1", "bcrt1"))
    value = f"btc:{_segwit(text) if segwit else _base58check(text)}"
    if value in _NOBODYS_V1:
        raise MalformedError("That Bitcoin address is nobody's; leave it out.")
    return value


def _base58check(text: str) -> str:
    if not _BASE58_ADDRESS.fullmatch(text):
        raise MalformedError(_NO_ADDRESS)
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    data = number.to_bytes(_BASE58_BYTES + 1, "big")  # 35 characters are at most 26 bytes
    payload, checksum = data[1:-4], data[-4:]
    # Each leading 1 stands for one zero byte: otherwise an address had several spellings.
    zeros = len(text) - len(text.lstrip("1"))
    if (
        data[0] != 0
        or zeros != len(payload) - len(payload.lstrip(b"\0"))
        or hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4] != checksum
    ):
        raise MalformedError(_NO_ADDRESS)
    _refuse_other_network(main=payload[0] in _MAIN_VERSIONS)
    return text


def _segwit(text: str) -> str:
    lower = text.lower()
    address = _BECH32_ADDRESS.fullmatch(lower)
    if not address or text not in {lower, text.upper()} or len(text) > _MAX_BECH32_CHARS:
        raise MalformedError(_NO_ADDRESS)
    prefix, data = address[1], [_BECH32.index(character) for character in address[2]]
    version, program = data[0], _program(data[1:-_CHECKSUM_CHARS])
    # BIP-350: version 0 keeps the old constant, all later ones have the new.
    constant = _BECH32M_CONSTANT if version else _BECH32_CONSTANT
    lengths = range(2, 41) if version else (20, 32)
    if (
        _polymod([*_expand(prefix), *data]) != constant
        or version > _MAX_WITNESS_VERSION
        or len(program) not in lengths
    ):
        raise MalformedError(_NO_ADDRESS)
    _refuse_other_network(main=prefix == "bc")
    return lower


def _program(groups: list[int]) -> bytes:
    """Returns groups of 5 bits as bytes; what is left over is less than a group, and zero."""
    number = 0
    for group in groups:
        number = number << _GROUP_BITS | group
    length, rest = divmod(_GROUP_BITS * len(groups), 8)
    if rest >= _GROUP_BITS or number & ((1 << rest) - 1):
        raise MalformedError(_NO_ADDRESS)
    return (number >> rest).to_bytes(length, "big")


def _polymod(values: list[int]) -> int:
    """Returns the remainder that BIP-173 calls bech32_polymod."""
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                state ^= generator
    return state


def _expand(prefix: str) -> list[int]:
    """Returns the human-readable part as BIP-173 feeds it to the checksum."""
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _refuse_other_network(*, main: bool) -> None:
    if not main:
        raise MalformedError("That address is of a Bitcoin test network, where nothing is paid.")
