"""Statements and their envelopes: the log's entries and the index over them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from node.storage.rows import DisputeRow, EnvelopeRow, StatementRow
from node.storage.sql import insert_one, join_list, split_list, split_numbers, table
from protocol.fields import StatementId

_STATEMENT = table(StatementRow)
_ENVELOPE = table(EnvelopeRow)
_DISPUTE = table(DisputeRow)
_CHUNK = 500
_OF_ID = select(_STATEMENT).where(_STATEMENT.c.id == bindparam("id"))

# Built once: a sign-up check passes here, and to build one takes longer than to execute it.
_AT_PLACES = select(_STATEMENT).where(
    _STATEMENT.c.log_index.in_(bindparam("places", expanding=True))
)
_ABOUT = select(_DISPUTE).where(_DISPUTE.c.target_index.in_(bindparam("places", expanding=True)))
_OPEN_ABOUT = _ABOUT.where(_DISPUTE.c.state == "open")

GONE = ("erased", "expired")
"""States in which the body is no longer kept."""


@dataclass(frozen=True)
class StatementRecord:
    """What the index knows of one statement. Times are Unix seconds."""

    log_index: int
    id: StatementId
    kind: str
    issuer: str
    issued: int
    ends: int | None
    target_index: int | None
    audience: tuple[str, ...]
    state: str
    category: str | None
    issuer_code: str | None
    flags: tuple[str, ...]
    surfaces: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    items: int


@dataclass(frozen=True)
class Scope:
    """What makes statements alike to a policy, and never changes of one."""

    issuer: str
    category: str | None
    surfaces: tuple[str, ...]
    jurisdictions: tuple[str, ...]


@dataclass(frozen=True)
class DisputeRecord:
    """One dispute; `items` empty means the whole statement.

    `state` is ``open``, ``upheld``, ``rejected``, or ``replaced`` by a later one of its issuer.
    """

    log_index: int
    target_index: int
    items: tuple[int, ...]
    state: str

    def covers(self, item: int) -> bool:
        """Whether the dispute is about this item."""
        return not self.items or item in self.items


class StatementRepository:
    """Statements by place in the log and by id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, record: StatementRecord, *, keyid: str, received: int, source: str) -> None:
        """Stores the index row of one statement at its place in the log."""
        values = {
            "log_index": record.log_index,
            "id": bytes.fromhex(record.id),
            "kind": record.kind,
            "issuer": record.issuer,
            "keyid": keyid,
            "issued": record.issued,
            "ends": record.ends,
            "target_index": record.target_index,
            "audience": join_list(record.audience),
            "received": received,
            "received_from": source,
            "state": record.state,
            "category": record.category,
            "issuer_code": record.issuer_code,
            "flags": join_list(record.flags),
            "surfaces": join_list(record.surfaces),
            "jurisdictions": join_list(record.jurisdictions),
            "items": record.items,
        }
        insert_one(self._connection, _STATEMENT, values)

    def keep_envelope(self, log_index: int, body: bytes) -> None:
        """Stores the exact bytes of a statement."""
        insert_one(self._connection, _ENVELOPE, {"log_index": log_index, "body": body})

    def by_id(self, statement_id: str) -> StatementRecord | None:
        """Returns the statement with this id."""
        found = self._connection.execute(_OF_ID, {"id": bytes.fromhex(statement_id)})
        row = found.mappings().first()
        return None if row is None else _record(row)

    def by_ids(self, ids: Iterable[str]) -> dict[StatementId, StatementRecord]:
        """Returns the statements among `ids` that are here."""
        return {
            record.id: record
            for part in _chunks([bytes.fromhex(one) for one in ids])
            for record in self._select(_STATEMENT.c.id.in_(part))
        }

    def by_indices(self, indices: Iterable[int]) -> dict[int, StatementRecord]:
        """Returns the statements at these places in the log."""
        return {
            record.log_index: record
            for part in _chunks(sorted(set(indices)))
            for record in map(
                _record, self._connection.execute(_AT_PLACES, {"places": part}).mappings()
            )
        }

    def scopes(self, indices: Iterable[int]) -> dict[int, Scope]:
        """Returns the scopes of the statements at these places in the log."""
        at = _STATEMENT.c
        columns = (at.log_index, at.issuer, at.category, at.surfaces, at.jurisdictions)
        return {
            row.log_index: Scope(
                row.issuer, row.category, split_list(row.surfaces), split_list(row.jurisdictions)
            )
            for part in _chunks(sorted(set(indices)))
            for row in self._connection.execute(select(*columns).where(at.log_index.in_(part)))
        }

    def by_issuer(self, issuer: str, *, before: int | None, limit: int) -> list[StatementRecord]:
        """Returns an issuer's statements, newest first, those before a place in the log."""
        condition = _STATEMENT.c.issuer == issuer
        if before is not None:
            condition &= _STATEMENT.c.log_index < before
        found = self._connection.execute(
            select(_STATEMENT).where(condition).order_by(_STATEMENT.c.log_index.desc()).limit(limit)
        )
        return [_record(row) for row in found.mappings()]

    def about(
        self, target_index: int, kinds: Sequence[str], *, limit: int
    ) -> list[StatementRecord]:
        """Returns the statements of these kinds that point at one, those taken in last first."""
        found = self._connection.execute(
            select(_STATEMENT)
            .where(_STATEMENT.c.target_index == target_index, _STATEMENT.c.kind.in_(kinds))
            .order_by(_STATEMENT.c.log_index.desc())
            .limit(limit)
        )
        return [_record(row) for row in found.mappings()]

    def taken_back_by(self, organisation: str, kinds: Sequence[str], *, limit: int) -> list[int]:
        """Returns the places of what an organisation, or its flaggers, took back last, once each.

        Args:
            organisation: whose retracts, resolves and erases are looked at.
            kinds: of these.
            limit: how many of them.
        """
        own = (_STATEMENT.c.issuer == organisation) | _STATEMENT.c.issuer.startswith(
            f"{organisation}/"
        )
        found = self._connection.execute(
            select(_STATEMENT.c.target_index)
            .where(own, _STATEMENT.c.kind.in_(kinds), _STATEMENT.c.target_index.is_not(None))
            .order_by(_STATEMENT.c.log_index.desc())
            .limit(limit)
        )
        return list(dict.fromkeys(row.target_index for row in found))

    def of_kinds(self, kinds: Sequence[str], start: int, *, limit: int) -> list[StatementRecord]:
        """Returns the statements of these kinds from a place in the log on, in its order."""
        found = self._connection.execute(
            select(_STATEMENT)
            .where(_STATEMENT.c.log_index >= start, _STATEMENT.c.kind.in_(kinds))
            .order_by(_STATEMENT.c.log_index)
            .limit(limit)
        )
        return [_record(row) for row in found.mappings()]

    def received(self, indices: Iterable[int]) -> dict[int, int]:
        """Returns when the statements at these places were taken in, in Unix seconds."""
        return {
            row.log_index: row.received
            for part in _chunks(sorted(set(indices)))
            for row in self._connection.execute(
                select(_STATEMENT.c.log_index, _STATEMENT.c.received).where(
                    _STATEMENT.c.log_index.in_(part)
                )
            )
        }

    def _select(self, condition: Any) -> list[StatementRecord]:
        found = self._connection.execute(select(_STATEMENT).where(condition))
        return [_record(row) for row in found.mappings()]

    def entries(self, start: int, limit: int) -> list[StatementId]:
        """Returns the ids at the places from `start` on."""
        found = self._connection.execute(
            select(_STATEMENT.c.id)
            .where(_STATEMENT.c.log_index >= start)
            .order_by(_STATEMENT.c.log_index)
            .limit(limit)
        )
        return [StatementId(row.id.hex()) for row in found]

    def envelopes(self, indices: Iterable[int]) -> dict[int, bytes]:
        """Returns the exact bytes of the statements at these places, where they are kept."""
        found: dict[int, bytes] = {}
        for part in _chunks(sorted(set(indices))):
            rows = self._connection.execute(
                select(_ENVELOPE).where(_ENVELOPE.c.log_index.in_(part))
            )
            found.update({row.log_index: row.body for row in rows})
        return found

    def set_state(self, log_index: int, state: str) -> None:
        """Changes what has become of a statement."""
        self._connection.execute(
            update(_STATEMENT).where(_STATEMENT.c.log_index == log_index).values(state=state)
        )

    def forget(self, log_index: int, state: str) -> None:
        """Deletes a body and everything that the index took from it; the log entry stays."""
        self._connection.execute(delete(_ENVELOPE).where(_ENVELOPE.c.log_index == log_index))
        self._connection.execute(
            update(_STATEMENT)
            .where(_STATEMENT.c.log_index == log_index)
            .values(
                state=state,
                category=None,
                issuer_code=None,
                flags="",
                surfaces="",
                jurisdictions="",
            )
        )

    def ended(self, now: int, *, limit: int) -> list[StatementRecord]:
        """Returns media-flags and account-bans whose end has come and whose body is still here."""
        found = self._connection.execute(
            select(_STATEMENT)
            .where(
                _STATEMENT.c.ends <= now,
                _STATEMENT.c.kind.in_(("media-flag", "account-ban")),
                _STATEMENT.c.state.not_in(GONE),
            )
            .order_by(_STATEMENT.c.log_index)
            .limit(limit)
        )
        return [_record(row) for row in found.mappings()]

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Returns how many statements there are of each (kind, state)."""
        found = self._connection.execute(
            select(_STATEMENT.c.kind, _STATEMENT.c.state, func.count()).group_by(
                _STATEMENT.c.kind, _STATEMENT.c.state
            )
        )
        return {(kind, state): count for kind, state, count in found}

    def add_dispute(self, dispute: DisputeRecord) -> None:
        """Stores a dispute."""
        self._connection.execute(
            insert(_DISPUTE).values(
                log_index=dispute.log_index,
                target_index=dispute.target_index,
                items=join_list(dispute.items),
                state=dispute.state,
            )
        )

    def set_dispute_state(self, log_index: int, state: str) -> None:
        """Changes what became of a dispute."""
        self._connection.execute(
            update(_DISPUTE).where(_DISPUTE.c.log_index == log_index).values(state=state)
        )

    def disputes(self, targets: Sequence[int]) -> list[DisputeRecord]:
        """Returns all disputes about the statements at these places, whatever became of them."""
        return self._disputes(targets, _ABOUT)

    def open_disputes(self, targets: Sequence[int]) -> list[DisputeRecord]:
        """Returns the open disputes about the statements at these places."""
        return self._disputes(targets, _OPEN_ABOUT)

    def _disputes(self, targets: Sequence[int], query: Select[Any]) -> list[DisputeRecord]:
        return [
            DisputeRecord(row.log_index, row.target_index, split_numbers(row.items), row.state)
            for part in _chunks(sorted(set(targets)))
            for row in self._connection.execute(query, {"places": part})
        ]


def _chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for at in range(0, len(values), _CHUNK):
        yield values[at : at + _CHUNK]


def _record(row: RowMapping) -> StatementRecord:
    return StatementRecord(
        log_index=row["log_index"],
        id=StatementId(row["id"].hex()),
        kind=row["kind"],
        issuer=row["issuer"],
        issued=row["issued"],
        ends=row["ends"],
        target_index=row["target_index"],
        audience=split_list(row["audience"]),
        state=row["state"],
        category=row["category"],
        issuer_code=row["issuer_code"],
        flags=split_list(row["flags"]),
        surfaces=split_list(row["surfaces"]),
        jurisdictions=split_list(row["jurisdictions"]),
        items=row["items"],
    )
