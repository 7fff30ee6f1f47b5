"""The table of what the log keeps beside its entries, as a SQLModel class."""

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlmodel import Field, SQLModel


class LogTileRow(SQLModel, table=True):
    """The root of one full tile of the node's own log: a hash of the level above.

    The hashes of level 0 are not kept: they are those of the statement ids.
    """

    __tablename__ = "log_tile"

    level: int = Field(primary_key=True)
    number: int = Field(
        sa_column=Column(BigInteger, primary_key=True, autoincrement=False, nullable=False)
    )
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
