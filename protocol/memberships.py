"""What one member of a network says about another as a member (docs/protocol.md section 4.13)."""

from typing import ClassVar, Literal

from protocol.descriptors import parse_fingerprint
from protocol.encoding import parse_time
from protocol.fields import NodeName, Text, TimeField
from protocol.statements import Statement
from protocol.structs import ContradictionError


class Membership(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """A member says something about another as a member; the latest of an issuer counts.

    Attributes:
        node: about whom.
        fingerprint: of that node, as it was compared, in its canonical form.
        event: ``verified``: its fingerprint was compared; ``admitted``: that, and its time as a
            newcomer may end; ``left``: it goes, and says so itself; ``expelled``: it should go.
        at: when.
        how: the fingerprint was compared.
    """

    KIND: ClassVar[str] = "membership"

    node: NodeName
    fingerprint: Text
    event: Literal["verified", "admitted", "left", "expelled"]
    at: TimeField
    how: Literal["telephone", "in-person", "other"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_time(self.at, where="at")
        if parse_fingerprint(self.fingerprint) != self.fingerprint:
            raise ContradictionError("A fingerprint stands in small letters and groups of four.")
        if (self.event == "left") != (self.issuer == self.node):
            raise ContradictionError("A node says of itself that it leaves, and nothing else.")
        if (self.event in ("verified", "admitted")) != (self.how is not None):
            raise ContradictionError("Who compared a fingerprint says how, and nobody else.")
