"""Fingerprints of banned accounts: equality and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from node.storage.rows import FingerprintRow
from node.storage.sql import table

_FINGERPRINT = table(FingerprintRow)


@dataclass(frozen=True, repr=False)
class FingerprintRecord:
    """One fingerprint of one account-ban."""

    log_index: int
    slot: int
    kind: str
    circle: str
    epoch: int
    scheme: str
    value: bytes


class AccountRepository:
    """Fingerprints by value."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, fingerprints: Sequence[FingerprintRecord]) -> None:
        """Stores the fingerprints of one account-ban."""
        self._connection.execute(insert(_FINGERPRINT), [dict(vars(one)) for one in fingerprints])

    def with_values(self, values: Sequence[bytes]) -> list[FingerprintRecord]:
        """Returns every fingerprint that equals one of `values`.

        The query is the same, and looks at as many values, whether or not anything is found.
        """
        found = self._connection.execute(
            select(_FINGERPRINT).where(_FINGERPRINT.c.value.in_(list(values)))
        )
        return [FingerprintRecord(**row) for row in found.mappings()]

    def forget(self, log_index: int) -> None:
        """Deletes the fingerprints of a statement."""
        self._connection.execute(delete(_FINGERPRINT).where(_FINGERPRINT.c.log_index == log_index))
