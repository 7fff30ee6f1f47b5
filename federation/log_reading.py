"""Reading a peer's log: its signed state, and the entries that lead to it.

What it is: the proof that what a peer answers belongs to one log that only grows, and the bytes
that show it where two of its signed notes cannot both be true. What it is not: a judge of what the
entries stand for, which are ids and nothing more (`federation.sync` asks for the statements).
"""

from collections.abc import Sequence
from typing import Final, NoReturn, Protocol

from federation.descriptors import PinnedNode
from federation.misconduct import Contradiction, find_rewritten
from federation.run import Run
from protocol import limits
from protocol.checkpoint import Checkpoint, parse_checkpoint, parse_note
from protocol.errors import (
    PeerMisbehavedError,
    PeerUnreachableError,
    ProtocolError,
    SigningError,
)
from protocol.fields import StatementId
from protocol.merkle import HASH_BYTES, Frontier
from protocol.messages import Entries
from signing.notes import open_signed

MAX_NEW_ENTRIES: Final = 1 << 22
"""New entries of one sync: 128 MiB of ids, which are held until their root is verified."""

MAX_EVIDENCE_IDS: Final = 1 << 10
"""Entries that are kept as evidence: the first of those that do not lead to the signed root."""


class LogSource(Protocol):
    """A peer whose log can be read; `federation.client.PeerClient` is one."""

    async def checkpoint(self) -> bytes:
        """Returns its latest checkpoint, unverified."""

    async def entries(self, start: int, limit: int) -> Entries:
        """Returns log entries from index `start` on."""


class ContradictionError(PeerMisbehavedError):
    """The peer contradicts what it has signed.

    Attributes:
        shown: what proves it to anybody, where something does.
    """

    def __init__(
        self, message: str, *, evidence: bytes, shown: Contradiction | None = None
    ) -> None:
        super().__init__(message, evidence=evidence)
        self.shown = shown


class _MismatchError(PeerMisbehavedError):
    """The entries are not those of the signed log, or not as they arrived; `served` has them."""

    def __init__(self, served: bytes, *, evidence: bytes) -> None:
        super().__init__("The entries are not those of the signed log.", evidence=evidence)
        self.served = served


class LogReader:
    """Reads the log of one peer.

    Attributes:
        note: the newest checkpoint that the peer served, as bytes.
    """

    def __init__(self, source: LogSource, peer: PinnedNode, run: Run) -> None:
        """Asks `source`, which has to be what is pinned as `peer`."""
        self.note = b""
        self._source = source
        self._peer = peer
        self._run = run

    async def read(
        self, frontier: Frontier, old_note: bytes | None
    ) -> tuple[Checkpoint, bytearray]:
        """Returns the signed state of the log, and the entries that are new.

        The entries themselves are not signed: where they do not fit, they are asked for a second
        time, with a new checkpoint, before anything is held against the peer.

        Args:
            frontier: state up to where the log was taken over.
            old_note: the checkpoint that was believed last. It was verified then; the key that
                signed it may have ended since, or be revoked.

        Raises:
            ContradictionError: the peer's signed notes contradict each other, or its entries them.
            PeerMisbehavedError: an answer breaks the protocol.
            PeerUnreachableError: more new entries than `MAX_NEW_ENTRIES`.
        """
        try:
            return await self._read_once(frontier, old_note)
        except _MismatchError:
            first_note = self.note
        try:
            return await self._read_once(frontier, old_note, first_note)
        except _MismatchError as error:
            pieces = dict.fromkeys((self.note, old_note or b"", first_note, error.served))
            raise ContradictionError(
                str(error), evidence=b"\n".join(filter(None, pieces))
            ) from None

    async def _read_once(
        self, frontier: Frontier, old_note: bytes | None, first_note: bytes | None = None
    ) -> tuple[Checkpoint, bytearray]:
        self.note = await self._source.checkpoint()
        new = self._open(self.note)
        for note in filter(None, (old_note, first_note)):
            known = _believed(note)
            if known.size == new.size and known.root != new.root:
                raise ContradictionError(
                    "The peer signed two logs of one size.",
                    evidence=self.note + b"\n" + note,
                    shown=Contradiction((note, self.note)),
                )
        old = None if old_note is None else _believed(old_note)
        if new.size < max(frontier.size, old.size if old else 0):
            self.give_up("The peer's log has shrunk.", old_note or b"")
        if new.size - frontier.size > MAX_NEW_ENTRIES:
            raise PeerUnreachableError(f"The peer has more than {MAX_NEW_ENTRIES} new entries.")
        return new, await self._fetch_entries(frontier, old, new)

    def _open(self, note: bytes) -> Checkpoint:
        try:
            keys = [one.key for one in self._peer.log_keys]
            return open_signed(note, origin=self._peer.log_origin, keys=keys)
        except (ProtocolError, SigningError) as error:
            raise PeerMisbehavedError(
                f"The checkpoint cannot be believed: {error}", evidence=note
            ) from None

    async def _fetch_entries(
        self, frontier: Frontier, old: Checkpoint | None, new: Checkpoint
    ) -> bytearray:
        """Returns the new entries, 32 bytes each, once they are known to be the signed log's."""
        ids = bytearray()
        # A sync that was interrupted left a checkpoint ahead of the state: it has to fit as well.
        steps = [old, new] if old is not None and old.size > frontier.size else [new]
        for step in steps:
            while frontier.size < step.size:
                page = await self._fetch_page(frontier.size, step.size)
                frontier = await self._run(frontier.append, [bytes.fromhex(one) for one in page])
                ids += bytes.fromhex("".join(page))
            if frontier.root() != step.root:
                served = "\n".join(split_ids(ids[: MAX_EVIDENCE_IDS * HASH_BYTES])).encode()
                raise _MismatchError(served, evidence=self.note)
        return ids

    async def _fetch_page(self, start: int, end: int) -> Sequence[str]:
        limit = min(end - start, limits.MAX_ENTRIES_PER_REQUEST)
        page = await self._source.entries(start, limit)
        if page.start != start or not 0 < len(page.entries) <= limit:
            raise PeerMisbehavedError(
                f"The peer answered with {len(page.entries)} entries from {page.start} on, and was "
                f"asked for {limit} from {start} on.",
                evidence=self.note,
            )
        return page.entries

    async def find_rewritten(
        self, old_note: bytes, kept: Sequence[StatementId]
    ) -> Contradiction | None:
        """Returns the proof that the log was rewritten after `read` has found that it does not fit.

        Args:
            old_note: the checkpoint that was believed last.
            kept: entries of the log as they were taken over, from the first on.
        """
        before, after = (old_note, _believed(old_note)), (self.note, self._open(self.note))
        return await find_rewritten(
            self._source, kept, before, after, most=MAX_NEW_ENTRIES, run=self._run
        )

    def give_up(self, message: str, evidence: bytes = b"") -> NoReturn:
        """Ends the sync, with the newest checkpoint and then what does not go with it."""
        raise PeerMisbehavedError(message, evidence=self.note + b"\n" + evidence)


def _believed(note: bytes) -> Checkpoint:
    """Returns what a note says that was verified when it came, and has been kept here since."""
    return parse_checkpoint(parse_note(note).text)


def split_ids(ids: bytearray) -> list[StatementId]:
    """Returns entries of 32 bytes each as statement ids."""
    return [StatementId(ids[at : at + HASH_BYTES].hex()) for at in range(0, len(ids), HASH_BYTES)]
