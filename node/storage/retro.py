"""Matches of registered uploads, and how far they have been looked for."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, tuple_, update

from node.storage.rows import MediaHashRow
from node.storage.sql import table, upsert
from node.storage.upload_rows import RetroCursorRow, RetroMatchRow

_MATCH = table(RetroMatchRow)
_CURSOR = table(RetroCursorRow)
_HASH = table(MediaHashRow)
_CHUNK = 300
_CHANGES = "changes"


@dataclass(frozen=True, repr=False)
class RetroMatchRecord:
    """An upload and an item that it matches.

    Attributes:
        upload: number of the upload.
        client: whose upload it is.
        upload_id: what the client calls it.
        state: ``open``, ``done`` or ``withdrawn``.
        number: of the match, given when it is stored.
        change: when it last changed, counted in changes of any match.
    """

    upload: int
    client: int
    upload_id: str
    log_index: int
    item: int
    kind: str
    distance: int
    decision: str
    rule: str | None
    found: int
    state: str = "open"
    number: int = 0
    change: int = 0


class RetroRepository:
    """Matches of registered uploads. Changes are counted inside a write, so one after the other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def cursor(self, name: str) -> int:
        """Returns how far something has come; 0 in the beginning."""
        found = self._connection.execute(select(_CURSOR.c.value).where(_CURSOR.c.name == name))
        return found.scalar() or 0

    def set_cursor(self, name: str, value: int) -> None:
        """Notes how far something has come."""
        upsert(self._connection, _CURSOR, {"name": name, "value": value})

    def add(self, matches: Sequence[RetroMatchRecord]) -> list[RetroMatchRecord]:
        """Stores those that are not there yet, and whose item is in force; returns them."""
        asked = {(one.upload, one.log_index, one.item): one for one in matches}
        for part in _parts(sorted(asked)):
            key = (_MATCH.c.upload, _MATCH.c.log_index, _MATCH.c.item)
            for row in self._connection.execute(select(*key).where(tuple_(*key).in_(part))):
                del asked[row.upload, row.log_index, row.item]
        active = self._active({(one.log_index, one.item) for one in asked.values()})
        new = [one for one in asked.values() if (one.log_index, one.item) in active]
        if not new:
            return []
        change = self.cursor(_CHANGES)
        rows = []
        for one in new:
            change += 1
            rows.append(asdict(one) | {"change": change})
            del rows[-1]["number"]
        self._connection.execute(insert(_MATCH), rows)
        self.set_cursor(_CHANGES, change)
        stored = select(_MATCH).where(_MATCH.c.change > change - len(new))
        return [_match(row) for row in self._connection.execute(stored.order_by(_MATCH.c.change))]

    def _active(self, items: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
        key = (_HASH.c.log_index, _HASH.c.item)
        return {
            (row.log_index, row.item)
            for part in _parts(sorted(items))
            for row in self._connection.execute(
                select(*key)
                .where(
                    # the first half is what the table's key can serve
                    _HASH.c.log_index.in_({index for index, _ in part}),
                    tuple_(*key).in_(part),
                    _HASH.c.active,
                )
                .distinct()
            )
        }

    def of_client(self, client: int, *, after: int, limit: int) -> list[RetroMatchRecord]:
        """Returns a client's matches that changed after a change, in the order of the changes."""
        found = self._connection.execute(
            select(_MATCH)
            .where(_MATCH.c.client == client, _MATCH.c.change > after)
            .order_by(_MATCH.c.change)
            .limit(limit)
        )
        return [_match(row) for row in found]

    def at(self, numbers: Sequence[int]) -> list[RetroMatchRecord]:
        """Returns the matches with these numbers that are still there, in order of number."""
        found = self._connection.execute(
            select(_MATCH).where(_MATCH.c.number.in_(numbers)).order_by(_MATCH.c.number)
        )
        return [_match(row) for row in found]

    def finish(self, number: int, *, client: int) -> bool:
        """Notes that an open match was dealt with; returns whether there was one of this client."""
        wanted = (_MATCH.c.number == number) & (_MATCH.c.client == client)
        row = self._connection.execute(
            select(_MATCH).where(wanted, _MATCH.c.state == "open")
        ).first()
        if row is not None:
            self._change([_match(row)], "done")
        return row is not None

    def withdraw(self, log_index: int, items: Sequence[int]) -> list[RetroMatchRecord]:
        """Notes that items (none named: all) are not in force; returns the matches concerned."""
        wanted = (_MATCH.c.log_index == log_index) & (_MATCH.c.state != "withdrawn")
        if items:
            wanted &= _MATCH.c.item.in_(items)
        found = self._connection.execute(select(_MATCH).where(wanted).order_by(_MATCH.c.number))
        matches = [_match(row) for row in found]
        self._change(matches, "withdrawn")
        return matches

    def _change(self, matches: Sequence[RetroMatchRecord], state: str) -> None:
        if not matches:
            return
        change = self.cursor(_CHANGES)
        for one in matches:
            change += 1
            self._connection.execute(
                update(_MATCH)
                .where(_MATCH.c.number == one.number)
                .values(state=state, change=change)
            )
        self.set_cursor(_CHANGES, change)

    def clients_met(self, log_index: int, items: Collection[int]) -> set[int]:
        """Returns the clients whose registered uploads items of a statement have met."""
        found = self._connection.execute(
            select(_MATCH.c.client)
            .where(_MATCH.c.log_index == log_index, _MATCH.c.item.in_(sorted(items)))
            .distinct()
        )
        return {row.client for row in found}

    def met_by(
        self, log_index: int, items: Collection[int], *, limit: int
    ) -> list[RetroMatchRecord]:
        """Returns the matches of items of a statement, the latest first."""
        found = self._connection.execute(
            select(_MATCH)
            .where(_MATCH.c.log_index == log_index, _MATCH.c.item.in_(sorted(items)))
            .order_by(_MATCH.c.number.desc())
            .limit(limit)
        )
        return [_match(row) for row in found]

    def forget_uploads(self, numbers: Collection[int]) -> None:
        """Deletes the matches of uploads that the client has deleted."""
        for part in _parts(sorted(numbers)):
            self._connection.execute(delete(_MATCH).where(_MATCH.c.upload.in_(part)))

    def forget(self, *, before: int) -> None:
        """Deletes matches that were found before a time."""
        self._connection.execute(delete(_MATCH).where(_MATCH.c.found < before))


def _parts(values: "Sequence[Any]") -> "list[Sequence[Any]]":
    return [values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK)]


def _match(row: Any) -> RetroMatchRecord:
    return RetroMatchRecord(**row._asdict())
