"""This node as a witness of its peers' logs (C2SP tlog-witness; docs/protocol.md section 6.6).

A cosignature says: of this log I have never cosigned anything that this checkpoint does not extend.
What is compared and what is stored is one transaction, and it is on the disk before anything is
answered: a crash, a restart or a second process changes nothing of it. What it does not say: that
this node has the entries, or that they are any good.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from federation.descriptors import PinnedNode
from federation.evidence import bad_proof, two_roots
from node.services.accusations import accuse, checked, descriptors_of, freeze
from node.services.directory import pinned
from node.services.keys import NodeKeys
from node.services.pace import Pace
from node.storage.engine import Store
from node.storage.transaction import Transaction
from node.storage.witnesses import NoteRecord
from protocol.checkpoint import (
    ED25519,
    Checkpoint,
    Note,
    NoteSignature,
    format_note,
    format_signature_lines,
    note_key_id,
    parse_checkpoint,
    parse_note,
)
from protocol.errors import (
    InvalidError,
    NotFoundError,
    ProofError,
    ProtocolError,
    SigningError,
)
from protocol.evidence import SaidRequest
from protocol.merkle import EMPTY_ROOT, verify_consistency
from protocol.witnessing import AddCheckpoint
from signing.cosignatures import cosign, witness_name
from signing.keys import PublicKey
from signing.notes import open_signed

MAX_PER_MINUTE: Final = 240
"""Checkpoints that one caller may submit in a minute: a log grows in bursts, and each is one."""


@dataclass(frozen=True)
class Cosigned:
    """The witness has cosigned: the signature lines for the note."""

    lines: bytes


@dataclass(frozen=True)
class OtherSize:
    """The witness cosigned another size last than the caller believes."""

    size: int


class Witness:
    """Cosigns the checkpoints of pinned nodes that are not frozen."""

    def __init__(
        self,
        store: Store,
        keys: NodeKeys,
        *,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        """Serves add-checkpoint.

        Args:
            store: the database.
            keys: of the node; each of its valid witness keys cosigns.
            name: of this node.
            clock: Unix time in seconds.
        """
        self._store = store
        self._keys = keys
        self._name = name
        self._clock = clock
        self._pace = Pace(MAX_PER_MINUTE, "checkpoints")

    @property
    def key(self) -> PublicKey:
        """The public half of the newest key that cosigns."""
        return self._keys.witness.public

    def add_checkpoint(
        self, request: AddCheckpoint, *, caller: str, said: SaidRequest | None = None
    ) -> Cosigned | OtherSize:
        """Cosigns a checkpoint that extends the one cosigned before.

        1. The note holds a checkpoint; its origin is the log of a pinned node that is not frozen.
        2. The log's pinned key has signed it.
        3. The old size is not beyond the new one.
        4. It is the size that was cosigned last, 0 if none was.
        5. A checkpoint of size 0 has the root of the empty log; from size 0 there is no proof; from
           any other size the proof holds between the two roots.
        6. The checkpoint is stored, in the transaction of step 4, and then cosigned.

        Args:
            request: from a caller who is known.
            caller: name of the node that asks.
            said: the request as the caller signed it: a proof that does not hold is held against
                the log that gave it.

        Raises:
            NotFoundError: step 1, no such log here.
            SigningError: step 2.
            InvalidError: step 3.
            ProofError: step 5.
            ProtocolError: the note is not of its form.
            RateLimitedError: the caller asks too often.
        """
        self._pace.take(caller)
        # Step 1
        origin = parse_checkpoint(parse_note(request.note).text).origin
        with self._store.write() as transaction:
            log = _log_of(transaction, origin, now=int(self._clock()))
            # Step 2
            new = open_signed(request.note, origin=origin, keys=_keys_of(log))
            # Step 3
            if request.old_size > new.size:
                raise InvalidError("The old size is greater than the new one.", where="old")
            known = transaction.witnesses.witnessed(origin)
            refusal: ProofError | None = None
            if known is not None and _contradicts(log, known.note, new):
                refusal = ProofError("The log signed another root of this size before.")
                told = caller != log.name
                self._accuse_of_two_roots(transaction, log, (known.note, request.note), told=told)
            else:
                # Step 4
                size = 0 if known is None else known.size
                if request.old_size != size:
                    return OtherSize(size)
                # Step 5
                try:
                    _check_proof(request, new, None if known is None else _in(known.note))
                except ProofError as error:
                    refusal = error
                    if known is not None and caller == log.name and said is not None:
                        self._accuse_of_bad_proof(transaction, log, known.note, said)
            if refusal is None:
                # Step 6
                return Cosigned(self._cosign(transaction, log, request.note, new))
        # What is held against the log is kept although the request is refused: it is committed.
        raise refusal

    def _cosign(
        self, transaction: Transaction, log: PinnedNode, data: bytes, new: Checkpoint
    ) -> bytes:
        """Stores and cosigns; a crash before the commit leaves neither, one after it both.

        In the latter case the log has no answer. It asks again from this size, and gets one.
        """
        note = parse_note(data)
        now = int(self._clock())
        name = witness_name(self._name)
        keys = (self._keys.witness, *self._keys.other_witnesses)
        lines = tuple(cosign(note.text, key, name=name, now=now) for key in keys)
        # What strangers put on the note is not kept: only what was verified.
        kept = replace(note, signatures=(*_lines_of(note, log), *lines))
        record = NoteRecord(new.origin, new.size, format_note(kept), now)
        transaction.witnesses.put_witnessed(record)
        return format_signature_lines(lines)

    def _accuse_of_two_roots(
        self, transaction: Transaction, log: PinnedNode, notes: tuple[bytes, bytes], *, told: bool
    ) -> None:
        now = int(self._clock())
        message = "The peer signed two logs of one size."
        descriptors = descriptors_of(transaction, log.name)
        document = checked(two_roots(log.name, descriptors, notes, now=now))
        if document is None:
            freeze(transaction, log.name, message, b"\n".join(notes), now=now)
        else:
            accuse(transaction, message, document, now=now, told=told)

    def _accuse_of_bad_proof(
        self, transaction: Transaction, log: PinnedNode, known: bytes, said: SaidRequest
    ) -> None:
        now = int(self._clock())
        descriptors = descriptors_of(transaction, log.name)
        document = checked(bad_proof(log.name, descriptors, known, said, now=now))
        # Without a document it is this node's word alone, and the request was refused anyway.
        if document is not None:
            message = "The peer has a witness cosign a log that does not extend the one of before."
            accuse(transaction, message, document, now=now)

    def latest(self, origin_digest: str) -> bytes:
        """Returns the latest checkpoint of a log that this node cosigned, with its cosignature.

        Args:
            origin_digest: SHA-256 of the log's origin, as hexadecimal digits.

        Raises:
            NotFoundError: none was cosigned.
        """
        with self._store.read() as transaction:
            for record in transaction.witnesses.all_witnessed():
                if hashlib.sha256(record.origin.encode()).hexdigest() == origin_digest:
                    return record.note
        raise NotFoundError("This node has cosigned no checkpoint of such a log.")


def _log_of(transaction: Transaction, origin: str, *, now: int) -> PinnedNode:
    """Returns whose log has this origin; each node's begins with its name."""
    record = transaction.peers.get(origin.partition("/")[0])
    node = None if record is None else pinned(record).at(now)
    if node is None or node.log_origin != origin or node.state != "active" or node.expires < now:
        raise NotFoundError("This node is no witness of such a log.")
    return node


