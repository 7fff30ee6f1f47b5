"""What SQLite is told, and that it did it: durability, the write-ahead log, and erasure."""

import base64
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event

from node.storage.engine import Store
from node.storage.media import MediaHash
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.errors import NotFoundError, SettingsError, UnavailableError
from protocol.fields import StatementId

STATEMENTS = 40
ERASED = range(0, STATEMENTS, 7)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'node.db'}")
    store.migrate()
    yield store
    store.close()


def pragma(transaction: Transaction, name: str) -> object:
    return transaction._connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_every_connection_is_durable_and_overwrites_what_is_deleted(sqlite_store: Store) -> None:
    with sqlite_store.read() as first, sqlite_store.write() as second:
        for transaction in (first, second):
            assert pragma(transaction, "journal_mode") == "wal"
            assert pragma(transaction, "synchronous") == 2  # FULL
            assert pragma(transaction, "secure_delete") == 1
            assert pragma(transaction, "foreign_keys") == 1
            assert pragma(transaction, "temp_store") == 2  # MEMORY
            assert pragma(transaction, "busy_timeout") == 20_000


def test_a_write_that_may_be_lost_leaves_the_next_one_durable(sqlite_store: Store) -> None:
    for _ in range(2):
        with sqlite_store.write(durable=False) as transaction:
            assert pragma(transaction, "synchronous") == 1  # NORMAL
            transaction.access.use_nonce("key", "nonce", now=1)
        with sqlite_store.write() as transaction:
            assert pragma(transaction, "synchronous") == 2  # FULL
            assert not transaction.access.use_nonce("key", "nonce", now=1)
    with pytest.raises(NotFoundError), sqlite_store.write(durable=False):
        raise NotFoundError("in the block")
    with sqlite_store.read() as transaction:
        assert pragma(transaction, "synchronous") == 2


def test_a_file_system_without_write_ahead_log_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stubborn(sqlite3.Connection):
        """Stays in the journal mode it is in, and raises nothing."""

        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            return super().execute(sql.replace("journal_mode=WAL", "journal_mode=DELETE"))

    real = sqlite3.connect
    monkeypatch.setattr(
        sqlite3.dbapi2,  # where SQLAlchemy takes it from
        "connect",
        lambda *given, **named: real(*given, **named, factory=Stubborn),
    )
    store = Store(f"sqlite:///{tmp_path / 'node.db'}")
    with pytest.raises(SettingsError, match="it stays in delete"):
        store.migrate()
    store.close()


def fill(store: Store) -> dict[int, list[bytes]]:
    """Stores statements of all sizes, and returns what each of them put into the database."""
    randomness = random.Random(7)
    secrets: dict[int, list[bytes]] = {}
    for at in range(STATEMENTS):
        body = base64.b64encode(randomness.randbytes(randomness.choice((150, 900, 3_000, 20_000))))
        values = [randomness.randbytes(32) for _ in range(randomness.choice((1, 4, 30)))]
        code = base64.b32encode(randomness.randbytes(15)).decode()
        record = StatementRecord(
            log_index=at,
            id=StatementId(f"{at:064x}"),
            kind="media-flag",
            issuer="hotline.example",
            issued=1,
            ends=None,
            target_index=None,
            audience=("peers",),
            state="active",
            category="csam.act.prepub",
            issuer_code=code,
            flags=(),
            surfaces=(),
            jurisdictions=(),
            items=1,
        )
        with store.write() as transaction:
            transaction.statements.append(record, keyid="00", received=1, source="test")
            transaction.statements.keep_envelope(at, body)
            transaction.media.add(
                [MediaHash(at, slot, slot, "pdq", value) for slot, value in enumerate(values)]
            )
        pieces = [body[start : start + 24] for start in range(0, len(body) - 24, 999)]
        secrets[at] = [*pieces, *values, code.encode()]
    return secrets


