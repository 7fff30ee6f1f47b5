"""Which digests and fingerprints equal those asked for: the database's answer, only sooner."""

from hashlib import sha256

import pytest

from desks import Desk, pdq_at, picture
from node.services import equality as module
from node.services.equality import Digests, Fingerprints
from node.storage.media import MediaHash
from node.storage.transaction import Transaction
from protocol.encoding import from_base64url
from protocol.statements import AccountBan
from simulator import account_ban, media_flag
from worlds import ANNA, HOTLINE, retract


def digest(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


def looked_up(digests: Digests, transaction: Transaction, values: list[bytes]) -> list[MediaHash]:
    """All that the database believes of what was found."""
    equal = digests.equal_to(transaction, values)
    believed = equal.believed(transaction, equal.found)
    return [entry for part in believed for entry, _distance in part]


def places(desk: Desk, digests: Digests, *numbers: int) -> list[tuple[int, int]]:
    values = [bytes.fromhex(digest(number)) for number in numbers]
    with desk.world.store.read() as transaction:
        found = looked_up(digests, transaction, values)
        assert {one.value for one in found} <= set(values)
        return sorted((one.log_index, one.item) for one in found)


def flag(desk: Desk, number: int, *digests: int) -> tuple[int, str]:
    items = tuple(picture(pdq_at(at), sha256=digest(one)) for at, one in enumerate(digests))
    receipt = desk.world.submit(media_flag(ANNA, number, items=items))
    return receipt.index, receipt.id


def test_what_is_flagged_later_is_found_by_the_next_question(either_desk: Desk) -> None:
    digests = Digests(either_desk.world.log.origin)
    assert places(either_desk, digests, 1) == []
    first, _ = flag(either_desk, 1, 1, 2)
    second, _ = flag(either_desk, 2, 2)
    assert places(either_desk, digests, 1, 2, 3) == [(first, 0), (first, 1), (second, 0)]


def test_what_is_taken_back_is_found_no_more_and_leaves_the_index_when_it_is_met(
    either_desk: Desk,
) -> None:
    digests = Digests(either_desk.world.log.origin)
    index, statement = flag(either_desk, 1, 1, 2)
    assert places(either_desk, digests, 1, 2) == [(index, 0), (index, 1)]
    either_desk.world.submit(retract(statement, by=ANNA, items=(0,)))
    held = digests._places._index
    assert (places(either_desk, digests, 1, 2), len(held)) == ([(index, 1)], 1)


def test_a_question_that_began_earlier_does_not_take_a_newer_entry_out_of_the_index(
    either_desk: Desk,
) -> None:
    digests = Digests(either_desk.world.log.origin)
    with either_desk.world.store.read() as before:
        before.logs.size(either_desk.world.log.origin)  # its snapshot is taken
        index, _ = flag(either_desk, 1, 1)
        assert places(either_desk, digests, 1) == [(index, 0)]
        assert not looked_up(digests, before, [bytes.fromhex(digest(1))])
    assert places(either_desk, digests, 1) == [(index, 0)]


@pytest.mark.parametrize("page", [1, 2, 3])
def test_until_the_whole_log_is_taken_in_the_database_answers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    written = [flag(desk, number, number, 10 + number)[0] for number in range(5)]
    monkeypatch.setattr(module, "_PAGE", page)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
    # No patience at all: one question takes in nothing.
    digests = Digests(desk.world.log.origin)
    expected = [(index, item) for index in written for item in (0, 1)]
    assert places(desk, digests, *range(15)) == expected
    assert len(digests._places._index) == 0
    monkeypatch.setattr(module, "_PATIENCE_S", 60.0)
    assert places(desk, digests, *range(15)) == expected
    assert len(digests._places._index) == 10


def test_nobody_waits_for_another_who_takes_in_the_log(desk: Desk) -> None:
    index, _ = flag(desk, 1, 1)
    digests = Digests(desk.world.log.origin)
    with digests._places._lock:
        assert places(desk, digests, 1) == [(index, 0)]
    assert len(digests._places._index) == 0


def test_fingerprints_are_found_until_they_are_forgotten(either_desk: Desk) -> None:
    fingerprints = Fingerprints(either_desk.world.log.origin)
    store = either_desk.world.store
    bans = [account_ban(HOTLINE, number) for number in range(3)]
    receipts = [either_desk.world.submit(one) for one in bans]
    values = [_value(one) for one in bans]
    with store.read() as transaction:
        found = fingerprints.with_values(transaction, values)
        assert {(one.log_index, one.value) for one in found} == {
            (receipt.index, value) for receipt, value in zip(receipts, values, strict=True)
        }
        assert fingerprints.with_values(transaction, [bytes(32)]) == []
    with store.write() as transaction:
        transaction.accounts.forget(receipts[0].index)
    with store.read() as transaction:
        assert [one.log_index for one in fingerprints.with_values(transaction, values[:1])] == []
        assert len(fingerprints._places._index) == 2


def _value(ban: AccountBan) -> bytes:
    return from_base64url(ban.fingerprints[0].value)
