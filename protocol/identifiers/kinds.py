"""The kinds of identifiers, and a normalised one as a value."""

from dataclasses import dataclass, field
from enum import StrEnum


class IdentifierKind(StrEnum):
    """What an identifier is. Never an IP address: it hits innocents."""

    EMAIL = "email"
    PHONE = "phone"
    DEVICE = "device"
    PAYMENT = "payment"
    USERNAME = "username"
    INVITE = "invite"


@dataclass(frozen=True)
class NormalisedIdentifier:
    """An identifier in the canonical spelling of `scheme`; made by `normalise` only.

    Attributes:
        kind: what it is.
        scheme: the rules that made it, such as ``email-v1``.
        value: the canonical text. Personal data: left out of the repr so that no log line or
            traceback shows it.
    """

    kind: IdentifierKind
    scheme: str
    value: str = field(repr=False)
