"""Other nodes' logs as they were taken over: their entries in their order, packed.

It holds what a frontier cannot give back: which entry stood where. A log that was taken over before
there were mirrors has none until it is fetched from its first entry.
"""

from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import Connection, func, select

from node.storage.sql import table, upsert
from node.storage.witness_rows import MirrorRow
from protocol.fields import StatementId

_MIRROR = table(MirrorRow)
_ENTRY_BYTES: Final = 32
_PER_ROW: Final = 256


class MirrorRepository:
    """Entries by the log, as `node.services.directory.log_name` names it, and place."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def size(self, log: str) -> int:
        """Returns how many entries are here, from the first on without a gap."""
        at = _MIRROR.c
        row = self._connection.execute(
            select(at.number, func.length(at.ids).label("bytes"))
            .where(at.log == log)
            .order_by(at.number.desc())
            .limit(1)
        ).first()
        return 0 if row is None else row.number * _PER_ROW + row.bytes // _ENTRY_BYTES

    def extend(self, log: str, start: int, ids: Iterable[str]) -> bool:
        """Adds entries behind those that are here; returns whether they follow on them.

        Args:
            log: whose entries.
            start: place of the first.
            ids: entries, in their order.
        """
        if self.size(log) != start:
            return False
        new = bytes.fromhex("".join(ids))
        number, there = divmod(start, _PER_ROW)
        if there:
            new = self._row(log, number) + new
        step = _PER_ROW * _ENTRY_BYTES
        for offset in range(0, len(new), step):
            row = {"log": log, "number": number, "ids": new[offset : offset + step]}
            upsert(self._connection, _MIRROR, row)
            number += 1
        return True

    def entries(self, log: str, start: int, limit: int) -> list[StatementId]:
        """Returns the entries at the places from `start` on, as far as they are here."""
        at = _MIRROR.c
        first, last = start // _PER_ROW, (start + max(limit, 1) - 1) // _PER_ROW
        rows = self._connection.execute(
            select(at.ids)
            .where(at.log == log, at.number >= first, at.number <= last)
            .order_by(at.number)
        )
        data = b"".join(row.ids for row in rows)[(start - first * _PER_ROW) * _ENTRY_BYTES :]
        return [
            StatementId(data[place : place + _ENTRY_BYTES].hex())
            for place in range(0, min(len(data), limit * _ENTRY_BYTES), _ENTRY_BYTES)
        ]

    def before(self, log: str, size: int, wanted: Collection[str]) -> set[StatementId]:
        """Returns those of some statements that stand in a log at a place below `size`.

        Every row is read, 32 MB for a million entries: not for every statement that a peer serves.
        """
        at = _MIRROR.c
        left = {bytes.fromhex(one) for one in wanted}
        found: set[StatementId] = set()
        rows = self._connection.execute(
            select(at.number, at.ids)
            .where(at.log == log, at.number * _PER_ROW < size)
            .order_by(at.number)
        )
        for row in rows:
            room = min(len(row.ids) // _ENTRY_BYTES, size - row.number * _PER_ROW)
            for place in range(room):
                entry = row.ids[place * _ENTRY_BYTES : (place + 1) * _ENTRY_BYTES]
                if entry in left:
                    found.add(StatementId(bytes(entry).hex()))
        return found

    def _row(self, log: str, number: int) -> bytes:
        at = _MIRROR.c
        found = self._connection.execute(
            select(at.ids).where(at.log == log, at.number == number)
        ).scalar_one()
        return bytes(found)
