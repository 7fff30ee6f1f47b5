"""Clients, nonces, and the lease of the jobs."""

import threading
from collections.abc import Callable

import pytest

from node.storage.engine import Store
from protocol.errors import ConflictError
from worlds import contents

RACERS = 8


def race(job: Callable[[], bool]) -> list[bool]:
    """Runs the same job in many threads at once, each in a transaction of its own."""
    barrier = threading.Barrier(RACERS)
    results: list[bool] = []

    def run() -> None:
        barrier.wait()
        results.append(job())

    threads = [threading.Thread(target=run) for _ in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == RACERS
    return results


def test_a_nonce_is_accepted_once_per_key(store: Store) -> None:
    with store.write() as transaction:
        assert transaction.access.use_nonce("key", "nonce", now=1)
        assert not transaction.access.use_nonce("key", "nonce", now=2)
        assert transaction.access.use_nonce("key", "other", now=2)
        assert transaction.access.use_nonce("other", "nonce", now=2)


def test_of_many_requests_with_one_nonce_exactly_one_wins(store: Store) -> None:
    def use() -> bool:
        with store.write() as transaction:
            return transaction.access.use_nonce("key", "nonce", now=1)

    assert race(use).count(True) == 1


def test_only_nonces_older_than_said_are_forgotten(store: Store) -> None:
    with store.write() as transaction:
        for at in (9, 10, 11):
            transaction.access.use_nonce("key", f"nonce-{at}", now=at)
        transaction.access.forget_nonces(before=10)
        assert transaction.access.use_nonce("key", "nonce-9", now=12)
        assert not transaction.access.use_nonce("key", "nonce-10", now=12)
        assert not transaction.access.use_nonce("key", "nonce-11", now=12)


def test_a_lease_belongs_to_one_holder_until_it_ends(store: Store) -> None:
    with store.write() as transaction:
        hold = transaction.access.hold_lease
        assert hold("jobs", "one", now=100, until=130)
        assert not hold("jobs", "two", now=129, until=160)
        assert hold("jobs", "one", now=129, until=159)
        assert not hold("jobs", "two", now=158, until=188)
        assert hold("jobs", "two", now=159, until=189)
        assert not hold("jobs", "one", now=160, until=190)
        assert hold("other", "one", now=160, until=190)


def test_a_lease_taken_under_a_clock_that_was_wrong_ends_when_the_clock_is_set(
    store: Store,
) -> None:
    day_s = 86_400
    with store.write() as transaction:
        hold = transaction.access.hold_lease
        assert hold("jobs", "dead", now=100 + day_s, until=130 + day_s)
        assert hold("jobs", "one", now=100, until=130)
        # A clock that was put back by less than a lease's length costs no more than one.
        assert not hold("jobs", "two", now=75, until=105)


def test_only_its_holder_gives_a_lease_back(store: Store) -> None:
    with store.write() as transaction:
        access = transaction.access
        access.hold_lease("jobs", "one", now=100, until=130)
        access.drop_lease("jobs", "two")
        assert not access.hold_lease("jobs", "two", now=101, until=131)
        access.drop_lease("jobs", "one")
        assert access.hold_lease("jobs", "two", now=101, until=131)


def test_of_many_processes_exactly_one_gets_the_lease(store: Store) -> None:
    def hold() -> bool:
        holder = f"{threading.get_ident()}"
        with store.write() as transaction:
            return transaction.access.hold_lease("jobs", holder, now=100, until=130)

    assert race(hold).count(True) == 1


def test_a_client_is_found_by_the_digest_of_its_key_and_marked_once_revoked(store: Store) -> None:
    with store.write() as transaction:
        access = transaction.access
        number = access.add_client("app", b"d" * 32, frozenset({"match", "check"}), now=5)
        found = access.client_with(b"d" * 32)
        assert found is not None
        assert (found.number, found.name, found.created) == (number, "app", 5)
        assert found.scopes == {"match", "check"}
        assert found.revoked is None
        assert access.client_with(b"e" * 32) is None
        assert access.revoke_client(number, now=6)
        assert not access.revoke_client(number, now=7)
        assert not access.revoke_client(number + 1, now=7)
        assert [one.revoked for one in access.clients()] == [6]


@pytest.mark.parametrize(
    ("name", "digest"), [("app", b"e" * 32), ("other", b"d" * 32)], ids=["name", "key"]
)
def test_two_clients_share_neither_name_nor_key(
    database_url: str, store: Store, name: str, digest: bytes
) -> None:
    with store.write() as transaction:
        transaction.access.add_client("app", b"d" * 32, frozenset({"match"}), now=1)
    before = contents(database_url)
    with pytest.raises(ConflictError, match="this name already"), store.write() as transaction:
        transaction.access.add_client(name, digest, frozenset({"match"}), now=2)
    assert contents(database_url) == before
