"""The short way to the database: the same answers as the usual way, and the same promises."""

import sqlite3
import threading
from pathlib import Path
from typing import cast

import pytest

from node.storage.engine import Store
from node.storage.lane import LaneConnection
from node.storage.logs import LogRecord
from node.storage.peers import PeerRecord
from node.storage.transaction import Transaction
from node.storage.witnesses import NoteRecord
from postgres import Postgres
from protocol.errors import NotFoundError, UnavailableError
from protocol.fields import StatementId
from protocol.merkle import Frontier

PEER = PeerRecord(
    name="platform.example",
    descriptor=b'{"any":"bytes"}',
    descriptor_id=StatementId("ab" * 32),
    fingerprint="aaaa-bbbb",
    request_keyid="cd" * 16,
    authority=True,
    state="active",
    added=100,
)
ORIGIN = "platform.example/log"


def answers(transaction: Transaction) -> list[object]:
    """What every signed request, and every request for the checkpoint, asks."""
    return [
        transaction.peers.by_request_key(PEER.request_keyid),
        transaction.peers.by_request_key("00" * 16),
        transaction.logs.get(ORIGIN),
        transaction.logs.get("unknown.example/log"),
        transaction.witnesses.own(ORIGIN, "asked"),
        transaction.witnesses.own(ORIGIN, "published"),
        transaction.witnesses.is_barred(ORIGIN, 6),
        transaction.witnesses.is_barred(ORIGIN, 7),
    ]


def test_the_answers_are_those_of_the_usual_way(store: Store) -> None:
    with store.read_soon() as transaction:
        assert answers(transaction)[:2] == [None, None]
    with store.write() as transaction:
        transaction.peers.put(PEER)
        transaction.logs.put(LogRecord(ORIGIN, Frontier.EMPTY.append([b"1" * 32]), b"note"))
        transaction.witnesses.put_own(NoteRecord(ORIGIN, 1, b"cosigned", 1), "asked")
        transaction.witnesses.put_own(NoteRecord(ORIGIN, 7, b"later", 1), "behind")
    with store.read() as transaction:
        usual = answers(transaction)
    assert usual[0] == PEER
    assert usual[-2:] == [True, False]
    for _ in range(2):
        with store.read_soon() as transaction:
            assert answers(transaction) == usual
        with store.write_soon() as transaction:
            assert answers(transaction) == usual
    with store.write() as transaction:
        transaction.peers.set_state(PEER.name, "frozen")
    with store.read_soon() as transaction:
        found = transaction.peers.by_request_key(PEER.request_keyid)
        assert found is not None
        assert found.state == "frozen"


def test_a_nonce_is_used_once_whichever_way_it_comes(store: Store) -> None:
    with store.write_soon() as transaction:
        assert transaction.access.use_nonce("key", "first", now=1)
        assert not transaction.access.use_nonce("key", "first", now=1)
    with store.write() as transaction:
        assert not transaction.access.use_nonce("key", "first", now=1)
        assert transaction.access.use_nonce("key", "second", now=1)
    with store.write_soon() as transaction:
        assert not transaction.access.use_nonce("key", "second", now=2)


def test_a_nonce_is_used_once_by_many_threads(store: Store) -> None:
    ways = [store.write_soon, store.write] * 4
    used: list[bool] = []

    def use(number: int) -> None:
        for at in range(5):
            with ways[number]() as transaction:
                used.append(transaction.access.use_nonce("key", f"nonce {at}", now=1))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(len(ways))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(used) == len(ways) * 5
    assert sum(used) == 5


