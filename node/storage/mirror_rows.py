"""The tables of mirroring, as SQLModel classes: whose logs are served, and by whom others' are."""

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlmodel import Field, SQLModel


def _big() -> Column[int]:
    return Column(BigInteger, autoincrement=False, nullable=False)


def _maybe_big() -> Column[int]:
    return Column(BigInteger, nullable=True)


class MirroredRow(SQLModel, table=True):
    """A peer whose log this node serves, and its latest checkpoint of which all entries are here.

    `log` is the name under which that log is kept; of a peer that is pinned anew it is another.
    """

    __tablename__ = "mirrored"

    node: str = Field(primary_key=True)
    since: int = Field(sa_column=_big())
    log: str
    size: int = Field(sa_column=_big())
    note: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    at: int | None = Field(default=None, sa_column=_maybe_big())


class MirrorSourceRow(SQLModel, table=True):
    """A peer by way of which another one's log is read where that one does not answer.

    `lie` is the kind of lie for which it is not asked any more. `lacked` counts bodies that it had
    not, and another mirror had.
    """

    __tablename__ = "mirror_source"

    node: str = Field(primary_key=True)
    mirror: str = Field(primary_key=True)
    since: int = Field(sa_column=_big())
    size: int = Field(default=0, sa_column=_big())
    grown: int | None = Field(default=None, sa_column=_maybe_big())
    heard: int | None = Field(default=None, sa_column=_maybe_big())
    problem: str | None = None
    lie: str | None = None
    lied: int | None = Field(default=None, sa_column=_maybe_big())
    lacked: int = Field(default=0, sa_column=_big())
