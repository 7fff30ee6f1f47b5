"""What keeps a list healthy: how much was taken in of whom."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select, tuple_

from node.storage.gate_rows import IntakeRow
from node.storage.sql import add_to, table

_INTAKE = table(IntakeRow)

Scope = tuple[str, str]
"""``issuer``, ``category`` or ``organisation``, and its name."""


class GateRepository:
    """Counters of what was taken in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def taken_in(self, day: str, scopes: list[Scope]) -> Mapping[Scope, int]:
        """Returns how many entries of each scope were taken in on a day, where there were any."""
        found = self._connection.execute(
            select(_INTAKE).where(
                _INTAKE.c.day == day, tuple_(_INTAKE.c.scope, _INTAKE.c.name).in_(scopes)
            )
        )
        return {(row.scope, row.name): row.entries for row in found}

    def take_in(self, day: str, scopes: list[Scope], entries: int, *, at: int) -> None:
        """Counts entries that are taken in, for each scope."""
        rows = [
            {"day": day, "scope": scope, "name": name, "entries": entries, "last": at}
            for scope, name in scopes
        ]
        add_to(self._connection, _INTAKE, rows, counter="entries", last="last")

    def forget_intake(self, *, before: int) -> None:
        """Deletes counters that were last added to before an instant."""
        self._connection.execute(delete(_INTAKE).where(_INTAKE.c.last < before))
