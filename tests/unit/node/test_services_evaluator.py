"""A holder evaluates for members, within a budget that nothing gets around."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import pytest

from desks import Desk
from node.services.budgets import NEWCOMER
from node.services.once import Once
from node.storage.joining import MembershipRecord
from protocol.circles import Epoch, Holder, Member
from protocol.encoding import format_time, from_base64url, to_base64url
from protocol.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    RateLimitedError,
    ReplayedError,
    SchutznetzError,
    UnavailableError,
)
from protocol.messages import OprfAnswer, OprfRequest
from signing.oprf.group import default_group
from signing.oprf.shares import split_key
from signing.oprf.voprf import (
    Blinded,
    Evaluation,
    KeyPair,
    blind,
    generate_key,
    verify_evaluation,
)
from simulator import DAY_S, NOW
from worlds import CIRCLE, HOTLINE, PLATFORM, circle_descriptor

OTHER_CIRCLE = f"{HOTLINE}/other-1"
SPLIT = split_key(generate_key().private, 2, 2)
KEY = SPLIT.shares[1]
"""The hotline's share; the platform has the other one."""


def hold(desk: Desk, *, budget: int = 10, key: KeyPair = KEY, **epoch: Any) -> None:
    """Makes the hotline the holder of the circle's key, and the platform a member."""
    values: dict[str, Any] = {
        "epoch": 1,
        "not_before": format_time(NOW - 10),
        "not_after": format_time(NOW + 90 * DAY_S),
        "threshold": 2,
        "commitments": tuple(map(to_base64url, SPLIT.commitments)),
        "holders": (Holder(index=1, node=HOTLINE), Holder(index=2, node=PLATFORM)),
    }
    desk.world.submit(
        circle_descriptor(
            members=(
                Member(node=HOTLINE, budget_per_day=0),
                Member(node=PLATFORM, budget_per_day=budget),
            ),
            epochs=(Epoch(**(values | epoch)),),
        )
    )
    desk.keys = replace(desk.keys, shares={(CIRCLE, 1): key.private})


def question(*values: bytes) -> tuple[OprfRequest, Blinded]:
    blinded = blind(values)
    elements = tuple(to_base64url(one) for one in blinded.elements)
    return OprfRequest(circle=CIRCLE, epoch=1, blinded=elements), blinded


def request(count: int = 1) -> OprfRequest:
    return question(*(bytes([number]) for number in range(count)))[0]


def evaluate(desk: Desk, asked: OprfRequest, member: str = PLATFORM) -> OprfAnswer:
    return desk.evaluator.evaluate(asked, member=member)


def used(desk: Desk, day: str = "2026-11-22") -> int:
    with desk.world.store.read() as transaction:
        return sum(one.used for one in transaction.budgets.uses_of_day(day))


def test_an_answer_carries_a_proof_that_the_key_of_the_circle_gave_it(either_desk: Desk) -> None:
    hold(either_desk)
    asked, blinded = question(b"one", b"two")
    answer = evaluate(either_desk, asked)
    assert (answer.index, answer.epoch) == (1, 1)
    evaluation = Evaluation(
        tuple(from_base64url(one) for one in answer.evaluated), from_base64url(answer.proof)
    )
    verify_evaluation(KEY.public, blinded, evaluation)


def test_a_member_may_have_as_many_elements_evaluated_as_its_budget_and_no_more(
    either_desk: Desk,
) -> None:
    hold(either_desk, budget=3)
    evaluate(either_desk, request(2))
    with pytest.raises(RateLimitedError, match="budget of this member") as caught:
        evaluate(either_desk, request(2))
    assert caught.value.retry_after_s == 14 * 3600  # it is ten o'clock
    evaluate(either_desk, request(1))
    assert used(either_desk) == 3


def test_a_budget_is_new_on_the_next_day_and_not_before(desk: Desk) -> None:
    hold(desk, budget=1)
    evaluate(desk, request())
    desk.world.clock.now = NOW + 14 * 3600 - 1
    with pytest.raises(RateLimitedError, match="budget"):
        evaluate(desk, request())
    desk.world.clock.tick(1)
    evaluate(desk, request())
    assert (used(desk), used(desk, "2026-11-23")) == (1, 1)


@pytest.mark.parametrize(("told", "own"), [(2, 100), (100, 2)])
def test_a_budget_is_the_smaller_of_the_descriptors_and_the_operators(
    desk: Desk, told: int, own: int
) -> None:
    desk.budget_per_day = own
    hold(desk, budget=told)
    evaluate(desk, request(2))
    with pytest.raises(RateLimitedError, match="budget"):
        evaluate(desk, request())


