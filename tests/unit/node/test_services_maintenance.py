"""What happens without anybody asking, in one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from desks import Desk, ban_of
from node.services import maintenance as module
from node.services.maintenance import Maintenance
from node.services.once import Once
from node.storage.engine import Store
from node.storage.peers import SetAsideRecord
from node.storage.transaction import Transaction
from protocol.encoding import format_time
from protocol.envelope import parse_envelope
from protocol.limits import NONCE_KEPT_S
from protocol.messages import Receipt
from simulator import DAY_S, NOW, media_flag
from worlds import ANNA, HOTLINE, PLATFORM, items, retract

EMAIL = ("email", "offender@example.com")


def flag(desk: Desk, number: int = 0, *, days: int = 1, **changes: Any) -> Receipt:
    values: dict[str, Any] = {
        "items": items(2),
        "review_by": format_time(NOW + days * DAY_S),
    }
    return desk.world.submit(media_flag(ANNA, number, **(values | changes)))


def kept(desk: Desk, *receipts: Receipt) -> list[bool]:
    with desk.world.store.read() as transaction:
        bodies = transaction.statements.envelopes([one.index for one in receipts])
    return [one.index in bodies for one in receipts]


# expiry


def test_nothing_of_a_statement_is_kept_past_its_end_but_its_place_in_the_log(
    either_desk: Desk,
) -> None:
    desk = either_desk
    media, later = flag(desk), flag(desk, 2, days=2)
    ban = desk.world.submit(ban_of(ANNA, 3, EMAIL, expires=format_time(NOW + DAY_S)))
    checkpoint = desk.world.log.checkpoint()
    desk.world.clock.now = NOW + DAY_S - 1
    assert desk.maintenance.expire() == 0
    desk.world.clock.now = NOW + DAY_S
    assert desk.maintenance.expire() == 2
    assert kept(desk, media, later, ban) == [False, True, False]
    contents = desk.world.contents()
    assert {row[0] for row in contents["media_hash"]} == {later.index}
    assert contents["fingerprint"] == []
    assert desk.world.log.checkpoint() == checkpoint
    assert desk.maintenance.expire() == 0


def test_all_that_has_ended_goes_however_much_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    receipts = [flag(desk, number) for number in range(5)]
    desk.world.clock.now = NOW + DAY_S
    assert desk.maintenance.expire() == 5
    assert kept(desk, *receipts) == [False] * 5


def test_what_was_retracted_is_deleted_at_its_end_like_all_else(desk: Desk) -> None:
    receipt = flag(desk)
    desk.world.submit(retract(receipt.id, by=ANNA))
    desk.world.clock.now = NOW + DAY_S
    assert desk.maintenance.expire() == 1
    assert kept(desk, receipt) == [False]


class Stubborn:
    """A store whose write-ahead log cannot be emptied so often, as while somebody reads."""

    def __init__(self, store: Store, times: int) -> None:
        self._store = store
        self.times = times

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._store.write() as transaction:
            yield transaction

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self._store.read() as transaction:
            yield transaction

    def forget_deleted(self) -> bool:
        self.times -= 1
        return self.times < 0 and self._store.forget_deleted()


def test_what_lingers_of_a_deleted_body_is_tried_again_until_it_is_gone(desk: Desk) -> None:
    store = Stubborn(desk.world.store, 2)
    maintenance = Maintenance(store, desk.world.ingest, clock=desk.clock)  # type: ignore[arg-type]  # a Store but for its moods
    flag(desk)
    desk.world.clock.now = NOW + DAY_S
    assert [maintenance.expire() for _ in range(3)] == [1, 0, 0]
    assert store.times == -1, "the third run has emptied it"


# what was set aside


def test_what_may_be_cured_by_now_is_taken_in(either_desk: Desk) -> None:
    desk = either_desk
    heard: list[bool] = []
    desk.world.ingest.subscribe(heard.append)
    envelope = desk.world.sign(media_flag("third.example"))
    statement = parse_envelope(envelope).statement_id
    with desk.world.store.write() as transaction:
        transaction.peers.set_aside(
            SetAsideRecord(statement, PLATFORM, "UnknownKey: nobody", True, NOW, envelope)
        )
    assert desk.maintenance.retry() == 0
    desk.world.know("third.example")
    assert desk.maintenance.retry() == 1
    assert (desk.flags.status(statement).state, heard) == ("active", [True])
    assert desk.peers.set_aside() == []
    assert desk.maintenance.retry() == 0


def test_what_is_known_by_now_waits_no_longer(desk: Desk) -> None:
    envelope = desk.world.sign(media_flag(HOTLINE))
    receipt = desk.world.ingest.submit(envelope, caller=HOTLINE)
    with desk.world.store.write() as transaction:
        transaction.peers.set_aside(
            SetAsideRecord(
                parse_envelope(envelope).statement_id, PLATFORM, "late", True, NOW, envelope
            )
        )
    heard: list[bool] = []
    desk.world.ingest.subscribe(heard.append)
    desk.maintenance.retry()
    assert (desk.peers.set_aside(), heard) == ([], [])
    assert desk.world.log.size() == receipt.index + 1


# what is forgotten


def test_nonces_and_answers_are_forgotten_when_they_cannot_matter_any_more(
    either_desk: Desk,
) -> None:
    desk = either_desk
    desk.peers.remember(Once("ab" * 16, "nonce", NOW))
    with desk.world.store.write() as transaction:
        transaction.budgets.pay(b"digest", now=NOW)
    for later, left in ((NONCE_KEPT_S, (1, 1)), (NONCE_KEPT_S + 1, (0, 1)), (600, (0, 1))):
        desk.world.clock.now = NOW + later
        desk.maintenance.forget()
        contents = desk.world.contents()
        assert (len(contents["nonce"]), len(contents["oprf_paid"])) == left
    desk.world.clock.now = NOW + 601
    desk.maintenance.forget()
    assert desk.world.contents()["oprf_paid"] == []


def test_what_no_time_has_cured_is_forgotten_after_thirty_days(desk: Desk) -> None:
    with desk.world.store.write() as transaction:
        transaction.peers.set_aside(
            SetAsideRecord(
                parse_envelope(desk.world.sign(media_flag(ANNA))).statement_id,
                PLATFORM,
                "bad",
                False,
                NOW,
                None,
            )
        )
    desk.world.clock.now = NOW + 30 * DAY_S
    desk.maintenance.forget()
    assert len(desk.peers.set_aside()) == 1
    desk.world.clock.tick(1)
    desk.maintenance.forget()
    assert desk.peers.set_aside() == []


# who leads


def test_one_process_leads_until_its_time_is_over_or_it_steps_down(either_desk: Desk) -> None:
    desk = either_desk
    one = desk.maintenance
    two = Maintenance(desk.world.store, desk.world.ingest, clock=desk.clock)
    assert (one.lead(for_s=10), two.lead(for_s=10)) == (True, False)
    desk.world.clock.tick(9)
    assert (two.lead(for_s=10), one.lead(for_s=10)) == (False, True)
    desk.world.clock.tick(10)
    assert (two.lead(for_s=10), one.lead(for_s=10)) == (True, False)
    one.step_down()
    assert not one.lead(for_s=10), "nobody gives back what is another's"
    two.step_down()
    assert one.lead(for_s=10)
