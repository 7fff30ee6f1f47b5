"""Rows of the tables that keep a list healthy: how much was taken in of whom."""

from sqlalchemy import BigInteger, Column
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
