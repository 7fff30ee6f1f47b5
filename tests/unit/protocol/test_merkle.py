"""The Merkle tree of a log: hashing, growing state, proofs and their refusal."""

import random
from hashlib import sha256

import pytest

from protocol import limits
from protocol.errors import LimitError, MalformedError, ProofError
from protocol.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    verify_consistency,
    verify_inclusion,
)

ENTRIES = [sha256(b"entry %d" % number).digest() for number in range(600)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
LARGEST = Frontier(limits.MAX_LOG_SIZE, (bytes(32),) * 53)


def naive_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


ROOTS = [naive_root(LEAVES[:size]) for size in range(65)]


def flip_one_bit(values: list[bytes], rng: random.Random) -> list[bytes]:
    which, bit = rng.randrange(len(values)), rng.randrange(256)
    flipped = bytearray(values[which])
    flipped[bit // 8] ^= 1 << bit % 8
    return [*values[:which], bytes(flipped), *values[which + 1 :]]


# --- hashing


def test_leaves_and_nodes_are_hashed_under_different_prefixes():
    assert leaf_hash(b"entry") == sha256(b"\x00entry").digest()
    assert node_hash(b"l" * 32, b"r" * 32) == sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()
    assert leaf_hash(b"l" * 32 + b"r" * 32) != node_hash(b"l" * 32, b"r" * 32)


def test_the_empty_log_has_the_digest_of_nothing_as_root():
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert Frontier.EMPTY.root() == EMPTY_ROOT
    assert Frontier(0, ()) == Frontier.EMPTY


# --- the state that grows


def test_the_root_is_that_of_the_definition_at_every_size():
    frontier = Frontier.EMPTY
    for size in range(len(ENTRIES) + 1):
        assert frontier.size == size
        assert frontier.root() == naive_root(LEAVES[:size])
        frontier = frontier.append(ENTRIES[size : size + 1])


def test_one_bulk_append_gives_the_state_of_many_single_ones():
    grown = Frontier.EMPTY
    for size in range(len(ENTRIES) + 1):
        assert Frontier.EMPTY.append(iter(ENTRIES[:size])) == grown
        grown = grown.append(ENTRIES[size : size + 1])


def test_an_append_may_be_longer_than_a_batch_and_start_anywhere():
    entries = [b"%d" % number for number in range(3 * 4096 + 5)]
    whole = Frontier.EMPTY.append(entries)
    assert whole.root() == naive_root([leaf_hash(entry) for entry in entries])
    assert Frontier.EMPTY.append(entries[:77]).append(entries[77:]) == whole


def test_appending_nothing_changes_nothing():
    frontier = Frontier.EMPTY.append(ENTRIES[:7])
    assert frontier.append([]) == frontier


def test_the_subtrees_are_kept_largest_first():
    frontier = Frontier.EMPTY.append(ENTRIES[:7])
    assert frontier.hashes == (naive_root(LEAVES[:4]), naive_root(LEAVES[4:6]), LEAVES[6])


def test_a_log_does_not_grow_beyond_its_greatest_size():
    with pytest.raises(LimitError, match="at most"):
        LARGEST.append([b"one more"])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 64, 65, 255, 600])
def test_a_state_that_was_written_is_read_again(size):
    frontier = Frontier.EMPTY.append(ENTRIES[:size])
    data = frontier.to_bytes()
    assert Frontier.from_bytes(data) == frontier
    assert data == size.to_bytes(8, "big") + b"".join(frontier.hashes)


def test_a_state_of_a_million_entries_takes_a_few_hundred_bytes():
    assert len(Frontier(1_000_000, (bytes(32),) * 7).to_bytes()) == 232
    assert len(Frontier(2**20 - 1, (bytes(32),) * 20).to_bytes()) == 648
    assert Frontier.from_bytes(LARGEST.to_bytes()) == LARGEST


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(7),
        bytes(9),
        bytes(40),
        (3).to_bytes(8, "big") + bytes(32),
        (3).to_bytes(8, "big") + bytes(63),
        (3).to_bytes(8, "big") + bytes(65),
        (3).to_bytes(8, "big") + bytes(96),
    ],
)
def test_a_state_of_another_length_than_its_size_asks_is_refused(data):
    with pytest.raises(MalformedError, match="length"):
        Frontier.from_bytes(data)


