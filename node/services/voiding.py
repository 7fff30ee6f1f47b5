"""What a key has said that is revoked as of a size of its node's log: what of it counts no more.

Called in the transaction that takes the revocation in. What stands in that log before the size
stays, and so does what this node had before the instant of the revocation, by its own clock, where
it does not know the place. Everything else of the key is void: what it flagged or banned matches no
more, with remedies as after a retract; whom it vouched for is nobody. What is not undone is what it
took back itself: that body or match is gone, and has to be issued anew.
"""

from collections.abc import Callable

from node.storage.revocations import SaidRecord
from node.storage.transaction import Transaction
from protocol.encoding import parse_time
from protocol.statements import AccountBan, MediaFlag, Revocation

REASON = "key revoked"
"""Why an entry that is void was withdrawn, in a remedy."""

_PAGE = 1_000
_WITHDRAWN = frozenset({MediaFlag.KIND, AccountBan.KIND})

Withdraw = Callable[[int], None]


def void_after(
    transaction: Transaction,
    *,
    issuer: str,
    keyid: str,
    log: str,
    mark: Revocation,
    withdraw: Withdraw,
) -> int:
    """Makes void what a key has signed after its revocation; returns how many statements that is.

    Args:
        transaction: that takes the revocation in.
        issuer: the flagger, or the node, whose key it is.
        keyid: of the key.
        log: under which name the entries of the log are kept that the revocation names.
        mark: the revocation.
        withdraw: takes the statement at one place in this node's log out of the matching.
    """
    said = _all_said(transaction, issuer, keyid)
    gone = transaction.revocations.among_void(one.log_index for one in said)
    late = [one for one in _not_before(transaction, said, log, mark) if one.log_index not in gone]
    for one in late:
        transaction.revocations.void(one.log_index)
        if one.kind in _WITHDRAWN:
            withdraw(one.log_index)
    return len(late)


def _all_said(transaction: Transaction, issuer: str, keyid: str) -> list[SaidRecord]:
    found: list[SaidRecord] = []
    while True:
        after = found[-1].log_index if found else -1
        page = transaction.revocations.said_by(issuer, [keyid], since=0, after=after, limit=_PAGE)
        found += page
        if len(page) < _PAGE:
            return found


def _not_before(
    transaction: Transaction, said: list[SaidRecord], log: str, mark: Revocation
) -> list[SaidRecord]:
    # The node's own log alone is kept under its bare origin.
    if transaction.logs.size(mark.log) > 0:
        return [one for one in said if one.log_index >= mark.size]
    before = transaction.mirrors.before(log, mark.size, [str(one.id) for one in said])
    is_whole = transaction.mirrors.size(log) >= mark.size
    at = parse_time(mark.at)
    return [one for one in said if one.id not in before and (is_whole or one.received >= at)]
