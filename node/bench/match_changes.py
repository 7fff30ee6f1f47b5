"""The figures of `bench match` that change the index: building, adding, removing; and distances."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from node.bench.match_stage import Say, Stage
from node.bench.report import Figure
from node.bench.timing import ROUNDS, median, seconds, take_turn
from protocol.limits import PDQ_MATCH_DISTANCE

_ADDED: Final = 10_000
_SEEN: Final = 200
_REMOVED: Final = 2_000
_ALONE: Final = 200
_DISTANCES: Final = (0, 16, PDQ_MATCH_DISTANCE, 40, 48, 64)
_CHECKED: Final = 40
_TURN_S: Final = 2.0


def build(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """What building took, in time and memory."""
    say("adding up what was built")
    count = len(stage.corpus.pdqs)
    own_s = stage.build_s[stage.ours.name]
    theirs_s = stage.build_s.get("faiss_multihash")
    why = {"why": stage.left_out["faiss_multihash"]} if theirs_s is None else {}
    yield Figure(
        "match.build_ratio_multihash",
        None if theirs_s is None else theirs_s / own_s,
        "×",
        None,
        {f"{name}_s": taken for name, taken in stage.build_s.items()} | why,
    )
    resident = {f"{name}_resident": size / count for name, size in stage.resident.items()}
    held = stage.ours.index.memory_bytes()
    yield Figure("match.bytes_per_hash", held / count, "B", None, resident)


def thresholds(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """Smaller and larger distances, up to 64: the time, and at 64 the answers."""
    say("asking at other distances")
    misses = stage.ours.questions(stage.misses[:2_000])
    index = stage.ours.index
    for distance in _DISTANCES:
        ask = partial(index.query, max_distance=distance)
        turn = take_turn(ask, misses, budget_s=_TURN_S)
        yield Figure(
            f"match.miss_p50_us_at_{distance}",
            turn.percentile(50),
            "µs",
            None,
            {"p99_us": turn.percentile(99), "questions": len(turn.times_us)},
        )
    chosen = stage.mixed[np.argsort(stage.is_miss, kind="stable")[:_CHECKED]]
    either = both = 0
    for question in chosen:
        answer = stage.flat.index.range_search(question[None, :], _DISTANCES[-1] + 1)
        right = stage.flat.matches(answer)
        mine = frozenset(index.query(question.tobytes(), _DISTANCES[-1]))
        either += len(mine | right)
        both += len(mine & right)
    yield Figure(
        "match.recall_at_64",
        both / either if either else 1.0,
        "",
        None,
        {"questions": _CHECKED, "matches": both, "compared_with": "faiss_flat"},
    )


def add(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """Entries added one by one to the full index, each there for the next question."""
    say("adding one by one")
    index = stage.ours.index
    first_key = len(stage.corpus.pdqs)
    pdqs = stage.ours.questions(stage.generator.photographs(_ADDED))
    before = _steady_us(stage)
    entries = list(enumerate(pdqs, start=first_key))
    unseen = 0
    for key, pdq in entries[:_SEEN]:
        index.add([key], [pdq])
        unseen += (key, 0) not in index.query(pdq)
    turn = take_turn(
        lambda entry: index.add((entry[0],), (entry[1],)),
        entries[_SEEN:],
        budget_s=30.0,
        warm_up=0,
    )
    after = _steady_us(stage)
    yield Figure(
        "match.add_p99_us",
        turn.percentile(99),
        "µs",
        None,
        {
            "p50_us": turn.percentile(50),
            "slowest_us": turn.percentile(100),
            "added": len(turn.times_us),
            "not_found_by_the_next_question": unseen,
            "of": _SEEN,
        },
    )
    yield Figure(
        "match.delta_ratio",
        after / before,
        "×",
        None,
        {"miss_p50_us_before": before, "miss_p50_us_after": after, "added": _ADDED},
    )


def remove(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """Entries removed one by one; nothing of them is found, and all else is."""
    say("removing one by one")
    index = stage.ours.index
    chosen = stage.generator.chosen(len(stage.corpus.pdqs), _REMOVED).tolist()
    alone, together = chosen[:_ALONE], chosen[_ALONE:]
    turn = take_turn(lambda key: index.remove((key,)), alone, budget_s=10.0, warm_up=0)
    together_us = seconds(index.remove, together) / len(together) * 1e6
    gone = frozenset(alone[: len(turn.times_us)]) | frozenset(together)
    # Half of the questions are about entries that were removed.
    about = stage.corpus.pdqs[list(gone)[: _SEEN // 2]]
    planted = stage.mixed[np.argsort(stage.is_miss, kind="stable")[: _SEEN // 2]]
    either = both = 0
    for question in np.concatenate([about, planted]):
        everything = stage.flat.matches(stage.flat.ask(question[None, :]))
        right = frozenset(pair for pair in everything if pair[0] not in gone)
        mine: frozenset[Any] = frozenset(
            pair for pair in index.query(question.tobytes()) if pair[0] < len(stage.corpus.pdqs)
        )
        either += len(mine | right)
        both += len(mine & right)
    yield Figure(
        "match.remove_p99_us",
        turn.percentile(99),
        "µs",
        None,
        {
            "p50_us": turn.percentile(50),
            "removed": len(turn.times_us),
            "each_of_many_in_one_call_us": together_us,
            "many": len(together),
        },
    )
    yield Figure(
        "match.recall_after_removal",
        both / either if either else 1.0,
        "",
        None,
        {"questions": _SEEN, "matches": both, "compared_with": "faiss_flat less what was removed"},
    )


def _steady_us(stage: Stage) -> float:
    misses = stage.ours.questions(stage.misses[:2_000])
    turns = [take_turn(stage.ours.ask, misses, budget_s=_TURN_S) for _ in range(ROUNDS)]
    return median([turn.percentile(50) for turn in turns])
