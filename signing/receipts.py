"""The decision to believe a receipt: that a log holds an entry (C2SP tlog-proof).

What it is not: a word on who has seen the checkpoint. The note of a receipt may carry cosignatures
of witnesses; they are for whoever has their keys to check.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.checkpoint import Checkpoint
from protocol.merkle import leaf_hash, verify_inclusion
from protocol.receipts import LogProof, parse_log_proof
from signing.keys import PublicKey
from signing.notes import open_signed


@dataclass(frozen=True)
class Logged:
    """What a receipt that was verified shows.

    Attributes:
        proof: the receipt; its note is the one that was verified.
        checkpoint: what the log has signed.
    """

    proof: LogProof
    checkpoint: Checkpoint


def verify_receipt(data: bytes, *, entry: bytes, origin: str, keys: Sequence[PublicKey]) -> Logged:
    """Returns what a receipt shows of `entry` (tlog-proof, "Verifying a tlog proof").

    1. The receipt is well-formed. The leaf hash is that of `entry`.
    2. Its checkpoint is signed by one of `keys`, and of `origin`.
    3. Cosignatures: not looked at here.
    4. The inclusion proof leads from the leaf to the root of the checkpoint.

    Args:
        data: untrusted bytes.
        entry: the entry that is to be in the log; a statement id as 32 bytes.
        origin: the log, from its descriptor.
        keys: of that log, from the same place.

    Raises:
        ProtocolError: steps 1, 2 or 4.
        SigningError: step 2.
    """
    # 1.
    proof = parse_log_proof(data)
    leaf = leaf_hash(entry)
    # 2.
    checkpoint = open_signed(proof.note, origin=origin, keys=keys)
    # 4.
    verify_inclusion(proof.index, checkpoint.size, leaf, proof.hashes, checkpoint.root)
    return Logged(proof, checkpoint)
