"""A corpus of pdqs as real lists are made of, generated: no hash of anybody's picture is in it.

What was measured on 1,000 photographs, 18 variants of each, and 1,400 made pictures stands in
pdq_statistics.json: the correlations of at least 0.1 between two bits (the others are not told from
chance by 1,000 pictures), how readily each bit flips when a picture is scaled or saved again, and
the pdqs of some pictures of nearly one colour. A photograph's pdq has exactly 128 ones, because
PDQ cuts at the median: https://github.com/facebook/ThreatExchange/tree/main/pdq (hashing.pdf).

The mix: 85 % singletons; 10 % clusters of near-duplicates, sizes by Zipf's law up to 500; 3 % in 20
families of one picture under many captions; 2 % in four families of nearly flat pictures, of which
one pdq is repeated N/1000 times (the hot buckets). The shares are a guess, not a real list's.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protocol.limits import PDQ_BITS, PDQ_MATCH_DISTANCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pdqs = NDArray[np.uint8]
    """uint8 [count, 32]: one pdq a row, most significant bit first."""

MISS, PLANTED, PLANTED_HOT = 0, 1, 2
"""Kinds of queries: resembles nothing; near an entry; near an entry of a nearly flat family."""

SINGLE, CLUSTER, CAPTIONED, FLAT, REPEATED = 0, 1, 2, 3, 4
"""Families of entries."""

_STATISTICS: Final = Path(__file__).with_name("pdq_statistics.json")
_BLOCK: Final = 20_000
_HALF: Final = PDQ_BITS // 2
_MAX_CLUSTER: Final = 500


@dataclass(frozen=True)
class Corpus:
    """Entries in random order.

    Attributes:
        pdqs: uint8 [count, 32].
        families: uint8 [count]: SINGLE to REPEATED.
    """

    pdqs: "Pdqs"
    families: "NDArray[np.uint8]"


@dataclass(frozen=True)
class Queries:
    """Questions in random order.

    Attributes:
        pdqs: uint8 [count, 32].
        kinds: uint8 [count]: MISS, PLANTED or PLANTED_HOT.
    """

    pdqs: "Pdqs"
    kinds: "NDArray[np.uint8]"


class Generator:
    """Makes corpora and queries; the same seed gives the same ones on any machine."""

    def __init__(self, seed: int) -> None:
        measured = json.loads(_STATISTICS.read_text("ascii"))
        self._rng = np.random.default_rng(seed)
        self._mixing = _mixing(measured["correlations"])
        self._flips = np.asarray(measured["flips"], np.float32)
        flat = b"".join(map(bytes.fromhex, measured["flat"]))
        self._flat: Pdqs = np.frombuffer(flat, np.uint8).reshape(-1, PDQ_BITS // 8)

    def corpus(self, count: int) -> Corpus:
        """Returns `count` entries in the mix of this module; at least 1,000."""
        parts = [
            (CLUSTER, self._clusters(count // 10)),
            *((CAPTIONED, self._captioned(count * 3 // 2000)) for _ in range(20)),
            *self._flat_families(count // 50, repeated=count // 1000),
        ]
        left = count - sum(len(pdqs) for _, pdqs in parts)
        parts.append((SINGLE, self.photographs(left)))
        order = self._rng.permutation(count)
        families = np.concatenate([np.full(len(pdqs), kind, np.uint8) for kind, pdqs in parts])
        pdqs = np.concatenate([pdqs for _, pdqs in parts])
        return Corpus(np.ascontiguousarray(pdqs[order]), families[order])

    def skewed(self, corpus: Corpus, share: float) -> tuple["Pdqs", "Pdqs"]:
        """Returns a corpus with `share` of it made one flat family, and that family's members.

        Every member differs from the family's template in about 30 of the same 60 bits.
        """
        members = self._family(self._flat[0], int(len(corpus.pdqs) * share), 60, 0.5, 0.002)
        pdqs = corpus.pdqs.copy()
        pdqs[self.chosen(len(pdqs), len(members))] = members
        return pdqs, members

    def queries(self, corpus: Corpus, count: int) -> Queries:
        """Returns `count` questions: 90 % misses, 9.5 % planted, 0.5 % planted in flat families.

        A planted question differs from some entry in 0 to 31 bits, each number as likely.
        """
        planted, hot = count * 95 // 1000, max(1, count // 200)
        flat = np.flatnonzero(corpus.families >= FLAT)
        everything = np.arange(len(corpus.pdqs))
        parts = [
            (MISS, self.photographs(count - planted - hot)),
            (PLANTED, self._near(corpus.pdqs, everything, planted)),
            (PLANTED_HOT, self._near(corpus.pdqs, flat, hot)),
        ]
        order = self._rng.permutation(count)
        kinds = np.concatenate([np.full(len(pdqs), kind, np.uint8) for kind, pdqs in parts])
        pdqs = np.concatenate([pdqs for _, pdqs in parts])
        return Queries(np.ascontiguousarray(pdqs[order]), kinds[order])

    def photographs(self, count: int) -> "Pdqs":
        """Returns pdqs of unrelated photographs: correlated normals, cut at each one's median."""

        def make(rng: np.random.Generator, rows: int) -> "Pdqs":
            mixed = rng.standard_normal((rows, PDQ_BITS), np.float32) @ self._mixing
            median = np.partition(mixed, _HALF - 1, axis=1)[:, _HALF - 1 : _HALF]
            return np.packbits(mixed > median, axis=1)

        return self._in_blocks(count, make)

    def away(self, pdqs: "Pdqs", count: int, fewest: int, most: int) -> "Pdqs":
        """Returns `count` pdqs, each `fewest` to `most` bits from one of `pdqs` drawn at random."""
        chosen = pdqs[self._rng.integers(0, len(pdqs), count)]
        return _flipped(self._rng, chosen, self._rng.integers(fewest, most + 1, count))

    def chosen(self, count: int, rows: int) -> "NDArray[np.int64]":
        """Returns `rows` different numbers below `count`, in random order."""
        return self._rng.choice(count, rows, replace=False, shuffle=True)

    def _near(self, pdqs: "Pdqs", choice: "NDArray[np.int64]", count: int) -> "Pdqs":
        chosen = pdqs[choice[self._rng.integers(0, len(choice), count)]]
        bits = self._rng.integers(0, PDQ_MATCH_DISTANCE + 1, count)
        return _flipped(self._rng, chosen, bits)

    def _clusters(self, count: int) -> "Pdqs":
        sizes = np.minimum(1 + self._rng.zipf(1.7, count), _MAX_CLUSTER)
        centres = self.photographs(int(np.searchsorted(np.cumsum(sizes), count)) + 1)
        copies = np.repeat(centres, sizes[: len(centres)], axis=0)[:count]

        def make(rng: np.random.Generator, rows: int, start: int) -> "Pdqs":
            return self._saved_again(rng, copies[start : start + rows])

        return self._in_blocks_from(count, make)

    def _saved_again(self, rng: np.random.Generator, pdqs: "Pdqs") -> "Pdqs":
        """0 to 30 bits flipped in each, as scaling and saving do; as many ones as before.

        Bits are drawn without replacement with the measured weights (Efraimidis and Spirakis 2006).
        """
        bits = np.unpackbits(pdqs, axis=1)
        keys = rng.standard_exponential(bits.shape, np.float32) / self._flips
        each = rng.integers(0, _FLIPS_EACH + 1, len(pdqs))
        for value in (0, 1):
            order = np.argpartition(np.where(bits == value, keys, np.inf), _FLIPS_EACH, axis=1)
            first = order[:, :_FLIPS_EACH]
            # Which of the fifteen are taken need not follow their keys: they are a sample already.
            rows, taken = np.nonzero(np.arange(_FLIPS_EACH) < each[:, None])
            bits[rows, first[rows, taken]] ^= 1
        return np.packbits(bits, axis=1)

    def _captioned(self, count: int) -> "Pdqs":
        return self._family(self.photographs(1)[0], count, 70, 0.3, 0.01)

    def _flat_families(self, count: int, *, repeated: int) -> list[tuple[int, "Pdqs"]]:
        templates = self._flat[self._rng.permutation(len(self._flat))[:4]]
        each = (count - repeated) // len(templates)
        parts = [(FLAT, self._family(one, each, 40, 0.5, 0.002)) for one in templates]
        return [*parts, (REPEATED, np.repeat(templates[:1], repeated, axis=0))]

    def _family(
        self, template: "NDArray[np.uint8]", count: int, active: int, flip: float, other: float
    ) -> "Pdqs":
        """`count` pdqs around a template: `active` bits flip with `flip`, the rest with `other`."""
        chance = np.full(PDQ_BITS, other, np.float32)
        chance[self._rng.permutation(PDQ_BITS)[:active]] = flip
        bits = np.unpackbits(template)

        def make(rng: np.random.Generator, rows: int) -> "Pdqs":
            return np.packbits(bits ^ (rng.random((rows, PDQ_BITS), np.float32) < chance), axis=1)

        return self._in_blocks(count, make)

    def _in_blocks(self, count: int, make: Callable[[np.random.Generator, int], "Pdqs"]) -> "Pdqs":
        return self._in_blocks_from(count, lambda rng, rows, _start: make(rng, rows))

    def _in_blocks_from(
        self, count: int, make: Callable[[np.random.Generator, int, int], "Pdqs"]
    ) -> "Pdqs":
        """The blocks that `make` gives, made by two threads, each block with a seed of its own."""
        starts = range(0, count, _BLOCK)
        pdqs = np.empty((count, PDQ_BITS // 8), np.uint8)

        def fill(start: int, rng: np.random.Generator) -> None:
            rows = min(_BLOCK, count - start)
            pdqs[start : start + rows] = make(rng, rows, start)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(fill, starts, self._rng.spawn(len(starts))))
        return pdqs


_FLIPS_EACH: Final = 15
"""At most so many ones and as many zeros of a near-duplicate are flipped: 30 bits, never 31."""


def _mixing(correlations: list[list[Any]]) -> "NDArray[np.float32]":
    """The matrix that turns 256 independent normals into normals with these correlations of signs.

    A correlation c of signs is one of sin(πc/2) of normals (Sheppard 1899).
    """
    wanted = np.eye(PDQ_BITS)
    for first, second, correlation in correlations:
        wanted[first, second] = wanted[second, first] = np.sin(np.pi * correlation / 2)
    values, vectors = np.linalg.eigh(wanted)
    root = vectors * np.sqrt(np.clip(values, 1e-3, None))
    root /= np.sqrt((root**2).sum(1))[:, None]
    mixing: NDArray[np.float32] = np.ascontiguousarray(root.T, np.float32)
    return mixing


def _flipped(rng: np.random.Generator, pdqs: "Pdqs", counts: "NDArray[np.int64]") -> "Pdqs":
    """`counts[i]` bits of row i flipped, any bits."""
    bits = np.unpackbits(pdqs, axis=1)
    order = rng.random(bits.shape).argsort(axis=1)
    rows, taken = np.nonzero(np.arange(PDQ_BITS) < counts[:, None])
    bits[rows, order[rows, taken]] ^= 1
    return np.packbits(bits, axis=1)