def test_a_member_without_a_budget_has_nothing_evaluated(desk: Desk) -> None:
    hold(desk)
    with pytest.raises(RateLimitedError, match="budget"):
        evaluate(desk, request(), member=HOTLINE)


def test_the_same_list_again_is_free_for_ten_minutes(either_desk: Desk) -> None:
    hold(either_desk, budget=2)
    asked = request(2)
    answer = evaluate(either_desk, asked)
    either_desk.world.clock.tick(600)
    assert evaluate(either_desk, asked) == answer
    assert used(either_desk) == 2
    either_desk.world.clock.tick(1)
    with pytest.raises(RateLimitedError, match="budget"):
        evaluate(either_desk, asked)


def test_the_same_elements_in_another_order_are_another_list(desk: Desk) -> None:
    hold(desk, budget=4)
    asked = request(2)
    evaluate(desk, asked)
    other = OprfRequest(circle=CIRCLE, epoch=1, blinded=asked.blinded[::-1])
    evaluate(desk, other)
    assert used(desk) == 4


def test_a_repeat_is_free_only_for_the_member_that_paid(desk: Desk) -> None:
    hold(desk)
    asked = request()
    evaluate(desk, asked)
    with pytest.raises(RateLimitedError, match="budget"):
        evaluate(desk, asked, member=HOTLINE)


def once(nonce: str) -> Once:
    return Once("aa" * 16, nonce, NOW)


def test_a_signed_request_is_good_for_once_though_its_list_is_free_again(either_desk: Desk) -> None:
    hold(either_desk, budget=2)
    asked = request(2)
    first = either_desk.evaluator.evaluate(asked, member=PLATFORM, once=once("one"))
    with pytest.raises(ReplayedError, match="here before"):
        either_desk.evaluator.evaluate(asked, member=PLATFORM, once=once("one"))
    assert either_desk.evaluator.evaluate(asked, member=PLATFORM, once=once("two")) == first
    assert used(either_desk) == 2


def test_a_replay_takes_nothing_from_a_budget(either_desk: Desk) -> None:
    hold(either_desk, budget=10)
    either_desk.evaluator.evaluate(request(1), member=PLATFORM, once=once("one"))
    with pytest.raises(ReplayedError, match="here before"):
        either_desk.evaluator.evaluate(request(2), member=PLATFORM, once=once("one"))
    assert used(either_desk) == 1


def test_a_request_that_was_refused_for_its_budget_cannot_be_played_back_tomorrow(
    desk: Desk,
) -> None:
    hold(desk, budget=1)
    with pytest.raises(RateLimitedError, match="budget"):
        desk.evaluator.evaluate(request(2), member=PLATFORM, once=once("one"))
    desk.world.clock.now = NOW + 14 * 3600
    with pytest.raises(ReplayedError, match="here before"):
        desk.evaluator.evaluate(request(1), member=PLATFORM, once=once("one"))


def test_a_request_whose_elements_are_none_uses_nothing_up(desk: Desk) -> None:
    hold(desk)
    with pytest.raises(MalformedError):  # the sentence is tested elsewhere
        desk.evaluator.evaluate(
            msgspec.structs.replace(request(), blinded=(to_base64url(bytes(32)),)),
            member=PLATFORM,
            once=once("one"),
        )
    desk.evaluator.evaluate(request(), member=PLATFORM, once=once("one"))


def test_two_threads_never_overspend_together(either_desk: Desk) -> None:
    hold(either_desk, budget=7)
    evaluator, barrier = either_desk.evaluator, threading.Barrier(8)

    def ask(asked: OprfRequest) -> bool:
        barrier.wait()
        try:
            evaluator.evaluate(asked, member=PLATFORM)
        except RateLimitedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(ask, [request(2) for _ in range(8)]))
    assert (answered.count(True), used(either_desk)) == (3, 6)


NO_ELEMENTS = {
    "the identity": bytes(32),
    "not canonical": b"\xff" * 32,
    "odd": b"\x01" + bytes(31),
    "on no curve": (2).to_bytes(32, "little"),
}


@pytest.mark.parametrize("bad", NO_ELEMENTS.values(), ids=NO_ELEMENTS)
def test_what_cannot_be_evaluated_costs_nothing(desk: Desk, bad: bytes) -> None:
    hold(desk)
    good = request(2).blinded
    asked = OprfRequest(circle=CIRCLE, epoch=1, blinded=(*good, to_base64url(bad)))
    with pytest.raises(MalformedError, match="element"):
        evaluate(desk, asked)
    assert used(desk) == 0


