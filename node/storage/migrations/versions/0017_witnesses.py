"""What witnesses have cosigned, logs of other nodes in their order, and who was told of evidence.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_SHRINKS = "a witness never goes back"


def _big(name: str, *, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger(), primary_key=primary_key, autoincrement=False, nullable=False
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), primary_key=True, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def upgrade() -> None:
    """Goes one version up."""
    op.create_table("witnessed", _text("origin"), _big("size"), _bytes("note"), _big("at"))
    op.create_table(
        "published", _text("origin"), _text("stage"), _big("size"), _bytes("note"), _big("at")
    )
    op.create_table("mirror", _text("log"), _big("number", primary_key=True), _bytes("ids"))
    op.create_table("told", _big("evidence", primary_key=True), _text("peer"))
    if op.get_bind().dialect.name == "sqlite":
        _forbid_sqlite()
    else:
        _forbid_postgresql()


def _forbid_sqlite() -> None:
    op.execute(
        "CREATE TRIGGER witnessed_shrinks BEFORE UPDATE ON witnessed "
        "WHEN NEW.size < OLD.size OR NEW.origin <> OLD.origin "
        f"BEGIN SELECT RAISE(ABORT, '{_SHRINKS}'); END"
    )
    op.execute(
        "CREATE TRIGGER witnessed_stays BEFORE DELETE ON witnessed "
        f"BEGIN SELECT RAISE(ABORT, '{_SHRINKS}'); END"
    )


def _forbid_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION witnessed_shrinks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{_SHRINKS}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER witnessed_shrinks BEFORE UPDATE ON witnessed FOR EACH ROW "
        "WHEN (NEW.size < OLD.size OR NEW.origin <> OLD.origin) "
        "EXECUTE FUNCTION witnessed_shrinks()"
    )
    op.execute(
        "CREATE TRIGGER witnessed_stays BEFORE DELETE ON witnessed FOR EACH ROW "
        "EXECUTE FUNCTION witnessed_shrinks()"
    )
