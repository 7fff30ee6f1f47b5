"""Whether the node's log is what its ids make of it: every place taken, the root, the tiles."""

from collections.abc import Sequence
from typing import Final

from node.services.fsck import Finding, Step
from node.services.log import hashes_of
from node.storage.engine import Store
from node.storage.transaction import Transaction
from node.storage.witnesses import Stage
from protocol.checkpoint import parse_checkpoint, parse_note
from protocol.errors import ProtocolError, UnavailableError
from protocol.merkle import TILE_HEIGHT, Frontier
from protocol.proofs import TiledTree

_PAGE: Final = 16_384

FITS: Final = "The tree over the log fits its entries."


class LogCheck:
    """The entries of the log lead to its root, and its tiles are those of the entries.

    Hashes all of the log, a page at a time; a log that grows meanwhile is looked at as far as it
    had come.
    """

    def __init__(self, store: Store, *, origin: str) -> None:
        self._store = store
        self._origin = origin

    def look(self, step: Step) -> Sequence[Finding]:
        """Compares the entries with the root, and every hash of the tree with the entries."""
        with self._store.read() as transaction:
            kept = transaction.logs.get(self._origin).frontier
            is_counted = transaction.logs.size(self._origin) == kept.size
        frontier, wrong = Frontier.EMPTY, 0
        while frontier.size < kept.size:
            with self._store.read() as transaction:
                page = _page(transaction, frontier.size, kept.size)
                if not page:
                    return [_gap(frontier.size)]
                grown, full = frontier.grow(page)
                wrong += _wrong_tiles(transaction, frontier.size, full)
            frontier = grown
            step(frontier.size, kept.size)
        if frontier != kept or not is_counted:
            sentence = "The log has another root than its entries: something was changed."
            return [Finding("entries", ok=False, sentence=sentence)]
        with self._store.read() as transaction:
            wrong += self._strays(transaction)
        entries = f"The {kept.size} entries of the log lead to its root."
        found = [Finding("entries", ok=True, sentence=entries), _tree(wrong)]
        return [*found, self._checkpoints()]

    def _checkpoints(self) -> Finding:
        """Compares what witnesses were shown of this log with what it is."""
        with self._store.read() as transaction:
            size = transaction.logs.size(self._origin)
            stages: tuple[Stage, ...] = ("asked", "published")
            shown = [transaction.witnesses.own(self._origin, stage) for stage in stages]
            for one in shown:
                if one is None:
                    continue
                try:
                    checkpoint = parse_checkpoint(parse_note(one.note).text)
                except ProtocolError:
                    return _other("A checkpoint that was shown to witnesses is none any more.")
                if checkpoint.size > size:
                    return _other("The log has lost entries that its witnesses have seen.")
                if _root(transaction, checkpoint.size) != checkpoint.root:
                    return _other("The log is another one than its witnesses have seen.")
        return Finding("checkpoints", ok=True, sentence="Its witnesses were shown this log.")

    def _strays(self, transaction: Transaction) -> int:
        size = transaction.logs.size(self._origin)
        return transaction.logs.stray_tiles(size)

    def mend(self) -> Sequence[Finding]:
        """Makes the tree anew from the entries, if they lead to the root."""
        entries, *_ = self.look(lambda _done, _all: None)
        if not entries.ok:
            return [entries]
        frontier = Frontier.EMPTY
        # One transaction: nobody appends meanwhile, and who reads sees the old tree or the new.
        with self._store.write() as transaction:
            transaction.logs.forget_tiles()
            size = transaction.logs.size(self._origin)
            while page := _page(transaction, frontier.size, size):
                grown, full = frontier.grow(page)
                transaction.logs.add_tiles(frontier.size, full)
                frontier = grown
        sentence = f"The tree over the log was made anew: {frontier.size} entries."
        return [entries, Finding("tiles", ok=True, sentence=sentence)]


def _page(transaction: Transaction, start: int, end: int) -> list[bytes]:
    """Returns the entries from a place on, as far as none is missing."""
    found = transaction.integrity.ids(start, end, _PAGE)
    whole = enumerate(found, start)
    return [one for at, (place, one) in whole if at == place]


def _wrong_tiles(transaction: Transaction, size: int, full: dict[int, list[bytes]]) -> int:
    wrong = 0
    for level, roots in full.items():
        first = size >> TILE_HEIGHT * (level + 1)
        kept = transaction.logs.tiles_at(level, first, len(roots))
        wrong += sum(kept.get(first + at) != root for at, root in enumerate(roots))
    return wrong


def _root(transaction: Transaction, size: int) -> bytes | None:
    """Returns the root that the log had; None where its tree is damaged, which is told anyway."""
    try:
        return TiledTree(size, lambda tile: hashes_of(transaction, tile)).root()
    except UnavailableError:
        return None


def _other(sentence: str) -> Finding:
    return Finding("checkpoints", ok=False, sentence=sentence)


def _gap(place: int) -> Finding:
    return Finding("entries", ok=False, sentence=f"Entry {place} of the log is missing.")


def _tree(wrong: int) -> Finding:
    if not wrong:
        return Finding("tiles", ok=True, sentence=FITS)
    sentence = f"The tree over the log differs from its entries in {wrong} hashes."
    return Finding("tiles", ok=False, sentence=sentence, mendable=True)
