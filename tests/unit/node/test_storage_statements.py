"""Statements and envelopes: places, ids, exact bytes, and what forgetting leaves."""

import hashlib
from dataclasses import replace

import pytest

from node.storage.engine import Store
from node.storage.statements import DisputeRecord, StatementRecord
from protocol.fields import StatementId

MANY = 1_203  # more than two chunks of a query


def id_of(log_index: int) -> StatementId:
    return StatementId(hashlib.sha256(f"{log_index}".encode()).hexdigest())


def record(log_index: int, **changes: object) -> StatementRecord:
    plain = StatementRecord(
        log_index=log_index,
        id=id_of(log_index),
        kind="media-flag",
        issuer="hotline.example/anna",
        issued=1_000,
        ends=2_000,
        target_index=None,
        audience=("peers", "node:platform.example"),
        state="active",
        category="csam.act.prepub",
        issuer_code="A1",
        flags=("generative_ai", "known_minor"),
        surfaces=("public", "hosted"),
        jurisdictions=("DE", "BE"),
        items=3,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def add(store: Store, *records: StatementRecord) -> None:
    with store.write() as transaction:
        for one in records:
            transaction.statements.append(one, keyid="00" * 16, received=1_500, source="test")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ends": None, "category": None, "issuer_code": None, "flags": (), "surfaces": ()},
        {"jurisdictions": (), "target_index": 2**53 - 1, "issued": 2**40, "items": 1_000},
    ],
)
def test_a_record_comes_back_as_it_was_stored(store: Store, changes: dict[str, object]) -> None:
    stored = record(2**53 - 1, **changes)
    add(store, stored)
    with store.read() as transaction:
        assert transaction.statements.by_id(stored.id) == stored
        assert transaction.statements.by_id(id_of(1)) is None


@pytest.fixture
def crowded(store: Store) -> Store:
    add(store, *(record(at) for at in range(MANY)))
    with store.write() as transaction:
        for at in range(MANY):
            transaction.statements.keep_envelope(at, b"%d" % at)
    return store


def test_any_number_of_statements_is_looked_up_at_once(crowded: Store) -> None:
    with crowded.read() as transaction:
        statements = transaction.statements
        by_id = statements.by_ids([id_of(at) for at in range(MANY + 5)])
        assert {one.log_index for one in by_id.values()} == set(range(MANY))
        assert all(id_of(one.log_index) == key == one.id for key, one in by_id.items())
        by_index = statements.by_indices([*range(MANY + 5), 7, 7])
        assert {at: one.id for at, one in by_index.items()} == {at: id_of(at) for at in range(MANY)}
        assert statements.envelopes(range(MANY + 5)) == {at: b"%d" % at for at in range(MANY)}
        assert statements.by_ids([]) == {}
        assert statements.by_indices([]) == {}
        assert statements.envelopes([]) == {}


def test_the_log_is_read_in_order_from_any_place_on(crowded: Store) -> None:
    with crowded.read() as transaction:
        entries = transaction.statements.entries
        assert entries(0, MANY + 1) == [id_of(at) for at in range(MANY)]
        assert entries(700, 3) == [id_of(700), id_of(701), id_of(702)]
        assert entries(MANY, 10) == []


def test_an_issuers_statements_are_paged_newest_first(store: Store) -> None:
    add(store, *(record(at, issuer=f"{'ab'[at % 2]}.example") for at in range(8)))
    with store.read() as transaction:
        page = transaction.statements.by_issuer("a.example", before=None, limit=3)
        assert [one.log_index for one in page] == [6, 4, 2]
        page = transaction.statements.by_issuer("a.example", before=2, limit=3)
        assert [one.log_index for one in page] == [0]


@pytest.mark.parametrize(
    "body",
    [b"{}", '{ "payload" : "ü\\u00fc" }\r\n'.encode(), bytes(range(256)), b"\0" * 9, b"x" * 2**20],
)
def test_an_envelope_comes_back_byte_for_byte(store: Store, body: bytes) -> None:
    with store.write() as transaction:
        transaction.statements.keep_envelope(0, body)
    with store.read() as transaction:
        assert transaction.statements.envelopes([0]) == {0: body}


def test_forgetting_deletes_the_body_and_leaves_the_entry(store: Store) -> None:
    add(store, record(0), record(1))
    with store.write() as transaction:
        transaction.statements.keep_envelope(0, b"zero")
        transaction.statements.keep_envelope(1, b"one")
        transaction.statements.forget(0, "erased")
    forgotten = record(
        0,
        state="erased",
        category=None,
        issuer_code=None,
        flags=(),
        surfaces=(),
        jurisdictions=(),
    )
    with store.read() as transaction:
        assert transaction.statements.entries(0, 10) == [id_of(0), id_of(1)]
        assert transaction.statements.by_indices([0, 1]) == {0: forgotten, 1: record(1)}
        assert transaction.statements.envelopes([0, 1]) == {1: b"one"}


def test_a_statement_has_ended_from_its_last_second_on_and_only_once(store: Store) -> None:
    add(
        store,
        record(0, ends=100),
        record(1, ends=101),
        record(2, ends=None, kind="retract"),
        record(3, ends=50, state="expired"),
        record(4, ends=50, state="erased"),
        record(5, ends=50, state="retracted"),
        record(6, ends=50, kind="account-ban"),
    )

    def ended(now: int, limit: int = 10) -> list[int]:
        with store.read() as transaction:
            return [one.log_index for one in transaction.statements.ended(now, limit=limit)]

    assert ended(100) == [0, 5, 6]
    assert ended(101) == [0, 1, 5, 6]
    assert ended(101, limit=2) == [0, 1]


def test_statements_are_counted_by_kind_and_state(store: Store) -> None:
    add(store, record(0), record(1), record(2, state="erased"), record(3, kind="erase"))
    with store.write() as transaction:
        transaction.statements.set_state(1, "retracted")
    with store.read() as transaction:
        assert transaction.statements.counts() == {
            ("media-flag", "active"): 1,
            ("media-flag", "retracted"): 1,
            ("media-flag", "erased"): 1,
            ("erase", "active"): 1,
        }


def test_disputes_are_found_by_what_they_are_about(store: Store) -> None:
    whole, part = DisputeRecord(5, 1, (), "open"), DisputeRecord(6, 1, (0, 12), "open")
    with store.write() as transaction:
        for one in (whole, part, DisputeRecord(7, 2, (), "open")):
            transaction.statements.add_dispute(one)
        transaction.statements.set_dispute_state(6, "upheld")
    with store.read() as transaction:
        found = transaction.statements.disputes([1, *range(100, 100 + MANY)])
        assert sorted(found, key=lambda one: one.log_index) == [
            whole,
            replace(part, state="upheld"),
        ]
        assert transaction.statements.disputes([]) == []
        assert transaction.statements.open_disputes([1, *range(100, 100 + MANY)]) == [whole]
    assert [whole.covers(item) for item in (0, 1, 12)] == [True, True, True]
    assert [part.covers(item) for item in (0, 1, 12)] == [True, False, True]
