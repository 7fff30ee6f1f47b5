"""Pulling another node's log: which of its entries are new, that they are its log, what they say.

What it is: the order of questions to one peer, and the proof that its answers belong to one log
that only grows. What it is not: a judge of statements. It hands on envelopes of the right form
under the right id; `Replica.take` verifies each and sets the bad ones aside, so that no single one
stops the rest.

Two kinds of bad answer are told apart. What the peer's signed notes show is told to
`Replica.misbehaved`, with the bytes that show it: two logs of one size, or entries that do not lead
to the signed root even when both are asked for anew. Everything else ends the sync with
`PeerMisbehavedError`, and the next one starts where this one stopped: whoever sits on the line can
show an old checkpoint again, or garble what nobody signs, and must not have an honest peer frozen.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from federation.descriptors import PinnedNode
from federation.log_reading import ContradictionError, LogReader, LogSource, split_ids
from federation.misconduct import Contradiction
from federation.run import Run
from protocol import limits
from protocol.checkpoint import Checkpoint
from protocol.encoding import to_base64url
from protocol.envelope import parse_envelope
from protocol.errors import (
    PeerMisbehavedError,
    ProtocolError,
)
from protocol.fields import StatementId
from protocol.merkle import HASH_BYTES, Frontier
from protocol.messages import Acknowledgement, EnvelopeAnswer, Envelopes, SetAside

MAX_WANTED: Final = 1 << 12
"""Statements that are asked for in one sync because they were not to be had before."""


@dataclass(frozen=True)
class Pulled:
    """What a peer served for one entry of its log.

    Attributes:
        id: statement id.
        envelope: exact bytes, whose statement has this id; nothing in them is verified. None where
            what came is no envelope, or where there is no body for this node.
        problem: why what came is no envelope, as one sentence for a person. None where the peer
            has no body for this node: it is withheld from it, erased or expired.
    """

    id: StatementId
    envelope: bytes | None
    problem: str | None = None

    @property
    def has_no_body(self) -> bool:
        """Whether the peer rightly has nothing to serve for this entry."""
        return self.envelope is None and self.problem is None

    def __repr__(self) -> str:
        return f"Pulled(id={self.id!r}, problem={self.problem!r})"


@dataclass(frozen=True)
class SyncReport:
    """How one sync went.

    Attributes:
        size: of the peer's log, which is now taken over as a whole.
        fetched: statements asked for, because they were missing here.
        accepted: statements taken over.
        set_aside: statements that were not, and are named in the acknowledgement.
        skipped: statements without a body for this node: withheld, erased or expired.
        bytes_received: bodies of the peer's answers.
        note: the checkpoint up to which it is, as the peer served it now.
    """

    size: int
    fetched: int
    accepted: int
    set_aside: int
    skipped: int
    bytes_received: int
    note: bytes = field(default=b"", repr=False, compare=False)


class Source(LogSource, Protocol):
    """A peer whose log can be pulled; `federation.client.PeerClient` is one."""

    @property
    def bytes_received(self) -> int:
        """Bodies of its answers so far."""

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        """Returns the envelopes of statements, or why there is none."""

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Tells the peer up to where its log has been taken over."""


class Replica(Protocol):
    """What this node keeps of other nodes' logs. Every method is one transaction."""

    def cursor(self, origin: str) -> tuple[Frontier, bytes | None]:
        """Returns the state up to where a log was taken over, and its latest believed checkpoint.

        The checkpoint may be ahead of the state, where a sync was interrupted.
        """

    def missing(self, ids: Sequence[StatementId]) -> set[StatementId]:
        """Returns those of `ids` whose statements were neither taken over here nor erased."""

    def wanted(self) -> Sequence[StatementId]:
        """Returns what to ask this peer for beyond what is new: ids for one request at most."""

    def take(
        self,
        origin: str,
        pulled: Sequence[Pulled],
        frontier: Frontier,
        checkpoint: bytes | None,
        entries: Sequence[StatementId] = (),
    ) -> Sequence[SetAside]:
        """Verifies and stores what was pulled, and moves the cursor, in one transaction.

        Args:
            origin: name of the peer's log.
            pulled: statements in the order of that log; none twice, some known by now, and those
                without a body among them, so that what points at them is no surprise.
            frontier: state of the log after them.
            checkpoint: the believed checkpoint that they lead to.
            entries: all entries by which the state has grown, in their order.

        Returns:
            What was not taken over, and why.
        """

    def still_refused(self, set_aside: Sequence[SetAside]) -> Sequence[SetAside]:
        """Returns what was not taken over and is still not here."""

    def entries(self, origin: str) -> Sequence[StatementId]:
        """Returns the entries of a log as they were taken over, from the first on."""

    def misbehaved(
        self, node: str, message: str, evidence: bytes, shown: Contradiction | None = None
    ) -> None:
        """Keeps the evidence that a peer has signed two logs, and freezes the peer.

        Args:
            node: name of the peer.
            message: one sentence for the operator.
            evidence: the bytes that show it here.
            shown: what proves it to anybody, where something does.
        """


