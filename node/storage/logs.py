"""How far each log is known, and the tree over the node's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, false, func, not_, or_, select

from node.storage.log_rows import LogTileRow
from node.storage.rows import LogRow
from node.storage.seen import Seen
from node.storage.sql import insert_many, table, upsert
from protocol.merkle import TILE_HEIGHT, Frontier

_LOG = table(LogRow)
_SIZE = select(_LOG.c.size).where(_LOG.c.origin == bindparam("origin"))
_TILE = table(LogTileRow)
# Built once: each statement and each sync asks for it, and to build it costs more than to ask.
_OF_ORIGIN = select(_LOG).where(_LOG.c.origin == bindparam("origin"))


@dataclass(frozen=True)
class LogRecord:
    """State of one log: its frontier, and the checkpoint that covers at least that much."""

    origin: str
    frontier: Frontier
    checkpoint: bytes | None


class LogRepository:
    """Logs by origin; the node's own among them."""

    def __init__(self, connection: Connection, seen: Seen) -> None:
        self._connection = connection
        self._seen = seen

    def get(self, origin: str) -> LogRecord:
        """Returns what is known of a log; an unknown one is empty."""
        return self._seen.get("log", origin, lambda: self._read(origin))

    def _read(self, origin: str) -> LogRecord:
        row = self._connection.execute(_OF_ORIGIN, {"origin": origin}).first()
        if row is None:
            return LogRecord(origin, Frontier.EMPTY, None)
        return LogRecord(origin, Frontier.from_bytes(row.frontier), row.checkpoint)

    def origins(self) -> list[str]:
        """Returns every log of which anything is known, by the name under which it is kept."""
        found = self._connection.execute(select(_LOG.c.origin).order_by(_LOG.c.origin))
        return [row.origin for row in found]

    def put(self, record: LogRecord) -> None:
        """Stores what is known of a log."""
        upsert(
            self._connection,
            _LOG,
            {
                "origin": record.origin,
                "size": record.frontier.size,
                "frontier": record.frontier.to_bytes(),
                "checkpoint": record.checkpoint,
            },
        )
        self._seen.put("log", record.origin, record)

    def size(self, origin: str) -> int:
        """Returns how many entries of a log are known."""
        return self._connection.execute(_SIZE, {"origin": origin}).scalar_one_or_none() or 0

    def add_tiles(self, old_size: int, full: Mapping[int, Sequence[bytes]]) -> None:
        """Stores the roots of tiles of the node's own log that became full.

        Args:
            old_size: entries of the log before it grew.
            full: the roots by level, as `Frontier.grow` gives them.
        """
        rows = [
            (level, (old_size >> _above(level)) + at, root)
            for level, roots in full.items()
            for at, root in enumerate(roots)
        ]
        insert_many(self._connection, _TILE, ("level", "number", "root"), rows)

    def tile_roots(self, level: int, first: int, count: int) -> list[bytes]:
        """Returns the roots of tiles of the node's own log, from number `first` on."""
        return list(self.tiles_at(level, first, count).values())

    def tiles_at(self, level: int, first: int, count: int) -> dict[int, bytes]:
        """Returns the same by number, in its order."""
        at = _TILE.c
        found = self._connection.execute(
            select(at.number, at.root)
            .where(at.level == level, at.number >= first, at.number < first + count)
            .order_by(at.number)
        )
        return {row.number: row.root for row in found}

    def stray_tiles(self, size: int) -> int:
        """Returns how many roots are kept of tiles that a log of this size does not have full."""
        at = _TILE.c
        levels = range(-(-size.bit_length() // TILE_HEIGHT))
        kept = or_(
            false(),
            *(
                (at.level == level) & (at.number >= 0) & (at.number < size >> _above(level))
                for level in levels
            ),
        )
        return self._connection.execute(
            select(func.count()).select_from(_TILE).where(not_(kept))
        ).scalar_one()

    def forget_tiles(self) -> None:
        """Deletes the roots of all tiles, to be made anew from the entries."""
        self._connection.execute(delete(_TILE))


def _above(level: int) -> int:
    """Returns by how many bits a log's size is shifted to count the full tiles of a level."""
    return TILE_HEIGHT * (level + 1)
