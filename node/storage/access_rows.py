"""Rows of how much callers ask; who they are stands in `node.storage.rows`."""

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel


class RequestCountRow(SQLModel, table=True):
    """How many signed requests of one key there were in one minute, at all processes."""

    __tablename__ = "request_count"

    keyid: str = Field(primary_key=True)
    minute: int = Field(
        sa_column=Column(BigInteger, primary_key=True, autoincrement=False, nullable=False)
    )
    count: int = Field(sa_column=Column(BigInteger, nullable=False))
    last: int = Field(sa_column=Column(BigInteger, nullable=False))
