r"""The types of the fields that statements and messages are made of (docs/protocol.md section 3).

Patterns are anchored with ``\\A`` and ``\\Z``: a trailing newline never slips through.
"""

from typing import Annotated, Literal, NewType

from msgspec import Meta

from protocol import limits
from protocol.encoding import Time

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

TimeField = Annotated[
    Time, Meta(pattern=r"\A\d{4}-(0[1-9]|1[0-2])-\d{2}T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ\Z")
]
"""An instant; `check_time` says whether its day exists."""

Day = Annotated[str, Meta(pattern=r"\A\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\Z")]
"""A day in UTC."""

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NODE = rf"{_LABEL}(\.{_LABEL})*"

NodeName = Annotated[str, Meta(pattern=rf"\A{_NODE}\Z", max_length=limits.MAX_NAME_CHARS)]
"""Name of a node: lower-case labels as in a host name, such as ``hotline.example``."""

IssuerName = Annotated[
    str, Meta(pattern=rf"\A{_NODE}(/{_LABEL})?\Z", max_length=limits.MAX_NAME_CHARS)
]
"""A node, or a flagger under the node that vouches for it, such as ``hotline.example/anna``."""

CircleName = Annotated[str, Meta(pattern=rf"\A{_LABEL}\Z")]
"""Name of a circle, such as ``de-minors-1``."""

AudienceName = Annotated[
    str,
    Meta(
        pattern=rf"\A(peers|circle:{_LABEL}|node:{_NODE})\Z",
        max_length=limits.MAX_NAME_CHARS + 5,
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

Text = Annotated[str, Meta(min_length=1, max_length=limits.MAX_TEXT_CHARS)]
"""A short text for a person or a foreign system."""

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

Url = Annotated[
    str,
    Meta(
        pattern=rf"\Ahttps?://({_NODE}|\[[0-9a-f:.]+\])(:[1-9][0-9]{{0,4}})?\Z",
        max_length=limits.MAX_URL_CHARS,
    ),
]
"""Address of a node: scheme, host and port, nothing behind."""

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


def organisation_of(issuer: str) -> str:
    """Returns the node that stands behind an issuer: the name before the slash.

    Independent issuers are counted by organisation, so that no one gains weight by having many
    flaggers.
    """
    return issuer.partition("/")[0]
