"""Evidence of every peer, to be looked through and cleared of what was erased."""

from sqlalchemy import Connection, delete, insert, select

from node.storage.rows import EvidenceRow
from node.storage.sql import table

_EVIDENCE = table(EvidenceRow)


class EvidenceRepository:
    """Pieces of evidence by number; `PeerRepository` keeps new ones."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def numbers(self) -> list[int]:
        """Returns the numbers of all pieces."""
        found = self._connection.execute(select(_EVIDENCE.c.number).order_by(_EVIDENCE.c.number))
        return [row.number for row in found]

    def at(self, number: int) -> bytes:
        """Returns one piece; nothing where there is none of this number."""
        found = self._connection.execute(
            select(_EVIDENCE.c.body).where(_EVIDENCE.c.number == number)
        )
        return found.scalar() or b""

    def clear(self, number: int, note: bytes) -> None:
        """Puts a note in the place of one piece, which is deleted: evidence is never changed."""
        found = self._connection.execute(select(_EVIDENCE).where(_EVIDENCE.c.number == number))
        row = found.mappings().one()
        self._connection.execute(delete(_EVIDENCE).where(_EVIDENCE.c.number == number))
        self._connection.execute(insert(_EVIDENCE).values({**row, "body": note}))
