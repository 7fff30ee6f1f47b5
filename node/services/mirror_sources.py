"""By way of which mirrors this node reads the logs of peers that do not answer, and what they did.

A mirror that has lied is not asked any more, for this one log, until the operator says so; as a
peer it goes on as before. What shows the lie was signed by nobody, so it is kept here, and told to
nobody: it would be this node's word against another's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from federation.descriptors import PinnedNode
from federation.mirrors import Turn
from node.services.directory import log_name, pinned
from node.services.mirroring import refresh
from node.storage.engine import Store
from node.storage.mirroring import SourceRecord
from node.storage.transaction import Transaction
from protocol.checkpoint import parse_note
from protocol.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    ProtocolError,
    SigningError,
)
from protocol.limits import MAX_TEXT_CHARS
from signing.cosignatures import verify_cosignatures, witness_note_key

MOST_SOURCES: Final = 8
"""Mirrors of one log that a node reads."""

LIED: Final = "mirror.lied"
"""Word of the audit for a mirror that is not asked any more, by this node's own finding."""


@dataclass(frozen=True)
class SourceState:
    """A mirror of one peer's log, as this node has met it. Times are Unix seconds.

    Attributes:
        node: whose log it is.
        mirror: who serves it.
        state: ``asked``; ``stopped``: it has lied; ``away``: it is frozen, or not pinned.
        size: of the greatest checkpoint that it has shown.
        behind: by how many entries that is behind what is known here.
        grown: when that checkpoint was first seen there.
        heard: when it last answered as it should.
        problem: what came of asking it last, where that was no success.
        lie: which kind.
        lied: when that was.
        lacked: bodies that it had not, and another mirror had. It may not have been given them.
    """

    node: str
    mirror: str
    state: Literal["asked", "stopped", "away"]
    size: int
    behind: int
    grown: int | None
    heard: int | None
    problem: str | None
    lie: str | None
    lied: int | None
    lacked: int


@dataclass(frozen=True)
class Freshness:
    """How new that is which is known of a log with mirrors. Times are Unix seconds.

    Attributes:
        node: whose log it is.
        size: entries of it that were taken over.
        answered: when the node itself was last in step with us.
        grown: when a mirror first showed the newest checkpoint.
        cosigned: when witnesses that are pinned here last vouched for it. A mirror cannot make this
            up.
        lacking: statements of which no mirror had a body for us.
    """

    node: str
    size: int
    answered: int | None
    grown: int | None
    cosigned: int | None
    lacking: int

    @property
    def newest(self) -> int | None:
        """The latest instant at which what is known here is known to have been the whole."""
        known = [one for one in (self.answered, self.grown, self.cosigned) if one is not None]
        return max(known, default=None)