async def sync_peer(
    source: Source, peer: PinnedNode, replica: Replica, *, run: Run, told: int | None = None
) -> SyncReport:
    """Takes over what is new in a peer's log (docs/protocol.md section 6.4).

    1. The checkpoint is signed by the peer's pinned log key.
    2. It contradicts neither the state nor the checkpoint kept from before: the log has not
       shrunk, and is the same where the size is the same. A smaller one may be an old one that
       somebody shows again, so it ends the sync; two signed roots of one size freeze the peer.
    3. The new entries are fetched in pages. The state kept from before, extended by them, has the
       root of the earlier checkpoint at its size, and that of the new one at the end: so the peer
       has only appended, and these are the entries that it signed. Where they do not fit, steps 1
       to 3 are done once more, and then the peer is frozen.
    4. Of statements that are missing here, the envelopes are fetched. Each answer is taken over in
       one transaction that moves the cursor as well, while the next one is fetched: an interruption
       costs these two at most, and nothing that was stored is fetched again.
       So are those that it had not for this node before, and may have by now.
    5. The peer is told up to where its log was taken over, and what was set aside; not where it
       knows.

    Args:
        source: the peer, to be asked.
        peer: as it is pinned.
        replica: what is kept here.
        run: takes work off the event loop.
        told: size of its log up to which the peer is known to have been told; None for unknown.

    Raises:
        PeerUnreachableError: no answer, or more new entries than `MAX_NEW_ENTRIES`.
        PeerRefusedError: the peer said no.
        PeerMisbehavedError: an answer breaks the protocol.
    """
    before = source.bytes_received
    syncing = _Sync(source, peer, replica, run)
    try:
        return await syncing.pull(before, told)
    except ContradictionError as error:
        shown = error.shown or await syncing.find_rewritten()
        await run(replica.misbehaved, peer.name, str(error), error.evidence, shown)
        raise


