"""What every kind shares: cleaning of text, and domain names in their ASCII form."""

import re
import unicodedata

from protocol import limits
from protocol.errors import MalformedError

_EDGES = (
    " \t\n\v\f\r\x85\u1680\u2028\u2029"  # white space that NFKC leaves
    "\ufeff\u200b\u2060"  # byte-order mark, zero-width space, word joiner
    "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # direction marks
)
"""Taken off both ends: address books and web pages wrap what is copied from them in these."""

_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""General categories that no identifier holds. `Cn` (unassigned) is among them so that an older
Unicode table refuses a character that a newer one would map, instead of mapping it differently."""

_MAX_HOST_CHARS = 253
"""RFC 1035 section 2.3.4: 255 octets on the wire are 253 characters with dots."""


# As often as it stands there, and only while a domain name is left: www.com is one.
_WWW = re.compile(r"\A(?:www\.)+(?=[^.]+\.)")


def clean(raw: str) -> str:
    """Returns `raw` in NFKC, without white space and direction marks around it.

    Raises:
        MalformedError: empty, longer than `limits.MAX_IDENTIFIER_CHARS` (before or after NFKC,
            which may make 18 characters of one), or with a control, invisible, private-use or
            unassigned character or a lone surrogate inside.
    """
    _check_length(raw)
    text = unicodedata.normalize("NFKC", raw).strip(_EDGES)
    _check_length(text)
    if not text:
        raise MalformedError("An identifier is empty; give its text.")
    if not text.isascii() or not text.isprintable():
        for character in text:
            if unicodedata.category(character) in _REFUSED:
                raise MalformedError(
                    "An identifier holds a control or invisible character; type it anew."
                )
    return text


def _check_length(text: str) -> None:
    if len(text) > limits.MAX_IDENTIFIER_CHARS:
        raise MalformedError(
            f"An identifier has at most {limits.MAX_IDENTIFIER_CHARS} characters; check that only "
            "one was given."
        )


def canonical_host(text: str, *, what: str) -> str:
    """Returns a domain name as lower-case A-labels without the root dot.

    By UTS #46, non-transitional, and IDNA 2008. Never by case folding (``faß.example`` and
    ``fass.example`` have two owners) and never by the standard library's codec, which is IDNA 2003
    and makes one of them into the other.

    Args:
        text: cleaned text.
        what: the thing that the name is to be, with its article, for the message.

    Raises:
        MalformedError: no domain name with at least two labels; IP addresses are none.
    """
    import idna  # noqa: PLC0415  # 16 ms of tables that most commands never need

    try:
        host = idna.encode(text, uts46=True, std3_rules=True).decode("ascii").removesuffix(".")
    except UnicodeError:  # idna.IDNAError is one; its text repeats the name, so it ends here
        host = ""
    last = host.rpartition(".")[2]
    # A name that ends in a number is an IPv4 address or nothing (RFC 3696 section 2).
    if "." not in host or last.isdigit() or len(host) > _MAX_HOST_CHARS:
        raise MalformedError(f"{what} is a domain name such as example.org.")
    return host


def canonical_site(text: str, *, what: str) -> str:
    """Returns a domain name as `canonical_host` does, without ``www.`` in front.

    Raises:
        MalformedError: as `canonical_host`.
    """
    return _WWW.sub("", canonical_host(text, what=what))
