"""The node's own log: places without gaps, and checkpoints of what is durable and nothing else."""

import hashlib

import pytest

from node.services.log import OwnLog
from node.storage.engine import Store
from protocol.checkpoint import Checkpoint
from protocol.errors import UnknownKeyError
from protocol.fields import StatementId
from protocol.merkle import Frontier
from protocol.messages import EntriesRequest
from signing.keys import KeyUse
from signing.notes import open_checkpoint
from simulator import make_key, media_flag
from worlds import ANNA, HOTLINE, PLATFORM, World

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
