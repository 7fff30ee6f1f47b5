"""Rows of the tables about joining: invites, requests, newcomers, and what members say."""

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlmodel import Field, SQLModel


def _time() -> Column[int]:
    return Column(BigInteger, autoincrement=False, nullable=False)


class InviteRow(SQLModel, table=True):
    """An invite that this node has made; its code only as a digest."""

    __tablename__ = "invite"

    code_digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    circle: str | None = None
    created: int = Field(sa_column=_time())
    expires: int = Field(sa_column=_time())
    used_by: str | None = None


class JoinRequestRow(SQLModel, table=True):
    """A newcomer that has applied with an invite, and that nobody has compared yet."""

    __tablename__ = "join_request"

    name: str = Field(primary_key=True)
    descriptors: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    circle: str | None = None
    received: int = Field(sa_column=_time())


class NewcomerRow(SQLModel, table=True):
    """A pinned node that has joined lately, and when its time as a newcomer may end."""

    __tablename__ = "newcomer"

    name: str = Field(primary_key=True)
    until: int = Field(sa_column=_time())


class MembershipRow(SQLModel, table=True):
    """The latest that one member has said about another as a member."""

    __tablename__ = "membership"

    node: str = Field(primary_key=True)
    issuer: str = Field(primary_key=True)
    event: str
    fingerprint: str
    how: str | None = None
    at: int = Field(sa_column=_time())
    issued: int = Field(sa_column=_time())
