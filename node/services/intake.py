"""How much of whom is taken in on one day, so that nobody fills the list alone.

What is counted are entries: the items of a media-flag, a film as many as it has frames, and an
account-ban as one. The counters are written in the transaction that takes a statement in, so that
several processes count together, and erasing gives nothing back.
"""

from node.policy.gates import Limits
from node.services.budgets import day_of
from node.storage.transaction import Transaction
from protocol.errors import RateLimitedError
from protocol.fields import organisation_of
from protocol.statements import AccountBan, MediaFlag, Statement

_SECONDS_PER_DAY = 86_400


def take_in(transaction: Transaction, statement: Statement, limits: Limits, *, now: int) -> None:
    """Counts a statement that is about to be taken in.

    Raises:
        RateLimitedError: with it, its issuer would have had more taken in today than the operator
            allows; nothing was counted.
    """
    entries = entries_of(statement)
    if not isinstance(statement, MediaFlag | AccountBan) or not entries:
        return
    issuer, organisation = statement.issuer, organisation_of(statement.issuer)
    allowed = {
        ("issuer", issuer): (limits.issuer_per_day, f"of {issuer}"),
        ("category", f"{issuer} {statement.category}"): (
            limits.category_per_day,
            f"of {issuer} in this category",
        ),
        ("organisation", organisation): (
            limits.organisation_per_day,
            f"of {organisation} and its flaggers",
        ),
    }
    day = day_of(now)
    used = transaction.gates.taken_in(day, list(allowed))
    for scope, (most, whose) in allowed.items():
        left = max(0, most - used.get(scope, 0))
        if entries > left:
            raise RateLimitedError(
                f"This node takes {most} entries a day {whose}; {left} are left today (in UTC), "
                f"and the statement has {entries}.",
                retry_after_s=_SECONDS_PER_DAY - now % _SECONDS_PER_DAY,
            )
    transaction.gates.take_in(day, list(allowed), entries, at=now)


def entries_of(statement: Statement) -> int:
    """Returns how many entries a statement adds to the list."""
    if isinstance(statement, MediaFlag):
        return sum([len(item.frames) or 1 for item in statement.items])
    return 1 if isinstance(statement, AccountBan) else 0