def on_disk(folder: Path) -> bytes:
    """All bytes of the database and of the files beside it."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def erase(store: Store) -> None:
    for at in ERASED:
        with store.write() as transaction:
            transaction.statements.forget(at, "erased")
            transaction.media.forget(at)


def test_no_byte_of_an_erased_statement_is_left_in_any_file(
    tmp_path: Path, sqlite_store: Store
) -> None:
    secrets = fill(sqlite_store)
    before = on_disk(tmp_path)
    # A piece may lie across two pages of the file: then it is not found, and proves nothing.
    stored = {at: [one for one in secrets[at] if one in before] for at in secrets}
    assert all(len(stored[at]) > len(secrets[at]) * 0.8 for at in secrets)
    erase(sqlite_store)
    assert sqlite_store.forget_deleted()
    after = on_disk(tmp_path)
    assert not [at for at in ERASED for one in secrets[at] if one in after]
    kept = [at for at in secrets if at not in ERASED]
    assert all(sum(one in after for one in secrets[at]) > 0 for at in kept)
    assert (tmp_path / "node.db-wal").stat().st_size == 0


@pytest.mark.parametrize(
    "way",
    [Store.write, Store.write_soon, partial(Store.write_soon, durable=True)],
    ids=["as usual", "the short way", "the short way, durably"],
)
def test_what_an_open_reader_keeps_is_owed_and_overwritten_later(
    tmp_path: Path, sqlite_store: Store, way: Callable[[Store], AbstractContextManager[Transaction]]
) -> None:
    secrets = fill(sqlite_store)
    with sqlite_store.read() as reader:
        assert len(reader.statements.envelopes(ERASED)) == len(ERASED)
        erase(sqlite_store)
        assert not sqlite_store.forget_deleted()
        # The reader still sees its state, and the others are not kept waiting.
        assert len(reader.statements.envelopes(ERASED)) == len(ERASED)
        with sqlite_store.write() as transaction:
            assert transaction.access.use_nonce("key", "while it reads", now=1)
        assert [at for at in ERASED for one in secrets[at] if one in on_disk(tmp_path)]
    with way(sqlite_store) as transaction:
        assert transaction.access.use_nonce("key", "after it", now=1)
    assert not [at for at in ERASED for one in secrets[at] if one in on_disk(tmp_path)]


def test_a_start_overwrites_what_a_crash_left_in_the_write_ahead_log(
    tmp_path: Path, sqlite_store: Store
) -> None:
    secrets = fill(sqlite_store)
    erase(sqlite_store)
    # The files as a process leaves them that dies here.
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for path in tmp_path.glob("node.db*"):
        (crashed / path.name).write_bytes(path.read_bytes())
    left = on_disk(crashed)
    assert [at for at in ERASED for one in secrets[at] if one in left]
    store = Store(f"sqlite:///{crashed / 'node.db'}")
    store.migrate()
    assert not [at for at in ERASED for one in secrets[at] if one in on_disk(crashed)]
    store.close()


def test_a_commit_that_the_disk_refuses_leaves_nothing(tmp_path: Path, sqlite_store: Store) -> None:
    with sqlite_store.write() as transaction:
        pages = pragma(transaction, "page_count")
        pragma(transaction, f"max_page_count={pages}")  # no room, on the one connection there is
    with pytest.raises(UnavailableError, match="does not answer"), sqlite_store.write() as writer:
        writer.statements.keep_envelope(0, b"x" * 100_000)
    with sqlite_store.read() as reader:
        assert reader.statements.envelopes([0]) == {}


def test_a_writer_of_another_process_that_does_not_end_is_unavailability(
    tmp_path: Path, sqlite_store: Store
) -> None:
    def hurry(connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
        connection.execute("PRAGMA busy_timeout=1")

    other = sqlite3.connect(tmp_path / "node.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    event.listen(sqlite_store._engine, "checkout", hurry)
    with pytest.raises(UnavailableError, match="does not answer"), sqlite_store.write():
        pass
    other.execute("ROLLBACK")
    other.close()
    with sqlite_store.write() as transaction:
        assert transaction.access.use_nonce("key", "nonce", now=1)
