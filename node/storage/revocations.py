"""What revoked keys have said: what of it does not count, and what an operator looks through."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from node.storage.key_rows import VoidRow
from node.storage.rows import StatementRow
from node.storage.sql import insert_new, table
from protocol.fields import StatementId

_STATEMENT = table(StatementRow)
_VOID = table(VoidRow)
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


class RevocationRepository:
    """Statements by the key that signed them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def said_by(
        self, issuer: str, keyids: Collection[str], *, since: int, after: int = -1, limit: int
    ) -> list[SaidRecord]:
        """Returns what some keys of an issuer have signed, in the order in which it came here.

        Args:
            issuer: name of the node or flagger.
            keyids: of the keys.
            since: when it was taken in at the earliest (Unix seconds).
            after: behind this place in the log.
            limit: how many at most.
        """
        at = _STATEMENT.c
        found = self._connection.execute(
            select(
                *(at.log_index, at.id, at.kind, at.state, at.category),
                *(at["items"].label("count"), at.received),
            )
            .where(at.issuer == issuer, at.keyid.in_(keyids), at.received >= since)
            .where(at.log_index > after)
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
