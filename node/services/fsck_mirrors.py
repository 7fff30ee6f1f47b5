"""Whether what is kept of other nodes' logs is what was verified when it came."""

from collections.abc import Sequence
from typing import Final

from node.services.fsck import Finding, Step
from node.storage.engine import Store
from protocol.merkle import Frontier

_PAGE: Final = 16_384


class MirrorsCheck:
    """The entries that are kept of a peer's log lead to the root up to which it was taken over.

    Of a log that was taken over before entries were kept, there is nothing to compare.
    """

    def __init__(self, store: Store, *, origin: str) -> None:
        self._store = store
        self._origin = origin

    def look(self, step: Step) -> Sequence[Finding]:
        """Hashes every entry that is kept of every peer's log."""
        with self._store.read() as transaction:
            logs = [one for one in transaction.logs.origins() if one != self._origin]
        wrong = 0
        for number, one in enumerate(logs, 1):
            wrong += not self._is_right(one)
            step(number, len(logs))
        if wrong:
            sentence = f"Of {wrong} peers' logs, other entries are kept than were taken over."
            return [Finding("mirrors", ok=False, sentence=sentence)]
        sentence = "What is kept of the peers' logs leads to the roots that they signed."
        return [Finding("mirrors", ok=True, sentence=sentence)]

    def _is_right(self, log: str) -> bool:
        with self._store.read() as transaction:
            known = transaction.logs.get(log).frontier
            kept = transaction.mirrors.size(log)
        if not kept:
            return True
        frontier = Frontier.EMPTY
        # As far as was taken over when it began: a sync may go on meanwhile.
        while frontier.size < known.size:
            with self._store.read() as transaction:
                limit = min(_PAGE, known.size - frontier.size)
                page = transaction.mirrors.entries(log, frontier.size, limit)
            if not page:
                return False
            frontier = frontier.append(bytes.fromhex(one) for one in page)
        return frontier == known and kept == known.size
