"""Reading a log by way of mirrors, none of which is believed.

What it is: a mirror as a source for `federation.sync`, and the order in which several are asked.
All that counts is verified under the origin's own keys and root, so a mirror can withhold, be late,
or lie and be found out; it cannot make anything be believed. What it is not: proof against a
mirror. Nothing that one serves carries its signature, so a lie is what this node saw and no more,
and it is told to nobody. What the *origin* has signed twice, differently, convicts the origin,
whoever has brought it.
"""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol, TypeVar

from federation.descriptors import PinnedNode
from federation.log_reading import MAX_NEW_ENTRIES, ContradictionError
from federation.run import Run
from federation.sync import Replica, Source, SyncReport, sync_peer
from protocol import limits
from protocol.checkpoint import Checkpoint, parse_checkpoint, parse_note
from protocol.envelope import parse_envelope
from protocol.errors import (
    BadSignatureError,
    FederationError,
    PeerMisbehavedError,
    PeerUnreachableError,
    ProtocolError,
    SchutznetzError,
    SigningError,
)
from protocol.fields import StatementId
from protocol.merkle import Frontier
from protocol.messages import Acknowledgement, Entries, EnvelopeAnswer, Envelopes
from signing.notes import drop_false_lines, open_signed

Lie = Literal[
    "forged-checkpoint",
    "wrong-entries",
    "missing-entries",
    "wrong-body",
    "forged-body",
    "broken-answer",
]
"""What a mirror does that no honest one can."""

T = TypeVar("T")

TURN_S: Final = 900.0
"""Longest time for which one mirror is read before the next one has its turn."""


class MirrorLiedError(PeerMisbehavedError):
    """A mirror answered what no honest one answers.

    Attributes:
        lie: which kind.
    """

    def __init__(self, message: str, *, lie: Lie, evidence: bytes) -> None:
        super().__init__(message, evidence=evidence)
        self.lie: Lie = lie


class MirrorBehindError(FederationError):
    """A mirror shows an older checkpoint than is known here: late, and no lie.

    Attributes:
        size: of what it shows.
    """

    def __init__(self, message: str, *, size: int) -> None:
        super().__init__(message)
        self.size = size


class AskedMirror(Protocol):
    """A node that serves other nodes' logs; `federation.client.PeerClient` is one."""

    @property
    def bytes_received(self) -> int:
        """Bodies of its answers so far."""

    async def mirror_checkpoint(self, origin: str) -> bytes:
        """Returns the checkpoint of a log that it mirrors, unverified."""

    async def mirror_entries(self, origin: str, start: int, limit: int) -> Entries:
        """Returns entries of that log from index `start` on."""

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        """Returns the envelopes of statements, or why there is none."""


