"""Asking a witness to cosign this node's checkpoint (C2SP tlog-witness).

What it is: the conversation with one witness, and the proof that what it answered is its
cosignature. What it is not: the choice of witnesses, or the word that there are enough of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from federation.run import Run
from federation.sync import Source
from protocol.checkpoint import (
    Note,
    NoteKey,
    NoteSignature,
    parse_checkpoint,
    parse_note,
    parse_signature_lines,
)
from protocol.errors import (
    PeerMisbehavedError,
    PeerRefusedError,
    PeerUnreachableError,
    ProtocolError,
    QuorumError,
    SigningError,
)
from protocol.fields import StatementId
from protocol.messages import Acknowledgement, Entries, Envelopes
from protocol.witness_policy import WitnessPolicy
from protocol.witnessing import AddCheckpoint
from signing.cosignatures import verify_cosignatures

_ATTEMPTS: Final = 3


class AskedWitness(Protocol):
    """A witness that can be asked; `federation.client.PeerClient` is one."""

    async def add_checkpoint(self, request: AddCheckpoint, *, prefix: str = "") -> bytes:
        """Returns signature lines, unverified."""


class PublishingSource(Source, Protocol):
    """A peer that says which of its checkpoints witnesses have cosigned."""

    async def published(self) -> bytes:
        """Returns its latest checkpoint with enough cosignatures, unverified."""


@dataclass(frozen=True)
class Ahead:
    """The witness says that it cosigned a longer log than this one: unproved as yet."""

    size: int


async def ask_cosignature(
    witness: AskedWitness,
    key: NoteKey,
    note: bytes,
    *,
    size: int,
    known: int,
    prove: Callable[[int], Sequence[bytes]],
    run: Run,
    prefix: str = "",
) -> NoteSignature | Ahead:
    """Returns the verified cosignature of a witness on this node's checkpoint.

    1. The witness is sent the checkpoint and the proof from the size that it is believed to know.
    2. Where it knows another one, it says so, and step 1 is done anew with that.
    3. Its answer holds a cosignature of its key over this very checkpoint; other lines are ignored.

    Args:
        witness: to be asked.
        key: of the witness, from the node's own policy.
        note: the signed checkpoint.
        size: of that checkpoint.
        known: size that the witness cosigned last, as far as is known; 0 if unknown.
        prove: gives the consistency proof from a size to `size`; it may read the database.
        run: takes work off the event loop.
        prefix: path of the witness before the one that C2SP gives.

    Raises:
        PeerUnreachableError: no answer, or it names another size each time.
        PeerRefusedError: the witness said no.
        PeerMisbehavedError: the answer is not what the protocol asks for.
    """
    old = min(known, size)
    for _ in range(_ATTEMPTS):
        # Step 1
        proof = await run(prove, old)
        try:
            lines = await witness.add_checkpoint(
                AddCheckpoint(old, tuple(proof), note), prefix=prefix
            )
        except PeerRefusedError as error:
            # Step 2
            if error.size is None:
                raise
            if error.size > size:
                return Ahead(error.size)
            old = error.size
            continue
        # Step 3
        return await run(_cosignature, lines, note, key)
    raise PeerUnreachableError("The witness named another size each time that it was asked.")


class WitnessedSource:
    """A peer of whose log only what enough witnesses have cosigned is shown.

    To `federation.sync` it is a peer like any other. The log's own signature, and that the log only
    grows, are for the sync to see to.
    """

    def __init__(self, peer: PublishingSource, policy: WitnessPolicy, *, least: int) -> None:
        """Shows a peer.

        Args:
            peer: to be asked.
            policy: the reader's own; which logs it names says nothing here.
            least: entries of the log that are taken over already.
        """
        self._peer = peer
        self._policy = policy
        self._least = least

    @property
    def bytes_received(self) -> int:
        """Bodies of the peer's answers."""
        return self._peer.bytes_received

    async def checkpoint(self) -> bytes:
        """Returns the latest checkpoint that enough witnesses have cosigned.

        Raises:
            QuorumError: they have not.
            PeerMisbehavedError: it is no checkpoint, or a cosignature on it does not hold.
        """
        data = await self._peer.published()
        try:
            note = parse_note(data)
            size = parse_checkpoint(note.text).size
            missing = self._policy.missing(verify_cosignatures(note, self._policy.keys))
        except (ProtocolError, SigningError) as error:
            raise PeerMisbehavedError(
                f"The published checkpoint cannot be believed: {error}", evidence=data
            ) from None
        if missing:
            raise QuorumError(
                f"The peer's checkpoint lacks {missing} cosignatures that this node requires."
            )
        if size < self._least:
            raise QuorumError("Witnesses have cosigned less of the peer's log than is known here.")
        return data

    async def entries(self, start: int, limit: int) -> Entries:
        """Returns log entries from index `start` on."""
        return await self._peer.entries(start, limit)

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        """Returns the envelopes of statements, or why there is none."""
        return await self._peer.envelopes(ids)

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Tells the peer up to where its log has been taken over."""
        await self._peer.acknowledge(acknowledgement)


def split_prefix(url: str) -> tuple[str, str]:
    """Returns scheme, host and port of a witness's address, and the path before C2SP's own."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


def _cosignature(lines: bytes, note: bytes, key: NoteKey) -> NoteSignature:
    try:
        signatures = parse_signature_lines(lines)
        cosigned = verify_cosignatures(Note(parse_note(note).text, signatures), [key])
    except (ProtocolError, SigningError) as error:
        raise PeerMisbehavedError(
            f"The witness's answer is no cosignature: {error}", evidence=lines
        ) from None
    if key not in cosigned:
        raise PeerMisbehavedError("The answer has no line of the witness's key.", evidence=lines)
    wanted = (key.name, key.key_id)
    return next(line for line in signatures if (line.name, line.key_id) == wanted)
