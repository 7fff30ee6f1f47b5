"""The node's own log: places without gaps, and checkpoints of what is durable and nothing else."""

import hashlib

import pytest

from node.services.log import OwnLog
from node.storage.engine import Store
from node.storage.witnesses import NoteRecord
from protocol.checkpoint import Checkpoint
from protocol.errors import NotFoundError, ProofError, UnavailableError, UnknownKeyError
from protocol.fields import StatementId
from protocol.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from protocol.messages import EntriesRequest
from signing.keys import KeyUse
from signing.notes import open_checkpoint, sign_checkpoint
from signing.receipts import verify_receipt
from simulator import make_key, media_flag
from worlds import ANNA, HOTLINE, PLATFORM, World, append_entries

ORIGIN = f"{HOTLINE}/log/1"
KEY = make_key(KeyUse.LOG, HOTLINE)


def own_log(store: Store) -> OwnLog:
    return OwnLog(store, KEY, origin=ORIGIN)


def opened(log: OwnLog) -> Checkpoint:
    return open_checkpoint(log.checkpoint(), origin=ORIGIN, key=KEY.public)


def ids(count: int) -> list[StatementId]:
    return [StatementId(hashlib.sha256(b"%d" % at).hexdigest()) for at in range(count)]


def root_of(entries: list[StatementId]) -> bytes:
    return Frontier.EMPTY.append(bytes.fromhex(one) for one in entries).root()


def test_an_empty_log_has_a_checkpoint_too(store: Store) -> None:
    log = own_log(store)
    assert opened(log) == Checkpoint(ORIGIN, 0, Frontier.EMPTY.root())
    assert log.size() == 0
    assert log.entries(EntriesRequest(start=0, limit=10)).entries == ()


def test_entries_get_the_next_places_in_the_order_given(store: Store) -> None:
    log, entries = own_log(store), ids(7)
    with store.write() as transaction:
        assert log.append(transaction, entries[:1]) == 0
        assert log.append(transaction, entries[1:4]) == 1
    with store.write() as transaction:
        assert log.append(transaction, entries[4:]) == 4
    assert log.size() == 7
    assert opened(log) == Checkpoint(ORIGIN, 7, root_of(entries))


def test_a_checkpoint_covers_only_what_is_committed(store: Store) -> None:
    log, entries = own_log(store), ids(3)
    with store.write() as transaction:
        log.append(transaction, entries[:1])
    before = log.checkpoint()

    def append_and_crash() -> None:
        with store.write() as transaction:
            log.append(transaction, entries[1:])
            assert log.checkpoint() == before
            raise KeyError

    with pytest.raises(KeyError):
        append_and_crash()
    assert log.checkpoint() == before
    assert opened(log) == Checkpoint(ORIGIN, 1, root_of(entries[:1]))


def test_a_log_of_one_size_has_one_checkpoint_whichever_process_signs(store: Store) -> None:
    first, second = own_log(store), own_log(store)
    for at, entry in enumerate(ids(5)):
        with store.write() as transaction:
            (first, second)[at % 2].append(transaction, [entry])
        assert first.checkpoint() == second.checkpoint()
    assert opened(first).size == 5


def test_a_checkpoint_is_signed_by_the_key_of_the_log_alone(store: Store) -> None:
    other = make_key(KeyUse.LOG, PLATFORM)
    with pytest.raises(UnknownKeyError, match="no signature of the log's key"):
        open_checkpoint(own_log(store).checkpoint(), origin=ORIGIN, key=other.public)


def test_the_entries_behind_a_checkpoint_have_its_root(world: World) -> None:
    receipts = world.submit_all([media_flag(ANNA, number) for number in range(5)])
    found = world.log.entries(EntriesRequest(start=0, limit=100))
    assert found.start == 0
    assert [found.entries[one.index] for one in receipts] == [one.id for one in receipts]
    checkpoint = opened(world.log)
    assert checkpoint.size == len(found.entries) == world.log.size()
    assert checkpoint.root == root_of([StatementId(one) for one in found.entries])


