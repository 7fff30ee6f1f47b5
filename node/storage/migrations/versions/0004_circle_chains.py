"""Circles by version: every descriptor of the chain, who signed it, and contradictions.

Revision ID: 0004
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Goes one version up."""
    op.create_table(
        "circle_version",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "circle_signature",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("keyid", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("log_index", "node"),
    )
    for name in ("follows", "contradicted"):
        op.add_column(
            "circle", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())
        )
    # Until now a circle was described by its founder alone, and nothing made a second version.
    op.execute(
        "INSERT INTO circle_version (name, version, log_index) "
        "SELECT name, version, log_index FROM circle"
    )
    op.execute(
        "INSERT INTO circle_signature (log_index, node, keyid) "
        "SELECT statement.log_index, statement.issuer, statement.keyid "
        "FROM statement JOIN circle ON circle.log_index = statement.log_index"
    )
