"""Nodes that have joined lately: they may read and witness, and what they say waits.

A newcomer's time ends when it is over and two members have compared its fingerprint, or as soon as
two members vote for it. Where this node knows fewer members than two, all of them have to.
"""

from collections.abc import Mapping

from node.storage.transaction import Transaction
from protocol.errors import NewcomerError

VOTES = 2
"""How many members compare a newcomer's fingerprint, or vote for it."""


def check(transaction: Transaction, name: str, *, now: int) -> None:
    """Returns if what a node says counts by now.

    Raises:
        NewcomerError: it is new; what it said is tried again later.
    """
    newcomers = transaction.joining.newcomers()
    if name not in newcomers:
        return
    if is_waiting(transaction, name, newcomers, now=now):
        raise NewcomerError(
            "The node has joined lately: what it says counts when its time is over and two "
            "members have compared its fingerprint, or have voted for it."
        )


def is_waiting(
    transaction: Transaction, name: str, newcomers: Mapping[str, int], *, now: int
) -> bool:
    """Whether a newcomer's time has not ended."""
    record = transaction.peers.get(name)
    if record is None:
        return True
    members = {
        one.name
        for one in transaction.peers.all()
        if one.state == "active" and one.name not in newcomers and one.name != name
    }
    said = [
        one
        for one in transaction.joining.memberships(name)
        if one.issuer in members and one.fingerprint == record.fingerprint
    ]
    needed = min(VOTES, len(members))
    admitted = sum(one.event == "admitted" for one in said)
    verified = sum(one.event in ("admitted", "verified") for one in said)
    return not (admitted >= needed or (now >= newcomers[name] and verified >= needed))
