"""What the schema itself forbids, whoever asks."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError

from postgres import Postgres
from simulator import media_flag
from worlds import ANNA, contents, open_world

FORBIDDEN = [
    "DELETE FROM statement",
    "UPDATE statement SET log_index = log_index + 10",
    "UPDATE statement SET kind = 'erase'",
    "UPDATE statement SET issuer = 'platform.example'",
    "UPDATE statement SET keyid = '00'",
    "UPDATE statement SET audience = 'peers'",
    "UPDATE envelope SET body = body",
    "DELETE FROM log",
    "UPDATE log SET size = size - 1",
    "UPDATE log SET origin = 'other'",
    "DELETE FROM audit",
    "UPDATE audit SET actor = 'somebody else'",
    "UPDATE evidence SET at = 0",
]


@pytest.fixture
def filled_url(database_url: str) -> str:
    with open_world(database_url) as world:
        world.submit(media_flag(ANNA))
        with world.store.write() as transaction:
            transaction.journal.audit("operator", "test", at=1, subject=None, detail=None)
            transaction.peers.keep_evidence("platform.example", "lied", b"bytes", at=1)
    return database_url


def execute(url: str, statement: str) -> None:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_what_was_said_and_done_cannot_be_rewritten(filled_url: str, statement: str) -> None:
    before = contents(filled_url)
    with pytest.raises(DatabaseError, match="append-only"):
        execute(filled_url, statement)
    assert contents(filled_url) == before


@pytest.mark.parametrize("table", ["statement", "audit", "log"])
def test_postgresql_cannot_empty_a_table_that_only_grows(postgres: Postgres, table: str) -> None:
    url = postgres.fresh()
    with pytest.raises(DatabaseError, match="append-only"):
        execute(url, f"TRUNCATE {table}")
    postgres.drop(url)


def test_the_state_of_a_statement_may_change_and_a_log_may_grow(filled_url: str) -> None:
    execute(filled_url, "UPDATE statement SET state = 'retracted', category = NULL")
    execute(filled_url, "UPDATE log SET size = size + 1")
    execute(filled_url, "DELETE FROM envelope")
    assert contents(filled_url)["envelope"] == []
