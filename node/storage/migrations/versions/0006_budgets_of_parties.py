"""Budgets by party, with the last minute and the alarms; requests paid for instead of answers.

Revision ID: 0006
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Goes one version up."""
    # What was used today stays used: an upgrade must not refill a budget.
    op.rename_table("budget", "budget_of_node")
    op.create_table(
        "budget",
        sa.Column("circle", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("party", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("used", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recent", sa.String(), nullable=False),
        sa.Column("alarm", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("circle", "day", "party", "member"),
    )
    op.execute(
        "INSERT INTO budget (circle, day, party, member, used, recent, alarm) "
        "SELECT circle, day, member, member, used, '', 0 FROM budget_of_node"
    )
    op.drop_table("budget_of_node")
    op.drop_table("oprf_cache")
    op.create_table(
        "oprf_paid",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_oprf_paid_at", "oprf_paid", ["at"])
