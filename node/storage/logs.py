"""How far each log is known: size, frontier, and the checkpoint that was verified last."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from node.storage.rows import LogRow
from node.storage.sql import table, upsert
from protocol.merkle import Frontier

_LOG = table(LogRow)


@dataclass(frozen=True)
class LogRecord:
    """State of one log: its frontier, and the checkpoint that covers at least that much."""

    origin: str
    frontier: Frontier
    checkpoint: bytes | None


class LogRepository:
    """Logs by origin; the node's own among them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, origin: str) -> LogRecord:
        """Returns what is known of a log; an unknown one is empty."""
        row = self._connection.execute(select(_LOG).where(_LOG.c.origin == origin)).first()
        if row is None:
            return LogRecord(origin, Frontier.EMPTY, None)
        return LogRecord(origin, Frontier.from_bytes(row.frontier), row.checkpoint)

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

    def size(self, origin: str) -> int:
        """Returns how many entries of a log are known."""
        return (
            self._connection.execute(
                select(_LOG.c.size).where(_LOG.c.origin == origin)
            ).scalar_one_or_none()
            or 0
        )
