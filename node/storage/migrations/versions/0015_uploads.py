"""Uploads that platforms register, what they met, and webhooks that tell of it.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _number() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("number", kind, primary_key=True)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def _uploads() -> None:
    op.create_table(
        "upload",
        _number(),
        _big("client"),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("surface", sa.String(), nullable=False),
        sa.Column("pdq", sa.LargeBinary(), nullable=True),
        sa.Column("quality", sa.Integer(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("sha1", sa.LargeBinary(), nullable=True),
        sa.Column("md5", sa.LargeBinary(), nullable=True),
        sa.Column("uploaded", sa.BigInteger(), nullable=True),
        _big("ends"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_upload_id", "upload", ["client", "id"], unique=True)
    op.create_index("ix_upload_ends", "upload", ["ends"])
    for name in ("sha256", "sha1", "md5"):
        there = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_upload_{name}", "upload", [name], sqlite_where=there, postgresql_where=there
        )


def _matches() -> None:
    op.create_table(
        "retro_match",
        _number(),
        _big("change"),
        _big("upload"),
        _big("client"),
        sa.Column("upload_id", sa.String(), nullable=False),
        _big("log_index"),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("distance", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=True),
        _big("found"),
        sa.Column("state", sa.String(), nullable=False),
        sqlite_autoincrement=True,
    )
    key = ["upload", "log_index", "item"]
    op.create_index("ix_retro_match_once", "retro_match", key, unique=True)
    op.create_index("ix_retro_match_change", "retro_match", ["client", "change"], unique=True)
    op.create_index("ix_retro_match_statement", "retro_match", ["log_index"])
    op.create_index("ix_retro_match_found", "retro_match", ["found"])
    op.create_table(
        "retro_cursor",
        sa.Column("name", sa.String(), primary_key=True, nullable=False),
        _big("value"),
    )


def _webhooks() -> None:
    op.create_table(
        "webhook",
        _number(),
        sa.Column("client", sa.BigInteger(), nullable=False, unique=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("old_salt", sa.LargeBinary(), nullable=True),
        _big("old_until"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_message",
        _number(),
        sa.Column("id", sa.String(), nullable=False, unique=True),
        sa.Column("webhook", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("matches", sa.String(), nullable=False),
        _big("created"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _big("due"),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_message_webhook", "webhook_message", ["webhook"])
    op.create_index("ix_webhook_message_due", "webhook_message", ["state", "due"])


def upgrade() -> None:
    """Goes one version up."""
    _uploads()
    _matches()
    _webhooks()
