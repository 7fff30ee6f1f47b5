"""What is known of the cosignatures on this node's own checkpoints, and what is published by them.

A statement is published once a checkpoint that covers it carries the cosignatures that the node's
witness policy asks for. What is gathered is stored: another process, or the next start, goes on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from node.services.log import OwnLog
from node.storage.engine import Store
from node.storage.transaction import Transaction
from node.storage.witnesses import NoteRecord
from protocol.checkpoint import NoteKey, NoteSignature, format_note, parse_note
from protocol.errors import NotFoundError, ProtocolError, SettingsError
from protocol.limits import MAX_SIGNATURES
from protocol.witness_policy import (
    MAX_POLICY_BYTES,
    PolicyWitness,
    WitnessPolicy,
    parse_witness_policy,
)
from signing.cosignatures import verify_cosignatures

MAX_WITNESSES: Final = MAX_SIGNATURES - 2
"""Witnesses that a node asks: a note has room for them and for two keys of the log."""

PublishedState = Literal["published", "pending", "not-asked"]
"""Whether witnesses vouch for a statement's place in the log, as `StatementStatus` has it."""


@dataclass(frozen=True)
class PublicationState:
    """How far the node's log is published.

    Attributes:
        is_asked: whether there is a witness policy.
        size: entries that are covered by enough cosignatures.
        asked_size: of the checkpoint for which cosignatures are gathered.
        missing: cosignatures that it lacks; 0 where it is published.
    """

    is_asked: bool
    size: int
    asked_size: int
    missing: int

    def of(self, index: int) -> tuple[PublishedState, int]:
        """Returns the state of the statement at a place, and how many cosignatures are missing."""
        if not self.is_asked:
            return "not-asked", 0
        return ("published", 0) if index < self.size else ("pending", max(1, self.missing))


NOT_ASKED: Final = PublicationState(is_asked=False, size=0, asked_size=0, missing=0)
"""Where there is no witness policy."""


@dataclass(frozen=True)
class Round:
    """A checkpoint for which cosignatures are gathered.

    Attributes:
        size: of the log.
        note: signed by the log, with what was gathered so far.
        waiting: the witnesses that have not cosigned it.
        is_met: whether there are enough.
    """

    size: int
    note: bytes
    waiting: tuple[PolicyWitness, ...]
    is_met: bool


def read_witness_policy(path: Path) -> WitnessPolicy | None:
    """Returns the policy in a file; None if there is no such file: no cosignature is asked for.

    Raises:
        SettingsError: the file cannot be read, is not understood, or names too many witnesses.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_POLICY_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{path.name} cannot be read: {error.strerror}.") from None
    try:
        policy = parse_witness_policy(data)
    except ProtocolError as error:
        raise SettingsError(f"{path.name}: {error}") from None
    if len(policy.witnesses) > MAX_WITNESSES:
        raise SettingsError(f"{path.name}: a node asks at most {MAX_WITNESSES} witnesses.")
    return policy


class Publication:
    """Gathers cosignatures on the node's checkpoints."""

    def __init__(
        self,
        store: Store,
        log: OwnLog,
        policy: WitnessPolicy | None,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._log = log
        self.policy = policy
        self._clock = clock

    def state(self) -> PublicationState:
        """Returns how far the log is published."""
        with self._store.read() as transaction:
            return self.state_in(transaction)

    def size(self) -> int | None:
        """Returns how many entries are published; None where nobody's cosignature is asked for."""
        state = self.state()
        return state.size if state.is_asked else None

    def state_in(self, transaction: Transaction) -> PublicationState:
        """Does what `state` does, in a transaction that is open."""
        if self.policy is None:
            return NOT_ASKED
        published = transaction.witnesses.own(self._log.origin, "published")
        asked = transaction.witnesses.own(self._log.origin, "asked")
        size = 0 if published is None else published.size
        if asked is None or asked.size < size:
            asked = published
        return PublicationState(
            is_asked=True,
            size=size,
            asked_size=0 if asked is None else asked.size,
            missing=self.policy.missing(self._cosigned(asked)),
        )

    def begin(self) -> Round | None:
        """Returns the checkpoint that is to be cosigned now; None where there is nothing to ask.

        It is the newest one, or the one of before where the log has not grown since.
        """
        if self.policy is None or not self.policy.witnesses:
            return None
        with self._store.read() as transaction:
            size, note = self._log.signed(transaction)
            asked = transaction.witnesses.own(self._log.origin, "asked")
        if size == 0:
            return None
        if asked is None or not asked.note.startswith(note):
            asked = NoteRecord(self._log.origin, size, note, int(self._clock()))
            with self._store.write() as transaction:
                transaction.witnesses.put_own(asked, "asked")
        cosigned = self._cosigned(asked)
        return Round(
            size=asked.size,
            note=asked.note,
            waiting=tuple(one for one in self.policy.witnesses if one.key not in cosigned),
            is_met=self.policy.is_met(cosigned),
        )

    def add(self, size: int, lines: Sequence[NoteSignature]) -> bool:
        """Keeps verified cosignatures; returns whether the checkpoint is published by them.

        Args:
            size: of the checkpoint that `begin` gave.
            lines: on that very checkpoint; of another one, they are dropped.
        """
        assert self.policy is not None  # who has no policy asks nobody
        with self._store.write() as transaction:
            asked = transaction.witnesses.own(self._log.origin, "asked")
            if asked is None or asked.size != size:
                return False
            note = parse_note(asked.note)
            there = {(one.name, one.key_id) for one in note.signatures}
            new = [one for one in lines if (one.name, one.key_id) not in there]
            note = replace(note, signatures=(*note.signatures, *new))
            record = replace(asked, note=format_note(note), at=int(self._clock()))
            transaction.witnesses.put_own(record, "asked")
            if not self.policy.is_met(self._cosigned(record)):
                return False
            published = transaction.witnesses.own(self._log.origin, "published")
            is_new = published is None or published.size < size
            if published is None or published.size <= size:
                transaction.witnesses.put_own(record, "published")
            return is_new

    def published(self) -> bytes:
        """Returns the latest checkpoint with enough cosignatures.

        Raises:
            NotFoundError: there is none.
        """
        with self._store.read() as transaction:
            record = transaction.witnesses.own(self._log.origin, "published")
        if record is None:
            raise NotFoundError("No checkpoint of this node carries the cosignatures it asks for.")
        return record.note

    def _cosigned(self, record: NoteRecord | None) -> frozenset[NoteKey]:
        if record is None or self.policy is None:
            return frozenset()
        return frozenset(verify_cosignatures(parse_note(record.note), self.policy.keys))
