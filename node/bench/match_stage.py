"""The tools of `bench match`, built on one corpus, in one process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.bench.contenders import (
    Contender,
    Faiss,
    Ours,
    Pynear,
    ThreatExchange,
    flat,
    multi_hash,
)
from node.bench.corpus import MISS, Corpus, Generator
from node.bench.machine import available_bytes, resident_bytes
from node.bench.timing import seconds, touch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from node.bench.corpus import Pdqs

Say = Callable[[str], None]
"""Tells a person who waits what is being done."""

SEED: Final = 7
_MIXED: Final = 4_000
_MISSES: Final = 20_000
_WARM_UP: Final = 50_000  # entries, among which there are families
_BUILD_BYTES: Final = 600  # for each entry; more than any of them but one needs to build
_SPARE: Final = 0.85
"""The share of the free memory that rivals may fill."""

_GIB: Final = 1 << 30
_SLOWEST_BUILD_US: Final = {"pynear": 20.0, "threatexchange": 15.0}
"""What a rival needs for each entry while it builds, from measurements."""

_PATIENCE_S: Final = 400.0


@dataclass(frozen=True)
class Stage:
    """Everything built and nothing asked yet.

    Attributes:
        generator: draws further questions.
        corpus: what all indexes hold; the key of an entry is its row.
        mixed: uint8 [4000, 32]: the questions of an ordinary day.
        is_miss: bool [4000]: which of them resemble nothing.
        misses: uint8 [20000, 32]: questions that resemble nothing.
        ours: the node's index.
        flat: the scan of faiss, reference of every ratio.
        others: the further rivals that fit.
        left_out: why each of the others is not among them, in a sentence.
        build_s: how long each tool took to build, by name, in seconds.
        resident: how much the process grew by that, by name, in bytes.
    """

    generator: Generator
    corpus: Corpus
    mixed: "Pdqs"
    is_miss: "NDArray[np.bool_]"
    misses: "Pdqs"
    ours: Ours
    flat: Faiss
    others: tuple[Contender, ...]
    left_out: dict[str, str]
    build_s: dict[str, float]
    resident: dict[str, int]

    @property
    def contenders(self) -> Sequence[Contender]:
        """All tools, ours first."""
        return (self.ours, self.flat, *self.others)


def set_up(hashes: int, *, say: Say) -> Stage:
    """Returns the stage with `hashes` entries; takes minutes where rivals are slow to build."""
    say(f"making {hashes:,} entries")
    generator = Generator(SEED)
    corpus = generator.corpus(hashes)
    questions = generator.queries(corpus, _MIXED)
    misses = generator.photographs(_MISSES)
    ours, reference = Ours(), flat()
    chosen, left_out = _that_fit([multi_hash(), Pynear(), ThreatExchange()], hashes)
    Ours().build(corpus.pdqs[:_WARM_UP])  # loads, or compiles, the kernels, those of families too
    build_s: dict[str, float] = {}
    resident: dict[str, int] = {}
    built: list[Contender] = [reference, ours, *chosen]
    for one in built:
        say(f"building {one.name}")
        # Before each: what was given back a while ago the host may have taken.
        touch(min(hashes * _BUILD_BYTES, available_bytes() // 2))
        before = resident_bytes()
        build_s[one.name] = seconds(one.build, corpus.pdqs)
        resident[one.name] = resident_bytes() - before
    return Stage(
        generator=generator,
        corpus=corpus,
        mixed=questions.pdqs,
        is_miss=questions.kinds == MISS,
        misses=misses,
        ours=ours,
        flat=reference,
        others=tuple(chosen),
        left_out=left_out,
        build_s=build_s,
        resident=resident,
    )


def _that_fit(rivals: Sequence[Contender], hashes: int) -> tuple[list[Contender], dict[str, str]]:
    """The rivals for which there is memory and patience, and why the others are left out."""
    left = available_bytes() * _SPARE - hashes * (Ours.bytes_per_pdq + 64)
    chosen: list[Contender] = []
    left_out: dict[str, str] = {}
    for one in rivals:
        need = hashes * one.bytes_per_pdq
        build_s = hashes * _SLOWEST_BUILD_US.get(one.name, 0.0) / 1e6
        if need > left:
            left_out[one.name] = (
                f"left out: needs about {need / _GIB:.1f} GiB, {max(left, 0) / _GIB:.1f} are free"
            )
        elif build_s > _PATIENCE_S:
            left_out[one.name] = f"left out: would take about {build_s:.0f} s to build"
        else:
            chosen.append(one)
            left -= need
    return chosen, left_out
