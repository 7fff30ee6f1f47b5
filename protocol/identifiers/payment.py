"""payment-v1: ``iban:…``, ``card:<token>``, ``btc:…`` or ``evm:0x…``.

A card's number itself is refused wherever it turns up: it must not be handled outside a payment
provider (PCI DSS), and the number of a card says nothing that its token does not. Two organisations
meet on a token only where both use one (a payment account reference, or one provider's tokens).
"""

import re

from protocol.errors import MalformedError
from protocol.identifiers import bitcoin, evm, iban
from protocol.identifiers.luhn import is_luhn

_PREFIXED = re.compile(
    r"(iban|card|btc|bitcoin|evm|eth|ethereum)\s*:\s*(.*)", re.ASCII | re.IGNORECASE
)
_IBAN_LIKE = re.compile(r"(?:IBAN)?[A-Z]{2}[0-9]{2}[A-Z0-9]{10,}", re.ASCII | re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=+/~-]{7,127}", re.ASCII)
_CARD_NUMBER = re.compile(r"(?<!\d)\d{13,19}(?!\d)", re.ASCII)
"""Lengths of card numbers (ISO/IEC 7812-1 has 8 to 19 digits; no card in use has fewer than 13)."""


def canonical(text: str) -> str:
    """Returns the payment identifier with its sub-type in front.

    Args:
        text: cleaned text; a token needs ``card:`` in front, the others may have their sub-type
            there, or the scheme of a payment link (``bitcoin:``, ``ethereum:``).

    Raises:
        MalformedError: of none of the forms, a checksum that does not fit, a card number, or an
            address that is nobody's.
    """
    prefixed = _PREFIXED.fullmatch(text)
    kind, body = (prefixed[1].lower(), prefixed[2]) if prefixed else (_guess(text), text)
    match kind:
        case "iban":
            return iban.canonical(body)
        case "card":
            return _card(body)
        case "btc" | "bitcoin":
            return bitcoin.canonical(body.partition("?")[0])  # BIP-21: amount and label follow
        case "evm" | "eth" | "ethereum":
            return evm.canonical(body)
        case _:
            _refuse_card_number(text)
            raise MalformedError(
                "A payment identifier is an IBAN, a Bitcoin address, an address 0x… or "
                "card:<token>."
            )


def _guess(text: str) -> str:
    if text[:2].lower() == "0x":
        return "evm"
    if bitcoin.is_like_address(text):
        return "btc"
    return "iban" if _IBAN_LIKE.fullmatch(re.sub("[ -]", "", text)) else ""


def _card(token: str) -> str:
    _refuse_card_number(token)
    if not _TOKEN.fullmatch(token):
        raise MalformedError(
            "A card's token has 8 to 128 letters, digits or ._:=+/~- without spaces."
        )
    return f"card:{token}"


def _refuse_card_number(text: str) -> None:
    for digits in _CARD_NUMBER.findall(re.sub("[ ._-]", "", text)):
        if is_luhn(digits):
            raise MalformedError(
                "That looks like a card's number, which must never be given; give its token as "
                "card:<token>."
            )
