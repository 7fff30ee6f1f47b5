"""What the operator has judged by believing a peer again: the forks that were shown until then.

Whoever has several pairs of checkpoints of one fork can tell each by itself, and each is another
document. So what was shown is kept as a place in the log, and not as a document: up to there, this
log is known to have two histories, and another pair of them is nothing new. What lies beyond it is.
What this is not: pardon. A peer that shows its other history to this node itself is frozen for it.
"""

from dataclasses import replace

from federation.log_reading import MAX_NEW_ENTRIES
from node.services.directory import log_name, pinned
from node.storage.evidence import AccusedLog
from node.storage.transaction import Transaction
from protocol.checkpoint import Checkpoint, parse_checkpoint, parse_note
from protocol.evidence import Evidence
from protocol.limits import MAX_LOG_SIZE
from protocol.witnessing import parse_add_checkpoint


def note(transaction: Transaction, evidence: Evidence) -> None:
    """Takes note of how far into which log a checked document reaches."""
    origin, reach = _reach(evidence)
    known = _known(transaction, evidence.node, origin)
    if reach > known.seen:
        transaction.evidence.put_accused(evidence.node, replace(known, seen=reach))


def judge(transaction: Transaction, name: str) -> None:
    """Takes what was shown of a node's forks for judged, since the operator believes it again.

    In the log that it has now that is everything up to where it is known here, and in one that it
    has given up for another, everything. Of a log that nothing was shown of, nothing is judged. Two
    roots of one size say any size: what lies further ahead than a sync leads is not judged with
    them, else who signs two of the greatest could never be convicted again.
    """
    record = transaction.peers.get(name)
    assert record is not None  # the caller has just changed it
    node = pinned(record)
    witnessed = transaction.witnesses.witnessed(node.log_origin)
    size = transaction.logs.size(log_name(node))
    here = max(size, 0 if witnessed is None else witnessed.size)
    for log in transaction.evidence.accused(name).values():
        judged = max(min(log.seen, here + MAX_NEW_ENTRIES), here)
        if log.origin != node.log_origin:
            judged = MAX_LOG_SIZE
        transaction.evidence.put_accused(name, replace(log, judged=max(judged, log.judged)))


def is_judged(transaction: Transaction, evidence: Evidence) -> bool:
    """Whether a checked document shows nothing beyond what the operator has judged."""
    origin, reach = _reach(evidence)
    return reach <= _known(transaction, evidence.node, origin).judged


def _known(transaction: Transaction, name: str, origin: str) -> AccusedLog:
    return transaction.evidence.accused(name).get(origin, AccusedLog(origin, 0, 0))


def _reach(evidence: Evidence) -> tuple[str, int]:
    """Returns the origin of the log, and how many entries it has up to where the histories part.

    Two checkpoints of one size say no more than that they part below it.
    """
    shown = [_checkpoint(one.encode()) for one in evidence.notes]
    if evidence.request is not None:
        body = parse_add_checkpoint(evidence.request.body.encode())
        shown.append(_checkpoint(body.note))
    if evidence.index is not None:
        return shown[0].origin, evidence.index + 1
    return shown[0].origin, max(one.size for one in shown)


def _checkpoint(note: bytes) -> Checkpoint:
    return parse_checkpoint(parse_note(note).text)