class _Sync:
    """One sync with one peer."""

    def __init__(self, source: Source, peer: PinnedNode, replica: Replica, run: Run) -> None:
        self._source = source
        self._peer = peer
        self._replica = replica
        self._run = run
        self._reader = LogReader(source, peer, run)
        self._fetched = self._taken = self._skipped = 0
        self._set_aside: list[SetAside] = []

    async def pull(self, before: int, told: int | None) -> SyncReport:
        frontier, old_note = await self._run(self._replica.cursor, self._peer.log_origin)
        # 1. to 3. The checkpoint and the entries.
        new, ids = await self._reader.read(frontier, old_note)
        # 4. The statements.
        for at in range(0, len(ids), limits.MAX_ENTRIES_PER_REQUEST * HASH_BYTES):
            page = ids[at : at + limits.MAX_ENTRIES_PER_REQUEST * HASH_BYTES]
            frontier = await self._take_page(frontier, split_ids(page))
        await self._take_wanted(frontier)
        # 5. The acknowledgement; where the last one may be lost, it is repeated.
        if self._set_aside or new.size != told:
            await self._acknowledge(new)
        return SyncReport(
            size=new.size,
            fetched=self._fetched,
            accepted=self._taken - len(self._set_aside),
            set_aside=len(self._set_aside),
            skipped=self._skipped,
            bytes_received=self._source.bytes_received - before,
            note=self._reader.note,
        )

    async def find_rewritten(self) -> Contradiction | None:
        """Returns the proof that the peer has rewritten its log, where there is one."""
        _, old_note = await self._run(self._replica.cursor, self._peer.log_origin)
        if old_note is None:
            return None
        kept = await self._run(self._replica.entries, self._peer.log_origin)
        return await self._reader.find_rewritten(old_note, kept)

    async def _take_page(self, frontier: Frontier, page: Sequence[StatementId]) -> Frontier:
        """Takes one page over, in as many answers as the bodies need; returns the state after."""
        missing = await self._run(self._replica.missing, page)
        # A log that lists a statement twice is odd, but costs nothing: it is asked for once.
        wanted = [one for one in dict.fromkeys(page) if one in missing]
        done = 0
        ahead = self._fetch_soon(wanted)
        try:
            while done < len(page):
                pulled = await ahead if ahead else ()
                wanted = wanted[len(pulled) :]
                # The peer finds and sends the next answer while this one is verified and stored.
                ahead = self._fetch_soon(wanted)
                until = page.index(wanted[0], done) if wanted else len(page)
                frontier = await self._run(self._take, frontier, page[done:until], pulled)
                done = until
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)
        return frontier

    def _fetch_soon(self, wanted: Sequence[StatementId]) -> "asyncio.Task[Sequence[Pulled]] | None":
        """Begins to ask for the first of what is wanted."""
        asked = tuple(wanted[: limits.MAX_ENVELOPES_PER_REQUEST])
        return asyncio.create_task(self._fetch_envelopes(asked)) if asked else None

    async def _take_wanted(self, frontier: Frontier) -> None:
        """Takes over what a new member of a circle had not: earlier versions, bodies withheld."""
        asked: set[StatementId] = set()
        while len(asked) < MAX_WANTED:
            found = [one for one in await self._run(self._replica.wanted) if one not in asked]
            answers = (await self._source.envelopes(tuple(found))).envelopes if found else ()
            if not answers:
                return
            pulled = await self._run(self._read, found, answers, own_log=False)
            asked.update(one.id for one in pulled)
            await self._run(self._take, frontier, (), pulled)

    async def _fetch_envelopes(self, asked: tuple[StatementId, ...]) -> Sequence[Pulled]:
        answers = (await self._source.envelopes(asked)).envelopes
        if not 0 < len(answers) <= len(asked):
            raise PeerMisbehavedError(
                f"The peer answered about {len(answers)} of {len(asked)} statements.",
                evidence=self._reader.note,
            )
        return await self._run(self._read, asked, answers)

    def _read(
        self, asked: Sequence[StatementId], answers: Sequence[EnvelopeAnswer], own_log: bool = True
    ) -> list[Pulled]:
        """Returns what came for each statement; `own_log` says that all are in the peer's log."""
        pulled: list[Pulled] = []
        for wanted, answer in zip(asked, answers, strict=False):
            if answer.id != wanted:
                raise PeerMisbehavedError(
                    "The peer answered about another statement than it was asked for.",
                    evidence=self._reader.note,
                )
            if answer.state == "unknown" and own_log:
                self._reader.give_up("The peer does not know a statement of its own log.")
            pulled.append(self._read_one(wanted, answer.envelope))
        return pulled

    def _read_one(self, wanted: StatementId, text: str | None) -> Pulled:
        if text is None:
            return Pulled(wanted, None)
        data = text.encode()
        try:
            found = parse_envelope(data).statement_id
        except ProtocolError as error:
            # Perhaps of a later version; no reason to stop.
            return Pulled(wanted, None, str(error))
        if found != wanted:
            self._reader.give_up("The peer served other bytes than its log commits to.", data)
        return Pulled(wanted, data)

    def _take(
        self, frontier: Frontier, entries: Sequence[StatementId], pulled: Sequence[Pulled]
    ) -> Frontier:
        """Hands one answer on; a crash before its commit repeats it, one after it does not."""
        frontier = frontier.append(bytes.fromhex(one) for one in entries)
        set_aside = self._replica.take(
            self._peer.log_origin, pulled, frontier, self._reader.note, entries
        )
        skipped = sum(one.has_no_body for one in pulled)
        self._fetched += len(pulled)
        self._skipped += skipped
        self._taken += len(pulled) - skipped
        self._set_aside += set_aside
        return frontier

    async def _acknowledge(self, checkpoint: Checkpoint) -> None:
        """Acknowledges the whole log; what one message cannot hold follows in the next."""
        if self._set_aside:
            self._set_aside = list(await self._run(self._replica.still_refused, self._set_aside))
        for at in range(0, max(len(self._set_aside), 1), limits.MAX_LIST):
            await self._source.acknowledge(
                Acknowledgement(
                    origin=checkpoint.origin,
                    size=checkpoint.size,
                    root=to_base64url(checkpoint.root),
                    set_aside=tuple(self._set_aside[at : at + limits.MAX_LIST]),
                )
            )
