"""The invite to a network of nodes: permission to apply, no more (docs/protocol.md section 7.8).

It is no entry of a log: it goes by mail or messenger to one newcomer.
"""

from typing import ClassVar

from protocol import limits
from protocol.encoding import parse_time
from protocol.errors import LimitError
from protocol.fields import CircleName, Nonce, Text, TimeField, Url
from protocol.statements import Statement


class Invite(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """A member lets one newcomer apply, once.

    Attributes:
        url: where the member answers.
        fingerprint: of the member, for comparing; it proves nothing.
        code: 128 random bits, good for one request.
        expires: at most `limits.MAX_INVITE_S` after `issued`.
        circle: which the newcomer is to become a member of, if any.
    """

    KIND: ClassVar[str] = "invite"

    url: Url
    fingerprint: Text
    code: Nonce
    expires: TimeField
    circle: CircleName | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        lasts = parse_time(self.expires, where="expires") - parse_time(self.issued)
        if not 0 < lasts <= limits.MAX_INVITE_S:
            raise LimitError("An invite is good for three days at most.", where="expires")
