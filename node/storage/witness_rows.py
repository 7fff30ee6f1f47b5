"""The tables of witnesses, mirrors and accusations, as SQLModel classes."""

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlmodel import Field, SQLModel


def _big(*, primary_key: bool = False) -> Column[int]:
    return Column(BigInteger, primary_key=primary_key, autoincrement=False, nullable=False)


def _bytes() -> Column[bytes]:
    return Column(LargeBinary, nullable=False)


class WitnessedRow(SQLModel, table=True):
    """The latest checkpoint of one log that this node cosigned, as a witness.

    The size only grows: the schema refuses the rest, so that not even a mistake in the program
    lets this node cosign two histories.
    """

    __tablename__ = "witnessed"

    origin: str = Field(primary_key=True)
    size: int = Field(sa_column=_big())
    note: bytes = Field(sa_column=_bytes())
    at: int = Field(sa_column=_big())


class PublishedRow(SQLModel, table=True):
    """A checkpoint of the node's own log with what witnesses have put on it.

    `stage` is ``asked`` while cosignatures are gathered, and ``published`` once there are enough;
    ``behind`` and ``forked`` is what others have kept of it and it does not have, or not so.
    """

    __tablename__ = "published"

    origin: str = Field(primary_key=True)
    stage: str = Field(primary_key=True)
    size: int = Field(sa_column=_big())
    note: bytes = Field(sa_column=_bytes())
    at: int = Field(sa_column=_big())


class MirrorRow(SQLModel, table=True):
    """Entries of another node's log in their order, up to 256 of 32 bytes in one row."""

    __tablename__ = "mirror"

    log: str = Field(primary_key=True)
    number: int = Field(sa_column=_big(primary_key=True))
    ids: bytes = Field(sa_column=_bytes())


class ToldRow(SQLModel, table=True):
    """That a piece of evidence was told to a peer, which need not be told again."""

    __tablename__ = "told"

    evidence: int = Field(sa_column=_big(primary_key=True))
    peer: str = Field(primary_key=True)


class AccusedRow(SQLModel, table=True):
    """Up to which place evidence about a node's log has reached, and up to which it was judged.

    `seen` grows with each piece that freezes the node; `judged` is set when the operator believes
    it again.
    """

    __tablename__ = "accused_log"

    name: str = Field(primary_key=True)
    origin: str = Field(primary_key=True)
    seen: int = Field(sa_column=_big())
    judged: int = Field(sa_column=_big())
