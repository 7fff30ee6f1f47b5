"""Forks that the operator has judged, and revocations that are carried out in steps.

Revision ID: 0021
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0018"
branch_labels = None
depends_on = None


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def upgrade() -> None:
    """Goes one version up."""
    op.create_table(
        "accused_log",
        _text("name"),
        _text("origin"),
        _big("seen"),
        _big("judged"),
        sa.PrimaryKeyConstraint("name", "origin"),
    )
    op.create_table(
        "voiding",
        _text("issuer"),
        _text("keyid"),
        _text("log"),
        _text("mark_log"),
        _big("mark_size"),
        _text("mark_at"),
        _big("after"),
        _big("until"),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "keyid"),
    )
