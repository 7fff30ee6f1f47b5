"""Whose entries are looked at when an upload resembles very many.

To ask the database about each of 20,000 entries takes a third of a second, and whoever flags one
picture often enough would make everybody wait. What the policy hears of one voice, an organisation
saying one thing, is limited anyway (`MOST_PER_VOICE`); here the limit comes before the expensive
part. Every voice is heard by itself, so that nobody is pushed out of sight by another.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.services.catalogue import Believed, Found, log_index_of
from node.services.judging import MOST_PER_VOICE, Known
from node.storage.statements import Scope
from node.storage.transaction import Transaction

MOST_LOOKED_AT: Final = 1_000
"""Active entries of one voice that are looked at for one upload, however many do not count."""

_FEW: Final = 400  # entries that the database is asked about at once
_MOST_REMEMBERED: Final = 1_000_000


class Believing(Protocol):
    """What found entries: the catalogue of pdqs, or the digests of one look-up."""

    def believed(self, transaction: Transaction, hits: Sequence[Found]) -> list[Believed]:
        """Returns what of it the database has active."""


class Scopes:
    """Who says what in which statement: what never changes of one, kept once it was read."""

    def __init__(self) -> None:
        self._known: dict[int, Scope] = {}
        self._alike: dict[Scope, Scope] = {}

    def of(self, transaction: Transaction, log_indices: Iterable[int]) -> dict[int, Scope]:
        """Returns the scopes of the statements at these places that the transaction sees."""
        wanted = set(log_indices)
        unknown = wanted - self._known.keys()
        if unknown:
            if len(self._known) > _MOST_REMEMBERED:
                self._known.clear()
                self._alike.clear()
            for log_index, scope in transaction.statements.scopes(unknown).items():
                self._known[log_index] = self._alike.setdefault(scope, scope)
        known = self._known
        return {index: known[index] for index in wanted if index in known}


@dataclass
class _Voice:
    """What one voice has to say of one upload, and how much of it was heard."""

    number: int
    said: Found
    at: int = 0
    looked_at: int = 0
    heard: int = 0

    def next(self) -> Found:
        """What is to be looked at now; twice as much each time."""
        size = max(2 * MOST_PER_VOICE, self.at)
        part = self.said[self.at : self.at + size]
        self.at += len(part)
        return part

    def is_heard(self) -> bool:
        """Whether nothing more is to be looked at."""
        return (
            self.at >= len(self.said)
            or self.heard >= MOST_PER_VOICE
            or self.looked_at >= MOST_LOOKED_AT
        )


class Hearing:
    """Looks at what was found until every voice is heard.

    Args:
        scopes: shared by all hearings of a process.
        voice_of: what makes two statements one voice.
        now: Unix time in seconds.
    """

    def __init__(self, scopes: Scopes, voice_of: Callable[[Scope], Hashable], *, now: int) -> None:
        self._scopes = scopes
        self._voice_of = voice_of
        self._now = now

    def hear(
        self, transaction: Transaction, catalogue: Believing, found: Sequence[Found]
    ) -> list[Believed]:
        """Returns for each upload what is active of the nearest entries of each voice.

        Args:
            transaction: in which entries and statements are read.
            catalogue: that found them.
            found: for each upload.
        """
        if sum(map(len, found)) <= _FEW:
            return catalogue.believed(transaction, found)
        voices = self._voices(transaction, found)
        heard: list[Believed] = [[] for _ in found]
        while voices:
            parts = catalogue.believed(transaction, [voice.next() for voice in voices])
            indices = {entry.log_index for part in parts for entry, _ in part}
            known = Known(transaction, indices, now=self._now)
            for voice, part in zip(voices, parts, strict=True):
                heard[voice.number] += part
                voice.looked_at += len(part)
                voice.heard += len(_that_count(known, part))
            voices = [voice for voice in voices if not voice.is_heard()]
        for part in heard:
            part.sort(key=lambda one: one[1])
        return heard

    def _voices(self, transaction: Transaction, found: Sequence[Found]) -> list[_Voice]:
        met = {log_index_of(key) for one in found for key, _ in one}
        named: dict[Scope, Hashable] = {}
        of_place: dict[int, Hashable] = {}
        for log_index, scope in self._scopes.of(transaction, met).items():
            if scope not in named:
                named[scope] = self._voice_of(scope)
            of_place[log_index] = named[scope]
        voices = []
        for number, one in enumerate(found):
            said: dict[Hashable, Found] = {}
            for match in one:
                said.setdefault(of_place.get(log_index_of(match[0])), []).append(match)
            voices += [_Voice(number, matches) for matches in said.values()]
        return voices


def _that_count(known: Known, part: Believed) -> set[tuple[int, int]]:
    """The items that weigh fully: of a statement in force, undisputed, and no frame of a film."""
    return {
        (entry.log_index, entry.item)
        for entry, _ in part
        if entry.kind != "frame"
        and known.active(entry.log_index) is not None
        and not known.is_disputed(entry.log_index, entry.item)
    }
