"""Where a frame stands in its film, and the streams that are watched.

Revision ID: 0002
Revises: 0001
"""

import base64
import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Goes one version up."""
    op.add_column("media_hash", sa.Column("at_ms", sa.BigInteger(), nullable=True))
    _place_frames(op.get_bind())
    op.create_table(
        "stream",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("client", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("surface", sa.String(), nullable=False),
        sa.Column("opened", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seen", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hits", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_stream_seen", "stream", ["seen"])
    op.create_table(
        "stream_hit",
        sa.Column("stream", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("distance", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "at_ms", "log_index", "slot"),
    )


def _place_frames(connection: sa.Connection) -> None:
    """Fills in where the frames of films that are here already stand, from what was signed."""
    at_log_index = sa.text(
        "SELECT slot FROM media_hash WHERE log_index = :log_index AND kind = 'frame' ORDER BY slot"
    )
    place = sa.text(
        "UPDATE media_hash SET at_ms = :at_ms WHERE log_index = :log_index AND slot = :slot"
    )
    films = connection.execute(
        sa.text(
            "SELECT log_index, body FROM envelope WHERE log_index IN "
            "(SELECT log_index FROM media_hash WHERE kind = 'frame')"
        )
    ).all()
    for log_index, body in films:
        payload = json.loads(base64.b64decode(json.loads(bytes(body))["payload"]))
        places = [one["at_ms"] for item in payload["items"] for one in item.get("frames", ())]
        slots = connection.execute(at_log_index, {"log_index": log_index}).scalars().all()
        for slot, at_ms in zip(slots, places, strict=True):
            connection.execute(place, {"at_ms": at_ms, "log_index": log_index, "slot": slot})
