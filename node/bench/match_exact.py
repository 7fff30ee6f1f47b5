"""The figures of `bench match` about equality: exact digests and fingerprints."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from node.bench.match_stage import Say, Stage
from node.bench.report import Figure
from node.bench.timing import ROUNDS, Turn, median, seconds, take_turn
from node.matching.exact import ExactIndex

_ENTRIES: Final = 10_000_000
_LIKE_A_NODE: Final = 500_000
_PAGE: Final = 20_000
_ASKED: Final = 10_000
_TURN_S: Final = 2.0

_KINDS: Final = {"exact": (32, 20, 16), "fingerprint": (32,)}
"""Bytes of the values: SHA-256, SHA-1 and MD5 of each file; outputs of the VOPRF."""


def exact(stage: Stage, *, say: Say) -> Iterator[Figure]:
    """Ten million values of either kind; as many as there are pdqs where those are few."""
    count = _ENTRIES if len(stage.corpus.pdqs) >= _LIKE_A_NODE else len(stage.corpus.pdqs)
    for number, (name, sizes) in enumerate(_KINDS.items()):
        say(f"looking for equal values among {count:,}")
        yield from _kind(name, sizes, count, np.random.default_rng(number))


def _kind(
    name: str, sizes: tuple[int, ...], count: int, rng: np.random.Generator
) -> Iterator[Figure]:
    index = ExactIndex()
    known: list[tuple[int, bytes]] = []
    build_s = 0.0
    for start in range(0, count, _PAGE):
        values = _values(rng, sizes, min(_PAGE, count - start))
        build_s += seconds(index.add, range(start, start + len(values)), values)
        known += zip(range(start, start + len(values)), values[: _PAGE // 1_000], strict=False)
    wrong = sum(index.find(value) != [key] for key, value in known)
    misses = _values(rng, sizes, _ASKED)
    wrong += sum(index.find(value) != [] for value in misses)
    hits = [known[at][1] for at in rng.permutation(len(known))]
    rounds: list[tuple[Turn, Turn]] = [
        (
            take_turn(index.find, misses, budget_s=_TURN_S),
            take_turn(index.find, hits, budget_s=_TURN_S),
        )
        for _ in range(ROUNDS)
    ]
    beside = {
        "p50_us": median([missed.percentile(50) for missed, _ in rounds]),
        "hit_p50_us": median([hit.percentile(50) for _, hit in rounds]),
        "hit_p99_us": median([hit.percentile(99) for _, hit in rounds]),
        "entries": count,
        "wrong": wrong,
        "asked": len(known) + len(misses),
        "build_s": build_s,
    }
    p99_us = median([missed.percentile(99) for missed, _ in rounds])
    yield Figure(f"match.{name}_p99_us", p99_us, "µs", None, beside)
    held = {"entries": len(index)}
    yield Figure(f"match.{name}_bytes_per_entry", index.memory_bytes() / count, "B", None, held)


def _values(rng: np.random.Generator, sizes: tuple[int, ...], count: int) -> list[bytes]:
    room = rng.bytes(count * sizes[0])
    starts = range(0, len(room), sizes[0])
    return [room[at : at + sizes[n % len(sizes)]] for n, at in enumerate(starts)]
