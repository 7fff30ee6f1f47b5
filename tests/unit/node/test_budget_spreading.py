"""Several holders with a budget each, and an asker who spreads its questions over all of them."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from desks import Desk, open_desk
from federation.exposure import evaluations_per_day
from node.services.budgets import Allowance, Budgets
from node.services.evaluator import Evaluator
from protocol.circles import Epoch, Holder, Member
from protocol.encoding import format_time, from_base64url, to_base64url
from protocol.errors import RateLimitedError
from protocol.messages import OprfRequest
from signing.oprf.shares import SplitKey, combine, split_key
from signing.oprf.voprf import (
    Blinded,
    Evaluation,
    VerifiedEvaluation,
    blind,
    evaluate,
    evaluate_unblinded,
    generate_key,
    verify_evaluation,
)
from simulator import DAY_S, NOW
from worlds import CIRCLE, HOTLINE, PLATFORM, circle_descriptor

B = 6
N, T = 5, 3
KEY = generate_key()


@pytest.fixture
def desks(sqlite_url: str, tmp_path: Path) -> Iterator[list[Desk]]:
    """Databases of the holders; each knows the founder of the circle."""
    with ExitStack() as stack:
        for number in range(1, N + 1):
            shutil.copy(sqlite_url.removeprefix("sqlite:///"), tmp_path / f"{number}.db")
        yield [
            stack.enter_context(open_desk(f"sqlite:///{tmp_path}/{n}.db", tmp_path / str(n)))
            for n in range(1, N + 1)
        ]


def holders(desks: list[Desk], split: SplitKey) -> dict[int, Evaluator]:
    names = {index: f"holder-{index}.example" for index in split.shares}
    described = circle_descriptor(
        members=(
            Member(node=HOTLINE, budget_per_day=0),
            Member(node=PLATFORM, budget_per_day=B),
            *(Member(node=name, budget_per_day=0) for name in names.values()),
        ),
        epochs=(
            Epoch(
                epoch=1,
                not_before=format_time(NOW - DAY_S),
                not_after=format_time(NOW + DAY_S),
                threshold=T,
                commitments=tuple(map(to_base64url, split.commitments)),
                holders=tuple(Holder(index=index, node=name) for index, name in names.items()),
            ),
        ),
    )
    made = {}
    for desk, (index, name) in zip(desks, names.items(), strict=True):
        desk.world.submit(described)
        made[index] = Evaluator(
            desk.world.store,
            replace(desk.keys, shares={(CIRCLE, 1): split.shares[index].private}),
            Budgets(desk.world.store, name=name, most=Allowance(5_000, 5_000), clock=desk.clock),
            name=name,
            clock=desk.clock,
        )
    return made


def ask(holder: Evaluator, blinded: Blinded, public_key: bytes) -> VerifiedEvaluation:
    elements = tuple(map(to_base64url, blinded.elements))
    answer = holder.evaluate(OprfRequest(circle=CIRCLE, epoch=1, blinded=elements), member=PLATFORM)
    evaluation = Evaluation(
        tuple(map(from_base64url, answer.evaluated)), from_base64url(answer.proof)
    )
    return verify_evaluation(public_key, blinded, evaluation)


@pytest.mark.parametrize(("shares", "expected"), [(0, 10), (1, 12), (2, 18)])
def test_who_spreads_over_all_holders_gets_what_the_formula_says(
    desks: list[Desk], shares: int, expected: int
) -> None:
    split = split_key(KEY.private, T, N)
    public_keys = {index: pair.public for index, pair in split.shares.items()}
    others = holders(desks, split)
    own = [others.pop(index) and index for index in range(1, shares + 1)]
    left = dict.fromkeys(others, B)
    done = 0
    while True:
        identifier = f"guess {done}".encode()
        blinded = blind([identifier])
        answers = {
            index: verify_evaluation(
                public_keys[index], blinded, evaluate(split.shares[index], blinded.elements)
            )
            for index in own
        }
        best = sorted(left, key=left.__getitem__, reverse=True)
        try:
            for index in best[: T - shares]:
                answers[index] = ask(others[index], blinded, public_keys[index])
                left[index] -= 1
        except RateLimitedError:
            break
        assert combine(blinded, answers, public_keys, T) == [evaluate_unblinded(KEY, identifier)]
        done += 1
    assert done == expected == evaluations_per_day(B, N, T, shares=shares)
    # Not one more anywhere: fewer holders than are needed have anything left.
    willing = 0
    for index, holder in others.items():
        try:
            ask(holder, blind([b"one more"]), public_keys[index])
        except RateLimitedError:
            continue
        willing += 1
    assert willing < T - shares
