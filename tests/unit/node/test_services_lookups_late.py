"""What is taken back between a look-up's read and its count."""

from functools import partial

import pytest

from desks import OPEN_POLICY, PLATFORM_PROGRAM, Desk
from meanwhile import before_the_next_write
from protocol.encoding import format_time
from simulator import NOW
from uploads import ask_one, flag, open_remedies
from worlds import ANNA, PDQ, erase, items, retract


@pytest.mark.parametrize("taken_back", ["whole", "item", "erased"])
def test_what_is_taken_back_while_it_is_looked_up_is_to_be_restored(
    either_desk: Desk, monkeypatch: pytest.MonkeyPatch, taken_back: str
) -> None:
    desk = either_desk
    first, second = items(2)
    receipt = flag(desk, items=(first, second))
    statement, reason = {
        "whole": (retract(receipt.id, by=ANNA), "retracted"),
        "item": (retract(receipt.id, by=ANNA, items=(1,)), "taken back"),
        "erased": (erase(receipt.id, by=ANNA), "erased"),
    }[taken_back]
    act = partial(desk.world.submit, statement)
    before_the_next_write(desk.world.store, monkeypatch, act)
    assert ask_one(desk, md5=second.md5).decision == "hold"
    (task,) = desk.remedies.open()
    assert (task.statement, task.items, task.reason) == (receipt.id, (1,), reason)


def test_what_only_ended_while_it_was_looked_up_was_right(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag(desk, review_by=format_time(NOW + 10))

    def end() -> None:
        desk.world.clock.tick(11)
        desk.maintenance.expire()

    before_the_next_write(desk.world.store, monkeypatch, end)
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "hold"
    assert open_remedies(desk) == []


def test_a_late_count_asks_anew_where_the_task_before_it_is_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = flag(desk)
    ask_one(desk, pdq=PDQ, quality=90)

    def take_back_and_restore() -> None:
        desk.world.submit(retract(receipt.id, by=ANNA))
        desk.remedies.done(1, PLATFORM_PROGRAM)

    before_the_next_write(desk.world.store, monkeypatch, take_back_and_restore)
    ask_one(desk, pdq=PDQ, quality=90)
    assert open_remedies(desk) == [(receipt.id, (0,))]


def test_a_late_count_asks_once_where_the_task_before_it_waits(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = flag(desk)
    ask_one(desk, pdq=PDQ, quality=90)
    act = partial(desk.world.submit, retract(receipt.id, by=ANNA))
    before_the_next_write(desk.world.store, monkeypatch, act)
    ask_one(desk, pdq=PDQ, quality=90)
    assert open_remedies(desk) == [(receipt.id, (0,))]


def test_a_late_count_of_what_was_only_noted_asks_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.set_policy(OPEN_POLICY.replace('"block"', '"note"'))
    receipt = flag(desk)
    act = partial(desk.world.submit, retract(receipt.id, by=ANNA))
    before_the_next_write(desk.world.store, monkeypatch, act)
    assert ask_one(desk, pdq=PDQ, quality=90).decision == "note"
    assert open_remedies(desk) == []
