"""Rows of the tables about circles: chains of descriptors, holders not asked, bans made again."""

from sqlalchemy import BigInteger, Column, Integer
from sqlmodel import Field, SQLModel


class CircleRow(SQLModel, table=True):
    """The latest descriptor of a circle, whether this node takes part, and with which keys.

    `follows` says that the operator agreed to admins who decide together about later keys,
    `contradicted` that they have signed another version beside one that is here.
    """

    __tablename__ = "circle"

    name: str = Field(primary_key=True)
    version: int
    log_index: int = Field(sa_column=Column(BigInteger, autoincrement=False, nullable=False))
    joined: bool
    confirmed: str = ""
    follows: bool = False
    contradicted: bool = False


class CircleVersionRow(SQLModel, table=True):
    """One descriptor of a circle that was accepted, up to the latest."""

    __tablename__ = "circle_version"

    name: str = Field(primary_key=True)
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    log_index: int = Field(sa_column=Column(BigInteger, autoincrement=False, nullable=False))


class CircleSignatureRow(SQLModel, table=True):
    """A node that signed a descriptor of a circle, and under which of its keys."""

    __tablename__ = "circle_signature"

    log_index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    node: str = Field(primary_key=True)
    keyid: str


class FrozenHolderRow(SQLModel, table=True):
    """A holder of a circle's key that gave a false answer here: not asked until it is thawed."""

    __tablename__ = "frozen_holder"

    circle: str = Field(primary_key=True)
    node: str = Field(primary_key=True)
    since: int = Field(sa_column=Column(BigInteger, autoincrement=False, nullable=False))
    message: str


class ReissueRow(SQLModel, table=True):
    """A ban of this node's own, and the one that says the same under a newer key."""

    __tablename__ = "reissue"

    log_index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    successor: int = Field(
        sa_column=Column(BigInteger, autoincrement=False, index=True, nullable=False)
    )