def _contradicts(log: PinnedNode, known: bytes, new: Checkpoint) -> bool:
    """Returns whether a log has signed another root of this size before.

    Raises:
        ProofError: it has, and with a key that it has no more: no evidence, but no less binding.
    """
    before = _in(known)
    if before.size != new.size or before.root == new.root:
        return False
    try:
        open_signed(known, origin=log.log_origin, keys=_keys_of(log))
    except (ProtocolError, SigningError):
        raise ProofError("Another root of this size was cosigned before.") from None
    return True


def _in(note: bytes) -> Checkpoint:
    return parse_checkpoint(parse_note(note).text)


def _check_proof(request: AddCheckpoint, new: Checkpoint, known: Checkpoint | None) -> None:
    if new.size == 0 and new.root != EMPTY_ROOT:
        raise ProofError("The empty log has another root.")
    if known is None or known.size == 0:
        if request.proof:
            raise ProofError("From size 0 there is no proof.")
        return
    verify_consistency(known.size, new.size, known.root, new.root, request.proof)


def _keys_of(log: PinnedNode) -> list[PublicKey]:
    return [one.key for one in log.log_keys]


def _lines_of(note: Note, log: PinnedNode) -> list[NoteSignature]:
    """Returns the lines of the log's own keys."""
    ids = {note_key_id(log.log_origin, ED25519, key.raw) for key in _keys_of(log)}
    return [line for line in note.signatures if line.name == log.log_origin and line.key_id in ids]
