"""Tasks to restore, and who did them."""

import pytest

from desks import PLATFORM_PROGRAM, Desk
from protocol.encoding import format_time
from protocol.errors import NotFoundError
from simulator import NOW, media_flag
from worlds import ANNA, items, retract


def acted_on_and_retracted(desk: Desk, number: int) -> str:
    receipt = desk.world.submit(media_flag(ANNA, number, items=items(2)))
    with desk.world.store.write() as transaction:
        transaction.journal.count_match(receipt.index, 1, "block", at=NOW)
    desk.world.submit(retract(receipt.id, by=ANNA))
    return receipt.id


def test_a_task_says_what_to_restore_and_why(either_desk: Desk) -> None:
    statement = acted_on_and_retracted(either_desk, 1)
    (task,) = either_desk.remedies.open()
    assert (task.statement, task.kind, task.items) == (statement, "media-flag", (1,))
    assert (task.reason, task.since, task.state) == ("wrong", format_time(NOW), "open")


def test_tasks_wait_oldest_first_until_they_are_done(either_desk: Desk) -> None:
    statements = [acted_on_and_retracted(either_desk, number) for number in range(3)]
    tasks = either_desk.remedies.open()
    assert [one.statement for one in tasks] == statements
    either_desk.remedies.done(tasks[1].id, PLATFORM_PROGRAM)
    assert [one.statement for one in either_desk.remedies.open()] == [statements[0], statements[2]]


def test_a_task_is_done_once_and_the_audit_says_by_whom(desk: Desk) -> None:
    acted_on_and_retracted(desk, 1)
    (task,) = desk.remedies.open()
    desk.remedies.done(task.id, PLATFORM_PROGRAM)
    for number in (task.id, 99):
        with pytest.raises(NotFoundError, match="No task of this number"):
            desk.remedies.done(number, PLATFORM_PROGRAM)
    assert desk.audited() == [("upload-check", "remedy.done", str(task.id), None)]


def test_nothing_waits_where_nothing_was_done(desk: Desk) -> None:
    assert desk.remedies.open() == []
