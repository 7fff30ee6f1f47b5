"""Families: many rows around one pivot, which a segment keeps behind its tables, in bundles.

A tenth of a list may be one picture: flat pictures, a template under many captions, or 10^6
neighbours of one value from somebody who means harm. Such rows crowd the same buckets of every
table, and a question from their neighbourhood would meet each of them many times. So they are left
out of the tables. They stand behind the other rows, family by family, in the order of the bits
that differ most within the family, 32 to a bundle; rows of one bundle agree in most of their bits.
`family_search` says how a question passes over a family, or a bundle, and why nothing is missed.

Which rows are a family is a matter of speed alone: every row is either in the tables or in one
family, and what is told of a family is computed from its rows. So a sample is enough to find them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from node.matching.compiled import compiled
from node.matching.ring.building import order_of_rows
from node.matching.ring.lanes import Word, ones64
from node.matching.ring.layout import BUCKETS, BUNDLE_ROWS, CHUNKS, FAMILY, MOST_FAMILIES, STARTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE: Final = 16_384
_RADIUS: Final = 72
"""Bits from the pivot, at most. Unrelated rows are 128 ± 8 bits from it, so that a question that
is related to nothing passes over all families: 128 - 72 is far above 31."""

_SHARE: Final = 256  # fewer than one in so many rows are no family: the tables bear them
_FEWEST: Final = 64  # rows of the sample
_CROWDED: Final = 24  # rows of the sample in one bucket, where chance puts one or two
_TRIES: Final = 16  # crowded buckets that were no family
_KEY_BITS: Final = 16
_HALF_WORDS: Final = 2
_WORD_BITS: Final = 64
_U64 = np.uint64


@dataclass(frozen=True)
class Plan:
    """The order of a segment's rows.

    Attributes:
        order: uint32 [n]: which row comes when. First those of the tables, by chunk 0.
        families: FAMILY [k], whose rows follow.
    """

    order: "NDArray[np.uint32]"
    families: "NDArray[np.void]"

    @property
    def tabled(self) -> int:
        """How many rows are in the tables."""
        return int(self.families["first"][0]) if len(self.families) else len(self.order)

    @property
    def bundles(self) -> int:
        """How many bundles the families have together."""
        return sum(map(bundles_of, (self.families["end"] - self.families["first"]).tolist()))


def bundles_of(rows: int) -> int:
    """How many bundles so many rows of one family take."""
    return -(-rows // BUNDLE_ROWS)


@compiled
def fullest_bucket(chunks: Word, counts: Word) -> Word:
    """Returns how many rows the fullest bucket of all tables has, its table and its number.

    Args:
        chunks: uint16 [n, 16], n below 2^32.
        counts: uint32 [16, BUCKETS], scratch.
    """
    counts[:] = 0
    most = np.uint32(0)
    where = 0
    value = np.uint16(0)
    for i in range(chunks.shape[0]):
        for j in range(CHUNKS):
            count = counts[j, chunks[i, j]] + np.uint32(1)
            counts[j, chunks[i, j]] = count
            if count > most:
                most, where, value = count, j, chunks[i, j]
    return most, where, value


@compiled
def tell_apart(words: Word, pivots: Word, families: Word, radii: Word) -> None:
    """Gives each row to the first pivot that is near enough.

    Args:
        words: uint64 [n, 4], the chunks of each row.
        pivots: uint64 [k, 4].
        families: uint8 [n], zeros; the number of the row's pivot plus one is written.
        radii: uint64 [k], zeros; the farthest row of each pivot is written, in bits.
    """
    for i in range(words.shape[0]):
        for k in range(pivots.shape[0]):
            distance = ones64(words[i, 0] ^ pivots[k, 0]) + ones64(words[i, 1] ^ pivots[k, 1])
            distance += ones64(words[i, 2] ^ pivots[k, 2]) + ones64(words[i, 3] ^ pivots[k, 3])
            if distance <= _U64(_RADIUS):
                families[i] = k + 1
                radii[k] = max(radii[k], distance)
                break


@compiled
def gather_bits(words: Word, rows: Word, bits: Word, keys: Word) -> None:
    """Writes some bits of some rows as a number each.

    Args:
        words: uint64 [n, 4].
        rows: int64 [m].
        bits: uint64 [at most 16], numbers of bits, 0 to 255; the first becomes the highest.
        keys: uint16 [m], written.
    """
    for i in range(rows.shape[0]):
        key = _U64(0)
        for k in range(bits.shape[0]):
            word = words[rows[i], bits[k] >> _U64(6)]
            key = (key << _U64(1)) | ((word >> (bits[k] & _U64(63))) & _U64(1))
        keys[i] = key


@compiled
def tell_bundles(near: Word, far: Word, families: Word, bundles: Word) -> None:
    """Writes of each bundle in which bits its rows agree, and what they are there.

    Args:
        near: uint64 [n, 2], the first half of each row, in their final order.
        far: uint64 [n, 2], the second half.
        families: FAMILY [k].
        bundles: uint64 [bundles, 8], written: four words of values, four of agreeing bits.
    """
    for k in range(families.shape[0]):
        at: Any = np.int64(families[k].bundle)
        first: Any = np.int64(families[k].first)
        end: Any = np.int64(families[k].end)
        for start in range(first, end, BUNDLE_ROWS):
            for word in range(4):
                all_of = ~_U64(0)
                any_of = _U64(0)
                for row in range(start, min(start + BUNDLE_ROWS, end)):
                    value = near[row, word] if word < _HALF_WORDS else far[row, word - _HALF_WORDS]
                    all_of &= value
                    any_of |= value
                bundles[at, word] = all_of
                bundles[at, 4 + word] = ~(all_of ^ any_of)
            at += 1


def plan_rows(words: "NDArray[np.uint64]") -> Plan:
    """Returns in which order a segment keeps its rows, and which of them are families.

    Args:
        words: uint64 [n, 4], the chunks of each row, in the order they came.
    """
    pivots, keys = _find_pivots(words)
    order = np.empty(len(words), np.uint32)
    member = np.zeros(len(words), np.uint8)
    radii = np.zeros(len(pivots), np.uint64)
    if len(pivots):
        tell_apart(words, pivots, member, radii)
    tabled = len(words) - int(np.count_nonzero(member))
    order_of_rows(words.view(np.uint16), member, np.empty(STARTS, np.uint32), order)
    families = np.zeros(len(pivots), FAMILY)
    families["pivot"], families["radius"] = pivots, radii
    first, bundle = tabled, 0
    for number in range(len(pivots)):
        rows = np.flatnonzero(member == number + 1)
        alike = np.empty(len(rows), np.uint16)
        gather_bits(words, rows, keys[number], alike)
        end = first + len(rows)
        order[first:end] = rows[np.argsort(alike, kind="stable")]
        families["first"][number], families["end"][number] = first, end
        families["bundle"][number] = bundle
        first, bundle = end, bundle + bundles_of(len(rows))
    return Plan(order, families)


def _find_pivots(
    words: "NDArray[np.uint64]",
) -> "tuple[NDArray[np.uint64], list[NDArray[np.uint64]]]":
    """Pivots, uint64 [k, 4], and of each the bits that differ most around it, most first.

    The rows of the fullest bucket, over all tables, have much in common if they are a family: what
    most of them have is a first guess, what most of those around the guess have is the pivot.
    """
    sample = words
    if len(words) > _SAMPLE:  # drawn anew each time, so that nobody can hide between the draws
        sample = words[np.random.default_rng().integers(0, len(words), _SAMPLE)]
    fewest = max(_FEWEST, len(sample) // _SHARE)
    counts = np.empty((CHUNKS, BUCKETS), np.uint32)
    pivots: list[NDArray[np.uint64]] = []
    keys: list[NDArray[np.uint64]] = []
    tries = _TRIES
    while tries and len(pivots) < MOST_FAMILIES and len(sample) >= fewest:
        chunks = sample.view(np.uint16)
        crowd, table, value = fullest_bucket(chunks, counts)
        if crowd < _CROWDED:
            break
        alike = chunks[:, table] == value
        pivot = _majority(_shares(sample[alike]))
        around = _distances(sample, pivot) <= _RADIUS
        if np.count_nonzero(around) >= fewest:
            shares = _shares(sample[around])
            pivot = _majority(shares)
            around = _distances(sample, pivot) <= _RADIUS
        if np.count_nonzero(around) >= fewest:
            pivots.append(pivot)
            keys.append(np.argsort(np.abs(shares - 0.5), kind="stable")[:_KEY_BITS].astype(_U64))
        else:
            tries -= 1
        sample = sample[~(around | alike)]
    return np.array(pivots, np.uint64).reshape(-1, 4), keys


def _shares(words: "NDArray[np.uint64]") -> "NDArray[np.float64]":
    """In which share of the rows, uint64 [n, 4], each of the 256 bits is set."""
    bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
    shares: NDArray[np.float64] = bits.mean(axis=0, dtype=np.float64)
    return shares


def _majority(shares: "NDArray[np.float64]") -> "NDArray[np.uint64]":
    return np.packbits(2 * shares > 1, bitorder="little").view(np.uint64)


def _distances(words: "NDArray[np.uint64]", pivot: "NDArray[np.uint64]") -> "NDArray[np.int64]":
    distances: NDArray[np.int64] = np.bitwise_count(words ^ pivot).sum(axis=1, dtype=np.int64)
    return distances
