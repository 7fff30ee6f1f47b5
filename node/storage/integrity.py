"""What fsck reads: everything in the order of the log, in pages, and nothing by its meaning."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, func, or_, select

from node.storage.media import MediaHash
from node.storage.rows import (
    AvatarRow,
    DisputeRow,
    EnvelopeRow,
    FingerprintRow,
    MediaHashRow,
    StatementRow,
)
from node.storage.sql import split_numbers, table

_STATEMENT = table(StatementRow)
_ENVELOPE = table(EnvelopeRow)
_HASH = table(MediaHashRow)
_FINGERPRINT = table(FingerprintRow)
_AVATAR = table(AvatarRow)
_DISPUTE = table(DisputeRow)
_OF_BODIES = (_ENVELOPE, _HASH, _FINGERPRINT, _AVATAR)


class StatementLine(NamedTuple):
    """A statement as its row describes it; `id` is raw."""

    log_index: int
    id: bytes
    kind: str
    issuer: str
    keyid: str
    issued: int
    ends: int | None
    target_index: int | None
    state: str
    category: str | None
    items: int


class HashLine(NamedTuple):
    """A media hash as it is stored."""

    hash: MediaHash
    active: bool


class FingerprintLine(NamedTuple):
    """A fingerprint as it is stored."""

    slot: int
    kind: str
    circle: str
    epoch: int
    scheme: str
    value: bytes

    def __repr__(self) -> str:
        return "FingerprintLine(hidden)"


class Withdrawal(NamedTuple):
    """A retract or a resolve that points at a statement; the body says what it does."""

    target_index: int
    log_index: int


class IntegrityRepository:
    """Rows by ranges of the log."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lines(self, start: int, *, limit: int, max_bytes: int) -> list[StatementLine]:
        """Returns the statements from a place in the log on, in its order.

        Args:
            start: first place.
            limit: how many at most.
            max_bytes: how long their bodies are together at most, but for the first.
        """
        columns = [_STATEMENT.c[name] for name in StatementLine._fields]
        length = func.coalesce(func.length(_ENVELOPE.c.body), 0)
        rows = self._connection.execute(
            select(*columns, length)
            .outerjoin_from(_STATEMENT, _ENVELOPE, _STATEMENT.c.log_index == _ENVELOPE.c.log_index)
            .where(_STATEMENT.c.log_index >= start)
            .order_by(_STATEMENT.c.log_index)
            .limit(limit)
        )
        found: list[StatementLine] = []
        for *values, body_bytes in rows:
            max_bytes -= body_bytes
            if max_bytes < 0 and found:
                break
            found.append(StatementLine._make(values))
        return found

    def ids(self, start: int, end: int, limit: int) -> list[tuple[int, bytes]]:
        """Returns place and raw id of the statements from `start` on, before `end`."""
        at = _STATEMENT.c
        found = self._connection.execute(
            select(at.log_index, at.id)
            .where(at.log_index >= start, at.log_index < end)
            .order_by(at.log_index)
            .limit(limit)
        )
        return [(row.log_index, bytes(row.id)) for row in found]

    def hashes(self, first: int, last: int) -> dict[int, list[HashLine]]:
        """Returns the media hashes of the statements at these places, in their order."""
        columns = [_HASH.c[name] for name in MediaHash._fields]
        rows = self._between(_HASH, [*columns, _HASH.c.active], first, last, _HASH.c.slot)
        found: dict[int, list[HashLine]] = {}
        for *values, active in rows:
            found.setdefault(values[0], []).append(HashLine(MediaHash._make(values), bool(active)))
        return found

    def fingerprints(self, first: int, last: int) -> dict[int, list[FingerprintLine]]:
        """Returns the fingerprints of the bans at these places, in their order."""
        at = _FINGERPRINT.c
        columns = [at[name] for name in FingerprintLine._fields]
        found: dict[int, list[FingerprintLine]] = {}
        rows = self._between(_FINGERPRINT, [at.log_index, *columns], first, last, at.slot)
        for place, *values in rows:
            found.setdefault(place, []).append(FingerprintLine._make(values))
        return found

    def avatars(self, first: int, last: int) -> dict[int, bytes]:
        """Returns the pdqs of the avatars of the bans at these places."""
        columns = [_AVATAR.c.log_index, _AVATAR.c.pdq]
        rows = self._between(_AVATAR, columns, first, last, _AVATAR.c.log_index)
        return {place: bytes(pdq) for place, pdq in rows}

    def withdrawals(self, targets: Collection[int]) -> list[Withdrawal]:
        """Returns the retracts and resolves that point at statements at these places."""
        at = _STATEMENT.c
        found = self._connection.execute(
            select(at.target_index, at.log_index).where(
                at.target_index.in_(sorted(targets)), at.kind.in_(("retract", "resolve"))
            )
        )
        return [Withdrawal(*row) for row in found]

    def disputed_items(self, dispute: bytes) -> tuple[int, ...] | None:
        """Returns which items a dispute is about, none for all; None where it is not known."""
        found = self._connection.execute(
            select(_DISPUTE.c["items"])
            .join(_STATEMENT, _STATEMENT.c.log_index == _DISPUTE.c.log_index)
            .where(_STATEMENT.c.id == dispute)
        ).scalar_one_or_none()
        return None if found is None else split_numbers(found)

    def strays(self, size: int) -> int:
        """Returns how many rows belong to places that a log of this size does not have."""
        found = 0
        for one in _OF_BODIES:
            place = one.c.log_index
            counted = select(func.count(place)).where(or_(place >= size, place < 0))
            found += self._connection.execute(counted).scalar_one()
        return found

    def _between(
        self, rows: Table, columns: Sequence[Any], first: int, last: int, then: Any
    ) -> Sequence[Any]:
        place = rows.c.log_index
        return self._connection.execute(
            select(*columns).where(place >= first, place <= last).order_by(place, then)
        ).fetchall()
