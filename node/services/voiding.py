"""What a key has said that is revoked as of a size of its node's log: what of it counts no more.

What stands in that log before the size stays, and so does what this node had before the instant of
the revocation, by its own clock, where it does not know the place. Everything else of the key is
void: what it flagged or banned matches no more, with remedies as after a retract; whom it vouched
for is nobody. What is not undone is what it took back itself: that body or match is gone, and has
to be issued anew.

From the transaction on that takes the revocation in, nothing more of the key is accepted and
nobody vouched for by it is believed. What it flagged and banned is withdrawn in steps: the first of
them in that transaction, the others by `Voiding`, each in a transaction of its own, since a key may
have said a million things. A crash between two of them loses nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from node.storage.engine import Store
from node.storage.revocations import SaidRecord, VoidingRecord
from node.storage.transaction import Transaction
from protocol.encoding import parse_time
from protocol.statements import AccountBan, Accredit, MediaFlag, Revocation

REASON = "key revoked"
"""Why an entry that is void was withdrawn, in a remedy."""

AT_ONCE: Final = 100
"""Statements that are made void in one transaction: a tenth of a second, for which others wait."""

_PAGE: Final = 10_000
_WITHDRAWN = frozenset({MediaFlag.KIND, AccountBan.KIND})

Withdraw = Callable[[int], None]
"""Takes the statement at one place in this node's log out of the matching."""


def void_after(
    transaction: Transaction,
    *,
    issuer: str,
    keyid: str,
    log: str,
    mark: Revocation,
    withdraw: Withdraw,
) -> None:
    """Begins to make void what a key has signed after its revocation; often that is all of it.

    The same revocation again, as every later descriptor repeats it, looks only at what came since.

    Args:
        transaction: that takes the revocation in.
        issuer: the flagger, or the node, whose key it is.
        keyid: of the key.
        log: under which name the entries of the log are kept that the revocation names.
        mark: the revocation.
        withdraw: as `Withdraw` says.
    """
    until = transaction.revocations.places()
    task = VoidingRecord(
        issuer, keyid, log, mark.log, mark.size, mark.at, after=-1, until=until, done=False
    )
    known = transaction.revocations.voiding(issuer, keyid)
    if known is not None and _is_same(known, task):
        task = replace(task, after=known.until - 1 if known.done else known.after)
    _void_accreditations(transaction, task)
    is_alone = transaction.revocations.next_voiding() is None
    transaction.revocations.put_voiding(task)
    # One after the other: who revokes many keys at once must not hold the lock for all of them.
    if is_alone:
        page = _page(transaction, task, limit=AT_ONCE)
        _void(transaction, _late(transaction, task, page), withdraw)
        _advance(transaction, task, page, whole=len(page) < AT_ONCE)


class Voiding:
    """Goes on with what `void_after` has begun; one process at a time."""

    def __init__(self, store: Store, withdraw: Callable[[Transaction, int], None]) -> None:
        """Does nothing yet.

        Args:
            store: the database.
            withdraw: takes the statement at one place in this node's log out of the matching.
        """
        self._store = store
        self._withdraw = withdraw

    def is_behind(self) -> bool:
        """Whether something is left to be made void."""
        with self._store.read() as transaction:
            return transaction.revocations.next_voiding() is not None

    def step(self) -> bool:
        """Makes void what a page of one key's statements says; returns False if there was none.

        What is to be void is found out while others may write: to look for ten thousand entries in
        a mirror of a million takes half a second.
        """
        with self._store.read() as transaction:
            task = transaction.revocations.next_voiding()
            if task is None:
                return False
            page = _page(transaction, task, limit=_PAGE)
            late = {one.log_index for one in _late(transaction, task, page)}
        parts = [page[at : at + AT_ONCE] for at in range(0, len(page), AT_ONCE)] or [[]]
        for part in parts:
            with self._store.write() as transaction:
                # Another revocation of the key, or another process, may have come between.
                if transaction.revocations.voiding(task.issuer, task.keyid) != task:
                    return True
                now_late = [one for one in part if one.log_index in late]
                _void(transaction, now_late, partial(self._withdraw, transaction))
                whole = part is parts[-1] and len(page) < _PAGE
                task = _advance(transaction, task, part, whole=whole)
        return True


def _is_same(one: VoidingRecord, other: VoidingRecord) -> bool:
    return replace(one, after=0, until=0, done=False) == replace(
        other, after=0, until=0, done=False
    )


def _page(transaction: Transaction, task: VoidingRecord, *, limit: int) -> list[SaidRecord]:
    found = transaction.revocations.said_by(
        task.issuer, [task.keyid], since=0, after=task.after, limit=limit
    )
    return [one for one in found if one.log_index < task.until]


def _late(
    transaction: Transaction, task: VoidingRecord, said: Sequence[SaidRecord]
) -> list[SaidRecord]:
    """Returns what does not stand before the revocation."""
    # The node's own log alone is kept under its bare origin.
    if transaction.logs.size(task.mark_log) > 0:
        return [one for one in said if one.log_index >= task.mark_size]
    if not said:
        return []
    before = transaction.mirrors.before(task.log, task.mark_size, [str(one.id) for one in said])
    is_whole = _is_whole(transaction, task)
    at = parse_time(task.mark_at)
    return [one for one in said if one.id not in before and (is_whole or one.received >= at)]


def _is_whole(transaction: Transaction, task: VoidingRecord) -> bool:
    """Whether all places are known that the revocation leaves as they are."""
    own = transaction.logs.size(task.mark_log) > 0
    return own or transaction.mirrors.size(task.log) >= task.mark_size


def _void(transaction: Transaction, late: Sequence[SaidRecord], withdraw: Withdraw) -> None:
    gone = transaction.revocations.among_void(one.log_index for one in late)
    for one in late:
        if one.log_index not in gone:
            transaction.revocations.void(one.log_index)
            if one.kind in _WITHDRAWN:
                withdraw(one.log_index)


def _void_accreditations(transaction: Transaction, task: VoidingRecord) -> None:
    """Has nobody believed from now on whom the key has vouched for: that cannot wait for a step."""
    after = task.after
    while True:
        page = transaction.revocations.said_by(
            *(task.issuer, [task.keyid]), since=0, after=after, limit=_PAGE, kind=Accredit.KIND
        )
        if page:
            _void(transaction, _late(transaction, task, page), _nothing)
            after = page[-1].log_index
        if len(page) < _PAGE:
            return


def _nothing(_place: int) -> None:
    """An accreditation matches nothing."""


def _advance(
    transaction: Transaction, task: VoidingRecord, page: Sequence[SaidRecord], *, whole: bool
) -> VoidingRecord:
    if not whole:
        task = replace(task, after=page[-1].log_index if page else task.until)
    elif _is_whole(transaction, task):
        task = replace(task, done=True)
    else:
        # Judged by this node's clock: the next revocation may find the places.
        transaction.revocations.drop_voiding(task)
        return task
    transaction.revocations.put_voiding(task)
    return task
