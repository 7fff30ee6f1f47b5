"""A complete small log of tessera, the example of signed-note, and our own cosigned checkpoint."""

from base64 import b64decode

import pytest

from protocol.checkpoint import (
    Checkpoint,
    format_note,
    format_vkey,
    parse_checkpoint,
    parse_note,
    parse_vkey,
)
from protocol.errors import ProtocolError, SigningError
from protocol.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from protocol.proofs import TiledTree
from protocol.receipts import LogProof
from protocol.tiles import join_bundle, split_bundle, split_tile, tiles_of
from signing.cosignatures import verify_cosignatures
from signing.keys import KeyUse, PublicKey, SigningKey
from signing.notes import open_checkpoint, sign_checkpoint
from signing.receipts import verify_receipt
from vectors.shared import load_vectors

TESSERA = load_vectors("c2sp_tlog_tiles_checkpoint_vectors.json")
OWN = load_vectors("own_regression_vectors.json")["cosigned_checkpoint"]

ORIGIN = "example.com/log/testdata"
ENTRIES = [word.encode() for word in TESSERA["entries"]]
NOTES = [text.encode() for text in TESSERA["checkpoints"]]
VKEYS = [
    TESSERA["vkey"],
    TESSERA["signed_note_example"]["vkey"],
    OWN["log_vkey"],
    OWN["witness_vkey"],
]


def log_key() -> SigningKey:
    """Parses Go's ``PRIVATE+KEY+<name>+<key id>+<base64 of type and seed>``."""
    prefix, word, name, key_id, encoded = TESSERA["private_key"].split("+", 4)
    data = b64decode(encoded)
    assert (prefix, word, name, data[0]) == ("PRIVATE", "KEY", ORIGIN, 1)
    assert parse_vkey(TESSERA["vkey"]).key_id.hex() == key_id
    return SigningKey.from_seed(KeyUse.LOG, data[1:])


def test_the_file_has_one_checkpoint_for_each_size():
    assert (len(ENTRIES), len(NOTES)) == (15, 16)


@pytest.mark.parametrize("size", range(len(NOTES)))
def test_a_checkpoint_over_the_entries_is_reproduced_byte_for_byte(size):
    root = Frontier.EMPTY.append(ENTRIES[:size]).root()
    assert sign_checkpoint(Checkpoint(ORIGIN, size, root), log_key()) == NOTES[size]


@pytest.mark.parametrize("size", range(len(NOTES)))
def test_a_checkpoint_is_opened_with_the_published_key(size):
    key = PublicKey(KeyUse.LOG, parse_vkey(TESSERA["vkey"]).public_key)
    opened = open_checkpoint(NOTES[size], origin=ORIGIN, key=key)
    assert opened == Checkpoint(ORIGIN, size, Frontier.EMPTY.append(ENTRIES[:size]).root())


@pytest.mark.parametrize("size", range(1, len(NOTES)))
def test_a_partial_tile_is_the_leaf_hashes(size):
    tile = b64decode(TESSERA["tile_0_000_p_base64"][str(size)])
    assert tile == b"".join(leaf_hash(entry) for entry in ENTRIES[:size])


@pytest.mark.parametrize("size", range(1, len(NOTES)))
def test_tiles_and_bundles_are_reproduced_byte_for_byte_and_lead_to_the_checkpoint(size):
    (tile,) = tiles_of(size, 0)
    assert (tile.path(), tile.bundle_path()) == (
        f"tile/0/000.p/{size}",
        f"tile/entries/000.p/{size}",
    )
    bundle = b64decode(TESSERA["entry_bundle_000_p_base64"][str(size)])
    assert join_bundle(ENTRIES[:size]) == bundle
    assert split_bundle(bundle, size) == tuple(ENTRIES[:size])
    published = b64decode(TESSERA["tile_0_000_p_base64"][str(size)])
    assert b"".join(map(leaf_hash, ENTRIES[:size])) == published
    tree = TiledTree(size, lambda asked: split_tile(published, asked))
    assert tree.root() == parse_checkpoint(parse_note(NOTES[size]).text).root


@pytest.mark.parametrize("size", range(1, len(NOTES)))
def test_a_receipt_against_each_published_checkpoint_verifies(size):
    key = PublicKey(KeyUse.LOG, parse_vkey(TESSERA["vkey"]).public_key)
    published = b64decode(TESSERA["tile_0_000_p_base64"][str(size)])
    tree = TiledTree(size, lambda asked: split_tile(published, asked))
    for index in range(size):
        data = LogProof(index, tree.inclusion_proof(index), NOTES[size]).to_bytes()
        logged = verify_receipt(data, entry=ENTRIES[index], origin=ORIGIN, keys=[key])
        assert (logged.proof.index, logged.checkpoint.size) == (index, size)
        assert logged.proof.to_bytes() == data


def test_every_entry_is_in_the_log_and_every_checkpoint_extends_the_earlier_ones():
    leaves = [leaf_hash(entry) for entry in ENTRIES]
    roots = [parse_checkpoint(parse_note(note).text).root for note in NOTES]
    for size in range(1, len(NOTES)):
        for index in range(size):
            proof = inclusion_proof(leaves[:size], index)
            verify_inclusion(index, size, leaves[index], proof, roots[size])
        for old_size in range(1, size + 1):
            proof = consistency_proof(leaves[:size], old_size)
            verify_consistency(old_size, size, roots[old_size], roots[size], proof)


def test_a_checkpoint_with_any_bit_flipped_is_refused():
    note, key = NOTES[15], log_key().public
    for bit in range(8 * len(note)):
        flipped = bytearray(note)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((ProtocolError, SigningError)):
            open_checkpoint(bytes(flipped), origin=ORIGIN, key=key)


@pytest.mark.parametrize("vkey", VKEYS)
def test_a_published_key_is_parsed_and_written_again(vkey):
    assert format_vkey(parse_vkey(vkey)) == vkey


def test_the_example_of_signed_note_verifies():
    example = TESSERA["signed_note_example"]
    key, data = parse_vkey(example["vkey"]), example["note"].encode()
    note = parse_note(data)
    (line,) = note.signatures
    assert (line.name, line.key_id) == (key.name, key.key_id)
    PublicKey(KeyUse.LOG, key.public_key).verify(note.text.encode(), line.raw)
    assert format_note(note) == data


def test_a_cosigned_checkpoint_opens_with_the_log_key_alone():
    key = parse_vkey(OWN["log_vkey"])
    opened = open_checkpoint(
        OWN["note"].encode(), origin=key.name, key=PublicKey(KeyUse.LOG, key.public_key)
    )
    assert opened == Checkpoint(key.name, 0, Frontier.EMPTY.root())
    names = [line.name for line in parse_note(OWN["note"].encode()).signatures]
    assert names == [key.name, parse_vkey(OWN["witness_vkey"]).name]


def test_its_cosignature_holds_under_the_key_of_the_witness():
    witness = parse_vkey(OWN["witness_vkey"])
    assert set(verify_cosignatures(parse_note(OWN["note"].encode()), [witness])) == {witness}
