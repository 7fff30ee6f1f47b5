"""device-v1: ``uuid:…`` (advertising and vendor ids), ``imei:…`` or ``mac:…``.

Values that stand for no device are refused, not normalised: an advertising id switched off is all
zeros on a billion telephones, and a list entry for it would hit every one of them.
"""

import re

from protocol.errors import MalformedError
from protocol.identifiers.luhn import is_luhn

_PREFIXED = re.compile(r"(?:urn:)?(uuid|idfa|idfv|gaid|imei|mac):\s*(.*)", re.ASCII)
_UUID = re.compile(
    r"(\{)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})(?(1)\})",
    re.ASCII,
)
_IMEI = re.compile(r"\d{15}", re.ASCII)
_MAC = re.compile(
    r"[0-9a-f]{2}([:-]?)(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}", re.ASCII
)

_DUMMIES_V1 = frozenset(
    {
        # mainboards whose maker filled nothing in, and the example that everybody types
        "uuid:03000200-0400-0500-0006-000700080009",
        "uuid:00020003-0004-0005-0006-000700080009",
        "uuid:12345678-1234-1234-1234-123456789abc",
        "uuid:12345678-1234-5678-1234-567812345678",
        "uuid:00112233-4455-6677-8899-aabbccddeeff",
        "uuid:01234567-89ab-cdef-0123-456789abcdef",
        # telephones with their number erased or counterfeit
        "imei:004999010640000",
        "imei:123456789012347",
        "imei:012345678901237",
        # network cards without a programmed address
        "mac:00:11:22:33:44:55",
        "mac:00:01:02:03:04:05",
        "mac:00:00:00:00:00:01",
    }
)
"""Known values that many devices carry at once; part of the scheme."""

_DUMMY = "That value is a placeholder that many devices share; leave it out."
_LOCAL_OR_GROUP_BITS = 0b11
_SHARED_DIGITS = {"uuid": 32, "imei": 14, "mac": 12}
"""How many leading digits are all the same in a placeholder (an IMEI's last is its check)."""


def canonical(text: str) -> str:
    """Returns the device id with its sub-type in front.

    Args:
        text: cleaned text; the sub-type may stand in front, also as ``idfa:``, ``idfv:`` or
            ``gaid:``, which are UUIDs.

    Raises:
        MalformedError: of none of the forms, a wrong check digit, or shared by many devices.
    """
    text = text.lower()
    prefixed = _PREFIXED.fullmatch(text)
    kind, body = prefixed.groups() if prefixed else ("", text)
    value = _read(kind, body)
    kind, _, digits = value.partition(":")
    digits = re.sub("[:-]", "", digits)
    if value in _DUMMIES_V1 or len(set(digits[: _SHARED_DIGITS[kind]])) == 1:
        raise MalformedError(_DUMMY)
    return value


def _read(kind: str, body: str) -> str:
    """Returns `body` as the sub-type that `kind` names, or as the one whose form it has."""
    compact = re.sub(r"[ ./-]", "", body)
    if kind in {"", "imei"} and _IMEI.fullmatch(compact):
        if not is_luhn(compact):
            raise MalformedError("The last digit of that IMEI does not fit; check for a typo.")
        return f"imei:{compact}"
    if kind in {"", "mac"} and _MAC.fullmatch(body):
        return _mac(re.sub("[:.-]", "", body))
    uuid = _UUID.fullmatch(body)
    if kind not in {"imei", "mac"} and uuid:
        return "uuid:" + "-".join(uuid.groups()[1:])
    raise MalformedError(
        "A device is given by a UUID (such as an advertising id), an IMEI of 15 digits or a MAC "
        "address."
    )


def _mac(digits: str) -> str:
    # IEEE 802 section 8.4: bit 0 of the first octet is set for groups, bit 1 for addresses that
    # software chose. Telephones choose a new one for each network: such an address is nobody's.
    if int(digits[:2], 16) & _LOCAL_OR_GROUP_BITS and set(digits) != {"f"}:
        raise MalformedError(
            "That MAC address was chosen by software or belongs to a group; it names no device."
        )
    return "mac:" + ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))
