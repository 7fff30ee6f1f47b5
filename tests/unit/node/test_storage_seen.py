"""What a transaction has read and need not ask for again: never other than the database has it."""

from contextlib import suppress

import pytest
from sqlalchemy import event

from node.storage.descriptors import DescriptorRecord
from node.storage.engine import Store
from node.storage.logs import LogRecord
from node.storage.peers import PeerRecord
from node.storage.seen import Seen
from node.storage.witnesses import NoteRecord
from protocol.fields import StatementId
from protocol.merkle import Frontier

PEER = PeerRecord(
    name="platform.example",
    descriptor=b"first",
    descriptor_id=StatementId("ab" * 32),
    fingerprint="aaaa-bbbb",
    request_keyid="cd" * 16,
    authority=False,
    state="active",
    added=100,
)
SCOPES = [("issuer", "platform.example"), ("organisation", "platform.example")]
ORIGIN = "platform.example/log"


class UndoneError(Exception):
    """What a part of a transaction is undone with."""


def test_a_transaction_finds_what_it_wrote_after_it_had_read(store: Store) -> None:
    grown = Frontier.EMPTY.append([b"1" * 32])
    with store.write() as transaction:
        assert transaction.peers.get(PEER.name) is None
        assert transaction.joining.newcomers() == {}
        assert not transaction.witnesses.is_barred(ORIGIN, 3)
        assert transaction.gates.taken_in("2026-01-01", SCOPES) == {}
        assert transaction.logs.get(ORIGIN).frontier == Frontier.EMPTY

        transaction.peers.put(PEER)
        transaction.joining.set_newcomer(PEER.name, 500)
        transaction.witnesses.put_own(NoteRecord(ORIGIN, 4, b"note", 1), "behind")
        transaction.gates.take_in("2026-01-01", SCOPES, 7, at=1)
        transaction.gates.take_in("2026-01-01", SCOPES[:1], 2, at=1)
        transaction.logs.put(LogRecord(ORIGIN, grown, b"note"))

        assert transaction.peers.get(PEER.name) == PEER
        assert transaction.joining.newcomers() == {PEER.name: 500}
        assert transaction.witnesses.is_barred(ORIGIN, 3)
        assert not transaction.witnesses.is_barred(ORIGIN, 4)
        taken = {SCOPES[0]: 9, SCOPES[1]: 7}
        assert transaction.gates.taken_in("2026-01-01", SCOPES) == taken
        assert transaction.logs.get(ORIGIN) == LogRecord(ORIGIN, grown, b"note")

        transaction.peers.set_state(PEER.name, "frozen")
        frozen = transaction.peers.get(PEER.name)
        assert frozen is not None
        assert frozen.state == "frozen"
        later = DescriptorRecord(PEER.name, 2, StatementId("ac" * 32), b"second")
        transaction.descriptors.advance(later, ["ce" * 16])
        advanced = transaction.peers.get(PEER.name)
        assert advanced is not None
        assert advanced.descriptor == b"second"
        transaction.peers.remove(PEER.name)
        assert transaction.peers.get(PEER.name) is None
        transaction.joining.end_newcomer(PEER.name)
        assert transaction.joining.newcomers() == {}
        transaction.witnesses.put_own(NoteRecord(ORIGIN, 4, b"note", 1), "forked")
        assert transaction.witnesses.is_barred(ORIGIN, 4)


def test_a_transaction_does_not_find_what_it_has_undone(store: Store) -> None:
    with store.write() as transaction:
        transaction.peers.put(PEER)
        transaction.gates.take_in("2026-01-01", SCOPES, 1, at=1)
        with suppress(UndoneError), transaction.savepoint():
            transaction.peers.set_state(PEER.name, "frozen")
            assert transaction.peers.get(PEER.name) != PEER
            transaction.gates.take_in("2026-01-01", SCOPES, 5, at=1)
            transaction.joining.set_newcomer(PEER.name, 500)
            assert transaction.joining.newcomers()
            raise UndoneError
        assert transaction.peers.get(PEER.name) == PEER
        assert transaction.joining.newcomers() == {}
        assert transaction.gates.taken_in("2026-01-01", SCOPES) == dict.fromkeys(SCOPES, 1)


def test_the_next_transaction_asks_anew(store: Store) -> None:
    with store.write() as transaction:
        transaction.peers.put(PEER)
    for state in ("frozen", "active"):
        with store.write() as transaction:
            transaction.peers.set_state(PEER.name, state)
        with store.read() as transaction:
            found = transaction.peers.get(PEER.name)
            assert found is not None
            assert found.state == state


def test_the_database_is_asked_once_for_what_each_statement_of_a_batch_needs(store: Store) -> None:
    asked: list[str] = []
    with store.write() as transaction:
        event.listen(
            transaction._connection,
            "before_cursor_execute",
            lambda _connection, _cursor, text, *_rest: asked.append(text),
        )
        for _ in range(3):
            transaction.peers.get("nobody.example")
            transaction.joining.newcomers()
            transaction.witnesses.is_barred(ORIGIN, 1)
            transaction.logs.get(ORIGIN)
            transaction.gates.taken_in("2026-01-01", SCOPES)
    assert len(asked) == 5


def test_what_raises_is_asked_again() -> None:
    seen = Seen()
    answers = iter([None, "found"])

    def read() -> str:
        answer = next(answers)
        if answer is None:
            raise UndoneError
        return answer

    with pytest.raises(UndoneError):
        seen.get("thing", 1, read)
    assert seen.get("thing", 1, read) == "found"
    assert seen.get("thing", 1, read) == "found"
