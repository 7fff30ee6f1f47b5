"""Rows of what was acted on here, and of what others say that they made good or erased.

Who acted, and what a platform calls an upload, never leaves the node.
"""

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel


def _big(*, primary_key: bool = False) -> Column[int]:
    return Column(BigInteger, primary_key=primary_key, autoincrement=False, nullable=False)


class DeedRow(SQLModel, table=True):
    """How often an item led to a decision for one client, and what the client calls the upload.

    An empty `reference` stands for all those that came without one; an empty `rule` for none.
    """

    __tablename__ = "deed"
    __table_args__ = (Index("ix_deed_last", "last"),)

    log_index: int = Field(sa_column=_big(primary_key=True))
    item: int = Field(primary_key=True)
    client: int = Field(sa_column=_big(primary_key=True))
    decision: str = Field(primary_key=True)
    rule: str = Field(primary_key=True)
    reference: str = Field(primary_key=True)
    count: int = Field(sa_column=_big())
    first: int = Field(sa_column=_big())
    last: int = Field(sa_column=_big())


class RemedyAnswerRow(SQLModel, table=True):
    """What a node says came of it that a statement of ours was taken back by another."""

    __tablename__ = "remedy_answer"

    target_index: int = Field(sa_column=_big(primary_key=True))
    node: str = Field(primary_key=True)
    cause: str = Field(primary_key=True)
    outcome: str
    issued: int = Field(sa_column=_big())
    log_index: int = Field(sa_column=_big())


class ErasureProofRow(SQLModel, table=True):
    """A node's signed proof that it has deleted the body of a statement of ours."""

    __tablename__ = "erasure_proof"

    target_index: int = Field(sa_column=_big(primary_key=True))
    node: str = Field(primary_key=True)
    erased: int = Field(sa_column=_big())
    issued: int = Field(sa_column=_big())
    log_index: int = Field(sa_column=_big())