class MirrorSource:
    """A log as a mirror serves it. To `federation.sync` it is a peer like any other.

    Attributes:
        size: of the greatest checkpoint that the mirror has shown, as the origin has signed it.
        note: the latest that it has shown, as bytes.
    """

    def __init__(
        self, mirror: AskedMirror, origin: PinnedNode, *, least: int, turn_s: float = TURN_S
    ) -> None:
        """Shows a log.

        Args:
            mirror: to be asked.
            origin: whose log it is, as it is pinned.
            least: size of the greatest checkpoint of it that is known here.
            turn_s: seconds from now after which nothing more is asked.
        """
        self.size = 0
        self.note = b""
        self._mirror = mirror
        self._origin = origin
        self._least = least
        self._end = time.monotonic() + turn_s

    @property
    def bytes_received(self) -> int:
        """Bodies of the mirror's answers."""
        return self._mirror.bytes_received

    async def checkpoint(self) -> bytes:
        """Returns the origin's checkpoint that the mirror serves, believed under the origin's keys.

        Raises:
            MirrorLiedError: the origin has not signed it.
            MirrorBehindError: an older one than is known here.
            PeerUnreachableError: it cannot be told whether the origin has signed it.
        """
        self.note = note = await self._ask(self._mirror.mirror_checkpoint(self._origin.log_origin))
        keys = [one.key for one in self._origin.log_keys]
        try:
            found = open_signed(note, origin=self._origin.log_origin, keys=keys)
        except BadSignatureError as error:
            if drop_false_lines(note, origin=self._origin.log_origin, keys=keys) is not None:
                # Another line under one of its keys is bad. Perhaps the mirror does not know that
                # key: it is the origin, or anybody in between, who may have put the line there.
                raise PeerUnreachableError(f"The checkpoint cannot be believed: {error}") from None
            raise self._lied("forged-checkpoint", f"The origin did not sign it: {error}") from None
        except SigningError as error:
            # Perhaps the origin has a key by now that is not known here.
            raise PeerUnreachableError(f"The checkpoint cannot be believed: {error}") from None
        except ProtocolError as error:
            raise self._lied("forged-checkpoint", f"It is no checkpoint of it: {error}") from None
        self.size = max(self.size, found.size)
        if found.size < self._least:
            raise MirrorBehindError(
                f"The mirror shows {found.size} entries, and {self._least} are known.",
                size=found.size,
            )
        return note

    async def published(self) -> bytes:
        """Returns the same: a mirror has one checkpoint, with the cosignatures it came with."""
        return await self.checkpoint()

    async def entries(self, start: int, limit: int) -> Entries:
        """Returns entries of the log from index `start` on.

        Raises:
            MirrorLiedError: none, too many, or others than asked for, though its checkpoint covers
                them.
        """
        page = await self._ask(self._mirror.mirror_entries(self._origin.log_origin, start, limit))
        if page.start != start or not 0 < len(page.entries) <= limit:
            raise self._lied(
                "missing-entries",
                f"The mirror gave {len(page.entries)} entries from {page.start} on, and was asked "
                f"for {limit} from {start} on, which its checkpoint covers.",
            )
        return page

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        """Returns the envelopes of statements, or why there is none.

        Raises:
            MirrorLiedError: about other statements than asked for, or an envelope of another one.
        """
        answers = (await self._ask(self._mirror.envelopes(ids))).envelopes
        asked = [one.id for one in answers]
        if not 0 < len(answers) <= len(ids) or asked != list(ids[: len(asked)]):
            raise self._lied(
                "broken-answer", "The mirror answered about other statements than it was asked for."
            )
        return Envelopes(envelopes=tuple(map(self._read, answers)))

    def _read(self, answer: EnvelopeAnswer) -> EnvelopeAnswer:
        if answer.state == "unknown":
            # It need not have taken in what the origin has.
            return EnvelopeAnswer(id=answer.id, state="withheld")
        if answer.envelope is None:
            return answer
        data = answer.envelope.encode()
        try:
            found = parse_envelope(data).statement_id
        except ProtocolError:
            # Perhaps of a later version. It is asked for elsewhere.
            return EnvelopeAnswer(id=answer.id, state="withheld")
        if found != answer.id:
            raise self._lied(
                "wrong-body", "The mirror served another statement under an id of the log.", data
            )
        return answer

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Tells nobody: what was taken over concerns the origin, which is told when it answers."""

    async def _ask(self, answer: Coroutine[Any, Any, T]) -> T:
        """Returns an answer of the mirror, unless its turn is over.

        It ends between two requests: what is being written when it does is never left half done.
        """
        if time.monotonic() > self._end:
            answer.close()
            raise PeerUnreachableError("The mirror takes too long: another one may go on.")
        try:
            return await answer
        except PeerMisbehavedError as error:
            raise MirrorLiedError(
                str(error), lie="broken-answer", evidence=error.evidence
            ) from None

    def _lied(self, lie: Lie, message: str, evidence: bytes = b"") -> MirrorLiedError:
        pieces = filter(None, (self.note, evidence))
        return MirrorLiedError(message, lie=lie, evidence=b"\n".join(pieces))


class MirrorReplica(Replica, Protocol):
    """What is kept here of a log that is read by way of a mirror."""

    @property
    def forged(self) -> bytes:
        """The first envelope that no honest mirror serves, if there was one; else nothing."""

    @property
    def is_convicted(self) -> bool:
        """Whether the origin was found to have signed what cannot both be true."""


@dataclass(frozen=True)
class Turn:
    """How it went with one mirror.

    Attributes:
        mirror: its name.
        size: of the greatest checkpoint that it has shown; 0 for none.
        report: of the sync, where that came to its end.
        problem: one sentence, where something was wrong.
        lie: which, where it lied.
        evidence: the bytes that show the lie here.
    """

    mirror: str
    size: int = 0
    report: SyncReport | None = None
    problem: str | None = None
    lie: Lie | None = None
    evidence: bytes = b""


async def sync_by_mirrors(
    mirrors: Mapping[str, AskedMirror],
    origin: PinnedNode,
    replica_of: Callable[[str], MirrorReplica],
    *,
    wrap: Callable[[MirrorSource, int], Source],
    run: Run,
    turn_s: float = TURN_S,
) -> Sequence[Turn]:
    """Takes over what is new in a log by way of mirrors (docs/protocol.md section 6.11).

    Each is asked in its turn, also after one has succeeded: another may have a newer checkpoint, a
    body that the first one lacked, or another log under the origin's signature. Where one fails,
    the next goes on from where it stopped.

    Args:
        mirrors: to be asked, by name, in their order.
        origin: whose log it is.
        replica_of: what is kept here, for one mirror.
        wrap: makes of a mirror's source, and the size that is known here, the one that is read:
            where more than the origin's signature is asked for.
        run: takes work off the event loop.
        turn_s: longest time for one mirror.

    Returns:
        How it went with each that was asked. Nobody is asked behind one by way of whom the origin
        was convicted.
    """
    turns: list[Turn] = []
    for name, mirror in mirrors.items():
        replica = replica_of(name)
        turn = await _take_turn(name, mirror, origin, replica, wrap=wrap, run=run, turn_s=turn_s)
        turns.append(turn)
        if replica.is_convicted:
            break
    return turns


async def _take_turn(
    name: str,
    mirror: AskedMirror,
    origin: PinnedNode,
    replica: MirrorReplica,
    *,
    wrap: Callable[[MirrorSource, int], Source],
    run: Run,
    turn_s: float,
) -> Turn:
    turn = Turn(name)
    try:
        frontier, note = await run(replica.cursor, origin.log_origin)
    except FederationError as error:  # it has another log by now
        return replace(turn, problem=str(error))
    least = frontier.size if note is None else max(frontier.size, _checkpoint_in(note).size)
    source = MirrorSource(mirror, origin, least=least, turn_s=turn_s)
    try:
        turn = replace(
            turn, report=await sync_peer(wrap(source, frontier.size), origin, replica, run=run)
        )
    except MirrorLiedError as error:
        turn = replace(turn, problem=str(error), lie=error.lie, evidence=error.evidence)
    except ContradictionError as error:
        turn = replace(turn, problem=str(error))
        if not replica.is_convicted:
            turn = await _blame(turn, source, replica, origin.log_origin, run)
    except SchutznetzError as error:
        turn = replace(turn, problem=str(error))
    if replica.forged and turn.lie is None:
        sentence = "The mirror served a statement whose signature does not hold."
        turn = replace(turn, problem=sentence, lie="forged-body", evidence=replica.forged)
    return replace(turn, size=source.size)


async def _blame(
    turn: Turn, source: MirrorSource, replica: MirrorReplica, log_origin: str, run: Run
) -> Turn:
    """Says whose fault it is that a mirror's entries do not lead to the root that it shows.

    The log is read from its first entry. If that does not lead to the root either, or does and
    begins with what is known here, the mirror has lied. If it does and begins otherwise, the origin
    has signed two logs, and the mirror serves the one that it was given. Known are what was taken
    over, and the checkpoint that was believed: after an interruption that is ahead of it.
    """
    signed = _checkpoint_in(source.note)
    try:
        frontier, note = await run(replica.cursor, log_origin)
        known = {frontier.size: frontier.root()}
        if note is not None:
            old = _checkpoint_in(note)
            known.setdefault(old.size, old.root)
        if signed.size - frontier.size > MAX_NEW_ENTRIES or signed.size > 2 * MAX_NEW_ENTRIES:
            return turn
        served = Frontier.EMPTY
        is_other = frontier.size > signed.size
        while served.size < signed.size:
            at = min(one for one in (*known, signed.size) if one > served.size)
            limit = min(at - served.size, limits.MAX_ENTRIES_PER_REQUEST)
            page = await source.entries(served.size, limit)
            served = await run(served.append, [bytes.fromhex(one) for one in page.entries])
            is_other |= known.get(served.size, served.root()) != served.root()
    except MirrorLiedError as error:
        return replace(turn, problem=str(error), lie=error.lie, evidence=error.evidence)
    except FederationError as error:
        return replace(turn, problem=str(error))
    if served.root() == signed.root and is_other:
        sentence = "The origin has signed another log than the one that was taken over here."
        return replace(turn, problem=sentence)
    return replace(turn, lie="wrong-entries")


def _checkpoint_in(note: bytes) -> Checkpoint:
    return parse_checkpoint(parse_note(note).text)
