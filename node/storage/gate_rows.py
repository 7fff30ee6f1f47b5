"""Rows of the tables that keep a list healthy: limits, allow list, quarantine, statistics."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary
from sqlmodel import Field, SQLModel


def _big(*, primary_key: bool = False) -> Column[int]:
    return Column(BigInteger, primary_key=primary_key, autoincrement=False, nullable=False)


class IntakeRow(SQLModel, table=True):
    """Entries that were taken in on one day of one issuer, category or organisation.

    Counted apart from the statements: what was erased meanwhile was taken in all the same.
    """

    __tablename__ = "intake"

    day: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    entries: int = Field(sa_column=_big())
    last: int = Field(sa_column=_big())


class GateStateRow(SQLModel, table=True):
    """One row: a number that changes with every word of the operator, and what shares are drawn by.

    The salt keeps issuers from choosing entries that are among the enabled ones.
    """

    __tablename__ = "gate_state"

    number: int = Field(sa_column=_big(primary_key=True))
    version: int = Field(sa_column=_big())
    salt: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class AllowedRow(SQLModel, table=True):
    """What passes whatever any list says: a pdq with a radius in bits, or a digest."""

    __tablename__ = "allowed"

    number: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    )
    kind: str
    value: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    radius: int
    reason: str
    added: int = Field(sa_column=_big())
    added_by: str
    ends: int = Field(sa_column=_big())


class QuarantineRow(SQLModel, table=True):
    """An entry that matched too much, and what the operator made of it.

    `matches` in an hour, with `usual` and `lookups` beside it; `level` is what was confirmed.
    """

    __tablename__ = "quarantine"

    log_index: int = Field(sa_column=_big(primary_key=True))
    item: int = Field(primary_key=True)
    state: str
    reason: str
    since: int = Field(sa_column=_big())
    matches: int = Field(sa_column=_big())
    usual: int = Field(sa_column=_big())
    lookups: int = Field(sa_column=_big())
    level: int = Field(sa_column=_big())
    told: int | None = Field(default=None, sa_column=Column(BigInteger))
    decided: int | None = Field(default=None, sa_column=Column(BigInteger))
    decided_by: str | None = None


class EntryRateRow(SQLModel, table=True):
    """How often an entry matched: in the hour after its first match, and in the present hour."""

    __tablename__ = "entry_rate"

    log_index: int = Field(sa_column=_big(primary_key=True))
    item: int = Field(primary_key=True)
    first: int = Field(sa_column=_big())
    first_hour: int = Field(sa_column=_big())
    hour: int = Field(sa_column=_big())
    count: int = Field(sa_column=_big())


class LookupCountRow(SQLModel, table=True):
    """How many uploads were looked up in one hour."""

    __tablename__ = "lookup_count"

    hour: int = Field(sa_column=_big(primary_key=True))
    count: int = Field(sa_column=_big())
    last: int = Field(sa_column=_big())


class SourceCountRow(SQLModel, table=True):
    """How often an organisation's entries were met, and how often without acting."""

    __tablename__ = "source_count"

    organisation: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    count: int = Field(sa_column=_big())
    last: int = Field(sa_column=_big())
