"""What a statement that was set aside waits for, and what the arrival of another one cures.

So a statement is tried again when there is a reason to, and not whenever anything arrives: a peer
cannot make the node verify the same hopeless bytes again and again.
"""

from protocol.circles import CircleDescriptor
from protocol.envelope import parse_envelope
from protocol.errors import (
    LimitError,
    QuorumError,
    RateLimitedError,
    RevokedError,
    SchutznetzError,
    UnknownKeyError,
    UnknownTargetError,
)
from protocol.fields import StatementId
from protocol.kinds import parse_statement
from protocol.statements import Accredit, Statement

VERSION = "version:"
"""Before the id of an earlier version of a circle, without which a later one is not believed."""

TIME = "time"
"""What waits for this may be cured by the operator or by the clock."""


_CURABLE = (UnknownKeyError, UnknownTargetError, RevokedError, QuorumError, RateLimitedError)


def is_curable(error: SchutznetzError) -> bool:
    """Whether a statement that failed like this may be good later.

    Tomorrow more of its issuer is taken in. A key may be vouched for, a target may arrive, a frozen
    peer may be thawed, an admin be pinned whose signature did not count, and a clock that is ahead
    will be right in the end.
    """
    if isinstance(error, LimitError):
        return error.where == "issued"
    return isinstance(error, _CURABLE)


def as_version(statement_id: str) -> str:
    """Returns what waits for an earlier version of a circle wait for."""
    return f"{VERSION}{statement_id}"


def waits_for(error: SchutznetzError, statement: Statement, known: set[str]) -> str:
    """Returns what would cure a statement that failed with a curable error.

    Args:
        error: as `is_curable` took it.
        statement: unverified, but for looking up.
        known: ids of statements that it points at or follows, and that are here.
    """
    if isinstance(error, UnknownKeyError):
        return f"issuer:{statement.issuer}"
    if isinstance(error, UnknownTargetError):
        for pointer in pointers(statement):
            if pointer not in known:
                return f"statement:{pointer}"
        if isinstance(statement, CircleDescriptor):
            if statement.previous is not None and statement.previous not in known:
                return as_version(statement.previous)
            return f"circle:{statement.circle}"
        circles = [name for name in statement.audience if name.startswith("circle:")]
        return circles[0] if circles else TIME
    return TIME


def pointers(statement: Statement) -> list[StatementId]:
    """Returns the ids of the statements that one points at."""
    found = (getattr(statement, "target", None), getattr(statement, "dispute", None))
    return [StatementId(one) for one in found if one is not None]


def wakes(statement: Statement, statement_id: StatementId) -> list[str]:
    """Returns what the acceptance of a statement cures, in the words of `waits_for`."""
    found = [f"statement:{statement_id}"]
    if isinstance(statement, Accredit):
        found.append(f"issuer:{statement.flagger}")
    if isinstance(statement, CircleDescriptor):
        found += [f"circle:{statement.circle}", as_version(statement_id)]
    return found


def statement_in(envelope: bytes) -> Statement:
    """Returns the statement in an envelope, unverified.

    Raises:
        ProtocolError: there is none.
    """
    parsed = parse_envelope(envelope)
    return parse_statement(parsed.kind, parsed.payload)