def test_no_element_reaches_c_code_before_all_have_the_form_of_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(desk)
    reached: list[bytes] = []
    monkeypatch.setattr(type(default_group()), "decode_element", lambda _, one: reached.append(one))
    asked = OprfRequest(
        circle=CIRCLE, epoch=1, blinded=(*request(2).blinded, to_base64url(bytes(32)))
    )
    with pytest.raises(MalformedError, match="element"):
        evaluate(desk, asked)
    assert reached == []


class Refused(NamedTuple):
    """What is wrong, and what is said of it."""

    error: type[SchutznetzError]
    words: str
    change: Callable[[Desk], None] = hold
    asked: OprfRequest = request()
    member: str = PLATFORM


def epoch(**changes: Any) -> Callable[[Desk], None]:
    return lambda desk: hold(desk, **changes)


BLINDED = request().blinded
REFUSED = {
    "somebody who is no member": Refused(NotFoundError, "holds no share", member="third.example"),
    "another circle": Refused(
        NotFoundError,
        "holds no share",
        asked=OprfRequest(circle=OTHER_CIRCLE, epoch=1, blinded=BLINDED),
    ),
    "another epoch": Refused(
        NotFoundError, "holds no share", asked=OprfRequest(circle=CIRCLE, epoch=2, blinded=BLINDED)
    ),
    "an epoch that has ended": Refused(
        ConflictError,
        "not current",
        epoch(not_before=format_time(NOW - 90), not_after=format_time(NOW - 31)),
    ),
    "an epoch that has not begun": Refused(
        ConflictError, "not current", epoch(not_before=format_time(NOW + 31))
    ),
    "a share that other nodes hold": Refused(
        ConflictError,
        "not current",
        epoch(holders=tuple(Holder(index=at, node=f"n{at}.example") for at in (1, 2))),
    ),
    "a share that the descriptor does not describe": Refused(
        UnavailableError, "not the one", epoch(key=generate_key())
    ),
}


@pytest.mark.parametrize(
    "edge",
    [
        {"not_before": format_time(NOW - 90), "not_after": format_time(NOW - 30)},
        {"not_before": format_time(NOW + 30)},
    ],
)
def test_at_the_edges_of_an_epoch_clocks_may_differ(desk: Desk, edge: dict[str, Any]) -> None:
    hold(desk, **edge)
    assert evaluate(desk, request()).index == 1


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_to_evaluate_for(desk: Desk, refused: Refused) -> None:
    refused.change(desk)
    with pytest.raises(refused.error, match=refused.words):
        evaluate(desk, refused.asked, member=refused.member)
    with desk.world.store.read() as transaction:
        assert transaction.budgets.uses_of_day("2026-11-22") == []


def test_who_is_no_member_hears_the_same_of_every_circle(desk: Desk) -> None:
    hold(desk)
    heard = set()
    for circle in (CIRCLE, OTHER_CIRCLE):
        asked = OprfRequest(circle=circle, epoch=1, blinded=BLINDED)
        with pytest.raises(NotFoundError, match="holds no share") as caught:
            evaluate(desk, asked, member="third.example")
        heard.add(str(caught.value))
    assert len(heard) == 1


def test_a_circle_that_is_not_known_is_not_evaluated_for_though_its_share_lies_here(
    desk: Desk,
) -> None:
    desk.keys = replace(desk.keys, shares={(CIRCLE, 1): KEY.private})
    with pytest.raises(NotFoundError, match="holds no share"):
        evaluate(desk, request())


def test_a_newcomer_whom_a_circle_names_has_the_smallest_budget_until_its_time_is_over(
    either_desk: Desk,
) -> None:
    hold(either_desk, budget=5_000)
    with either_desk.world.store.write() as transaction:
        transaction.joining.set_newcomer(PLATFORM, NOW + 7 * DAY_S)
    for _ in range(NEWCOMER.per_minute // 8):
        evaluate(either_desk, request(8))
    with pytest.raises(RateLimitedError) as refused:
        evaluate(either_desk, request())
    assert refused.value.budget is not None
    assert refused.value.budget["day_limit"] == NEWCOMER.per_day
    # This node is the only other member that it knows, so its word alone is enough.
    with either_desk.world.store.write() as transaction:
        fingerprint = either_desk.peers.node(PLATFORM).fingerprint
        transaction.joining.put_membership(
            MembershipRecord(PLATFORM, HOTLINE, "admitted", fingerprint, "telephone", NOW, int(NOW))
        )
    either_desk.world.clock.tick(1)
    evaluate(either_desk, request(64))
