"""What was acted on for whom, what others made good or erased; feedback's topic; requests.

Revision ID: 0019
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"
branch_labels = None
depends_on = None


def _big(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def upgrade() -> None:
    """Goes one version up."""
    op.create_table(
        "deed",
        _big("log_index"),
        sa.Column("item", sa.Integer(), nullable=False),
        _big("client"),
        _text("decision"),
        _text("rule"),
        _text("reference"),
        _big("count"),
        _big("first"),
        _big("last"),
        sa.PrimaryKeyConstraint("log_index", "item", "client", "decision", "rule", "reference"),
    )
    op.create_index("ix_deed_last", "deed", ["last"])
    op.create_table(
        "remedy_answer",
        _big("target_index"),
        _text("node"),
        _text("cause"),
        _text("outcome"),
        _big("issued"),
        _big("log_index"),
        sa.PrimaryKeyConstraint("target_index", "node", "cause"),
    )
    op.create_table(
        "erasure_proof",
        _big("target_index"),
        _text("node"),
        _big("erased"),
        _big("issued"),
        _big("log_index"),
        sa.PrimaryKeyConstraint("target_index", "node"),
    )
    op.create_table(
        "request_count",
        _text("keyid"),
        _big("minute"),
        _big("count"),
        _big("last"),
        sa.PrimaryKeyConstraint("keyid", "minute"),
    )
    op.add_column("remedy", sa.Column("note", sa.String(), nullable=True))
    op.add_column("webhook_message", _big("task", nullable=True))
    op.add_column("feedback", sa.Column("category", sa.String(), nullable=True))
    op.add_column("feedback", _big("issued", nullable=True))
    # What was taken back before this version needs no answer any more.
    op.execute(
        "INSERT INTO retro_cursor (name, value) "
        "SELECT 'remedies', MAX(log_index) + 1 FROM statement HAVING COUNT(*) > 0"
    )
    op.execute(
        "UPDATE feedback SET category = (SELECT statement.category FROM statement "
        "WHERE statement.log_index = feedback.target_index)"
    )