@pytest.mark.parametrize(
    ("start", "limit"), [(0, 2), (2, 2), (4, 2), (5, 1), (6, 5), (2**53 - 1, 1)]
)
def test_entries_are_given_as_far_as_the_log_reaches(world: World, start: int, limit: int) -> None:
    world.submit_all([media_flag(ANNA, number) for number in range(5)])
    everything = world.log.entries(EntriesRequest(start=0, limit=100)).entries
    page = world.log.entries(EntriesRequest(start=start, limit=limit))
    assert page.start == start
    assert page.entries == everything[start : start + limit]


@pytest.fixture
def long_log(store: Store) -> tuple[OwnLog, list[StatementId]]:
    """A log that reached its second level of tiles in steps of every kind."""
    log, entries = own_log(store), ids(1_000)
    for low, high in ((0, 1), (1, 255), (255, 256), (256, 700), (700, 701), (701, 1_000)):
        with store.write() as transaction:
            append_entries(transaction, log, entries[low:high])
    return log, entries


@pytest.mark.parametrize("size", [1, 255, 256, 257, 513, 999, 1_000])
def test_every_entry_and_every_earlier_size_is_proven(
    long_log: tuple[OwnLog, list[StatementId]], size: int
) -> None:
    log, entries = long_log
    root = root_of(entries[:size])
    for index in {0, size // 2, size - 1}:
        leaf = leaf_hash(bytes.fromhex(entries[index]))
        verify_inclusion(index, size, leaf, log.inclusion_proof(index, size), root)
    for old in {1, size // 2 or 1, 256, 512, size}:
        if old <= size:
            proof = log.consistency_proof(old, size)
            verify_consistency(old, size, root_of(entries[:old]), root, proof)
    assert log.consistency_proof(0, size) == []


def test_a_log_proves_nothing_of_what_it_has_not_grown_to(
    long_log: tuple[OwnLog, list[StatementId]],
) -> None:
    log, _ = long_log
    for ask in (lambda: log.inclusion_proof(0, 1_001), lambda: log.consistency_proof(1, 1_001)):
        with pytest.raises(ProofError, match="has not grown"):
            ask()
    with pytest.raises(ProofError, match="no entry at this place"):
        log.inclusion_proof(500, 500)
    with pytest.raises(ProofError, match="no consistency proof"):
        log.consistency_proof(501, 500)


def test_a_crash_before_the_commit_leaves_no_hash_of_the_tree(store: Store) -> None:
    log = own_log(store)

    def append_and_crash() -> None:
        with store.write() as transaction:
            append_entries(transaction, log, ids(300))
            raise KeyError

    with pytest.raises(KeyError):
        append_and_crash()
    with store.read() as transaction:
        assert transaction.logs.tile_roots(0, 0, 10) == []
    with store.write() as transaction:
        append_entries(transaction, log, ids(300))
    with store.read() as transaction:
        assert transaction.logs.tile_roots(0, 0, 10) == [root_of(ids(256))]


def test_a_damaged_tree_proves_nothing(long_log: tuple[OwnLog, list[StatementId]]) -> None:
    log, _ = long_log
    with log._store.write() as transaction:
        transaction.logs.forget_tiles()
    with pytest.raises(UnavailableError, match="node fsck"):
        log.inclusion_proof(999, 1_000)


def test_a_receipt_is_proven_against_the_newest_published_checkpoint_that_covers_it(
    long_log: tuple[OwnLog, list[StatementId]], store: Store
) -> None:
    log, entries = long_log
    root = root_of(entries[:300])
    note = sign_checkpoint(Checkpoint(ORIGIN, 300, root), KEY)
    with store.write() as transaction:
        transaction.witnesses.put_own(NoteRecord(ORIGIN, 300, note, 1), "published")
    for index, size in ((0, 300), (299, 300), (300, 1_000), (999, 1_000)):
        entry = bytes.fromhex(entries[index])
        data = log.receipt(entries[index])
        logged = verify_receipt(data, entry=entry, origin=ORIGIN, keys=[KEY.public])
        assert (logged.proof.index, logged.checkpoint.size) == (index, size)
    with pytest.raises(NotFoundError, match="no such statement"):
        log.receipt(StatementId("0" * 64))
    with pytest.raises(NotFoundError, match="no such statement"):
        log.receipt(entries[0], issuer=PLATFORM)
