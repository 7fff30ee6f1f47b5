"""The first schema: the log, its index, peers, trust, access and the journal.

Revision ID: 0001
Revises: none
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Goes one version up."""
    op.create_table(
        "accreditation",
        sa.Column("flagger", sa.String(), nullable=False),
        sa.Column("keyid", sa.String(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("issued", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("flagger", "keyid"),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "budget",
        sa.Column("circle", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("used", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("circle", "member", "day"),
    )
    op.create_table(
        "circle",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("confirmed", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "client",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("created", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("token_digest"),
    )
    op.create_table(
        "dispute",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("target_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("items", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("log_index"),
    )
    with op.batch_alter_table("dispute", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dispute_target_index"), ["target_index"], unique=False)

    op.create_table(
        "envelope",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_index"),
    )
    op.create_table(
        "evidence",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "feedback",
        sa.Column("target_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reporter", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("refuted", sa.Integer(), nullable=False),
        sa.Column("unreviewed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("target_index", "reporter", "day", "item"),
    )
    op.create_table(
        "fingerprint",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("circle", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("scheme", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_index", "slot"),
    )
    with op.batch_alter_table("fingerprint", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fingerprint_value"), ["value"], unique=False)

    op.create_table(
        "lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("until", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "log",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("origin"),
    )
    op.create_table(
        "match_count",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("log_index", "item", "decision"),
    )
    op.create_table(
        "media_hash",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("log_index", "slot"),
    )
    with op.batch_alter_table("media_hash", schema=None) as batch_op:
        batch_op.create_index("ix_media_hash_value", ["value", "kind"], unique=False)

    op.create_table(
        "nonce",
        sa.Column("keyid", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("keyid", "nonce"),
    )
    with op.batch_alter_table("nonce", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_nonce_at"), ["at"], unique=False)

    op.create_table(
        "oprf_cache",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    with op.batch_alter_table("oprf_cache", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oprf_cache_at"), ["at"], unique=False)

    op.create_table(
        "peer",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("descriptor", sa.LargeBinary(), nullable=False),
        sa.Column("descriptor_id", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("request_keyid", sa.String(), nullable=False),
        sa.Column("authority", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("added", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("synced", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("acked_size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("acked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    with op.batch_alter_table("peer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_peer_request_keyid"), ["request_keyid"], unique=True)

    op.create_table(
        "peer_refusal",
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("peer", "id"),
    )
    op.create_table(
        "remedy",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("items", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=True),
        sa.Column("done_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("remedy", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_remedy_log_index"), ["log_index"], unique=False)

    op.create_table(
        "set_aside",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("retry", sa.Boolean(), nullable=False),
        sa.Column("seen", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tried", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("waits_for", sa.String(), nullable=True),
        sa.Column("quiet", sa.Boolean(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", "origin"),
    )
    with op.batch_alter_table("set_aside", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_set_aside_seen"), ["seen"], unique=False)
        batch_op.create_index(batch_op.f("ix_set_aside_waits_for"), ["waits_for"], unique=False)

    op.create_table(
        "skipped",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", "origin"),
    )
    op.create_table(
        "statement",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("keyid", sa.String(), nullable=False),
        sa.Column("issued", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=True),
        sa.Column("target_index", sa.BigInteger(), nullable=True),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("received", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_from", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("issuer_code", sa.String(), nullable=True),
        sa.Column("flags", sa.String(), nullable=False),
        sa.Column("surfaces", sa.String(), nullable=False),
        sa.Column("jurisdictions", sa.String(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("log_index"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("statement", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_statement_ends"), ["ends"], unique=False)
        batch_op.create_index(batch_op.f("ix_statement_issuer"), ["issuer"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_statement_target_index"), ["target_index"], unique=False
        )
    _forbid_rewriting()


def _forbid_rewriting() -> None:
    """What was said and done stays, in the schema too and not by good will."""
    if op.get_bind().dialect.name == "sqlite":
        for name, (event, table, condition) in _FORBIDDEN.items():
            when = f"WHEN {condition} " if condition else ""
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} {when}"
                "BEGIN SELECT RAISE(ABORT, 'append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION schutznetz_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'append-only'; END $$"
    )
    for name, (event, table, condition) in _FORBIDDEN.items():
        when = f"WHEN ({condition}) " if condition else ""
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} "
            f"FOR EACH ROW {when}EXECUTE FUNCTION schutznetz_append_only()"
        )
    # TRUNCATE, which SQLite does not have, asks no trigger of rows.
    for table in ("statement", "audit", "log"):
        op.execute(
            f"CREATE TRIGGER {table}_is_not_emptied BEFORE TRUNCATE ON {table} "
            "EXECUTE FUNCTION schutznetz_append_only()"
        )


_FORBIDDEN = {
    "statement_stays": ("DELETE", "statement", ""),
    "statement_entry_is_fixed": (
        "UPDATE OF log_index, id, kind, issuer, keyid, issued, target_index, audience, received, received_from, items",
        "statement",
        "",
    ),
    "envelope_is_fixed": ("UPDATE", "envelope", ""),
    "log_stays": ("DELETE", "log", ""),
    "log_never_shrinks": ("UPDATE", "log", "NEW.size < OLD.size OR NEW.origin <> OLD.origin"),
    "audit_stays": ("DELETE", "audit", ""),
    "audit_is_fixed": ("UPDATE", "audit", ""),
    "evidence_is_fixed": ("UPDATE", "evidence", ""),
}
"""What no program may do, by the name of the trigger: event, table, condition (none: always)."""