def test_who_does_not_wait_is_served_while_nobody_writes_and_refused_otherwise(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'node.db'}"
    store, other_process = Store(url), Store(url)
    store.migrate()
    with store.write_soon(wait=False) as transaction:
        assert transaction.access.use_nonce("key", "first", now=1)
    for writer in (store, other_process):
        with writer.write() as transaction:
            transaction.logs.put(LogRecord(ORIGIN, Frontier.EMPTY, b"note"))
            with pytest.raises(UnavailableError), store.write_soon(wait=False) as refused:
                refused.access.use_nonce("key", "second", now=1)
            with store.read_soon(wait=False) as reader:
                assert reader.peers.by_request_key(PEER.request_keyid) is None
    with store.write_soon(wait=False) as transaction:
        assert not transaction.access.use_nonce("key", "first", now=1)
        assert transaction.access.use_nonce("key", "second", now=1)
    store.close()
    other_process.close()


def test_a_server_is_never_asked_by_who_does_not_wait(postgres: Postgres) -> None:
    store = Store(postgres.fresh())
    for way in (store.read_soon, store.write_soon):
        with pytest.raises(UnavailableError, match="waited for"), way(wait=False) as transaction:
            transaction.logs.get(ORIGIN)
    store.close()


def test_what_raises_leaves_nothing(store: Store) -> None:
    def fail(transaction: Transaction) -> None:
        assert transaction.access.use_nonce("key", "nonce", now=1)
        raise NotFoundError("in the block")

    with pytest.raises(NotFoundError), store.write_soon() as transaction:
        fail(transaction)
    with store.write_soon() as transaction:
        assert transaction.access.use_nonce("key", "nonce", now=1)
    with store.write() as transaction:
        assert not transaction.access.use_nonce("key", "nonce", now=1)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'node.db'}")
    store.migrate()
    with (
        pytest.raises(sqlite3.OperationalError, match="readonly"),
        store.read_soon() as transaction,
    ):
        transaction.access.use_nonce("key", "nonce", now=1)
    with store.read_soon() as transaction:
        assert transaction.logs.get(ORIGIN).frontier == Frontier.EMPTY
    store.close()


def test_what_is_deleted_is_overwritten_and_who_wants_it_waits_for_the_disk(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'node.db'}")
    store.migrate()
    for level, way in (
        (2, store.write_soon(durable=True)),
        (1, store.write_soon()),
        (1, store.write_soon(wait=False)),
    ):
        with way as transaction:
            driver = cast("LaneConnection", transaction._connection).driver
            told = {
                name: driver.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("synchronous", "secure_delete", "foreign_keys", "temp_store")
            }
            assert told == {
                "synchronous": level,  # 2 is FULL
                "secure_delete": 1,
                "foreign_keys": 1,
                "temp_store": 2,  # memory
            }
    store.close()


def test_a_database_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'missing' / 'node.db'}")
    for way in (store.read_soon, store.write_soon):
        with pytest.raises(UnavailableError), way() as transaction:
            transaction.logs.get(ORIGIN)
    store.close()


def of_a_check(transaction: Transaction) -> list[object]:
    """What a sign-up check asks first: whose key it is, and how circles and nodes stand."""
    return [
        transaction.access.client_with(b"d" * 32),
        transaction.access.client_with(b"e" * 32),
        transaction.trust.circles(),
        transaction.peers.pins(),
        transaction.trust.frozen_holders(),
    ]


def test_a_check_is_told_what_the_usual_way_tells(store: Store) -> None:
    with store.read_soon() as transaction:
        assert of_a_check(transaction) == [None, None, [], [], []]
    with store.write() as transaction:
        transaction.access.add_client("forum", b"d" * 32, frozenset({"check", "match"}), now=5)
        transaction.access.revoke_client(1, now=6)
        transaction.peers.put(PEER)
        transaction.trust.put_circle("a.example/c-1", version=2, log_index=7)
        transaction.trust.contradict_circle("a.example/c-1", contradicted=True)
        transaction.trust.freeze_holder("a.example/c-1", PEER.name, since=3, message="It lied.")
    with store.read() as transaction:
        usual = of_a_check(transaction)
    assert all(found for place, found in enumerate(usual) if place != 1)
    for _ in range(2):
        with store.read_soon() as transaction:
            assert of_a_check(transaction) == usual
