"""Every kind of statement that may stand in a log, and the way from bytes to one of them."""

from protocol.circles import CircleDescriptor
from protocol.errors import VersionError
from protocol.memberships import Membership
from protocol.statements import (
    AccountBan,
    Accredit,
    Dispute,
    Erase,
    Erased,
    Feedback,
    MediaFlag,
    Remedied,
    Resolve,
    Retract,
    Statement,
    parse_as,
)

KINDS: dict[str, type[Statement]] = {
    kind.KIND: kind
    for kind in (
        MediaFlag,
        AccountBan,
        Retract,
        Erase,
        Dispute,
        Resolve,
        Feedback,
        Remedied,
        Erased,
        Accredit,
        Membership,
        CircleDescriptor,
    )
}
"""Every kind that may stand in a log, by its name. `protocol.descriptors` adds the node's own."""


def parse_statement(kind: str, payload: bytes) -> Statement:
    """Returns the statement that `payload` holds.

    Args:
        kind: as the envelope's payload type names it.
        payload: untrusted bytes.

    Raises:
        VersionError: an unknown kind, or an unknown field named in ``crit``.
        LimitError: too long, too deep, too many.
        MalformedError: anything else that the protocol does not allow.
    """
    known = KINDS.get(kind)
    if known is None:
        raise VersionError("This kind of statement is not known to this version.")
    return parse_as(known, payload)
