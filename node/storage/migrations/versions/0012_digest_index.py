"""Only exact digests are looked for by value: pdqs leave the index.

Revision ID: 0012
Revises: 0011
"""

from alembic import op
from sqlalchemy import text

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_IS_EXACT = text("kind IN ('sha256', 'sha1', 'md5')")


def upgrade() -> None:
    """Goes one version up."""
    op.drop_index("ix_media_hash_value", table_name="media_hash")
    op.create_index(
        "ix_media_hash_digest",
        "media_hash",
        ["value"],
        sqlite_where=_IS_EXACT,
        postgresql_where=_IS_EXACT,
    )


def downgrade() -> None:
    """Goes one version down."""
    op.drop_index("ix_media_hash_digest", table_name="media_hash")
    op.create_index("ix_media_hash_value", "media_hash", ["value", "kind"])
