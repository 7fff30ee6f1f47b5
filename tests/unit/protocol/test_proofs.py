"""Proofs from tiles, for logs with more than one level of them."""

from collections.abc import Sequence
from hashlib import sha256

import pytest

from protocol.errors import ProofError
from protocol.merkle import (
    EMPTY_ROOT,
    Frontier,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from protocol.proofs import TiledTree
from protocol.tiles import Tile

SIZE = 66_000
ENTRIES = [sha256(b"entry %d" % number).digest() for number in range(SIZE)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
GROWN, FULL = Frontier.EMPTY.grow(ENTRIES)
LEVELS = [LEAVES, FULL[0], FULL[1]]
EDGES = [0, 1, 255, 256, 257, 511, 512, 1000, 32_767, 32_768, 65_279, 65_535, 65_536, SIZE - 1]


def read(tile: Tile) -> Sequence[bytes]:
    assert tile.needs() <= SIZE
    return LEVELS[tile.level][tile.first : tile.first + tile.width]


def test_a_log_that_grew_knows_the_roots_of_its_full_tiles():
    assert {level: len(roots) for level, roots in FULL.items()} == {0: 257, 1: 1}
    assert FULL[0][3] == Frontier.EMPTY.append(ENTRIES[768:1024]).root()
    assert FULL[1][0] == Frontier.EMPTY.append(ENTRIES[:65_536]).root()


@pytest.mark.parametrize("step", [1, 100, 256, 1000])
def test_the_roots_are_the_same_however_the_log_grows(step):
    end = 65_800 if step > 1 else 1_100
    frontier, found = Frontier.EMPTY, {}
    for at in range(0, end, step):
        first = {level: frontier.size >> 8 * (level + 1) for level in (0, 1)}
        frontier, full = frontier.grow(ENTRIES[at : min(end, at + step)])
        for level, roots in full.items():
            found |= {(level, first[level] + n): root for n, root in enumerate(roots)}
    assert found == {
        (level, n): FULL[level][n] for level in (0, 1) for n in range(end >> 8 * (level + 1))
    }


@pytest.mark.parametrize("size", [0, *(edge + 1 for edge in EDGES)])
def test_the_root_of_every_size_comes_from_the_tiles(size):
    root = Frontier.EMPTY.append(ENTRIES[:size]).root()
    assert TiledTree(size, read).root() == root
    assert size or root == EMPTY_ROOT


@pytest.mark.parametrize("size", [1, 256, 257, 1001, 65_537, SIZE])
def test_every_proof_from_tiles_is_verified(size):
    tree = TiledTree(size, read)
    root = tree.root()
    for index in (edge for edge in EDGES if edge < size):
        verify_inclusion(index, size, LEAVES[index], tree.inclusion_proof(index), root)
    for old in (edge for edge in EDGES if 0 < edge <= size):
        proof = tree.consistency_proof(old)
        verify_consistency(old, size, TiledTree(old, read).root(), root, proof)
    assert tree.consistency_proof(size) == ()


def test_a_proof_reads_a_handful_of_tiles_whatever_the_log_has():
    seen: list[Tile] = []

    def counting(tile: Tile) -> Sequence[bytes]:
        seen.append(tile)
        return read(tile)

    TiledTree(SIZE, counting).inclusion_proof(12_345)
    assert len(seen) == len(set(seen)) <= 6


def test_a_place_or_a_size_that_the_log_does_not_have_has_no_proof():
    tree = TiledTree(10, read)
    for index in (-1, 10, 2**60):
        with pytest.raises(ProofError, match="no entry at this place"):
            tree.inclusion_proof(index)
    for old in (-1, 0, 11):
        with pytest.raises(ProofError, match="no consistency proof"):
            tree.consistency_proof(old)


@pytest.mark.parametrize("hashes", [[], [bytes(32)] * 2, [bytes(32)] * 2 + [bytes(31)]])
def test_a_tile_without_the_hashes_of_its_log_is_refused(hashes):
    with pytest.raises(ProofError, match="does not have the hashes"):
        TiledTree(3, lambda _tile: hashes).root()
