"""Media hashes: exact digests by equality, and pdqs for the index in memory."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, CursorResult, Select, delete, func, select, text, tuple_, update

from node.storage import rows
from node.storage.sql import insert_many, table
from protocol.pdq import PDQ_BYTES

_HASH = table(rows.MediaHashRow)
_CHUNK = 400
_FEW = 500
EXACT_KINDS = rows.EXACT_KINDS
NEAR_KINDS = ("pdq", "frame")
"""Kinds whose value is a pdq: of a picture, and of one frame of a film."""


class MediaHash(NamedTuple):
    """One media hash of one item; `slot` counts the hashes of the statement.

    A frame of a film stands `at_ms` milliseconds from the film's begin.
    """

    log_index: int
    slot: int
    item: int
    kind: str
    value: bytes
    at_ms: int | None = None

    def __repr__(self) -> str:
        return "MediaHash(hidden)"


class PdqColumns(NamedTuple):
    """Pdqs of list entries, column by column; a `MediaHash` has the same of one."""

    log_indices: list[int]
    slots: list[int]
    values: list[bytes]

    def __repr__(self) -> str:
        return "PdqColumns(hidden)"


_BY_THE_KEY = text(
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)"
)
"""PostgreSQL, before it has counted a table that was just filled, would sort all of it for each
page. The rest of the transaction reads in the order of keys as well."""

_ADD_PICTURES = (
    "INSERT INTO media_hash (log_index, slot, item, kind, value, at_ms, active) "
    "SELECT given.place, number, number, 'pdq', "
    "substr(given.pdqs, number * given.width + 1, given.width), NULL, TRUE "
    "FROM (SELECT %b::bigint AS place, %b::integer AS count, %b::integer AS width, "
    "%b::bytea AS pdqs) AS given, generate_series(0, given.count - 1) AS number"
)
"""What psycopg executes to insert the pdqs of a statement, which are given one after the other."""

_COLUMNS = tuple(_HASH.c[name] for name in MediaHash._fields)


class MediaRepository:
    """Media hashes of flagged material."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, hashes: Sequence[MediaHash]) -> None:
        """Stores the media hashes of one statement."""
        insert_many(
            self._connection,
            _HASH,
            (*MediaHash._fields, "active"),
            [(*one, True) for one in hashes],
        )

    def add_pictures(self, log_index: int, pdqs: Sequence[bytes]) -> None:
        """Stores the media hashes of a statement whose every item is a picture's pdq alone."""
        if self._connection.dialect.name == "postgresql":
            # One value for all: to make and to read an array of each column costs more than to
            # insert the rows.
            values = (log_index, len(pdqs), PDQ_BYTES, b"".join(pdqs))
            self._connection.exec_driver_sql(_ADD_PICTURES, values)
            return
        insert_many(
            self._connection,
            _HASH,
            (*MediaHash._fields, "active"),
            [(log_index, item, item, "pdq", pdq, None, True) for item, pdq in enumerate(pdqs)],
        )

    def with_values(self, values: Sequence[bytes]) -> list[MediaHash]:
        """Returns the active exact digests that equal one of `values`."""
        wanted = list(set(values))
        return [
            MediaHash._make(row)
            for at in range(0, len(wanted), _CHUNK)
            for row in self._connection.execute(
                select(*_COLUMNS).where(
                    _HASH.c.value.in_(wanted[at : at + _CHUNK]),
                    rows.IS_EXACT,
                    _HASH.c.active,
                )
            )
        ]

    def at_slots(self, slots: Sequence[tuple[int, int]]) -> dict[tuple[int, int], MediaHash]:
        """Returns the active media hashes at these (log_index, slot)."""
        return {
            (row.log_index, row.slot): MediaHash._make(row)
            for at in range(0, len(slots), _CHUNK)
            for row in self._connection.execute(
                select(*_COLUMNS).where(
                    tuple_(_HASH.c.log_index, _HASH.c.slot).in_(slots[at : at + _CHUNK]),
                    _HASH.c.active,
                )
            )
        }

    def pdqs_from(self, log_index: int, *, limit: int) -> list[MediaHash]:
        """Returns the active pdqs, also of frames, of the statements from a place in the log on.

        Args:
            log_index: first place.
            limit: about how many; a statement's pdqs are never cut apart.
        """
        return [
            MediaHash._make(row)
            for row in self._page(select(*_COLUMNS), log_index, NEAR_KINDS, limit)
        ]

    def pdq_columns_from(self, log_index: int, *, limit: int) -> PdqColumns | None:
        """Returns what `pdqs_from` returns as columns, at a third of its cost; None for nothing."""
        at = _HASH.c
        chosen = select(at.log_index, at.slot, at.value)
        columns = PdqColumns([], [], [])
        # The driver's own rows: SQLAlchemy's cost more than reading the database does. Few at once:
        # with many alive, the collector of garbage would go through all of them again and again.
        cursor = self._page(chosen, log_index, NEAR_KINDS, limit).cursor
        while found := cursor.fetchmany(_FEW):
            columns.log_indices.extend([row[0] for row in found])
            columns.slots.extend([row[1] for row in found])
            columns.values.extend([row[2] for row in found])
        return columns if columns.slots else None

    def digests_from(self, log_index: int, *, limit: int) -> list[MediaHash]:
        """Returns the active exact digests in the way in which `pdqs_from` returns pdqs."""
        return [
            MediaHash._make(row)
            for row in self._page(select(*_COLUMNS), log_index, EXACT_KINDS, limit)
        ]

    def _page(
        self, chosen: Select[Any], log_index: int, kinds: Sequence[str], limit: int
    ) -> CursorResult[Any]:
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(_BY_THE_KEY)
        wanted = _HASH.c.kind.in_(kinds) & _HASH.c.active & (_HASH.c.log_index >= log_index)
        last = self._connection.execute(
            select(_HASH.c.log_index)
            .where(wanted)
            .order_by(_HASH.c.log_index)
            .limit(1)
            .offset(limit)
        ).scalar()
        if last is not None:
            # The statement at `last` goes whole, even where it began before the limit.
            wanted &= _HASH.c.log_index <= last
        return self._connection.execute(
            chosen.where(wanted).order_by(_HASH.c.log_index, _HASH.c.slot)
        )

    def frames_in(self, items: Collection[tuple[int, int]]) -> dict[tuple[int, int], int]:
        """Returns how many different frames these films have, each a (log_index, item)."""
        wanted = sorted(items)
        return {
            (row.log_index, row.item): row.frames
            for at in range(0, len(wanted), _CHUNK)
            for row in self._connection.execute(
                select(
                    _HASH.c.log_index,
                    _HASH.c.item,
                    func.count(func.distinct(_HASH.c.value)).label("frames"),
                )
                .where(
                    # the first half is what the table's key can serve
                    _HASH.c.log_index.in_({index for index, _ in wanted[at : at + _CHUNK]}),
                    tuple_(_HASH.c.log_index, _HASH.c.item).in_(wanted[at : at + _CHUNK]),
                    _HASH.c.kind == "frame",
                    _HASH.c.active,
                )
                .group_by(_HASH.c.log_index, _HASH.c.item)
            )
        }

    def withdraw(self, log_index: int, items: Sequence[int]) -> int:
        """Makes items of a statement match no more; returns how many are left active.

        Args:
            log_index: the statement's place.
            items: numbers of items; empty for all.
        """
        condition = _HASH.c.log_index == log_index
        chosen = condition & _HASH.c.item.in_(items) if items else condition
        self._connection.execute(update(_HASH).where(chosen).values(active=False))
        return self._connection.execute(
            select(func.count()).select_from(_HASH).where(condition & _HASH.c.active)
        ).scalar_one()

    def forget(self, log_index: int) -> None:
        """Deletes all media hashes of a statement."""
        self._connection.execute(delete(_HASH).where(_HASH.c.log_index == log_index))

    def count(self) -> int:
        """Returns how many media hashes are active."""
        return self._connection.execute(
            select(func.count()).select_from(_HASH).where(_HASH.c.active)
        ).scalar_one()
