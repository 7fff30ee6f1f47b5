"""Whose logs this node serves as a mirror, and by way of which peers it reads whose.

Revision ID: 0020
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0021"
branch_labels = None
depends_on = None


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _big(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def upgrade() -> None:
    """Goes one version up."""
    op.create_table(
        "mirrored",
        _text("node"),
        _big("since"),
        _text("log"),
        _big("size"),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        _big("at", nullable=True),
        sa.PrimaryKeyConstraint("node"),
    )
    op.create_table(
        "mirror_source",
        _text("node"),
        _text("mirror"),
        _big("since"),
        _big("size"),
        _big("grown", nullable=True),
        _big("heard", nullable=True),
        _text("problem", nullable=True),
        _text("lie", nullable=True),
        _big("lied", nullable=True),
        _big("lacked"),
        sa.PrimaryKeyConstraint("node", "mirror"),
    )