@pytest.mark.parametrize("size", [limits.MAX_LOG_SIZE + 1, 2**63, 2**64 - 1])
def test_a_state_larger_than_a_log_may_be_is_refused(size):
    with pytest.raises(LimitError, match="at most"):
        Frontier.from_bytes(size.to_bytes(8, "big") + bytes(32) * size.bit_count())


@pytest.mark.parametrize(
    ("size", "hashes", "complaint"),
    [
        (-1, (bytes(32),), "number of subtrees"),
        (0, (bytes(32),), "number of subtrees"),
        (3, (bytes(32),), "number of subtrees"),
        (3, (bytes(32), bytes(31)), "32 bytes"),
        (1, (bytes(33),), "32 bytes"),
    ],
)
def test_a_state_that_no_log_has_cannot_be_made(size, hashes, complaint):
    with pytest.raises(MalformedError, match=complaint):
        Frontier(size, hashes)


# --- proofs that hold


def test_the_proofs_are_those_of_the_example_in_the_rfc():
    # RFC 9162 section 2.1.5, with its names for the nodes; its `l` is the subtree `right` here.
    a, b, c, d, e, f, j = LEAVES[:7]
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, right = node_hash(g, h), node_hash(i, j)
    assert inclusion_proof(LEAVES[:7], 0) == (b, h, right)
    assert inclusion_proof(LEAVES[:7], 3) == (c, g, right)
    assert inclusion_proof(LEAVES[:7], 4) == (f, j, k)
    assert inclusion_proof(LEAVES[:7], 6) == (i, k)
    assert consistency_proof(LEAVES[:7], 3) == (c, d, g, right)
    assert consistency_proof(LEAVES[:7], 4) == (right,)
    assert consistency_proof(LEAVES[:7], 6) == (i, j, k)


def test_every_proof_is_verified_and_refused_with_any_bit_flipped():
    rng = random.Random(9162)
    for size in range(1, 65):
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            verify_inclusion(index, size, LEAVES[index], proof, ROOTS[size])
            leaf, root, *path = flip_one_bit([LEAVES[index], ROOTS[size], *proof], rng)
            with pytest.raises(ProofError, match="does not lead"):
                verify_inclusion(index, size, leaf, path, root)


def test_every_consistency_proof_is_verified_and_refused_with_any_bit_flipped():
    rng = random.Random(6962)
    for size in range(1, 65):
        for old_size in range(1, size + 1):
            proof = consistency_proof(LEAVES[:size], old_size)
            verify_consistency(old_size, size, ROOTS[old_size], ROOTS[size], proof)
            old, new, *path = flip_one_bit([ROOTS[old_size], ROOTS[size], *proof], rng)
            with pytest.raises(ProofError, match=r"does not lead|only if their roots"):
                verify_consistency(old_size, size, old, new, path)


# --- proofs that do not


def test_a_proof_for_one_place_is_refused_for_every_other():
    for size in range(2, 17):
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            for other in set(range(size)) - {index}:
                with pytest.raises(ProofError):
                    verify_inclusion(other, size, LEAVES[index], proof, ROOTS[size])


def test_a_consistency_proof_for_one_old_size_is_refused_for_every_other():
    for size in range(2, 17):
        for old_size in range(1, size):
            proof = consistency_proof(LEAVES[:size], old_size)
            for other in set(range(1, size)) - {old_size}:
                with pytest.raises(ProofError):
                    verify_consistency(other, size, ROOTS[other], ROOTS[size], proof)


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13])
def test_an_inclusion_proof_that_is_too_long_or_too_short_is_refused(size):
    for index in range(size):
        proof = inclusion_proof(LEAVES[:size], index)
        with pytest.raises(ProofError, match="too long"):
            root_from_inclusion(index, size, LEAVES[index], [*proof, bytes(32)])
        if proof:
            with pytest.raises(ProofError, match="too short"):
                root_from_inclusion(index, size, LEAVES[index], proof[:-1])


