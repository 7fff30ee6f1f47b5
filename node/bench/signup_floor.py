"""What the sign-up protocol computes, beside the group operations that it cannot avoid.

The floor is those operations alone, on the same backend in the same run: multiplications of an
element by a scalar, without hashing, decoding, addition, or check. For a batch of m and t holders
(RFC 9497 sections 3.3.2 and 2.2, and Lagrange's sum in the exponent):

    client   m blinds, t proofs checked at 2m + 3 and 1 of the base, m t for the combination
    server   m evaluations and a proof of m + 2 and 1 of the base

Both sides are timed by what they use of a processor, in turns, so that neighbours slow both.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.bench.report import Figure, at_most
from node.bench.timing import ROUNDS, median
from signing.oprf.group import Group, default_group
from signing.oprf.group_pynacl import PyNaClGroup
from signing.oprf.shares import SplitKey, combine, split_key
from signing.oprf.voprf import KeyPair, blind, evaluate, generate_key, verify_evaluation

THRESHOLDS: Final = (1, 3, 5)
BATCHES: Final = (1, 8, 64)
MAIN: Final = (3, 8)
"""Threshold and batch of the figures that have a bar: a sign-up with two to eight identifiers."""

_HOLDERS: Final = 5
_TURN_S: Final = 0.25
_MS: Final = 1_000
_US: Final = 1_000_000


@dataclass(frozen=True)
class Operations:
    """Multiplications: of any element, and of the base."""

    elements: int
    bases: int


def client_floor(threshold: int, batch: int) -> Operations:
    """Returns what the client of a batch cannot avoid."""
    return Operations(batch + threshold * (2 * batch + 3) + batch * threshold, threshold)


def server_floor(batch: int) -> Operations:
    """Returns what a holder that evaluates a batch cannot avoid."""
    return Operations(2 * batch + 2, 1)


@dataclass(frozen=True)
class Cost:
    """What one run of each side took of a processor, in seconds, and its floor."""

    client_s: float
    client_floor_s: float
    server_s: float
    server_floor_s: float


def figures() -> list[Figure]:
    """Measures every backend, threshold and batch; takes some forty seconds."""
    found = []
    for group in _groups():
        costs = {
            (threshold, batch): _measure(group, threshold, batch)
            for threshold in THRESHOLDS
            for batch in BATCHES
        }
        quick = group.name == default_group().name
        if quick:
            found += _main_figures(group, costs)
        found += [_line(group, at, cost) for at, cost in costs.items()]
    return found


def _main_figures(group: Group, costs: dict[tuple[int, int], Cost]) -> list[Figure]:
    cost = costs[MAIN]
    about = {"backend": group.name, "threshold": MAIN[0], "batch": MAIN[1]}
    return [
        Figure(
            "signup.client_cpu_ratio_floor",
            cost.client_s / cost.client_floor_s,
            "×",
            at_most(1.5),
            {
                **about,
                "ours_ms": cost.client_s * _MS,
                "floor_ms": cost.client_floor_s * _MS,
                "of": "blinding, checking the proofs, combining; without HTTP and JSON",
            },
        ),
        Figure(
            "signup.server_cpu_ratio_floor",
            max(costs[3, batch].server_s / costs[3, batch].server_floor_s for batch in (8, 64)),
            "×",
            at_most(1.5),
            {
                "backend": group.name,
                "batches": [8, 64],
                "ours_us_per_element": [costs[3, m].server_s / m * _US for m in (8, 64)],
                "floor_us_per_element": [costs[3, m].server_floor_s / m * _US for m in (8, 64)],
                "of": "evaluation with its proof; without HTTP, JSON and the budget",
            },
        ),
    ]


def _line(group: Group, at: tuple[int, int], cost: Cost) -> Figure:
    threshold, batch = at
    return Figure(
        f"signup.cpu_{group.name}_t{threshold}_m{batch}_ms",
        cost.client_s * _MS,
        "ms",
        None,
        {
            "client_ratio_floor": cost.client_s / cost.client_floor_s,
            "server_ms": cost.server_s * _MS,
            "server_ratio_floor": cost.server_s / cost.server_floor_s,
        },
    )


def _groups() -> list[Group]:
    quick = default_group()
    portable = PyNaClGroup()
    return [quick] if quick.name == portable.name else [quick, portable]


def _measure(group: Group, threshold: int, batch: int) -> Cost:
    split = split_key(generate_key(group=group).private, threshold, _HOLDERS, group=group)
    inputs = [bytes([number]) * 40 for number in range(batch)]
    unit = _Unit(group)
    rounds = [_round(group, split, threshold, inputs, unit) for _ in range(ROUNDS)]
    return Cost(
        median([one.client_s for one in rounds]),
        median([one.client_floor_s for one in rounds]),
        median([one.server_s for one in rounds]),
        median([one.server_floor_s for one in rounds]),
    )


def _round(
    group: Group, split: SplitKey, threshold: int, inputs: Sequence[bytes], unit: "_Unit"
) -> Cost:
    """Times both sides and their floors, one after the other."""
    indices = range(1, threshold + 1)
    keys = {index: split.shares[index].public for index in indices}
    blinded = blind(inputs, group=group)
    answers = {
        index: evaluate(split.shares[index], blinded.elements, group=group) for index in indices
    }

    def client() -> None:
        own = blind(inputs, group=group)
        # The answers belong to other blinds; checking and combining cost the same for any.
        verified = {
            index: verify_evaluation(keys[index], blinded, answers[index], group=group)
            for index in indices
        }
        combine(blinded, verified, keys, threshold, group=group)
        del own

    share: KeyPair = split.shares[1]

    def server() -> None:
        evaluate(share, blinded.elements, group=group)

    batch = len(inputs)
    floors = client_floor(threshold, batch), server_floor(batch)
    return Cost(
        _seconds(client), unit.seconds(floors[0]), _seconds(server), unit.seconds(floors[1])
    )


class _Unit:
    """The two multiplications of a backend, called bare."""

    def __init__(self, group: Group) -> None:
        self._scalar = group.random_scalar()
        self._element = group.multiply_base(group.random_scalar())
        self._group = group

    def seconds(self, operations: Operations) -> float:
        """What so many of them take of a processor."""
        one = _seconds(lambda: self._group.multiply(self._scalar, self._element))
        base = _seconds(lambda: self._group.multiply_base(self._scalar))
        return operations.elements * one + operations.bases * base


def _seconds(action: Callable[[], object]) -> float:
    """What one call uses of a processor: the mean over a turn of at least five."""
    end = time.thread_time() + _TURN_S / 4
    before, calls = time.thread_time(), 0
    while calls < 5 or time.thread_time() < end:  # noqa: PLR2004  # fewer say nothing
        action()
        calls += 1
    return (time.thread_time() - before) / calls
