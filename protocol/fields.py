r"""The types of the fields that statements and messages are made of (docs/protocol.md section 3).

Patterns are anchored with ``\\A`` and ``\\Z``: a trailing newline never slips through.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal, NewType

from msgspec import Meta

from protocol import limits
from protocol.encoding import Time
from protocol.errors import MalformedError

StatementId = NewType("StatementId", str)
"""SHA-256 of a statement's PAE as 64 lower-case hexadecimal digits."""

Digest256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""SHA-256, a pdq, or a statement id: 32 bytes in lower-case hexadecimal."""

Digest160 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}\Z")]
"""SHA-1: 20 bytes in lower-case hexadecimal."""

Digest128 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
"""MD5 or a key id: 16 bytes in lower-case hexadecimal."""

Nonce = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{21}[AQgw]\Z")]
"""128 random bits in base64url; the last character carries two of them."""

Bytes32 = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z")]
"""32 bytes in canonical base64url without padding: a key, an element, a fingerprint."""

Bytes64 = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{85}[AQgw]\Z")]
"""64 bytes in canonical base64url without padding: a proof."""

Salt = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{21}[AQgw]\Z")]
"""16 bytes in canonical base64url without padding: the salt of a stretch."""

Digest512 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{128}\Z")]
"""SHA-512, 64 bytes in lower-case hexadecimal: the transcript of a key generation."""

_DAY = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"

TimeField = Annotated[Time, Meta(pattern=rf"\A{_DAY}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z\Z")]
"""An instant; `protocol.encoding.parse_time` says whether its day exists."""

Day = Annotated[str, Meta(pattern=rf"\A{_DAY}\Z")]
"""A day in UTC."""

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NODE = rf"{_LABEL}(\.{_LABEL})*"

NodeName = Annotated[str, Meta(pattern=rf"\A{_NODE}\Z", max_length=limits.MAX_NAME_CHARS)]
"""Name of a node: lower-case labels as in a host name, such as ``hotline.example``."""

IssuerName = Annotated[
    str, Meta(pattern=rf"\A{_NODE}(/{_LABEL})?\Z", max_length=limits.MAX_NAME_CHARS)
]
"""A node, or a flagger under the node that vouches for it, such as ``hotline.example/anna``."""

VocabularyName = Annotated[str, Meta(pattern=rf"\A{_LABEL}\Z")]
"""Name of a vocabulary of categories, such as ``schutznetz``."""

CircleName = Annotated[
    str, Meta(pattern=rf"\A{_NODE}/{_LABEL}\Z", max_length=limits.MAX_NAME_CHARS)
]
"""Name of a circle under the node that founded it, such as ``hotline.example/de-minors-1``.

Nobody else can claim it: only that node may describe it.
"""

AudienceName = Annotated[
    str,
    Meta(
        pattern=rf"\A(peers|circle:{_NODE}/{_LABEL}|node:{_NODE})\Z",
        max_length=limits.MAX_NAME_CHARS + len("circle:"),
    ),
]
"""Who may read a body: all ``peers``, the members of a ``circle:…``, or one ``node:…``."""

Category = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]*(\.[a-z0-9-]+)*\Z", max_length=64)]
"""Id of a category; unknown ones are kept, and treated as review-only."""

CategoryPattern = Annotated[
    str, Meta(pattern=r"\A([a-z][a-z0-9-]*(\.[a-z0-9-]+)*(\.\*)?|\*)\Z", max_length=66)
]
"""A category, a branch of the vocabulary such as ``csam.*``, or ``*``."""

Flag = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,31}\Z")]
"""A flag beside a category, such as ``live_stream``."""

# C0, DEL and C1, the two separators of lines, and what turns the direction of writing round.
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"

Text = Annotated[str, Meta(pattern=rf"\A[^{_CONTROLS}]+\Z", max_length=limits.MAX_TEXT_CHARS)]
"""A short text of one line for a person or a foreign system.

Without control characters: it is shown on a terminal beside what an operator has to trust.
"""

Code = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}\Z")]
"""A short code, such as an issuer's own category or a legal basis."""

Jurisdiction = Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z")]
"""ISO 3166-1 alpha-2 code of a country."""

Language = Annotated[str, Meta(pattern=r"\A[a-z]{2,3}\Z")]
"""ISO 639 code of a language."""

Scheme = Annotated[str, Meta(pattern=r"\A[a-z]{1,16}-v[1-9][0-9]{0,3}\Z")]
"""A normalisation scheme and its version, such as ``email-v1``."""

IdentifierKindName = Literal["email", "phone", "device", "payment", "username", "invite"]
"""Kinds of identifiers (never an IP address: it hits innocents)."""

Surface = Literal["public", "hosted", "private"]
"""Where a picture was met: a public post, a hosted file, a private message."""

_PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"

Url = Annotated[
    str,
    Meta(
        pattern=rf"\Ahttps?://({_NODE}|\[[0-9a-f:.]+\])(:{_PORT})?\Z",
        max_length=limits.MAX_URL_CHARS,
    ),
]
"""Address of a node: scheme, host and port, nothing behind; see `check_url`."""

Index = Annotated[int, Meta(ge=0, lt=limits.MAX_ITEMS)]
"""Place of an item in its statement, from 0."""

Count = Annotated[int, Meta(ge=0, le=10**9)]
"""A count of things."""

Quality = Annotated[int, Meta(ge=0, le=100)]
"""Quality of a pdq, 0 to 100."""

Milliseconds = Annotated[int, Meta(ge=0, le=10**9)]
"""A place in a film."""

LogSize = Annotated[int, Meta(ge=0, le=limits.MAX_LOG_SIZE)]
"""Number of entries in a log."""


def check_url(url: str, *, where: str = "") -> None:
    """Returns if the host of a `Url` is one that could be called.

    Raises:
        MalformedError: digits and dots that are no IPv4 address, brackets around no IPv6 address,
            or an ``xn--`` label that stands for no name (RFC 5891 section 5.4).
    """
    host = url.partition("://")[2]
    try:
        if host.startswith("["):
            IPv6Address(host[1 : host.index("]")])
            return
        host = host.partition(":")[0]
        if host.rpartition(".")[2].isdigit():
            IPv4Address(host)
        if "xn--" in host:
            import idna  # noqa: PLC0415  # its tables are needed for such a name only

            idna.decode(host, strict=True)
    except ValueError:
        raise MalformedError("The URL names no host that could be called.", where=where) from None


def organisation_of(issuer: str) -> str:
    """Returns the node that stands behind an issuer: the name before the slash.

    Independent issuers are counted by organisation, so that no one gains weight by having many
    flaggers.
    """
    return issuer.partition("/")[0]