@pytest.mark.parametrize(("old_size", "size"), [(3, 7), (4, 7), (6, 7), (1, 2), (5, 13), (8, 13)])
def test_a_consistency_proof_that_is_too_long_or_too_short_is_refused(old_size, size):
    proof = consistency_proof(LEAVES[:size], old_size)
    old, new = ROOTS[old_size], ROOTS[size]
    with pytest.raises(ProofError, match="too long"):
        verify_consistency(old_size, size, old, new, [*proof, bytes(32)])
    with pytest.raises(ProofError, match=r"too short|is empty"):
        verify_consistency(old_size, size, old, new, proof[:-1])
    with pytest.raises(ProofError, match="is empty"):
        verify_consistency(old_size, size, old, new, [])


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_hash_of_another_length_is_refused_anywhere_in_a_proof(length):
    wrong = bytes(length)
    with pytest.raises(ProofError, match="32 bytes"):
        root_from_inclusion(0, 2, wrong, [bytes(32)])
    with pytest.raises(ProofError, match="32 bytes"):
        root_from_inclusion(0, 2, bytes(32), [wrong])
    with pytest.raises(ProofError, match="32 bytes"):
        verify_consistency(3, 4, ROOTS[3], ROOTS[4], [wrong, bytes(32), bytes(32)])
    with pytest.raises(ProofError, match="32 bytes"):
        verify_consistency(3, 4, ROOTS[3], ROOTS[4], [bytes(32), wrong, bytes(32)])
    with pytest.raises(ProofError, match="32 bytes"):
        verify_consistency(2, 4, wrong, ROOTS[4], [bytes(32)])


@pytest.mark.parametrize(
    ("index", "size"),
    [(0, 0), (-1, 1), (1, 1), (9, 8), (0, -1), (0, 2**53), (0, 2**63 + 1), (2**64 - 1, 2**64)],
)
def test_a_place_outside_a_log_has_no_proof(index, size):
    with pytest.raises(ProofError, match="no entry"):
        root_from_inclusion(index, size, bytes(32), [])


@pytest.mark.parametrize(
    ("old_size", "size"), [(0, 0), (0, 8), (-1, 8), (9, 8), (1, 2**53), (2**63 + 1, 2**63 + 1)]
)
def test_between_such_sizes_there_is_no_consistency_proof(old_size, size):
    with pytest.raises(ProofError, match="no consistency proof"):
        verify_consistency(old_size, size, EMPTY_ROOT, ROOTS[8], [])


def test_a_log_of_the_greatest_size_is_still_proven():
    proof = [bytes(32)] * 53
    root = root_from_inclusion(0, limits.MAX_LOG_SIZE, LEAVES[0], proof)
    verify_inclusion(0, limits.MAX_LOG_SIZE, LEAVES[0], proof, root)


def test_logs_of_one_size_are_consistent_only_without_a_proof_and_with_one_root():
    verify_consistency(8, 8, ROOTS[8], ROOTS[8], [])
    with pytest.raises(ProofError, match="only if their roots"):
        verify_consistency(8, 8, ROOTS[8], ROOTS[8], [bytes(32)])
    with pytest.raises(ProofError, match="only if their roots"):
        verify_consistency(8, 8, ROOTS[8], ROOTS[7], [])


@pytest.mark.parametrize("index", [-1, 7])
def test_a_log_makes_no_proof_for_a_place_that_it_does_not_have(index):
    with pytest.raises(ProofError, match="no entry"):
        inclusion_proof(LEAVES[:7], index)


@pytest.mark.parametrize("old_size", [-1, 0, 8])
def test_a_log_makes_no_consistency_proof_from_nothing_or_from_the_future(old_size):
    with pytest.raises(ProofError, match="no consistency proof"):
        consistency_proof(LEAVES[:7], old_size)
