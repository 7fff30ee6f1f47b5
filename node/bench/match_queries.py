"""The figures of `bench match` that only ask: recall, one question, many at once, cold caches."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from node.bench.contenders import Contender, Matches
from node.bench.match_stage import Say, Stage
from node.bench.report import Figure
from node.bench.timing import ROUNDS, Turn, median, seconds, take_turn
from protocol.limits import PDQ_MATCH_DISTANCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from node.bench.corpus import Pdqs

_BY_HAND: Final = 20
_CHECKED: Final = 600
_CHECK_S: Final = 8.0
_TURN_S: Final = 3.0
_COLD: Final = 120
_BATCH_S: Final = 3.0
_US: Final = 1e6


def recall(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """Every answer of ours is compared with that of a scan, and some scans with NumPy."""
    say("comparing answers with a scan")
    chosen = stage.mixed[: _affordable(stage)]
    truth = [stage.flat.matches(stage.flat.ask(one)) for one in stage.flat.questions(chosen)]
    # half of the questions counted by hand have matches, where the first twenty would have two
    by_hand = sorted(range(len(chosen)), key=lambda at: not truth[at])[: _BY_HAND // 2]
    by_hand += range(_BY_HAND // 2)
    wrong = sum(truth[at] != _by_numpy(stage.corpus.pdqs, chosen[at]) for at in by_hand)
    beside: dict[str, Any] = {
        "questions": len(chosen),
        "matches": sum(map(len, truth)),
        "compared_with": "faiss_flat",
        "questions_also_compared_with_numpy": len(by_hand),
        "of_those_faiss_flat_wrong": wrong,
    }
    shares = {}
    for one in (stage.ours, *stage.others):
        found = [
            one.matches(one.ask(question)) for question in one.questions(chosen[: _fewer(one)])
        ]
        shares[one.name] = _same(found, truth[: len(found)])
        if one is stage.ours:
            pairs = list(zip(found, truth, strict=True))
            beside["missing"] = sum(len(right - mine) for mine, right in pairs)
            beside["extra"] = sum(len(mine - right) for mine, right in pairs)
    beside["others"] = {name: share for name, share in shares.items() if name != stage.ours.name}
    yield Figure("match.recall", 0.0 if wrong else shares[stage.ours.name], "", None, beside)


def _affordable(stage: Stage) -> int:
    """How many questions a scan answers in the time for checking."""
    some = stage.flat.questions(stage.mixed[:_BY_HAND])
    each_s = seconds(lambda: [stage.flat.ask(one) for one in some]) / len(some)
    return int(min(max(_CHECK_S / each_s, 2 * _BY_HAND), _CHECKED))


def _fewer(contender: Contender) -> int:
    """How many of the questions one tool is checked with: ours with all, the others with some."""
    return _CHECKED if contender.name == "ours" else _CHECKED // 6


def _same(found: Sequence[Matches], truth: Sequence[Matches]) -> float:
    """1.0 where all answers are the same; else what both have, as a share of what either has."""
    pairs = list(zip(found, truth, strict=True))
    either = sum(len(one | right) for one, right in pairs)
    return sum(len(one & right) for one, right in pairs) / either if either else 1.0


def _by_numpy(pdqs: "Pdqs", question: "NDArray[np.uint8]") -> Matches:
    differing = np.bitwise_count(pdqs.view(np.uint64) ^ question.view(np.uint64))
    distances = differing.sum(1, dtype=np.int64)
    rows = np.flatnonzero(distances <= PDQ_MATCH_DISTANCE)
    return frozenset(zip(rows.tolist(), distances[rows].tolist(), strict=True))


def single(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """One question, one call, in rounds in which every tool has a turn."""
    asked = {one.name: one.questions(stage.mixed) for one in stage.contenders}
    misses = stage.ours.questions(stage.misses)
    rounds: list[dict[str, Turn]] = []
    per_s = []
    for number in range(ROUNDS):
        say(f"asking one at a time, round {number + 1} of {ROUNDS}")
        rounds.append(
            {
                one.name: take_turn(one.ask, asked[one.name], budget_s=_TURN_S)
                for one in stage.contenders
            }
        )
        per_s.append(_lookups_per_s(stage, misses))
    ours = stage.ours.name
    for one in stage.contenders[1:]:
        yield _p50_ratio(ours, one.name, rounds, stage.is_miss)
    for name, why in stage.left_out.items():
        yield Figure(f"match.p50_ratio_{name}", None, "×", None, {"why": why})
    yield _p99_ratio(ours, stage.flat.name, rounds, stage.is_miss)
    yield Figure("match.lookups_per_s", median(per_s), "1/s", None, {"rounds": per_s})
    own = [one[ours] for one in rounds]
    yield Figure(
        "match.miss_p50_us",
        median([turn.percentile(50, stage.is_miss) for turn in own]),
        "µs",
        None,
        {
            "p99_us": median([turn.percentile(99, stage.is_miss) for turn in own]),
            "all_questions_p50_us": median([turn.percentile(50) for turn in own]),
            "all_questions_p99_us": median([turn.percentile(99) for turn in own]),
            "all_questions_mean_us": median([float(turn.times_us.mean()) for turn in own]),
        },
    )


def _lookups_per_s(stage: Stage, misses: Sequence[bytes]) -> float:
    ask = stage.ours.ask

    def everything() -> None:
        for one in misses:
            ask(one)

    for one in misses[:500]:
        ask(one)
    return len(misses) / seconds(everything)


def _p50_ratio(
    ours: str, rival: str, rounds: Sequence[dict[str, Turn]], is_miss: "NDArray[np.bool_]"
) -> Figure:
    pairs = [
        (one[rival].percentile(50, is_miss), one[ours].percentile(50, is_miss)) for one in rounds
    ]
    ratios = [theirs / mine for theirs, mine in pairs]
    beside = {
        f"{rival}_us": median([theirs for theirs, _ in pairs]),
        "ours_us": median([mine for _, mine in pairs]),
        "rounds": ratios,
        f"{rival}_questions": sum(len(one[rival].times_us) for one in rounds),
        f"{rival}_warm_up": rounds[0][rival].warm_up,
        "ours_questions": sum(len(one[ours].times_us) for one in rounds),
    }
    return Figure(f"match.p50_ratio_{rival}", median(ratios), "×", None, beside)


def _p99_ratio(
    ours: str, flat: str, rounds: Sequence[dict[str, Turn]], is_miss: "NDArray[np.bool_]"
) -> Figure:
    pairs = [
        (one[flat].percentile(99, is_miss), one[ours].percentile(99, is_miss)) for one in rounds
    ]
    ratios = [theirs / mine for theirs, mine in pairs]
    beside = {
        "faiss_flat_us": median([theirs for theirs, _ in pairs]),
        "ours_us": median([mine for _, mine in pairs]),
        "rounds": ratios,
    }
    return Figure("match.miss_p99_ratio_faiss_flat", median(ratios), "×", None, beside)


def batch(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """Many questions in one call, arrays in and arrays out as with faiss."""
    say("asking many at once")
    some = stage.misses[:32]
    each_s = seconds(stage.flat.ask, some) / len(some)
    scanned = stage.misses[: int(min(max(_BATCH_S / each_s, 32), 2_000))]
    index = stage.ours.index
    index.query_arrays(stage.misses)
    flat_us, ours_us = [], []
    for _ in range(ROUNDS):
        flat_us.append(seconds(stage.flat.ask, scanned) / len(scanned) * _US)
        ours_us.append(seconds(index.query_arrays, stage.misses) / len(stage.misses) * _US)
    ratios = [theirs / own for theirs, own in zip(flat_us, ours_us, strict=True)]
    beside = {
        "faiss_flat_us": median(flat_us),
        "ours_us": median(ours_us),
        "rounds": ratios,
        "questions": len(stage.misses),
        "faiss_flat_questions": len(scanned),
        "ours_mixed_us": seconds(index.query_arrays, stage.mixed) / len(stage.mixed) * _US,
    }
    yield Figure("match.batch_ratio_faiss_flat", median(ratios), "×", None, beside)


def cold(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """One question after a scan that threw everything else out of the caches."""
    say("asking with cold caches")
    rounds = []
    questions = cycle(stage.misses[:_COLD])
    for _ in range(ROUNDS):
        theirs, mine = [], []
        for _ in range(_COLD // ROUNDS):
            row = next(questions)[None, :].copy()
            question = row.tobytes()
            theirs.append(seconds(stage.flat.ask, row))
            mine.append(seconds(stage.ours.ask, question))
        rounds.append((median(theirs) * _US, median(mine) * _US))
    ratios = [theirs_us / mine_us for theirs_us, mine_us in rounds]
    yield Figure(
        "match.cold_ratio_faiss_flat",
        median(ratios),
        "×",
        None,
        {
            "faiss_flat_us": median([theirs_us for theirs_us, _ in rounds]),
            "ours_us": median([mine_us for _, mine_us in rounds]),
            "rounds": ratios,
            "questions": _COLD,
        },
    )
