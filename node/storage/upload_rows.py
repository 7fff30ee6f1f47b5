"""Rows of what a platform registered of its own uploads, what they met, and who is told of it.

Nothing of these tables ever leaves the node, except to the client whose uploads they are.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, text
from sqlmodel import Field, SQLModel


def _number() -> Column[int]:
    # Counts up and never gives a number twice, also after the last row was deleted.
    return Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)


def _big() -> Column[int]:
    return Column(BigInteger, autoincrement=False, nullable=False)


def _digest_index(name: str) -> Index:
    # Most platforms keep one digest of three: what is not there takes no room.
    there = text(f"{name} IS NOT NULL")
    return Index(f"ix_upload_{name}", name, sqlite_where=there, postgresql_where=there)


class UploadRow(SQLModel, table=True):
    """An upload that a client registered under its own name for it."""

    __tablename__ = "upload"
    __table_args__ = (
        Index("ix_upload_id", "client", "id", unique=True),
        Index("ix_upload_ends", "ends"),
        _digest_index("sha256"),
        _digest_index("sha1"),
        _digest_index("md5"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(default=None, sa_column=_number())
    client: int = Field(sa_column=_big())
    id: str
    surface: str
    pdq: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    quality: int | None = None
    sha256: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    sha1: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    md5: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    uploaded: int | None = Field(default=None, sa_column=Column(BigInteger))
    ends: int = Field(sa_column=_big())


class RetroMatchRow(SQLModel, table=True):
    """A registered upload that an item of a statement turned out to match.

    `change` grows with every change of any row, so that a reader can follow them.
    """

    __tablename__ = "retro_match"
    __table_args__ = (
        Index("ix_retro_match_once", "upload", "log_index", "item", unique=True),
        Index("ix_retro_match_change", "client", "change", unique=True),
        Index("ix_retro_match_statement", "log_index"),
        Index("ix_retro_match_found", "found"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(default=None, sa_column=_number())
    change: int = Field(sa_column=_big())
    upload: int = Field(sa_column=_big())
    client: int = Field(sa_column=_big())
    upload_id: str
    log_index: int = Field(sa_column=_big())
    item: int
    kind: str
    distance: int
    decision: str
    rule: str | None = None
    found: int = Field(sa_column=_big())
    state: str


class RetroCursorRow(SQLModel, table=True):
    """How far something has come that follows a sequence."""

    __tablename__ = "retro_cursor"

    name: str = Field(primary_key=True)
    value: int = Field(sa_column=_big())


class WebhookRow(SQLModel, table=True):
    """Where a client is told of its matches; a secret is made of a salt and the node's own key."""

    __tablename__ = "webhook"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: int | None = Field(default=None, sa_column=_number())
    client: int = Field(sa_column=Column(BigInteger, nullable=False, unique=True))
    url: str
    salt: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    old_salt: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    old_until: int = Field(sa_column=_big())


class WebhookMessageRow(SQLModel, table=True):
    """One message to a webhook, which names its matches by their numbers."""

    __tablename__ = "webhook_message"
    __table_args__ = (
        Index("ix_webhook_message_due", "state", "due"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(default=None, sa_column=_number())
    id: str = Field(unique=True)
    webhook: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    kind: str
    matches: str
    created: int = Field(sa_column=_big())
    attempts: int
    due: int = Field(sa_column=_big())
    state: str
    problem: str | None = None
    task: int | None = Field(default=None, sa_column=Column(BigInteger))
