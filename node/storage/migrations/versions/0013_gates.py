"""The allow list, quarantine, what is counted for it, and statistics by organisation.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def upgrade() -> None:
    """Goes one version up."""
    op.create_table(
        "gate_state",
        _big("number"),
        _big("version"),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "allowed",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("radius", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        _big("added"),
        sa.Column("added_by", sa.String(), nullable=False),
        _big("ends"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "quarantine",
        _big("log_index"),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        *map(_big, ("since", "matches", "usual", "lookups", "level")),
        sa.Column("told", sa.BigInteger(), nullable=True),
        sa.Column("decided", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("log_index", "item"),
    )
    op.create_table(
        "entry_rate",
        _big("log_index"),
        sa.Column("item", sa.Integer(), nullable=False),
        *map(_big, ("first", "first_hour", "hour", "count")),
        sa.PrimaryKeyConstraint("log_index", "item"),
    )
    op.create_table(
        "lookup_count",
        *map(_big, ("hour", "count", "last")),
        sa.PrimaryKeyConstraint("hour"),
    )
    op.create_table(
        "source_count",
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        *map(_big, ("count", "last")),
        sa.PrimaryKeyConstraint("organisation", "outcome"),
    )
