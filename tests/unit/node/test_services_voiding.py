"""A revocation is in force at once, however much the key has said, and carried out in steps."""

from collections.abc import Callable
from typing import Any

import pytest

from desks import Desk
from node.services import voiding
from node.services.effects import make_void
from node.services.revocations import Revocations
from node.services.voiding import Voiding
from node.storage.transaction import Transaction
from protocol.encoding import format_time
from protocol.errors import RevokedError
from protocol.fields import StatementId
from protocol.statements import Revocation
from simulator import NOW, accredit, media_flag
from worlds import ANNA, HOTLINE

LOG = f"{HOTLINE}/log/1"


class _StopError(Exception):
    """Ends a step where a crash would."""


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voiding, "AT_ONCE", 2)
    monkeypatch.setattr(voiding, "_PAGE", 4)


def revocations(desk: Desk) -> Revocations:
    world = desk.world
    return Revocations(
        world.store,
        world.log,
        desk.author,
        desk.audit,
        desk.flaggers,
        name=world.name,
        published=lambda: None,
        clock=desk.clock,
    )


def work(desk: Desk, stop: Callable[[int], bool] = lambda _place: False) -> Voiding:
    def withdraw(transaction: Transaction, place: int) -> None:
        if stop(place):
            raise _StopError
        make_void(transaction, place, clock=desk.clock)

    return Voiding(desk.world.store, withdraw)


def finish(service: Voiding) -> int:
    steps = 0
    while service.is_behind():
        assert service.step()
        steps += 1
    return steps


def flags(desk: Desk, count: int) -> list[StatementId]:
    return [desk.world.submit(media_flag(ANNA, number)).id for number in range(1, count + 1)]


def states(desk: Desk, statements: list[StatementId]) -> list[str]:
    with desk.world.store.read() as transaction:
        found = transaction.statements.by_ids(statements)
    return [found[one].state for one in statements]


def mark(size: int, *, at: int = NOW) -> Revocation:
    return Revocation(at=format_time(at), log=LOG, size=size, reason="compromised")


def test_what_is_left_of_a_revocation_is_carried_out_in_steps(either_desk: Desk) -> None:
    said = flags(either_desk, 9)
    service = work(either_desk)
    assert not service.is_behind()
    revocations(either_desk).revoke_flagger(ANNA, mark(2))
    # The accreditation stands at place 0, the first flag at 1.
    assert states(either_desk, said) == ["active", "retracted", *("active",) * 7]
    with pytest.raises(RevokedError):
        either_desk.world.submit(media_flag(ANNA, 99))
    assert finish(service) == 2
    assert states(either_desk, said) == ["active", *("retracted",) * 8]
    assert not service.step()


def test_a_crash_between_two_transactions_loses_nothing(either_desk: Desk) -> None:
    said = flags(either_desk, 9)
    revocations(either_desk).revoke_flagger(ANNA, mark(1))
    with pytest.raises(_StopError):
        work(either_desk, stop=lambda place: place == 6).step()
    assert states(either_desk, said) == [*("retracted",) * 4, *("active",) * 5]
    finish(work(either_desk))
    assert states(either_desk, said) == ["retracted"] * 9


def test_the_same_revocation_again_looks_only_at_what_came_since(
    either_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = flags(either_desk, 5)
    service = revocations(either_desk)
    service.revoke_flagger(ANNA, mark(1))
    finish(work(either_desk))
    looked: list[int] = []
    page = voiding._page

    def counted(*arguments: Any, **more: Any) -> Any:
        found = page(*arguments, **more)
        looked.append(len(found))
        return found

    monkeypatch.setattr(voiding, "_page", counted)
    either_desk.world.clock.tick(1)
    service.revoke_flagger(ANNA, mark(1))
    finish(work(either_desk))
    assert sum(looked) == 0
    assert states(either_desk, said) == ["retracted"] * 5


def test_a_revocation_as_of_an_earlier_place_begins_anew(either_desk: Desk) -> None:
    said = flags(either_desk, 6)
    service = revocations(either_desk)
    service.revoke_flagger(ANNA, mark(5))
    finish(work(either_desk))
    assert states(either_desk, said) == [*("active",) * 4, *("retracted",) * 2]
    either_desk.world.clock.tick(1)
    service.revoke_flagger(ANNA, mark(3))
    finish(work(either_desk))
    assert states(either_desk, said) == [*("active",) * 2, *("retracted",) * 4]


def test_what_a_key_says_after_it_was_believed_again_is_not_made_void(either_desk: Desk) -> None:
    said = flags(either_desk, 6)
    revocations(either_desk).revoke_flagger(ANNA, mark(1))
    either_desk.world.clock.tick(5)
    either_desk.flaggers.set_status(ANNA, "active")
    later = either_desk.world.submit(media_flag(ANNA, 50)).id
    finish(work(either_desk))
    assert states(either_desk, [*said, later]) == [*("retracted",) * 6, "active"]


def test_the_second_of_two_keys_that_are_revoked_at_once_waits_for_a_step(
    either_desk: Desk,
) -> None:
    ben = f"{HOTLINE}/ben"
    either_desk.world.submit(accredit(ben, 1))
    said = flags(either_desk, 6)
    other = either_desk.world.submit(media_flag(ben, 70)).id
    service = revocations(either_desk)
    service.revoke_flagger(ANNA, mark(1))
    service.revoke_flagger(ben, mark(1))
    assert states(either_desk, [other]) == ["active"]
    with pytest.raises(RevokedError):
        either_desk.world.submit(media_flag(ben, 71))
    finish(work(either_desk))
    assert states(either_desk, [*said, other]) == ["retracted"] * 7


def test_who_revokes_again_and_again_keeps_no_other_revocation_waiting(either_desk: Desk) -> None:
    ben = f"{HOTLINE}/ben"
    either_desk.world.submit(accredit(ben, 1))
    flags(either_desk, 6)
    other = either_desk.world.submit(media_flag(ben, 70)).id
    service = revocations(either_desk)
    service.revoke_flagger(ANNA, mark(2))
    service.revoke_flagger(ben, mark(1))
    # Another place each time: it begins anew, and would be the first in the alphabet for ever.
    service.revoke_flagger(ANNA, mark(1))
    assert work(either_desk).step()
    assert states(either_desk, [other]) == ["retracted"]
