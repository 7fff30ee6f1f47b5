"""Streams that are watched: whose they are, and which of their frames resembled what is flagged."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from node.storage.rows import StreamHitRow, StreamRow
from node.storage.sql import insert_new, table

_STREAM = table(StreamRow)
_HIT = table(StreamHitRow)


@dataclass(frozen=True, repr=False)
class StreamRecord:
    """A stream.

    Attributes:
        id: 16 random bytes.
        client: number of the client whose it is.
        surface: where it is shown.
        opened: when it began.
        seen: about when the last frame came; written now and then.
        hits: more than 0 once a frame of it resembled something.
        decision: the strongest so far.
    """

    id: bytes
    client: int
    surface: str
    opened: int
    seen: int
    hits: int = 0
    decision: str = "none"


@dataclass(frozen=True, repr=False)
class StreamHit:
    """A frame of a stream, by its time, that resembles a flagged media hash."""

    at_ms: int
    log_index: int
    slot: int
    distance: int


class StreamRepository:
    """Streams and their hits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, stream: StreamRecord) -> None:
        """Stores a new stream."""
        self._connection.execute(insert(_STREAM), [vars(stream)])

    def get(self, stream_id: bytes) -> StreamRecord | None:
        """Returns a stream, if there is one of this id."""
        found = self._connection.execute(select(_STREAM).where(_STREAM.c.id == stream_id))
        row = found.mappings().first()
        return None if row is None else StreamRecord(**row)

    def count(self, *, client: int) -> tuple[int, int]:
        """Returns how many streams there are, and how many of one client."""
        every = select(func.count()).select_from(_STREAM)
        return (
            self._connection.execute(every).scalar_one(),
            self._connection.execute(every.where(_STREAM.c.client == client)).scalar_one(),
        )

    def touch(self, stream_id: bytes, *, seen: int) -> None:
        """Notes that a stream goes on."""
        self._connection.execute(update(_STREAM).where(_STREAM.c.id == stream_id).values(seen=seen))

    def add_hits(
        self, stream_id: bytes, hits: Sequence[StreamHit], *, seen: int, keep_from_ms: int
    ) -> None:
        """Stores hits of one stream, and drops those before the window.

        Args:
            stream_id: of the stream.
            hits: of its frames; one that is there already is left as it is.
            seen: when they came.
            keep_from_ms: where in the stream the window begins.
        """
        for hit in hits:
            insert_new(self._connection, _HIT, {"stream": stream_id, **vars(hit)})
        self._connection.execute(
            delete(_HIT).where(_HIT.c.stream == stream_id, _HIT.c.at_ms < keep_from_ms)
        )
        self._connection.execute(
            update(_STREAM)
            .where(_STREAM.c.id == stream_id)
            .values(seen=seen, hits=_STREAM.c.hits + len(hits))
        )

    def hits(self, stream_id: bytes, *, from_ms: int, to_ms: int) -> list[StreamHit]:
        """Returns the hits of a stream within a window, both ends included."""
        found = self._connection.execute(
            select(_HIT.c.at_ms, _HIT.c.log_index, _HIT.c.slot, _HIT.c.distance).where(
                _HIT.c.stream == stream_id, _HIT.c.at_ms.between(from_ms, to_ms)
            )
        )
        return [StreamHit(*row) for row in found]

    def set_decision(self, stream_id: bytes, decision: str) -> None:
        """Notes the strongest decision so far."""
        self._connection.execute(
            update(_STREAM).where(_STREAM.c.id == stream_id).values(decision=decision)
        )

    def remove(self, stream_id: bytes) -> None:
        """Deletes a stream with all its hits."""
        self._connection.execute(delete(_HIT).where(_HIT.c.stream == stream_id))
        self._connection.execute(delete(_STREAM).where(_STREAM.c.id == stream_id))

    def forget(self, *, before: int) -> None:
        """Deletes the streams of which nothing was seen since, with their hits."""
        idle = select(_STREAM.c.id).where(_STREAM.c.seen < before)
        self._connection.execute(delete(_HIT).where(_HIT.c.stream.in_(idle)))
        self._connection.execute(delete(_STREAM).where(_STREAM.c.seen < before))
