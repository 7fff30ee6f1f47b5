"""Descriptors of nodes by version, their request keys, and who has heard of this node's own.

Revision ID: 0018
Revises: 0019
"""

import base64
import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Goes one version up."""
    op.create_table(
        "node_descriptor",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "request_key",
        sa.Column("keyid", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("keyid"),
    )
    op.create_index("ix_request_key_name", "request_key", ["name"])
    op.create_table(
        "descriptor_told",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("pulled", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "void_statement",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("log_index"),
    )
    _joining()
    # Until now a node was pinned by its first descriptor, and had one request key.
    op.execute(
        "INSERT INTO node_descriptor (name, version, id, body) "
        "SELECT name, 1, descriptor_id, descriptor FROM peer"
    )
    op.execute("INSERT INTO request_key (keyid, name) SELECT request_keyid, name FROM peer")
    _rename_logs()


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def _joining() -> None:
    op.create_table(
        "invite",
        sa.Column("code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("circle", sa.String(), nullable=True),
        _big("created"),
        _big("expires"),
        sa.Column("used_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("code_digest"),
    )
    op.create_table(
        "join_request",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("descriptors", sa.LargeBinary(), nullable=False),
        sa.Column("circle", sa.String(), nullable=True),
        _big("received"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "newcomer",
        sa.Column("name", sa.String(), nullable=False),
        _big("until"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "membership",
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("how", sa.String(), nullable=True),
        _big("at"),
        _big("issued"),
        sa.PrimaryKeyConstraint("node", "issuer"),
    )


def _rename_logs() -> None:
    """The state of a peer's log is kept under the node's fingerprint, no longer under its key."""
    connection = op.get_bind()
    peers = connection.execute(sa.text("SELECT descriptor, fingerprint FROM peer")).all()
    for descriptor, fingerprint in peers:
        payload = json.loads(base64.b64decode(json.loads(bytes(descriptor))["payload"]))
        (first, *_) = (one["key"] for one in payload["keys"] if one["use"] == "log")
        raw = base64.urlsafe_b64decode(first + "=")
        kid = hashlib.sha256(b"schutznetz/key/v1\0log\0" + raw).digest()[:16].hex()
        connection.execute(
            sa.text("UPDATE log SET origin = :new WHERE origin = :old"),
            {
                "old": f"{payload['log_origin']}+{kid}",
                "new": f"{payload['log_origin']}+{fingerprint}",
            },
        )
