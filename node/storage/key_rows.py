"""Rows of the tables about nodes' keys: descriptors, request keys, and who has heard of them."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary
from sqlmodel import Field, SQLModel


class NodeDescriptorRow(SQLModel, table=True):
    """One version of a pinned node's descriptor, byte for byte, from its first to its latest."""

    __tablename__ = "node_descriptor"

    name: str = Field(primary_key=True)
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    id: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class RequestKeyRow(SQLModel, table=True):
    """A key that signs the requests of a pinned node, as its latest descriptor says."""

    __tablename__ = "request_key"

    keyid: str = Field(primary_key=True)
    name: str = Field(index=True)


class DescriptorToldRow(SQLModel, table=True):
    """Up to which version a peer knows this node's descriptor; of the node itself: which is in use.

    `pulled` is when this node last asked for the peer's.
    """

    __tablename__ = "descriptor_told"

    name: str = Field(primary_key=True)
    version: int
    pulled: int = Field(
        default=0, sa_column=Column(BigInteger, autoincrement=False, nullable=False)
    )


class VoidRow(SQLModel, table=True):
    """A statement that does not count: its key was revoked as of a size of the log before it."""

    __tablename__ = "void_statement"

    log_index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))


class VoidingRow(SQLModel, table=True):
    """How far it has come to void what a revoked key has said: up to place `after` in the log.

    What stands at `until` or behind came later than the revocation, and was judged by it. `log` is
    under which name the entries are kept of the log that the revocation names; `done` says that a
    revocation with this very mark has nothing left to void.
    """

    __tablename__ = "voiding"

    issuer: str = Field(primary_key=True)
    keyid: str = Field(primary_key=True)
    log: str
    mark_log: str
    mark_size: int = Field(sa_column=Column(BigInteger, autoincrement=False, nullable=False))
    mark_at: str
    after: int = Field(sa_column=Column(BigInteger, autoincrement=False, nullable=False))
    until: int = Field(sa_column=Column(BigInteger, autoincrement=False, nullable=False))
    done: bool = Field(sa_column=Column(Boolean, nullable=False))
