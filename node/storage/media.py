"""Media hashes: exact digests by equality, and pdqs for the index in memory."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, tuple_, update

from node.storage import rows
from node.storage.sql import insert_many, table

_HASH = table(rows.MediaHashRow)
_CHUNK = 400
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
        return self._from(log_index, NEAR_KINDS, limit)

    def digests_from(self, log_index: int, *, limit: int) -> list[MediaHash]:
        """Returns the active exact digests in the way in which `pdqs_from` returns pdqs."""
        return self._from(log_index, EXACT_KINDS, limit)

    def _from(self, log_index: int, kinds: Sequence[str], limit: int) -> list[MediaHash]:
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
        found = self._connection.execute(
            select(*_COLUMNS).where(wanted).order_by(_HASH.c.log_index, _HASH.c.slot)
        )
        return [MediaHash._make(row) for row in found]

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
