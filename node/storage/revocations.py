"""What revoked keys have said: what of it does not count, and what an operator looks through."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, delete, func, select

from node.storage.key_rows import VoidingRow, VoidRow
from node.storage.rows import StatementRow
from node.storage.sql import insert_new, table, upsert
from protocol.fields import StatementId

_STATEMENT = table(StatementRow)
_VOID = table(VoidRow)
_VOIDING = table(VoidingRow)
_CHUNK = 500


@dataclass(frozen=True)
class SaidRecord:
    """A statement that one key has signed. Times are Unix seconds."""

    log_index: int
    id: StatementId
    kind: str
    state: str
    category: str | None
    items: int
    received: int


@dataclass(frozen=True)
class VoidingRecord:
    """How far it has come to void what a revoked key has said.

    Attributes:
        issuer: flagger or node.
        keyid: of the key.
        log: under which name the entries are kept of the log that the revocation names.
        mark_log: origin of that log.
        mark_size: what stands there below this place stays.
        mark_at: instant of the revocation, where the place is not known.
        after: everything of the key up to this place in this node's log was looked at.
        until: what stands here or behind came later than the revocation.
        done: nothing is left.
    """

    issuer: str
    keyid: str
    log: str
    mark_log: str
    mark_size: int
    mark_at: str
    after: int
    until: int
    done: bool


class RevocationRepository:
    """Statements by the key that signed them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def said_by(
        self,
        issuer: str,
        keyids: Collection[str],
        *,
        since: int,
        after: int = -1,
        limit: int,
        kind: str | None = None,
    ) -> list[SaidRecord]:
        """Returns what some keys of an issuer have signed, in the order in which it came here.

        Args:
            issuer: name of the node or flagger.
            keyids: of the keys.
            since: when it was taken in at the earliest (Unix seconds).
            after: behind this place in the log.
            limit: how many at most.
            kind: of one kind only; None for any.
        """
        at = _STATEMENT.c
        is_of_kind = [] if kind is None else [at.kind == kind]
        found = self._connection.execute(
            select(
                *(at.log_index, at.id, at.kind, at.state, at.category),
                *(at["items"].label("count"), at.received),
            )
            .where(at.issuer == issuer, at.keyid.in_(keyids), at.received >= since)
            .where(at.log_index > after, *is_of_kind)
            .order_by(at.log_index)
            .limit(limit)
        )
        return [
            SaidRecord(
                row["log_index"],
                StatementId(row["id"].hex()),
                row["kind"],
                row["state"],
                row["category"],
                row["count"],
                row["received"],
            )
            for row in found.mappings()
        ]

    def received_by(self, instant: int) -> int:
        """Returns the size that this node's log had at an instant."""
        at = _STATEMENT.c
        first = self._connection.execute(
            select(at.log_index).where(at.received > instant).order_by(at.log_index).limit(1)
        ).scalar_one_or_none()
        if first is not None:
            return int(first)
        last = self._connection.execute(
            select(at.log_index).order_by(at.log_index.desc()).limit(1)
        ).scalar_one_or_none()
        return 0 if last is None else last + 1

    def places(self) -> int:
        """Returns how many places this node's log has."""
        found = self._connection.execute(select(func.max(_STATEMENT.c.log_index))).scalar_one()
        return 0 if found is None else int(found) + 1

    def voiding(self, issuer: str, keyid: str) -> VoidingRecord | None:
        """Returns how far it has come with a key."""
        row = self._connection.execute(
            select(_VOIDING).where(_VOIDING.c.issuer == issuer, _VOIDING.c.keyid == keyid)
        )
        return _voiding(row)

    def next_voiding(self) -> VoidingRecord | None:
        """Returns the key with which it is under way and that was revoked first.

        Who revokes again goes to the end: nobody keeps others' revocations waiting for ever.
        """
        row = self._connection.execute(
            select(_VOIDING)
            .where(~_VOIDING.c.done)
            .order_by(_VOIDING.c.until, _VOIDING.c.issuer, _VOIDING.c.keyid)
            .limit(1)
        )
        return _voiding(row)

    def put_voiding(self, record: VoidingRecord) -> None:
        """Stores how far it has come."""
        upsert(self._connection, _VOIDING, vars(record))

    def drop_voiding(self, record: VoidingRecord) -> None:
        """Forgets it, so that the next revocation of the key begins anew."""
        self._connection.execute(
            delete(_VOIDING).where(
                _VOIDING.c.issuer == record.issuer, _VOIDING.c.keyid == record.keyid
            )
        )

    def void(self, log_index: int) -> None:
        """Records that a statement does not count: its key was revoked as of before it."""
        insert_new(self._connection, _VOID, {"log_index": log_index})

    def among_void(self, places: Iterable[int]) -> set[int]:
        """Returns those of these places in the log whose statement does not count."""
        wanted = list(places)
        found: set[int] = set()
        for at in range(0, len(wanted), _CHUNK):
            part = wanted[at : at + _CHUNK]
            rows = self._connection.execute(
                select(_VOID.c.log_index).where(_VOID.c.log_index.in_(part))
            )
            found.update(row.log_index for row in rows)
        return found


def _voiding(found: CursorResult[Any]) -> VoidingRecord | None:
    row = found.mappings().first()
    return None if row is None else VoidingRecord(**row)
