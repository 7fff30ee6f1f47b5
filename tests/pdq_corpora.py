"""Collections of pdqs that are hard on an index, and an oracle that compares every pair."""

import numpy as np

from node.matching.ring.chunks import pdqs_of

CHUNKS = 16
KINDS = ("uniform", "clustered", "skewed", "equal", "flat")


def flipped(rng, pdqs, counts):
    """Copies of `pdqs`, uint8 [n, 32], with `counts[i]` bits of each flipped."""
    bits = np.unpackbits(pdqs, axis=1)
    order = rng.random(bits.shape).argsort(axis=1).argsort(axis=1)
    return np.packbits(bits ^ (order < np.asarray(counts)[:, None]), axis=1)


def corpus(kind, rows, rng):
    """`rows` pdqs, uint8 [rows, 32]."""
    uniform = rng.integers(0, 256, (rows, 32)).astype(np.uint8)
    if kind == "uniform" or not rows:
        return uniform
    if kind == "clustered":
        centres = uniform[rng.integers(0, max(1, rows // 20), rows)]
        return flipped(rng, centres, rng.integers(0, 34, rows))
    if kind == "skewed":
        family = flipped(rng, np.repeat(uniform[:1], rows, 0), rng.integers(0, 40, rows))
        return np.where((np.arange(rows) % 3 == 0)[:, None], family, uniform)
    if kind == "equal":
        return uniform[rng.integers(0, max(1, rows // 50), rows)]
    bits = np.zeros((rows, 256), np.uint8)  # near-constant pictures: few bits are ever set
    bits[:, :24] = rng.integers(0, 2, (rows, 24))
    return np.packbits(bits, axis=1)


def families(sizes, rows, active, rng):
    """`rows` pdqs of which `sizes[i]` surround one value each, uint8 [rows, 32], in random order.

    Each member differs from its value in half of the same `active` bits, and hardly elsewhere.
    """
    pdqs = corpus("uniform", rows, rng)
    start = 0
    for size in sizes:
        chance = np.full(256, 0.003)
        chance[rng.permutation(256)[:active]] = 0.5
        flips = np.packbits(rng.random((size, 256)) < chance, axis=1)
        pdqs[start + 1 : start + size] = pdqs[start] ^ flips[1:]
        start += size
    return pdqs[rng.permutation(rows)]


def questions_about(pdqs, count, rng):
    """Pdqs near those of the corpus, and some that are near none."""
    strangers = rng.integers(0, 256, (count, 32)).astype(np.uint8)
    if not len(pdqs):
        return strangers
    near = flipped(rng, pdqs[rng.integers(0, len(pdqs), count)], rng.integers(0, 70, count))
    return np.where((np.arange(count) % 4 == 0)[:, None], strangers, near)


def at_chunk_distances(pdqs, distances, rng):
    """Copies of `pdqs` whose chunk j differs in `distances[i, j]` bits, in the index's chunks."""
    order = rng.random((len(pdqs), CHUNKS, 16)).argsort(axis=2).argsort(axis=2)
    flips = (order < distances[:, :, None]).astype(np.uint8)
    words = np.packbits(flips.reshape(len(pdqs), 256), axis=1, bitorder="little").view(np.uint16)
    turned = np.empty_like(words)
    pdqs_of(words, turned)
    return pdqs ^ turned.view(np.uint8)


def oracle(keys, pdqs, question, most):
    """Every (key, distance) within `most`, by distance, then key."""
    words = np.ascontiguousarray(pdqs).view(np.uint64).reshape(-1, 4)
    asked = np.frombuffer(question, np.uint64)
    distances = np.bitwise_count(words ^ asked).sum(axis=1, dtype=np.int64)
    near = np.flatnonzero(distances <= most)
    order = np.lexsort((np.asarray(keys)[near], distances[near]))
    return [(int(keys[i]), int(distances[i])) for i in near[order]]
