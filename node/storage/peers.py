"""Pinned nodes, what was set aside or skipped of theirs, and evidence against them."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from node.storage.descriptors import (
    DescriptorRecord,
    DescriptorRepository,
    latest_of,
    owner_of,
)
from node.storage.mirroring import is_open
from node.storage.peer_records import PeerRecord, SetAsideRecord, peer_of, set_aside_of
from node.storage.rows import (
    EvidenceRow,
    PeerRefusalRow,
    PeerRow,
    SetAsideRow,
    SkippedRow,
)
from node.storage.seen import Seen
from node.storage.sql import insert_new, table, upsert
from protocol.errors import ConflictError
from protocol.fields import StatementId

__all__ = ["NO_BODY", "PeerRecord", "PeerRepository", "SetAsideRecord"]

_PEER = table(PeerRow)
_REFUSAL = table(PeerRefusalRow)
_SET_ASIDE = table(SetAsideRow)
_SKIPPED = table(SkippedRow)
NO_BODY = "no body"
_AGAIN = "again"
_LATER = "later:"  # and the day on which it was put off
_EVIDENCE = table(EvidenceRow)
_CHUNK = 500
_MOST_EVIDENCE = 100
_MOST_GRAVE = 20
_MAX_EVIDENCE_BYTES = 256 << 10
_MUCH_EVIDENCE_BYTES = 1 << 20
_SHORT_EVIDENCE_BYTES = 4 << 10

# Built once: every request of a peer passes here, and to build one takes longer than to execute it.
_ALL = select(_PEER).order_by(_PEER.c.name)
_PINS = select(
    *(_PEER.c.name, _PEER.c.descriptor_id, latest_of(_PEER.c.name).label("version")),
    *(_PEER.c.authority, _PEER.c.state),
).order_by(_PEER.c.name)
_BY_NAME = select(_PEER).where(_PEER.c.name == bindparam("wanted"))
_BY_KEY = select(_PEER).where(_PEER.c.name == owner_of("wanted"))


class PeerRepository:
    """Peers by name."""

    def __init__(self, connection: Connection, seen: Seen) -> None:
        self._connection = connection
        self._seen = seen
        self._none_aside: bool | None = None

    def put(self, peer: PeerRecord) -> None:
        """Stores a pinned node, under its first descriptor where it was not pinned yet.

        Raises:
            ConflictError: as `DescriptorRepository.set_request_keys`.
        """
        values = dict(vars(peer))
        values["descriptor_id"] = bytes.fromhex(peer.descriptor_id)
        descriptors = DescriptorRepository(self._connection, self._seen)
        if descriptors.version(peer.name) == 0:
            first = DescriptorRecord(peer.name, 1, peer.descriptor_id, peer.descriptor)
            descriptors.add(first)
            descriptors.set_request_keys(peer.name, [peer.request_keyid])
        try:
            upsert(self._connection, _PEER, values)
            self._seen.forget("peer")
        except IntegrityError:
            raise ConflictError("Another node that is pinned has the same request key.") from None

    def get(self, name: str) -> PeerRecord | None:
        """Returns the pinned node of this name."""
        return self._seen.get("peer", name, lambda: self._first(_BY_NAME, name))

    def by_request_key(self, keyid: str) -> PeerRecord | None:
        """Returns the pinned node whose requests are signed with this key."""
        return self._first(_BY_KEY, keyid)

    def all(self) -> list[PeerRecord]:
        """Returns every pinned node, by name."""
        found = self._connection.execute(_ALL)
        return [peer_of(row) for row in found.mappings()]

    def pins(self) -> list[tuple[str, bytes, int, bool, str]]:
        """Returns name, descriptor, its version, authority and state of every pinned node, by name.

        Where these are the same, so is whatever else follows from a pin.
        """
        found = self._connection.execute(_PINS)
        return [(r.name, r.descriptor_id, r.version, r.authority, r.state) for r in found]

    def _first(self, query: Select[Any], wanted: str) -> PeerRecord | None:
        row = self._connection.execute(query, {"wanted": wanted}).mappings().first()
        return None if row is None else peer_of(row)

    def set_state(self, name: str, state: str) -> bool:
        """Freezes or thaws a node; returns whether there is one of this name."""
        return self._change(name, state=state)

    def note_sync(self, name: str, *, at: int | None, problem: str | None) -> None:
        """Records how the last sync with a node went; `at` only where it succeeded."""
        if at is None:
            self._change(name, problem=problem)
        else:
            self._change(name, synced=at, problem=problem)

    def note_acknowledgement(self, name: str, *, size: int, at: int) -> None:
        """Records up to where a node has taken over our log."""
        self._change(name, acked_size=size, acked_at=at)

    def _change(self, name: str, **values: object) -> bool:
        done = self._connection.execute(update(_PEER).where(_PEER.c.name == name).values(**values))
        self._seen.forget("peer")
        return done.rowcount == 1

    def remove(self, name: str) -> bool:
        """Forgets a node; returns whether there was one of this name."""
        done = self._connection.execute(delete(_PEER).where(_PEER.c.name == name))
        DescriptorRepository(self._connection, self._seen).forget(name)
        self._seen.forget("peer")
        return done.rowcount == 1

    def add_refusals(self, peer: str, refusals: Iterable[tuple[str, str]]) -> None:
        """Records which of our statements a peer set aside, and its reasons."""
        for statement_id, reason in refusals:
            values = {"peer": peer, "id": bytes.fromhex(statement_id), "reason": reason}
            upsert(self._connection, _REFUSAL, values)

    def refusals(self, statement_id: str) -> dict[str, str]:
        """Returns which peers set a statement of ours aside, and their reasons."""
        found = self._connection.execute(
            select(_REFUSAL).where(_REFUSAL.c.id == bytes.fromhex(statement_id))
        )
        return {row.peer: row.reason for row in found}

    def set_aside(self, record: SetAsideRecord) -> None:
        """Keeps a statement that was not accepted."""
        values = dict(vars(record))
        values["id"] = bytes.fromhex(record.id)
        values["tried"] = record.seen
        self._none_aside = False
        upsert(self._connection, _SET_ASIDE, values, keep=("seen",))

    def drop_body(self, statement_id: str, origin: str, reason: str) -> None:
        """Deletes the bytes of a statement that was set aside; it waits for nothing any more."""
        self._connection.execute(
            update(_SET_ASIDE)
            .where(_SET_ASIDE.c.id == bytes.fromhex(statement_id), _SET_ASIDE.c.origin == origin)
            .values(envelope=None, retry=False, waits_for=None, quiet=True, reason=reason)
        )

    def withdraw_refusals(self, peer: str, ids: Sequence[str]) -> None:
        """Forgets that a peer set these statements of ours aside: it has taken them in since."""
        raw = [bytes.fromhex(one) for one in ids]
        for at in range(0, len(raw), _CHUNK):
            self._connection.execute(
                delete(_REFUSAL).where(
                    _REFUSAL.c.peer == peer, _REFUSAL.c.id.in_(raw[at : at + _CHUNK])
                )
            )

    def refused(self, peer: str, ids: Sequence[str]) -> list[StatementId]:
        """Returns those of `ids` that a peer says it set aside."""
        raw = [bytes.fromhex(one) for one in ids]
        return [
            StatementId(row.id.hex())
            for at in range(0, len(raw), _CHUNK)
            for row in self._connection.execute(
                select(_REFUSAL.c.id).where(
                    _REFUSAL.c.peer == peer, _REFUSAL.c.id.in_(raw[at : at + _CHUNK])
                )
            )
        ]

    def take_back(self, statement_id: str) -> None:
        """Forgets that a statement was set aside: it is accepted now."""
        if self._is_none_aside():
            return
        self._connection.execute(
            delete(_SET_ASIDE).where(_SET_ASIDE.c.id == bytes.fromhex(statement_id))
        )

    def all_set_aside(
        self, *, retry_only: bool = False, origin: str | None = None, limit: int = 256
    ) -> list[SetAsideRecord]:
        """Returns what was set aside, oldest first; with `retry_only`, longest untried first."""
        first = _SET_ASIDE.c.tried if retry_only else _SET_ASIDE.c.seen
        query = select(_SET_ASIDE).where(~_SET_ASIDE.c.quiet)
        query = query.order_by(first, _SET_ASIDE.c.id).limit(limit)
        if retry_only:
            query = query.where(_SET_ASIDE.c.retry)
        if origin is not None:
            query = query.where(_SET_ASIDE.c.origin == origin)
        return [set_aside_of(row) for row in self._connection.execute(query).mappings()]

    def waiting_for(self, what: str, *, limit: int) -> list[SetAsideRecord]:
        """Returns what waits for one thing, quiet ones too, longest untried first."""
        if self._is_none_aside():
            return []
        found = self._connection.execute(
            select(_SET_ASIDE)
            .where(_SET_ASIDE.c.waits_for == what)
            .order_by(_SET_ASIDE.c.tried, _SET_ASIDE.c.id)
            .limit(limit)
        )
        return [set_aside_of(row) for row in found.mappings()]

    def _is_none_aside(self) -> bool:
        """Whether nothing at all is set aside, so that no statement of a long list asks for more.

        Only this transaction can change that while it lasts; what it undoes leaves the answer no.
        """
        if self._none_aside is None:
            some = self._connection.execute(select(_SET_ASIDE.c.id).limit(1)).first()
            self._none_aside = some is None
        return self._none_aside

    def set_aside_with(self, statement_id: str) -> list[SetAsideRecord]:
        """Returns what was set aside under one id, coming from any peer."""
        found = self._connection.execute(
            select(_SET_ASIDE).where(_SET_ASIDE.c.id == bytes.fromhex(statement_id))
        )
        return [set_aside_of(row) for row in found.mappings()]

    def forget_set_aside(self, *, before: int, quiet_before: int) -> None:
        """Deletes what was set aside before an instant: it has waited long enough for a cure."""
        old = _SET_ASIDE.c.seen < before
        self._connection.execute(
            delete(_SET_ASIDE).where(
                (old & ~_SET_ASIDE.c.quiet) | (_SET_ASIDE.c.seen < quiet_before)
            )
        )

    def count_set_aside(self, origin: str, *, quiet: bool = False) -> int:
        """Returns how many statements from one peer are set aside."""
        return self._connection.execute(
            select(func.count())
            .select_from(_SET_ASIDE)
            .where(_SET_ASIDE.c.origin == origin, _SET_ASIDE.c.quiet == quiet)
        ).scalar_one()

    def count_skipped(self, origin: str) -> int:
        """Returns of how many statements this peer has no body for us."""
        return self._connection.execute(
            select(func.count()).select_from(_SKIPPED).where(_SKIPPED.c.origin == origin)
        ).scalar_one()

    def postpone(self, statement_id: str, *, at: int) -> None:
        """Puts a statement that was tried again in vain behind the others that wait."""
        self._connection.execute(
            update(_SET_ASIDE)
            .where(_SET_ASIDE.c.id == bytes.fromhex(statement_id))
            .values(tried=at)
        )

    def skip(self, origin: str, statement_id: str) -> None:
        """Remembers that a peer has, for us, no body of a statement of its log."""
        insert_new(
            self._connection,
            _SKIPPED,
            {"id": bytes.fromhex(statement_id), "origin": origin, "state": NO_BODY},
        )

    def skipped(self, origin: str, ids: Sequence[str]) -> set[StatementId]:
        """Returns those of `ids` that were skipped or set aside before, coming from this peer.

        What another peer served under the same id says nothing: it may have served a bad signature
        to keep the good one away.
        """
        found: set[StatementId] = set()
        raw = [bytes.fromhex(one) for one in ids]
        for at in range(0, len(raw), _CHUNK):
            for one in (_SKIPPED, _SET_ASIDE):
                rows = self._connection.execute(
                    select(one.c.id).where(
                        one.c.origin == origin, one.c.id.in_(raw[at : at + _CHUNK])
                    )
                )
                found.update(StatementId(row.id.hex()) for row in rows)
        return found

    def ask_again(self, origin: str) -> None:
        """Marks what this peer had no body of for us: it may have one by now."""
        self._connection.execute(
            update(_SKIPPED).where(_SKIPPED.c.origin == origin).values(state=_AGAIN)
        )

    def wanted(self, origin: str, prefix: str, *, limit: int) -> list[StatementId]:
        """Returns what to ask this peer for, beyond what is new in its log.

        These are the statements that what it served waits for, where that is said with `prefix`,
        those that `ask_again` has marked, and those that a mirror of it had no body of.
        """
        waiting = self._connection.execute(
            select(_SET_ASIDE.c.waits_for)
            .where(_SET_ASIDE.c.origin == origin, _SET_ASIDE.c.waits_for.startswith(prefix))
            .distinct()
            .limit(limit)
        )
        marked = self._connection.execute(
            select(_SKIPPED.c.id).where(_SKIPPED.c.origin == origin, is_open()).limit(limit)
        )
        found = [row.waits_for.removeprefix(prefix) for row in waiting]
        found += [row.id.hex() for row in marked]
        return [StatementId(one) for one in dict.fromkeys(found)][:limit]

    def ask_later(self, origin: str, statement_id: str, day: str) -> None:
        """Remembers a statement whose bytes are not kept, to be asked for after a day."""
        upsert(
            self._connection,
            _SKIPPED,
            {"id": bytes.fromhex(statement_id), "origin": origin, "state": f"{_LATER}{day}"},
        )

    def waits_since_before(self, origin: str, day: str) -> bool:
        """Whether `ask_later` was said of anything on an earlier day than this."""
        found = self._connection.execute(select(_SKIPPED.c.id).where(_due(origin, day)).limit(1))
        return found.first() is not None

    def ask_those_of_before(self, origin: str, day: str) -> None:
        """Marks these, as `ask_again` marks others."""
        self._connection.execute(update(_SKIPPED).where(_due(origin, day)).values(state=_AGAIN))

    def asked_again(self, origin: str, ids: Sequence[str]) -> None:
        """Takes the mark of `ask_again` off what was asked for."""
        self._connection.execute(
            update(_SKIPPED)
            .where(_SKIPPED.c.origin == origin, _SKIPPED.c.id.in_(map(bytes.fromhex, ids)))
            .values(state=NO_BODY)
        )

    def was_skipped(self, origin: str, statement_id: str) -> bool:
        """Whether this peer said that it has no body of a statement for us."""
        return (
            self._connection.execute(
                select(_SKIPPED.c.id).where(
                    _SKIPPED.c.id == bytes.fromhex(statement_id), _SKIPPED.c.origin == origin
                )
            ).first()
            is not None
        )

    def keep_evidence(
        self, peer: str, message: str, body: bytes, *, at: int, grave: bool = False
    ) -> None:
        """Keeps what shows that a peer broke the protocol.

        The first pieces are kept, not all of them: a peer must not fill the disk by misbehaving.
        What freezes a peer is grave, and has room of its own behind the rest.
        """
        kept, held = self._connection.execute(
            select(func.count(), func.coalesce(func.sum(func.length(_EVIDENCE.c.body)), 0)).where(
                _EVIDENCE.c.peer == peer
            )
        ).one()
        if kept < _MOST_EVIDENCE + (_MOST_GRAVE if grave else 0):
            # Every erase looks through all of it while no other writer gets a turn.
            is_much = held >= _MUCH_EVIDENCE_BYTES and not grave
            longest = _SHORT_EVIDENCE_BYTES if is_much else _MAX_EVIDENCE_BYTES
            self._connection.execute(
                insert(_EVIDENCE).values(peer=peer, message=message, body=body[:longest], at=at)
            )

    def evidence(self, peer: str) -> list[tuple[str, bytes]]:
        """Returns what is kept against a peer: message and bytes, oldest first."""
        found = self._connection.execute(
            select(_EVIDENCE).where(_EVIDENCE.c.peer == peer).order_by(_EVIDENCE.c.number)
        )
        return [(row.message, row.body) for row in found]


def _due(origin: str, day: str) -> ColumnElement[bool]:
    return (
        (_SKIPPED.c.origin == origin)
        & _SKIPPED.c.state.startswith(_LATER)
        & (_SKIPPED.c.state < f"{_LATER}{day}")
    )
