"""Evidence against nodes: what was kept, which of it is a document, and who was told of it."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from node.storage.rows import EvidenceRow
from node.storage.sql import insert_new, table, upsert
from node.storage.witness_rows import AccusedRow, ToldRow

_EVIDENCE = table(EvidenceRow)
_TOLD = table(ToldRow)
_ACCUSED = table(AccusedRow)
_DOCUMENT: Final = ""
"""Stands in place of a peer's name for: this piece is a document of its own."""

_MOST_DOCUMENTS: Final = 16


@dataclass(frozen=True)
class AccusedLog:
    """Up to which place of one log evidence has reached, and up to which it was judged."""

    origin: str
    seen: int
    judged: int


@dataclass(frozen=True, repr=False)
class EvidenceRecord:
    """One piece of evidence. Times are Unix seconds."""

    number: int
    peer: str
    message: str
    body: bytes
    at: int
    is_document: bool


class EvidenceRepository:
    """Pieces by number, counting up."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, peer: str, message: str, document: bytes, *, at: int) -> int | None:
        """Keeps a document against a node; returns its number, None where there are enough.

        Whoever holds a node's key can make any number of them: the first ones are kept.
        """
        if len(self.documents(peer)) >= _MOST_DOCUMENTS:
            return None
        number: int = self._connection.execute(
            insert(_EVIDENCE)
            .values(peer=peer, message=message, body=document, at=at)
            .returning(_EVIDENCE.c.number)
        ).scalar_one()
        self.mark_told(number, _DOCUMENT)
        return number

    def all(self) -> list[EvidenceRecord]:
        """Returns every piece, oldest first."""
        marked = select(_TOLD.c.evidence).where(_TOLD.c.peer == _DOCUMENT)
        documents = {row.evidence for row in self._connection.execute(marked)}
        found = self._connection.execute(select(_EVIDENCE).order_by(_EVIDENCE.c.number))
        return [
            EvidenceRecord(**row, is_document=row["number"] in documents)
            for row in found.mappings()
        ]

    def documents(self, peer: str) -> list[bytes]:
        """Returns the documents against one node, oldest first."""
        found = self._connection.execute(
            select(_EVIDENCE.c.body)
            .join(_TOLD, (_TOLD.c.evidence == _EVIDENCE.c.number) & (_TOLD.c.peer == _DOCUMENT))
            .where(_EVIDENCE.c.peer == peer)
            .order_by(_EVIDENCE.c.number)
        )
        return [bytes(row.body) for row in found]

    def count_documents(self) -> int:
        """Returns how many documents there are against anybody."""
        return self._connection.execute(
            select(func.count()).select_from(_TOLD).where(_TOLD.c.peer == _DOCUMENT)
        ).scalar_one()

    def untold(self, peer: str) -> list[tuple[int, bytes]]:
        """Returns the documents that a peer was not told yet, but none about itself."""
        told = select(_TOLD.c.evidence).where(_TOLD.c.peer == peer)
        found = self._connection.execute(
            select(_EVIDENCE.c.number, _EVIDENCE.c.body)
            .join(_TOLD, (_TOLD.c.evidence == _EVIDENCE.c.number) & (_TOLD.c.peer == _DOCUMENT))
            .where(_EVIDENCE.c.peer != peer, _EVIDENCE.c.number.not_in(told))
            .order_by(_EVIDENCE.c.number)
        )
        return [(row.number, bytes(row.body)) for row in found]

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
        """Puts a note in the place of one piece, which is deleted: evidence is never changed.

        What is left is no document, whatever it was before.
        """
        found = self._connection.execute(select(_EVIDENCE).where(_EVIDENCE.c.number == number))
        row = found.mappings().one()
        self._connection.execute(delete(_EVIDENCE).where(_EVIDENCE.c.number == number))
        self._connection.execute(insert(_EVIDENCE).values({**row, "body": note}))
        self._connection.execute(delete(_TOLD).where(_TOLD.c.evidence == number))

    def mark_told(self, number: int, peer: str) -> None:
        """Remembers that a peer knows of a document."""
        insert_new(self._connection, _TOLD, {"evidence": number, "peer": peer})

    def accused(self, name: str) -> dict[str, AccusedLog]:
        """Returns what is known of the logs that evidence was about, by origin."""
        found = self._connection.execute(select(_ACCUSED).where(_ACCUSED.c.name == name))
        return {row.origin: AccusedLog(row.origin, row.seen, row.judged) for row in found}

    def put_accused(self, name: str, log: AccusedLog) -> None:
        """Stores it in place of what stood there."""
        upsert(self._connection, _ACCUSED, {"name": name, **vars(log)})
