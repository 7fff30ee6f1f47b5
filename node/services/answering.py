"""Telling issuers what came of it when they take something back, and proving erasures to them.

The log of this node is followed: each retract, resolve or erase that it has taken in is answered
once, in statements that only the issuer's node may read. A crash answers again what it had not
noted as answered, which changes nothing. What this is not: a say about anybody's upload; of what
was done here, the issuer learns as much as the operator wishes (setting `remedy_says`), and of an
account-ban never whether it was met.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

import structlog

from node.services import restoring
from node.services.authoring import Author
from node.services.catalogue import Catalogue
from node.storage.engine import Store
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.encoding import format_time
from protocol.errors import SchutznetzError
from protocol.fields import StatementId, organisation_of
from protocol.statements import (
    AccountBan,
    Erase,
    Erased,
    MediaFlag,
    Outcome,
    Remedied,
    Resolve,
    Retract,
)

Says = Literal["acted", "settled", "nothing"]

PLACES: Final = ("body", "media-hashes", "fingerprints", "set-aside", "evidence", "index")
"""What a proof of erasure speaks of; and ``write-ahead-log`` where the database is SQLite."""

_CURSOR: Final = "remedies"
_KINDS: Final = (Retract.KIND, Resolve.KIND, Erase.KIND)
_AT_ONCE: Final = 64
_CLEAR_EVERY_S: Final = 15
_log = structlog.get_logger("node.answering")


@dataclass(frozen=True)
class Due:
    """A statement that takes another back, that other, and what it says."""

    record: StatementRecord
    target: StatementRecord
    asks_for_remedy: bool

    @property
    def organisation(self) -> str:
        """Who issued what was taken back, and is to be told."""
        return organisation_of(self.target.issuer)


class Answering:
    """Answers what was taken back; one process at a time."""

    def __init__(
        self,
        store: Store,
        author: Author,
        catalogue: Catalogue,
        *,
        name: str,
        says: Says,
        origin: str,
        clock: Callable[[], float],
    ) -> None:
        """Keeps what is needed.

        Args:
            store: of the node.
            author: signs in the node's name.
            catalogue: whose files must not keep what is erased.
            name: of the node.
            says: how much issuers learn of what was done here.
            origin: of the node's log.
            clock: Unix time in seconds.
        """
        self._store = store
        self._author = author
        self._catalogue = catalogue
        self._name = name
        self._says = says
        self._origin = origin
        self._clock = clock
        self._looked_at = 0
        self._cleared_at = float("-inf")
        self._idle_at: int | None = None

    def is_behind(self) -> bool:
        """Whether there is something to answer; quick where nothing has changed."""
        version = self._store.version()
        if version is not None and version == self._idle_at:
            return False
        with self._store.read() as transaction:
            start = self._start(transaction)
            size = transaction.logs.size(self._origin)
            found = transaction.statements.of_kinds(_KINDS, start, limit=1)
        if found:
            return True
        self._idle_at, self._looked_at = version, size
        return False

    def step(self) -> bool:
        """Answers some; returns False where that has to wait, or there was nothing.

        Who still reads an older state keeps SQLite from emptying its log: then it is tried again.
        """
        with self._store.read() as transaction:
            records = transaction.statements.of_kinds(
                _KINDS, self._start(transaction), limit=_AT_ONCE
            )
            due = _read(transaction, records)
        erased = [one for one in due if one.record.kind == Erase.KIND]
        flags = [one.target.log_index for one in erased if one.target.kind == MediaFlag.KIND]
        if erased and not (self._is_cleared(flags) and self._store.forget_deleted()):
            return False
        for one in due:
            self._answer(one)
        if records:
            self._looked_at = records[-1].log_index + 1
        return bool(records)

    def outcome(self, transaction: Transaction, target: StatementRecord) -> Outcome | None:
        """Returns what there is to say of what was done because of a statement; None: nothing."""
        says = self._says_of(target)
        acted = transaction.journal.acted_on(target.log_index, restoring.ACTED_DECISIONS)
        waits = transaction.journal.remedied(target.log_index, open_only=True)
        if says == "nothing" or (waits and says == "settled"):
            return None
        if says == "settled":
            return "settled"
        if waits:
            return "restoring"
        return "restored" if acted else "not-acted"

    def says_done(self, target: StatementRecord) -> Outcome | None:
        """Returns what to say of a statement once everything is restored; None: nothing."""
        says = self._says_of(target)
        if says == "nothing":
            return None
        return "restored" if says == "acted" else "settled"

    def _says_of(self, target: StatementRecord) -> Says:
        if self._says == "acted" and target.kind == AccountBan.KIND:
            # That a ban was met says that somebody has an account here.
            return "settled"
        return self._says

    def _start(self, transaction: Transaction) -> int:
        return max(self._looked_at, transaction.retro.cursor(_CURSOR))

    def _is_cleared(self, places: Sequence[int]) -> bool:
        """Whether nothing of erased flags is left in the index, nor in its files.

        That may take a new file of everything, so it is done now and then, for all that wait.
        """
        now = self._clock()
        if not places:
            return True
        if 0 <= now - self._cleared_at < _CLEAR_EVERY_S:
            return False
        if not self._catalogue.clear(places):
            return False
        self._cleared_at = now
        return True

    def _answer(self, due: Due) -> None:
        def note(transaction: Transaction, _statement: StatementId) -> None:
            transaction.retro.set_cursor(_CURSOR, due.record.log_index + 1)

        audience = (f"node:{due.organisation}",)
        said = {"target": due.target.id, "cause": due.record.id}
        try:
            if due.asks_for_remedy and due.organisation != self._name:
                with self._store.read() as transaction:
                    outcome = self.outcome(transaction, due.target)
                if outcome is not None:
                    self._author.issue(
                        Remedied, also=_nothing, audience=audience, outcome=outcome, **said
                    )
            if due.record.kind == Erase.KIND:
                self._author.issue(
                    Erased,
                    also=note,
                    audience=audience,
                    erased=format_time(int(self._clock())),
                    places=self._places(),
                    **said,
                )
                return
        except SchutznetzError as error:
            # This node may say nothing of it any more, having left the circle for example.
            _log.info("not_answered", error=type(error).__name__)
        with self._store.write() as transaction:
            note(transaction, due.record.id)

    def _places(self) -> tuple[str, ...]:
        return (*PLACES, "write-ahead-log") if self._store.dialect == "sqlite" else PLACES


def _read(transaction: Transaction, records: Sequence[StatementRecord]) -> list[Due]:
    targets = transaction.statements.by_indices(
        one.target_index for one in records if one.target_index is not None
    )
    bodies = transaction.statements.envelopes(one.log_index for one in records)
    return [
        Due(
            one,
            targets[cast("int", one.target_index)],
            restoring.asks_for_remedy(bodies[one.log_index]),
        )
        for one in records
    ]


def _nothing(_transaction: Transaction, _statement: StatementId) -> None:
    """Writes nothing more."""
