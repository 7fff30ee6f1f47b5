"""The decision to believe a receipt, and every reason not to."""

from hashlib import sha256

import pytest

from protocol.checkpoint import Checkpoint
from protocol.errors import (
    BadSignatureError,
    MalformedError,
    ProofError,
    ProtocolError,
    SigningError,
    UnknownKeyError,
)
from protocol.merkle import Frontier, inclusion_proof, leaf_hash
from protocol.receipts import LogProof
from signing.keys import KeyUse, SigningKey
from signing.notes import sign_checkpoint
from signing.receipts import verify_receipt

ORIGIN = "hotline.example/log/1"
KEY = SigningKey.from_seed(KeyUse.LOG, b"l" * 32)
OTHER = SigningKey.from_seed(KeyUse.LOG, b"o" * 32)
ENTRIES = [sha256(b"%d" % at).digest() for at in range(21)]


def receipt(index=13, size=21, *, origin=ORIGIN, key=KEY) -> bytes:
    root = Frontier.EMPTY.append(ENTRIES[:size]).root()
    proof = inclusion_proof([leaf_hash(entry) for entry in ENTRIES[:size]], index)
    return LogProof(index, proof, sign_checkpoint(Checkpoint(origin, size, root), key)).to_bytes()


def verify(data: bytes, entry: bytes = ENTRIES[13]):
    return verify_receipt(data, entry=entry, origin=ORIGIN, keys=[KEY.public])


@pytest.mark.parametrize(("index", "size"), [(0, 1), (13, 14), (13, 21), (20, 21)])
def test_a_receipt_shows_that_the_log_holds_the_entry(index, size):
    logged = verify(receipt(index, size), ENTRIES[index])
    assert (logged.proof.index, logged.checkpoint.size) == (index, size)
    assert logged.checkpoint.origin == ORIGIN


def test_a_receipt_of_another_entry_is_refused():
    with pytest.raises(ProofError, match="does not lead to the root"):
        verify(receipt(12))


def test_a_receipt_of_another_log_is_refused():
    with pytest.raises(UnknownKeyError, match="no signature of the log's key"):
        verify(receipt(origin="platform.example/log/1"))
    with pytest.raises(UnknownKeyError, match="no signature of the log's key"):
        verify(receipt(key=OTHER))


def test_a_checkpoint_that_was_changed_is_refused():
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(receipt().replace(b"\n21\n", b"\n22\n"))
    with pytest.raises(MalformedError, match="note"):
        verify(receipt().rpartition("\n—".encode())[0])


def test_a_receipt_with_any_bit_flipped_is_refused():
    data = receipt()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((ProtocolError, SigningError)):
            verify(bytes(flipped))
