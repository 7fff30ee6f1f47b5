"""The roots of the log's full tiles, made for the log that is there.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

from protocol.merkle import Frontier

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_BATCH = 65_536


def upgrade() -> None:
    """Goes one version up."""
    op.create_table(
        "log_tile",
        sa.Column("level", sa.Integer(), primary_key=True, nullable=False),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
    )
    bind = op.get_bind()
    # The option belongs to the statement: set on the connection, it would stay there.
    every = sa.text("SELECT id FROM statement ORDER BY log_index")
    ids = bind.execute(every.execution_options(yield_per=_BATCH))
    # Small enough to hold at once: one in 256 of the log's hashes.
    _, full = Frontier.EMPTY.grow(bytes(row.id) for row in ids)
    rows = [
        {"level": level, "number": number, "root": root}
        for level, roots in full.items()
        for number, root in enumerate(roots)
    ]
    if rows:
        tiles = sa.table("log_tile", *(sa.column(name) for name in rows[0]))
        bind.execute(sa.insert(tiles), rows)


def downgrade() -> None:
    """Goes one version down."""
    op.drop_table("log_tile")
