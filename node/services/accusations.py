"""What becomes of a peer that contradicts what it signed: evidence is kept, and it is frozen."""

from node.storage.transaction import Transaction
from protocol.limits import MAX_TEXT_CHARS


def freeze(transaction: Transaction, node: str, message: str, evidence: bytes, *, now: int) -> None:
    """Keeps the evidence against a peer, freezes it, and tells the operator.

    Args:
        transaction: one that writes.
        node: name of the peer.
        message: one sentence for the operator.
        evidence: the bytes that show it.
        now: Unix time in seconds.
    """
    transaction.peers.keep_evidence(node, message, evidence, at=now, grave=True)
    transaction.peers.set_state(node, "frozen")
    transaction.peers.note_sync(node, at=None, problem=message)
    transaction.journal.audit(
        "node", "peer.frozen", at=now, subject=node, detail=message[:MAX_TEXT_CHARS]
    )
