"""email-v1: an e-mail address as the mailbox that it reaches.

The local part is case-folded (RFC 5321 lets a host tell cases apart; none that matters does, and
people type either), the domain becomes A-labels. Where a provider documents that several spellings
reach one mailbox, they are folded into one; the table belongs to the scheme and is as frozen as the
rest. Quoted local parts, comments, display names and address literals are refused.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from protocol.errors import MalformedError
from protocol.identifiers.text import canonical_host

_MAX_LOCAL_BYTES = 64
"""RFC 5321 section 4.5.3.1.1."""

_MAX_ADDRESS_BYTES = 254
"""RFC 5321 section 4.5.3.1.3 (256 with the angle brackets)."""

_ATOM = r"(?:[a-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x7f\s])+"
# RFC 5322 section 3.2.3 dot-atom, with the characters that RFC 6531 section 3.3 adds
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")


@dataclass(frozen=True)
class Provider:
    """How one provider reads the local part.

    A rule stands here only where an account's name cannot hold ``+``, so that cutting the tag never
    makes two people one.

    Attributes:
        ignored: characters that make no difference.
        domain: the domain that shares its mailboxes with this one, or None.
    """

    ignored: str = ""
    domain: str | None = None


_TAG = Provider()

PROVIDERS_V1: Mapping[str, Provider] = MappingProxyType(
    {
        # Google: dots do not matter, +tag is dropped, both domains are one (Gmail help).
        "gmail.com": Provider(ignored="."),
        "googlemail.com": Provider(ignored=".", domain="gmail.com"),
        # Proton: +tag, and names that differ only in . - _ are one user (its own web client's
        # removeEmailAlias). Whether two Proton domains are one user depends on the account.
        **dict.fromkeys(["proton.me", "protonmail.com", "pm.me"], Provider(ignored=".-_")),
        # Fastmail: +tag (help article "Plus addressing and subdomain addressing").
        **dict.fromkeys(["fastmail.com", "fastmail.fm"], _TAG),
        # Microsoft's and Apple's consumer mail: names hold no +, what follows one is a tag.
        **dict.fromkeys(["outlook.com", "outlook.de", "outlook.at", "outlook.be"], _TAG),
        **dict.fromkeys(["outlook.fr", "msn.com", "hotmail.com", "hotmail.de"], _TAG),
        **dict.fromkeys(["hotmail.be", "hotmail.fr", "hotmail.co.uk", "live.com"], _TAG),
        **dict.fromkeys(["live.de", "live.at", "live.be", "live.fr", "live.nl"], _TAG),
        **dict.fromkeys(["live.co.uk", "icloud.com", "me.com", "mac.com"], _TAG),
    }
)
"""Providers whose rules are known; any other address keeps its dots and its ``+`` (RFC 5233
sub-addressing is a local choice that nobody outside can see)."""


def canonical(text: str) -> str:
    """Returns ``local@domain`` as the mailbox is known under email-v1.

    Args:
        text: cleaned text.

    Raises:
        MalformedError: no address of that form.
    """
    local, at, domain = text.rpartition("@")
    if not at:
        raise MalformedError("An e-mail address is written as name@example.org.")
    # Folding may leave a sequence that NFKC would compose, so NFKC follows it (UAX #15, NFKC_CF).
    local = unicodedata.normalize("NFKC", local.casefold())
    if not _DOT_ATOM.fullmatch(local):
        raise MalformedError(
            "The part before the @ is not a plain name; give the address alone, without quotes, "
            "spaces, brackets or a person's name."
        )
    if len(local.encode()) > _MAX_LOCAL_BYTES:
        raise MalformedError(f"The part before the @ has at most {_MAX_LOCAL_BYTES} bytes.")
    host = canonical_host(domain, what="The part after the @")
    provider = PROVIDERS_V1.get(host)
    if provider is not None:
        local = local.partition("+")[0].translate(dict.fromkeys(map(ord, provider.ignored)))
        host = provider.domain or host
        if not _DOT_ATOM.fullmatch(local):
            raise MalformedError("The part before the @ holds no name in front of its tag.")
    address = f"{local}@{host}"
    if len(address.encode()) > _MAX_ADDRESS_BYTES:
        raise MalformedError(f"An e-mail address has at most {_MAX_ADDRESS_BYTES} bytes.")
    return address
