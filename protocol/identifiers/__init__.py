"""Identifiers of a person or an account, in one canonical spelling each.

What happens before a fingerprint is made: two organisations that were given the same e-mail address
in two spellings must come to the same bytes, or the match is silently missed. So the rules are part
of the wire (docs/protocol.md), are named with a version (``email-v1``), and are never changed in
place: tests/vectors/identifiers-v1.json freezes them. docs/adr/0003 says why this package, alone in
`protocol`, uses libraries.

Pure computation: no DNS, no network, no files, no settings. This is normalisation for *equality*:
it is no proof that an address exists or belongs to anybody, and it hides nothing. The values are
personal data and leave the organisation only as fingerprints.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from protocol.errors import MalformedError
from protocol.identifiers import device, email_address, invite, payment, phone, username
from protocol.identifiers.kinds import IdentifierKind, NormalisedIdentifier
from protocol.identifiers.text import clean

__all__ = ["CURRENT_SCHEMES", "IdentifierKind", "NormalisedIdentifier", "normalise"]

CURRENT_SCHEMES: Mapping[IdentifierKind, str] = MappingProxyType(
    {kind: f"{kind.value}-v1" for kind in IdentifierKind}
)
"""The scheme that `normalise` applies to each kind."""

_OF_TEXT_ALONE: Mapping[IdentifierKind, Callable[[str], str]] = {
    IdentifierKind.EMAIL: email_address.canonical,
    IdentifierKind.DEVICE: device.canonical,
    IdentifierKind.PAYMENT: payment.canonical,
    IdentifierKind.INVITE: invite.canonical,
}


def normalise(
    kind: IdentifierKind | str,
    raw: str,
    *,
    region: str | None = None,
    scope: str | None = None,
) -> NormalisedIdentifier:
    """Returns `raw` in the canonical spelling of its kind, under the current scheme.

    Args:
        kind: what `raw` is.
        raw: untrusted text, as a person typed it or a database holds it.
        region: ISO 3166-1 alpha-2 country, for a phone number written without its country code;
            not looked at for other kinds.
        scope: domain name of the platform that a user name belongs to, such as
            ``example.social``; not looked at for other kinds.

    Raises:
        MalformedError: no identifier of that kind, or one that stands for nobody in particular. The
            message says what to do, and never holds the value.
    """
    try:
        known = IdentifierKind(kind)
    except ValueError:
        names = ", ".join(IdentifierKind)
        raise MalformedError(f"The kind of an identifier is one of {names}.") from None
    text = clean(raw)
    if known is IdentifierKind.PHONE:
        value = phone.canonical(text, region=region)
    elif known is IdentifierKind.USERNAME:
        value = username.canonical(text, scope=scope)
    else:
        value = _OF_TEXT_ALONE[known](text)
    return NormalisedIdentifier(kind=known, scheme=CURRENT_SCHEMES[known], value=value)
