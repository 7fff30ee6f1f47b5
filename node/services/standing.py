"""Whether this node's log is where it has been before: after a restore, it may not be.

What a peer or a witness shows is a checkpoint that this very node has signed, so nobody can hold it
up with a lie. A log that is behind such a checkpoint must not grow: every new entry would stand
where another one has stood, and both would be signed. So nothing is signed and nothing taken in,
in no process of the node, until the missing entries are here again (`node.services.recovery`). A
log that contradicts such a checkpoint never can be again: then it takes a new origin.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import structlog

from node.services.directory import log_name, pinned
from node.services.log import OwnLog
from node.storage.engine import Store
from node.storage.transaction import Transaction
from node.storage.witnesses import NoteRecord
from protocol.checkpoint import Checkpoint, parse_checkpoint, parse_note
from protocol.errors import NotFoundError, ProtocolError, SigningError
from protocol.messages import OwnLogAnswer, OwnLogRequest
from signing.keys import PublicKey
from signing.notes import open_signed

_log = structlog.get_logger("node.standing")


@dataclass(frozen=True)
class StandingState:
    """Where the log stands beside what it has signed.

    Attributes:
        state: ``fine``; ``behind``: entries are missing that it has signed; ``forked``: it has
            other entries than it has signed.
        size: of the log.
        signed: size of the greatest checkpoint that it is behind, or contradicts; 0 where fine.
    """

    state: Literal["fine", "behind", "forked"]
    size: int
    signed: int


class Standing:
    """Compares the log with what others have kept of it."""

    def __init__(
        self,
        store: Store,
        log: OwnLog,
        *,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._log = log
        self._name = name
        self._clock = clock

    def state(self) -> StandingState:
        """Returns where the log stands."""
        with self._store.read() as transaction:
            return self._state(transaction)

    def _state(self, transaction: Transaction) -> StandingState:
        size = transaction.logs.size(self._log.origin)
        forked = transaction.witnesses.own(self._log.origin, "forked")
        if forked is not None:
            return StandingState("forked", size, forked.size)
        behind = transaction.witnesses.own(self._log.origin, "behind")
        if behind is not None and behind.size > size:
            return StandingState("behind", size, behind.size)
        return StandingState("fine", size, 0)

    def reason(self) -> str | None:
        """Returns why nothing is signed, for the operator; None where that is not so."""
        if self._log.held is not None:
            return self._log.held
        found = self.state()
        if found.state == "behind":
            return (
                f"The node's log has {found.size} entries and has signed {found.signed}: it was "
                "restored from an older copy. It signs nothing until it has fetched what is "
                "missing from its peers."
            )
        if found.state == "forked":
            return (
                f"The node's log has other entries than when it signed {found.signed}: it went on "
                "from an older copy. It signs nothing more: run schutznetz node log new-origin."
            )
        return None

    def keys(self) -> list[PublicKey]:
        """Returns the keys with which this node signs, or has signed, its log."""
        with self._store.read() as transaction:
            record = transaction.peers.get(self._name)
        assert record is not None  # `node init` stored it
        return [one.key for one in pinned(record).log_keys]

    def opened(self, notes: Iterable[bytes]) -> list[tuple[Checkpoint, bytes]]:
        """Returns those of untrusted notes that this node has signed, the greatest first."""
        keys = self.keys()
        found = []
        for note in notes:
            try:
                found.append((open_signed(note, origin=self._log.origin, keys=keys), note))
            except (ProtocolError, SigningError):
                continue  # not of this log: it says nothing about it
        return sorted(found, key=lambda one: one[0].size, reverse=True)

    def judge(self, notes: Iterable[bytes]) -> StandingState:
        """Compares the log with checkpoints that others have kept, and stores what follows.

        Args:
            notes: untrusted bytes; only what this node has signed counts.
        """
        before = self.state()
        for checkpoint, note in self.opened(notes):
            with self._store.write() as transaction:
                size = transaction.logs.size(self._log.origin)
                record = NoteRecord(self._log.origin, checkpoint.size, note, int(self._clock()))
                if checkpoint.size > size:
                    known = transaction.witnesses.own(self._log.origin, "behind")
                    if known is None or known.size < checkpoint.size:
                        transaction.witnesses.put_own(record, "behind")
                elif self._log.root_at(transaction, checkpoint.size) != checkpoint.root:
                    transaction.witnesses.put_own(record, "forked")
        after = self.state()
        if after.state not in {before.state, "fine"}:
            _log.error("log_" + after.state, size=after.size, signed=after.signed)
            with self._store.write() as transaction:
                detail = f"{after.size} entries, signed {after.signed}"
                now = int(self._clock())
                transaction.journal.audit(
                    "node", f"log.{after.state}", at=now, subject=self._log.origin, detail=detail
                )
        return after

    def own_log(self, request: OwnLogRequest, *, reader: str) -> OwnLogAnswer:
        """Returns a caller's own log as this node took it over, and the greatest checkpoint of it.

        Raises:
            NotFoundError: the caller is no longer pinned.
        """
        with self._store.read() as transaction:
            record = transaction.peers.get(reader)
            if record is None:
                raise NotFoundError("The caller is no longer pinned.")
            node = pinned(record)
            name = log_name(node)
            known = transaction.logs.get(name).checkpoint
            witnessed = transaction.witnesses.witnessed(node.log_origin)
            notes = [one for one in (known, witnessed and witnessed.note) if one]
            size = transaction.mirrors.size(name)
            entries = transaction.mirrors.entries(name, request.start, request.limit)
        greatest = max(notes, key=_size_of, default=None)
        return OwnLogAnswer(
            origin=node.log_origin,
            size=size,
            start=request.start,
            entries=tuple(entries),
            checkpoint=None if greatest is None else greatest.decode(),
        )


def _size_of(note: bytes) -> int:
    return parse_checkpoint(parse_note(note).text).size
