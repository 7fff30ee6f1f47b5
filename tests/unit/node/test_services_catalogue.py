"""The index of one process is the shadow of the database, never more and never less."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from desks import Desk, pdq_at, picture
from node.matching.scan import ScanIndex
from node.services import catalogue as module
from node.services.catalogue import Catalogue
from node.storage.engine import Store
from node.storage.transaction import Transaction
from simulator import account_ban, media_flag
from worlds import ANNA, HOTLINE, PDQ, retract


def new_catalogue(desk: Desk) -> Catalogue:
    return Catalogue(desk.world.store, ScanIndex(), origin=desk.world.log.origin)


def near(
    catalogue: Catalogue, transaction: Transaction, pdq: str = PDQ
) -> list[tuple[int, int, int]]:
    (found,) = catalogue.near(transaction, [bytes.fromhex(pdq)], max_distance=31)
    return [(one.log_index, one.item, distance) for one, distance in found]


def test_a_new_process_takes_in_the_whole_log_once(
    either_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    for number in range(5):
        pictures = tuple(picture(pdq_at(bits)) for bits in range(number + 1))
        either_desk.world.submit(media_flag(ANNA, number, items=pictures))
        either_desk.world.submit(account_ban(HOTLINE, number))
    catalogue = new_catalogue(either_desk)
    catalogue.refresh()
    assert len(catalogue) == 15
    catalogue.refresh()
    assert len(catalogue) == 15


def test_an_entry_that_was_taken_back_leaves_the_index_when_it_is_met(either_desk: Desk) -> None:
    receipt = either_desk.world.submit(media_flag(ANNA, items=(picture(), picture(pdq_at(3)))))
    catalogue = new_catalogue(either_desk)
    catalogue.refresh()
    either_desk.world.submit(retract(receipt.id, by=ANNA, items=(0,)))
    assert len(catalogue) == 2
    with either_desk.world.store.read() as transaction:
        assert near(catalogue, transaction) == [(receipt.index, 1, 3)]
    assert len(catalogue) == 1


def test_a_question_that_began_earlier_does_not_take_a_newer_entry_out_of_the_index(
    either_desk: Desk,
) -> None:
    catalogue = new_catalogue(either_desk)
    store = either_desk.world.store
    with store.read() as before:
        assert before.statements.entries(0, 1)  # its snapshot is taken
        receipt = either_desk.world.submit(media_flag(ANNA, items=(picture(),)))
        catalogue.refresh()
        assert near(catalogue, before) == [], "it did not exist when this question began"
    with store.read() as after:
        assert near(catalogue, after) == [(receipt.index, 0, 0)]


def test_nothing_new_costs_one_look(desk: Desk) -> None:
    counting = _Counting(desk.world.store)
    catalogue = Catalogue(counting, ScanIndex(), origin=desk.world.log.origin)  # type: ignore[arg-type]  # a Store but for its counter
    catalogue.refresh()
    first = counting.reads
    catalogue.refresh()
    assert counting.reads == first + 1


class _Counting:
    """A store that counts how often it is read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        self.reads += 1
        with self._store.read() as transaction:
            yield transaction
