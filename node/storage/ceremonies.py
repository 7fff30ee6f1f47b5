"""Ceremonies: the plans, how far each has come here, and what every node has said."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, func, or_, select, update

from node.storage.rows import CeremonyPartRow, CeremonyRow
from node.storage.sql import insert_new, table, upsert
from protocol.ceremonies import Confirmation

_CEREMONY = table(CeremonyRow)
_PART = table(CeremonyPartRow)


@dataclass(frozen=True, repr=False)
class CeremonyRecord:
    """A ceremony as it stands at this node.

    Attributes:
        id: of the plan, in hexadecimal.
        plan: its exact bytes.
        state: of `protocol.ceremonies.State`.
        reason: why it was refused or failed.
        culprit: whose fault that was.
        at: when it changed last (Unix time in seconds).
        session: context of the key generation that this node has spoken in.
        shown: digest of round 1 as this node has certified it.
        epoch: what came of the generation, as JSON.
        descriptor: payload that this node has signed; at the coordinator, that it had signed.
    """

    id: str
    circle: str
    version: int
    coordinator: str
    plan: bytes
    state: str
    at: int
    reason: str | None = None
    culprit: str | None = None
    session: bytes | None = None
    shown: bytes | None = None
    epoch: bytes | None = None
    descriptor: bytes | None = None


class CeremonyRepository:
    """Ceremonies and their parts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: CeremonyRecord) -> bool:
        """Stores a new ceremony; returns whether it was new."""
        values = dict(vars(record)) | {"id": bytes.fromhex(record.id)}
        return insert_new(self._connection, _CEREMONY, values)

    def get(self, ceremony: str) -> CeremonyRecord | None:
        """Returns a ceremony by its id."""
        found = self._connection.execute(
            select(_CEREMONY).where(_CEREMONY.c.id == bytes.fromhex(ceremony))
        )
        row = found.mappings().first()
        return None if row is None else _record(row)

    def all(self) -> list[CeremonyRecord]:
        """Returns every ceremony, the latest first."""
        found = self._connection.execute(
            select(_CEREMONY).order_by(_CEREMONY.c.at.desc(), _CEREMONY.c.id)
        )
        return [_record(row) for row in found.mappings()]

    def in_states(self, states: Collection[str]) -> list[CeremonyRecord]:
        """Returns the ceremonies that are in one of these states."""
        found = self._connection.execute(
            select(_CEREMONY).where(_CEREMONY.c.state.in_(list(states)))
        )
        return [_record(row) for row in found.mappings()]

    def proposed(self, coordinator: str, *, at: str, since: int) -> int:
        """Returns how many ceremonies of a coordinator the node `at` has not agreed to.

        Counted are those that wait, and those that came to nothing since then: who takes its plans
        back must not be able to fill the database with them.
        """
        agreed = select(_PART.c.ceremony).where(
            _PART.c.node == at, _PART.c.step == Confirmation.KIND
        )
        return self._connection.execute(
            select(func.count())
            .select_from(_CEREMONY)
            .where(
                _CEREMONY.c.coordinator == coordinator,
                or_(
                    _CEREMONY.c.state == "unconfirmed",
                    and_(_CEREMONY.c.state == "failed", _CEREMONY.c.at >= since),
                ),
                _CEREMONY.c.id.not_in(agreed),
            )
        ).scalar_one()

    def rivals(self, record: CeremonyRecord, states: Collection[str]) -> list[CeremonyRecord]:
        """Returns the other ceremonies for the same version of the circle in these states."""
        found = self._connection.execute(
            select(_CEREMONY).where(
                _CEREMONY.c.circle == record.circle,
                _CEREMONY.c.version == record.version,
                _CEREMONY.c.id != bytes.fromhex(record.id),
                _CEREMONY.c.state.in_(list(states)),
            )
        )
        return [_record(row) for row in found.mappings()]

    def move(self, ceremony: str, before: str, after: str, *, at: int, **values: Any) -> bool:
        """Takes a ceremony from one state to another; False if it was not in the first any more."""
        done = self._connection.execute(
            update(_CEREMONY)
            .where(_CEREMONY.c.id == bytes.fromhex(ceremony), _CEREMONY.c.state == before)
            .values(state=after, at=at, **values)
        )
        return done.rowcount == 1

    def forget(self, states: Collection[str], *, before: int) -> None:
        """Deletes the ceremonies in these states that came into them before an instant."""
        old = select(_CEREMONY.c.id).where(
            _CEREMONY.c.state.in_(list(states)), _CEREMONY.c.at < before
        )
        self._connection.execute(delete(_PART).where(_PART.c.ceremony.in_(old)))
        self._connection.execute(delete(_CEREMONY).where(_CEREMONY.c.id.in_(old)))

    def keep_descriptor(self, ceremony: str, descriptor: bytes) -> bool:
        """Stores what is to be signed, unless there is something already."""
        done = self._connection.execute(
            update(_CEREMONY)
            .where(_CEREMONY.c.id == bytes.fromhex(ceremony), _CEREMONY.c.descriptor.is_(None))
            .values(descriptor=descriptor)
        )
        return done.rowcount == 1

    def put_part(self, ceremony: str, node: str, step: str, body: bytes) -> None:
        """Stores what a node has said in one step; what is there already stays."""
        key = {"ceremony": bytes.fromhex(ceremony), "node": node, "step": step}
        upsert(self._connection, _PART, key | {"body": body}, keep=("body",))

    def parts(self, ceremony: str) -> dict[tuple[str, str], bytes]:
        """Returns everything that was said, by (node, step)."""
        found = self._connection.execute(
            select(_PART).where(_PART.c.ceremony == bytes.fromhex(ceremony))
        )
        return {(row.node, row.step): row.body for row in found}


def _record(row: RowMapping) -> CeremonyRecord:
    return CeremonyRecord(**{**row, "id": row["id"].hex()})
