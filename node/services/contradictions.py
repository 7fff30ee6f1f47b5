"""A circle whose admins have signed two versions of one number: what is kept of it, and done.

Nobody can tell which of the two is right, and the members of each would look for bans under keys
that the others do not use. So both are kept as evidence, and this node neither bans nor checks with
the circle until its operator has spoken with the other members. What this is not: a judgement. The
version that came first stays the one that is known here.
"""

from node.services.waiting import statement_in
from node.storage.transaction import Transaction
from protocol.errors import EquivocationError
from protocol.fields import StatementId


def keep(transaction: Transaction, envelope: bytes, error: EquivocationError, *, now: int) -> None:
    """Keeps both envelopes as evidence, and stops the use of the circle; once for each pair."""
    record = transaction.trust.circle(error.circle)
    known = transaction.statements.by_id(StatementId(error.known))
    assert record is not None  # federation.trust looked both up
    assert known is not None
    issuer = statement_in(envelope).issuer
    first = transaction.statements.envelopes([known.log_index])[known.log_index]
    evidence = first + b"\n" + envelope
    if any(body == evidence for _, body in transaction.peers.evidence(issuer)):
        return
    transaction.peers.keep_evidence(issuer, str(error), evidence, at=now, grave=True)
    transaction.trust.contradict_circle(error.circle, contradicted=True)
    transaction.journal.audit(
        "node", "circle.contradicted", at=now, subject=error.circle, detail=str(error)
    )