class MirrorSources:
    """Keeps by way of whom logs are read."""

    def __init__(self, store: Store, *, name: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._name = name
        self._clock = clock

    def add(self, node: str, mirror: str, *, actor: str = "operator") -> SourceState:
        """Reads the log of a peer by way of another one, where the first does not answer.

        Said again of a mirror that has lied, it is asked again.

        Raises:
            NotFoundError: one of them is not pinned.
            InvalidError: they are one, or this node itself.
            ConflictError: there are as many as may be.
        """
        now = int(self._clock())
        if mirror in (node, self._name) or node == self._name:
            raise InvalidError("A mirror is another node than the one whose log it serves.")
        with self._store.write() as transaction:
            for name in (node, mirror):
                if transaction.peers.get(name) is None:
                    raise NotFoundError(f"No node {name} is pinned.")
            known = transaction.mirroring.sources(node)
            before = next((one for one in known if one.mirror == mirror), None)
            if before is None and len(known) >= MOST_SOURCES:
                raise ConflictError(f"A log is read by way of {MOST_SOURCES} mirrors at most.")
            record = before or SourceRecord(node, mirror, now)
            transaction.mirroring.put_source(replace(record, problem=None, lie=None, lied=None))
            transaction.journal.audit(actor, "mirror.read", at=now, subject=node, detail=mirror)
            return _state(transaction, transaction.mirroring.source(node, mirror) or record)

    def remove(self, node: str, mirror: str, *, actor: str = "operator") -> None:
        """Reads the log of a peer by way of another one no more.

        Raises:
            NotFoundError: it was not read by way of it.
        """
        with self._store.write() as transaction:
            if not transaction.mirroring.forget_source(node, mirror):
                raise NotFoundError("That log is not read by way of such a mirror.")
            now = int(self._clock())
            transaction.journal.audit(actor, "mirror.unread", at=now, subject=node, detail=mirror)

    def list(self) -> list[SourceState]:
        """Returns every mirror of every log, by both names."""
        with self._store.read() as transaction:
            return [_state(transaction, one) for one in transaction.mirroring.sources()]

    def freshness(self) -> "Sequence[Freshness]":
        """Returns how new that is which is known of each log with mirrors, by name."""
        with self._store.read() as transaction:
            names = dict.fromkeys(one.node for one in transaction.mirroring.sources())
            return [_freshness(transaction, name) for name in names]

    def to_ask(self, node: str) -> "Sequence[PinnedNode]":
        """Returns the mirrors of a peer's log that may be asked, those without a problem first."""
        now = int(self._clock())
        with self._store.read() as transaction:
            found = [one for one in transaction.mirroring.sources(node) if one.lie is None]
            found.sort(key=lambda one: (one.problem is not None, one.mirror))
            records = [transaction.peers.get(one.mirror) for one in found]
        nodes = [pinned(one) for one in records if one is not None and one.state == "active"]
        return [one.at(now) for one in nodes if one.expires > now]

    def note(self, node: str, turns: Sequence[Turn]) -> None:
        """Keeps what came of asking the mirrors of a peer's log; who has lied is stopped."""
        now = int(self._clock())
        with self._store.write() as transaction:
            for turn in turns:
                known = transaction.mirroring.source(node, turn.mirror)
                if known is None:
                    continue  # removed meanwhile
                problem = None if turn.problem is None else turn.problem[:MAX_TEXT_CHARS]
                record = replace(known, problem=problem)
                if turn.size > known.size:
                    record = replace(record, size=turn.size, grown=now)
                if turn.report is not None and turn.lie is None:
                    record = replace(record, heard=now)
                    if _is_newer(transaction, node, turn.report.note):
                        refresh(transaction, node, turn.report.note, now=now)
                if turn.lie is not None:
                    record = replace(record, lie=turn.lie, lied=now)
                    _accuse(transaction, node, turn, now=now)
                transaction.mirroring.put_source(record)


def _accuse(transaction: Transaction, node: str, turn: Turn, *, now: int) -> None:
    message = f"As a mirror of {node}: {turn.lie}. {turn.problem}"[:MAX_TEXT_CHARS]
    transaction.peers.keep_evidence(turn.mirror, message, turn.evidence, at=now)
    transaction.journal.audit(
        "node", LIED, at=now, subject=turn.mirror, detail=f"{node} {turn.lie}"
    )


def _state(transaction: Transaction, record: SourceRecord) -> SourceState:
    mirror, peer = transaction.peers.get(record.mirror), transaction.peers.get(record.node)
    size = 0 if peer is None else transaction.logs.size(log_name(pinned(peer)))
    state: Literal["asked", "stopped", "away"] = "asked" if record.lie is None else "stopped"
    if peer is None or mirror is None or mirror.state != "active":
        state = "away"
    return SourceState(
        node=record.node,
        mirror=record.mirror,
        state=state,
        size=record.size,
        behind=max(0, size - record.size) if record.heard is not None else size,
        grown=record.grown,
        heard=record.heard,
        problem=record.problem,
        lie=record.lie,
        lied=record.lied,
        lacked=record.lacked,
    )


def _freshness(transaction: Transaction, node: str) -> Freshness:
    peer = transaction.peers.get(node)
    known = None if peer is None else transaction.logs.get(log_name(pinned(peer)))
    sources = [one for one in transaction.mirroring.sources(node) if one.lie is None]
    size = 0 if known is None else known.frontier.size
    return Freshness(
        node=node,
        size=size,
        answered=None if peer is None else peer.synced,
        # Who shows less, or more than could be taken over, says nothing about what is here.
        grown=min((one.grown for one in sources if one.grown and one.size == size), default=None),
        cosigned=None
        if known is None or known.checkpoint is None
        else _cosigned(transaction, known.checkpoint),
        lacking=transaction.mirroring.count_lacking(node),
    )


def _is_newer(transaction: Transaction, node: str, note: bytes) -> bool:
    """Whether a mirror's note carries a later cosignature than the one known, and lacks no other.

    Any mirror can leave cosignatures out, and none of these is to be lost here for it.
    """
    peer = transaction.peers.get(node)
    known = None if peer is None else transaction.logs.get(log_name(pinned(peer))).checkpoint
    if known is None:
        return False
    here, there = (
        {(line.name, line.key_id) for line in parse_note(one).signatures} for one in (known, note)
    )
    later = (_cosigned(transaction, note) or 0) > (_cosigned(transaction, known) or 0)
    return later and here <= there


def _cosigned(transaction: Transaction, note: bytes) -> int | None:
    """Returns when pinned witnesses last cosigned a checkpoint, if one has."""
    nodes = [pinned(one) for one in transaction.peers.all() if one.state == "active"]
    keys = [witness_note_key(one.name, key.key) for one in nodes for key in one.witness_keys]
    times: list[int] = []
    for key in keys:
        try:
            times += verify_cosignatures(parse_note(note), [key]).values()
        except (ProtocolError, SigningError):
            continue  # it was put there by anybody, and says nothing
    return max(times, default=None)
