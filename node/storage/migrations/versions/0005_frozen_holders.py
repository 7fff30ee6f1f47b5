"""Holders of circles' keys that gave a false answer and are asked no more.

Revision ID: 0005
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Goes one version up."""
    op.create_table(
        "frozen_holder",
        sa.Column("circle", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("circle", "node"),
    )
