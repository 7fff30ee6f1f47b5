"""What this node cosigned of other logs, and what witnesses put on its own."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, bindparam, select

from node.storage.seen import Seen
from node.storage.sql import table, upsert
from node.storage.witness_rows import PublishedRow, WitnessedRow

_WITNESSED = table(WitnessedRow)
_PUBLISHED = table(PublishedRow)
# Built once: to build it costs more than to ask.
_BARS = select(_PUBLISHED.c.stage, _PUBLISHED.c.size).where(
    _PUBLISHED.c.origin == bindparam("origin"),
    (_PUBLISHED.c.stage == "forked") | (_PUBLISHED.c.stage == "behind"),
)
_OWN = select(*(_PUBLISHED.c.origin, _PUBLISHED.c.size, _PUBLISHED.c.note, _PUBLISHED.c.at)).where(
    _PUBLISHED.c.origin == bindparam("origin"), _PUBLISHED.c.stage == bindparam("stage")
)

Stage = Literal["asked", "published", "behind", "forked"]


@dataclass(frozen=True)
class NoteRecord:
    """A checkpoint of one log, with the signatures that it has. Times are Unix seconds."""

    origin: str
    size: int
    note: bytes
    at: int


class WitnessRepository:
    """Checkpoints by the origin of their log."""

    def __init__(self, connection: Connection, seen: Seen) -> None:
        self._connection = connection
        self._seen = seen

    def witnessed(self, origin: str) -> NoteRecord | None:
        """Returns the latest checkpoint of a log that this node cosigned."""
        found = self._connection.execute(
            select(_WITNESSED).where(_WITNESSED.c.origin == origin)
        ).mappings()
        row = found.first()
        return None if row is None else NoteRecord(**row)

    def all_witnessed(self) -> list[NoteRecord]:
        """Returns the latest checkpoint of every log that this node cosigned, by origin."""
        found = self._connection.execute(select(_WITNESSED).order_by(_WITNESSED.c.origin))
        return [NoteRecord(**row) for row in found.mappings()]

    def put_witnessed(self, record: NoteRecord) -> None:
        """Stores the checkpoint of a log that this node cosigns; the schema lets none shrink."""
        upsert(self._connection, _WITNESSED, vars(record))

    def is_barred(self, origin: str, size: int) -> bool:
        """Whether the node's own log, being this long, is known not to be what it has signed."""
        bars = self._seen.get("bars", origin, lambda: self._bars(origin))
        return any(stage == "forked" or least > size for stage, least in bars)

    def _bars(self, origin: str) -> list[tuple[str, int]]:
        found = self._connection.execute(_BARS, {"origin": origin})
        return [(row.stage, row.size) for row in found]

    def own(self, origin: str, stage: Stage) -> NoteRecord | None:
        """Returns the checkpoint of the node's own log at a stage, with its cosignatures."""
        found = self._connection.execute(_OWN, {"origin": origin, "stage": stage}).mappings()
        row = found.first()
        return None if row is None else NoteRecord(**row)

    def put_own(self, record: NoteRecord, stage: Stage) -> None:
        """Stores the checkpoint of the node's own log at a stage."""
        upsert(self._connection, _PUBLISHED, {**vars(record), "stage": stage})
        self._seen.forget("bars")
