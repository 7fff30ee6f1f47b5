"""invite-v1: the group that an invite link leads to.

``telegram:…``, ``discord:…``, ``whatsapp:…`` and ``signal:…`` and the group's code for the services
whose links are known, host and path for any other. Query and fragment say where a link was found
and not where it leads (Signal's fragment *is* the code). A link whose path names no group, such as
``…/join?code=…``, is refused: without its query it would stand for every group there.

The splitting is our own: `urllib.parse` has changed what it strips and refuses between releases.
"""

import re
import string

from protocol.errors import MalformedError
from protocol.identifiers.text import canonical_site

_LINK = re.compile(r"(?:https?://)?([^/?#\\@]+)(/[^?#]*)?(?:\?[^#]*)?(?:#(.*))?", re.IGNORECASE)
_PORT = re.compile(r":([1-9][0-9]{0,4})", re.ASCII)
_ESCAPE = re.compile("%([0-9a-fA-F]{2})", re.ASCII)
# RFC 3986 section 3.3: what a path may hold as it is
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})+)+", re.ASCII)
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")

# Each service: its codes, then its links, matched against host and path.
_CODES_V1 = {
    # a code holds a letter: t.me/+ and digits is a person's phone number; @ names a public group
    "telegram": re.compile(r"(?=.*[A-Za-z_-])[A-Za-z0-9_-]{10,64}|@[a-z][a-z0-9_]{3,31}", re.ASCII),
    "discord": re.compile(r"[A-Za-z0-9-]{2,64}", re.ASCII),
    "whatsapp": re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII),
    "signal": re.compile(r"[A-Za-z0-9_-]{16,512}", re.ASCII),
}
_TELEGRAM = r"(?:t|telegram)\.(?:me|dog)"
_DISCORD = r"(?:(?:ptb\.|canary\.)?discord(?:app)?\.com/invite|discord\.gg(?:/invite)?)"
_PAGES = "addlist|addstickers|addemoji|confirmphone|joinchat|login|proxy|setlanguage|share|socks"
_LINKS_V1 = (
    ("telegram", "", re.compile(rf"{_TELEGRAM}/(?:joinchat/|\+|%2B)([^/]+)")),
    ("telegram", "@", re.compile(rf"{_TELEGRAM}/(?:s/)?(?!(?:{_PAGES})\Z)([A-Za-z][A-Za-z0-9_]+)")),
    ("discord", "", re.compile(rf"{_DISCORD}/([^/]+)")),
    ("whatsapp", "", re.compile(r"chat\.whatsapp\.com/(?:invite/)?([^/]+)")),
    ("signal", "", re.compile(r"signal\.group/#([^/]+)")),
)
_SERVICE_HOSTS = re.compile(rf"{_TELEGRAM}|discord\.gg|chat\.whatsapp\.com|signal\.group", re.ASCII)
"""Hosts where each link is one of the above or leads to no group."""

_NO_GROUP_V1 = frozenset(
    {"c", "channel", "channels", "chat", "g", "group", "groups", "guest", "home", "i", "index.html"}
    | {"index.php", "invitation", "invite", "invites", "join", "link", "login", "register"}
    | {"signup"}
)
"""Last words of a path that name a page and no group."""

_NO_LINK = "An invite is a link to one group, such as https://t.me/+… or https://example.org/g/abc."
_NO_INVITE = "That link leads to no group of its service; copy the invite link from the group."


def canonical(text: str) -> str:
    """Returns the service and the group's code, or host and path.

    Args:
        text: cleaned text: a link with or without ``https://``, or the canonical form.

    Raises:
        MalformedError: no link, or one that names no single group.
    """
    service, colon, code = text.partition(":")
    if colon and service in _CODES_V1:
        return _code(service, code)
    link = _LINK.fullmatch(text)
    if not link:
        raise MalformedError(_NO_LINK)
    host = _host(link[1])
    path = _path((link[2] or "").rstrip("/"))
    place = host + path
    if host == "signal.group":
        place = f"{host}/#{link[3] or ''}"
    for service, mark, pattern in _LINKS_V1:
        found = pattern.fullmatch(place)
        if found:
            # public names are found in either case, codes are not
            return _code(service, f"@{found[1].lower()}" if mark else found[1])
    if _SERVICE_HOSTS.fullmatch(host):
        raise MalformedError(_NO_INVITE)
    if place.rpartition("/")[2].lower() in _NO_GROUP_V1 or not path:
        raise MalformedError(
            "The path of that link names no group; give the invite link that ends in its code."
        )
    return place


def _code(service: str, code: str) -> str:
    if not _CODES_V1[service].fullmatch(code):
        raise MalformedError(_NO_INVITE)
    return f"{service}:{code}"


def _host(text: str) -> str:
    """Returns the host without ``www.``, and with its port unless that is the usual one."""
    name, colon, port = text.partition(":")
    if colon and not _PORT.fullmatch(colon + port):
        raise MalformedError(_NO_LINK)
    host = canonical_site(name, what="The host of an invite link")
    return host if port in {"", "80", "443"} else f"{host}:{port}"


def _path(text: str) -> str:
    """Returns the path with one spelling of each escape (RFC 3986 section 6.2.2)."""
    escaped = "".join(c if c.isascii() else "".join(f"%{b:02X}" for b in c.encode()) for c in text)
    path = _ESCAPE.sub(_unescape, escaped)
    if path and not _PATH.fullmatch(path):
        raise MalformedError(_NO_LINK)
    if {".", ".."} & set(path.split("/")):
        raise MalformedError("A link with . or .. in its path is ambiguous; give the plain link.")
    return path


def _unescape(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()
