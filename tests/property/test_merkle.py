"""The growing state of a log and its proofs, for arbitrary logs."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MalformedError, ProofError, ProtocolError
from protocol.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_from_inclusion,
    verify_consistency,
    verify_inclusion,
)
from protocol.proofs import TiledTree
from protocol.receipts import LogProof, parse_log_proof
from protocol.tiles import join_bundle, parse_tile, split_bundle

ENTRIES = [sha256(b"entry %d" % number).digest() for number in range(300)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=10)


def flip(values: list[bytes], bit: int) -> list[bytes]:
    joined = bytearray(b"".join(values))
    bit %= 8 * len(joined)
    joined[bit // 8] ^= 1 << bit % 8
    return [bytes(joined[start : start + 32]) for start in range(0, len(joined), 32)]


@given(st.lists(st.lists(st.binary(max_size=40), max_size=20), max_size=12))
def test_how_appends_are_split_makes_no_difference(parts):
    grown = Frontier.EMPTY
    for part in parts:
        grown = Frontier.from_bytes(grown.append(part).to_bytes())
    assert grown == Frontier.EMPTY.append(entry for part in parts for entry in part)


@given(
    st.binary(max_size=300)
    | st.builds(
        lambda size, rest: size.to_bytes(8, "big") + rest * size.bit_count(),
        st.integers(0, 2**64 - 1),
        st.binary(min_size=31, max_size=33),
    )
)
def test_any_bytes_are_a_state_with_this_one_encoding_or_refused(data):
    try:
        frontier = Frontier.from_bytes(data)
    except ProtocolError:
        return
    assert frontier.to_bytes() == data


@given(st.data())
def test_an_entry_is_proven_and_any_bit_flipped_is_refused(data):
    size = data.draw(st.integers(1, len(LEAVES)))
    index = data.draw(st.integers(0, size - 1))
    root = Frontier.EMPTY.append(ENTRIES[:size]).root()
    proof = inclusion_proof(LEAVES[:size], index)
    verify_inclusion(index, size, LEAVES[index], proof, root)
    leaf, wrong_root, *path = flip([LEAVES[index], root, *proof], data.draw(st.integers(0, 9999)))
    with pytest.raises(ProofError):
        verify_inclusion(index, size, leaf, path, wrong_root)


@given(st.data())
def test_a_grown_log_is_proven_and_any_bit_flipped_is_refused(data):
    size = data.draw(st.integers(1, len(LEAVES)))
    old_size = data.draw(st.integers(1, size))
    before = Frontier.EMPTY.append(ENTRIES[:old_size])
    old, new = before.root(), before.append(ENTRIES[old_size:size]).root()
    proof = consistency_proof(LEAVES[:size], old_size)
    verify_consistency(old_size, size, old, new, proof)
    old, new, *path = flip([old, new, *proof], data.draw(st.integers(0, 9999)))
    with pytest.raises(ProofError):
        verify_consistency(old_size, size, old, new, path)


@given(st.integers(-1, 2**64), st.integers(-1, 2**64), HASHES)
def test_any_proof_at_any_place_gives_a_root_or_is_refused(index, size, proof):
    try:
        root = root_from_inclusion(index, size, bytes(32), proof)
    except ProofError:
        return
    assert len(root) == 32
    assert 0 <= index < size


@given(st.integers(1, 40), st.integers(0, 40), HASHES)
def test_a_log_that_was_rewritten_finds_no_proof(old_size, more, proof):
    rewritten = [b"another", *ENTRIES[1:]]
    old = Frontier.EMPTY.append(ENTRIES[:old_size]).root()
    new = Frontier.EMPTY.append(rewritten[: old_size + more]).root()
    honest_looking = consistency_proof(
        [leaf_hash(e) for e in rewritten[: old_size + more]], old_size
    )
    for attempt in (proof, honest_looking):
        with pytest.raises(ProofError):
            verify_consistency(old_size, old_size + more, old, new, attempt)


@given(st.data())
def test_proofs_from_tiles_are_those_of_the_whole_log(data):
    size = data.draw(st.integers(1, len(LEAVES)))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    levels = [LEAVES, Frontier.EMPTY.grow(ENTRIES)[1][0]]
    tree = TiledTree(size, lambda tile: levels[tile.level][tile.first : tile.first + tile.width])
    assert tree.inclusion_proof(index) == inclusion_proof(LEAVES[:size], index)
    assert tree.consistency_proof(old) == consistency_proof(LEAVES[:size], old)


@given(st.text(), st.from_regex(r"(x?[0-9]{1,4}/){0,5}[0-9]{1,4}(\.p/[0-9]{1,4})?") | st.text())
def test_any_text_is_the_one_address_of_a_tile_or_refused(level, place):
    for one in (level, "0", "6"):
        try:
            tile = parse_tile(one, place)
        except MalformedError:
            continue
        assert tile.path() == f"tile/{one}/{place}"


@given(st.binary(max_size=300), st.integers(0, 256))
def test_any_bytes_are_the_one_bundle_of_their_entries_or_refused(data, width):
    try:
        entries = split_bundle(data, width)
    except MalformedError:
        return
    assert len(entries) == width
    assert join_bundle(entries) == data


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda index, hashes, note, extra: LogProof(
            index, tuple(hashes), note, extra or None
        ).to_bytes(),
        st.integers(0, 2**53 - 2),
        HASHES,
        st.binary(max_size=200),
        st.binary(max_size=20),
    ),
    st.integers(0, 2**12),
    st.binary(max_size=3),
)
def test_any_bytes_are_the_one_receipt_that_they_say_or_refused(data, at, noise):
    for one in (data, data[:at] + noise + data[at + len(noise) :]):
        try:
            proof = parse_log_proof(one)
        except ProtocolError:
            continue
        assert proof.to_bytes() == one
