"""username-v1: a user name on one platform, ``example.social/anna``.

The same name on two platforms is two people, so the platform's domain is part of the value. The
name is folded by PRECIS UsernameCaseMapped (RFC 8265 section 3.3) after NFKC: case and width make
no difference. Look-alike letters of another script stay different: this is for equality.
"""

from protocol.errors import MalformedError
from protocol.identifiers.text import canonical_site, clean


def canonical(text: str, *, scope: str | None) -> str:
    """Returns ``platform/name``; the first slash ends the platform.

    Args:
        text: cleaned name, also as ``@name`` or ``@name@platform``.
        scope: domain name of the platform, as in its web address; ``www.`` makes no difference.

    Raises:
        MalformedError: no platform, another platform than `scope` behind the name, or a character
            that no user name holds.
    """
    import precis_i18n  # noqa: PLC0415  # lazily like the other tables

    if scope is None:
        raise MalformedError(
            "A user name needs its platform as scope, such as example.social: the same name "
            "elsewhere is another person."
        )
    platform = _platform(clean(scope))
    name, at, behind = text.lstrip("@").partition("@")
    if at and _platform(behind) != platform:
        raise MalformedError("The user name and the scope name different platforms; give one.")
    try:
        name = precis_i18n.get_profile("UsernameCaseMapped").enforce(name)
    except UnicodeError:  # its text repeats the name, so it ends here
        raise MalformedError(
            "That is no user name; give the name alone, without spaces or signs that are no part "
            "of it."
        ) from None
    return f"{platform}/{name}"


def _platform(text: str) -> str:
    return canonical_site(text, what="A platform")
