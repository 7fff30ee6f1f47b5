"""Uploads that platforms registered: by number, by the platform's own id, and by their digests."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select

from node.storage.sql import table
from node.storage.upload_rows import UploadRow
from protocol.limits import PDQ_MIN_QUALITY

_UPLOAD = table(UploadRow)
_CHUNK = 400
_COMPARABLE = _UPLOAD.c.pdq.is_not(None) & or_(
    _UPLOAD.c.quality.is_(None), _UPLOAD.c.quality >= PDQ_MIN_QUALITY
)
"""A pdq of lower quality matches nothing, so it need not be in an index."""


@dataclass(frozen=True, repr=False)
class UploadRecord:
    """An upload of one client.

    Attributes:
        client: number of the client.
        id: what the client calls it.
        surface: where it was shown.
        ends: when the node forgets it.
        number: its place among all uploads that were ever registered; None before it is stored.
    """

    client: int
    id: str
    surface: str
    pdq: bytes | None
    quality: int | None
    sha256: bytes | None
    sha1: bytes | None
    md5: bytes | None
    uploaded: int | None
    ends: int
    number: int | None = None


class UploadRepository:
    """Registered uploads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, uploads: Sequence[UploadRecord]) -> None:
        """Stores new uploads; their numbers grow in the order given."""
        rows = [asdict(one) for one in uploads]
        for row in rows:
            del row["number"]
        if rows:
            self._connection.execute(insert(_UPLOAD), rows)

    def of_client(self, client: int, ids: Collection[str]) -> dict[str, UploadRecord]:
        """Returns those of a client's uploads that have one of these ids."""
        found = {}
        for part in _parts(sorted(ids)):
            wanted = (_UPLOAD.c.client == client) & _UPLOAD.c.id.in_(part)
            for row in self._connection.execute(select(_UPLOAD).where(wanted)):
                found[row.id] = _upload(row)
        return found

    def at(self, numbers: Collection[int]) -> dict[int, UploadRecord]:
        """Returns the uploads with these numbers that are still there."""
        return {
            row.number: _upload(row)
            for part in _parts(sorted(numbers))
            for row in self._connection.execute(select(_UPLOAD).where(_UPLOAD.c.number.in_(part)))
        }

    def after(self, number: int, *, limit: int) -> list[UploadRecord]:
        """Returns the uploads behind a number, in the order of registration."""
        found = self._connection.execute(
            select(_UPLOAD).where(_UPLOAD.c.number > number).order_by(_UPLOAD.c.number).limit(limit)
        )
        return [_upload(row) for row in found]

    def pdqs_after(self, number: int, *, limit: int) -> list[tuple[int, bytes]]:
        """Returns number and pdq of the uploads behind a number whose pdq can match anything."""
        found = self._connection.execute(
            select(_UPLOAD.c.number, _UPLOAD.c.pdq)
            .where(_UPLOAD.c.number > number, _COMPARABLE)
            .order_by(_UPLOAD.c.number)
            .limit(limit)
        )
        return [(row.number, row.pdq) for row in found]

    def with_digests(self, values: Mapping[str, Collection[bytes]]) -> set[int]:
        """Returns the numbers of the uploads that have one of these digests, given by kind."""
        return {
            row.number
            for kind, wanted in values.items()
            for part in _parts(sorted(wanted))
            for row in self._connection.execute(
                select(_UPLOAD.c.number).where(_UPLOAD.c[kind].in_(part))
            )
        }

    def last(self) -> int:
        """Returns the greatest number of an upload; 0 if there is none."""
        return self._connection.execute(select(func.max(_UPLOAD.c.number))).scalar() or 0

    def mark_of(self, number: int) -> str | None:
        """Returns what tells the upload of a number from another that may have it elsewhere."""
        row = self._connection.execute(
            select(_UPLOAD.c.pdq).where(_UPLOAD.c.number == number)
        ).first()
        return None if row is None or row.pdq is None else row.pdq[:8].hex()

    def remove(self, numbers: Collection[int]) -> None:
        """Deletes uploads."""
        for part in _parts(sorted(numbers)):
            self._connection.execute(delete(_UPLOAD).where(_UPLOAD.c.number.in_(part)))

    def ended(self, now: int, *, limit: int) -> list[int]:
        """Returns the numbers of uploads whose end has come."""
        found = self._connection.execute(
            select(_UPLOAD.c.number).where(_UPLOAD.c.ends <= now).limit(limit)
        )
        return [row.number for row in found]


def _parts(values: "Sequence[Any]") -> Iterator[Sequence[Any]]:
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))


def _upload(row: Any) -> UploadRecord:
    return UploadRecord(**row._asdict())
