"""Which bans carry an avatar that looks like a given one: a weak signal, and never alone a lead.

As with everything that is matched, the database is the truth and an index in this process its
shadow, which follows the log. An avatar is stored, served and forgotten with its ban.
"""

import threading
from collections.abc import Collection, Sequence
from typing import Final

from node.matching.scan import ScanIndex
from node.storage.transaction import Transaction
from protocol.limits import PDQ_MATCH_DISTANCE, PDQ_MIN_QUALITY
from protocol.pdq import is_degenerate, parse_pdq
from protocol.statements import Avatar

_PAGE: Final = 10_000
_ASKED: Final = 64
"""Places that the database is asked about, at least, whether or not anything lies near."""


class Avatars:
    """The avatars of banned accounts."""

    def __init__(self, origin: str) -> None:
        """Begins with nothing; `origin` names the node's own log."""
        self._origin = origin
        self._index = ScanIndex()
        self._next = 0
        self._lock = threading.Lock()

    def near(
        self,
        transaction: Transaction,
        avatars: Sequence[Avatar | None],
        bans: Sequence[Collection[int]],
    ) -> list[set[int]]:
        """Returns for each account those of its bans whose avatar looks like the account's.

        Where an avatar is given at all, what is done does not depend on whether one lies near.

        Args:
            transaction: in which the bans were found.
            avatars: of each account, if it has one.
            bans: places in the log of those that each account's identifiers hit.
        """
        given = {at: pdq for at, one in enumerate(avatars) if (pdq := _comparable(one)) is not None}
        found: list[set[int]] = [set() for _ in bans]
        if not given:
            return found
        self._catch_up(transaction)
        near = self._index.query_many(list(given.values()), PDQ_MATCH_DISTANCE)
        met = {key for hits in near for key, _ in hits}
        wanted = {index for each in bans for index in each} & met
        # The others are asked about for no answer's sake: what is erased is to leave the memory.
        asked = [*sorted(wanted), *sorted(met - wanted)]
        asked = asked[: max(_ASKED, len(wanted))]
        nowhere = [-1 - at for at in range(_ASKED - len(asked))]
        there = transaction.accounts.avatars_at([*asked, *nowhere])
        # The transaction may be older than the index: what it cannot see yet is not gone.
        size = transaction.logs.size(self._origin)
        if gone := [index for index in asked if index not in there and index < size]:
            self._index.remove(gone)
        for at, hits in zip(given, near, strict=True):
            found[at] = {key for key, _ in hits} & there & set(bans[at])
        return found

    def _catch_up(self, transaction: Transaction) -> None:
        """Takes in what the log has gained."""
        size = transaction.logs.size(self._origin)
        with self._lock:
            while self._next < size:
                page = transaction.accounts.avatars_from(self._next, limit=_PAGE)
                self._index.add([index for index, _ in page], [pdq for _, pdq in page])
                self._next = page[-1][0] + 1 if len(page) == _PAGE else size


def _comparable(avatar: Avatar | None) -> bytes | None:
    """Returns the pdq of an avatar, unless it would fit pictures that are nothing like it."""
    if avatar is None or avatar.quality < PDQ_MIN_QUALITY:
        return None
    pdq = parse_pdq(avatar.pdq)
    return None if is_degenerate(pdq) else pdq
