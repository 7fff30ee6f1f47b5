"""The figures of `bench match` about bounds: what the memory allows, and what skew can do."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

from node.bench.contenders import Ours, flat
from node.bench.machine import available_bytes
from node.bench.match_stage import Say, Stage
from node.bench.report import Figure
from node.bench.timing import ROUNDS, median, seconds, take_turn

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LINE_WORDS: Final = 8
_LINE_BYTES: Final = 64
_LINES_READ: Final = 2_000_000
_COUNTED: Final = 200
_TURN_S: Final = 2.0

_SHARE: Final = 0.3
_SKEWED: Final = 60
_AWAY: Final = (30, 50)
_SKEW_S: Final = 4.0


def limit(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """What the memory system allows: lines that a query must read × the cost of a random line.

    The lines are independent of each other, so as many are on their way as the processor keeps
    apart; they lie in as much memory as the index takes.
    """
    say("measuring the memory")
    index = stage.ours.index
    questions = stage.ours.questions(stage.misses[:_COUNTED])
    lines = float(np.mean([index.lines(one) for one in questions]))
    misses = stage.ours.questions(stage.misses[:5_000])
    size = min(index.memory_bytes(), available_bytes() // 4)
    rounds = []
    memory = np.zeros(size // _LINE_BYTES * _LINE_WORDS, np.uint64)
    memory += np.uint64(1)
    places = np.random.default_rng(0).integers(0, size // _LINE_BYTES, _LINES_READ) * _LINE_WORDS
    for _ in range(ROUNDS):
        line_ns = seconds(_read, memory, places) / _LINES_READ * 1e9
        own_us = take_turn(stage.ours.ask, misses, budget_s=_TURN_S).percentile(50)
        rounds.append((lines * line_ns / 1e3, own_us, line_ns))
    limit_us = median([one for one, _, _ in rounds])
    beside: dict[str, Any] = {
        "lines": lines,
        "line_ns": median([line_ns for _, _, line_ns in rounds]),
        "memory_mib": size / (1 << 20),
    }
    yield Figure("match.limit_us", limit_us, "µs", None, beside)
    shares = [one / own_us for one, own_us, _ in rounds]
    own = {"miss_p50_us": median([own_us for _, own_us, _ in rounds]), "rounds": shares}
    yield Figure("match.share_of_limit", median(shares), "", None, own)


def _read(memory: "NDArray[np.uint64]", places: "NDArray[np.int64]") -> int:
    return int(_sum_at(memory, places))


@njit(nogil=True)
def _sum_at(memory: Any, places: Any) -> Any:
    total = np.uint64(0)
    for place in places:
        total += memory[place]
    return total


def skewed(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """A corpus of which 30 % are one family, asked about what lies just outside of it."""
    say("building a skewed corpus")
    pdqs, members = stage.generator.skewed(stage.corpus, _SHARE)
    ours, scan = Ours(), flat()
    ours.build(pdqs)
    scan.build(pdqs)
    near = stage.generator.away(members, 4 * _SKEWED, *_AWAY)
    outside = [row for row in near if not scan.matches(scan.ask(row[None, :]))][:_SKEWED]
    if not outside:
        why = {"why": "no question so near to the family is without a match in so small a corpus"}
        yield Figure("match.skewed_p50_ratio_scan", None, "", None, why)
        return
    rows = np.stack(outside)
    turn = partial(take_turn, budget_s=_SKEW_S, warm_up=len(rows) // 3)
    rounds = [
        (turn(ours.ask, ours.questions(rows)), turn(scan.ask, scan.questions(rows)))
        for _ in range(ROUNDS)
    ]
    ratios = [mine.percentile(50) / theirs.percentile(50) for mine, theirs in rounds]
    yield Figure(
        "match.skewed_p50_ratio_scan",
        median(ratios),
        "",
        None,
        {
            "ours_us": median([mine.percentile(50) for mine, _ in rounds]),
            "ours_slowest_us": max(mine.percentile(100) for mine, _ in rounds),
            "faiss_flat_us": median([theirs.percentile(50) for _, theirs in rounds]),
            "rounds": ratios,
            "questions": len(rows),
        },
    )
