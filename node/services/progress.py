"""How far a statement has come at the peers; and of an own one, what came of taking it back."""

from collections.abc import Sequence
from typing import Final, cast

from node.services import restoring
from node.storage.peers import PeerRecord
from node.storage.remedies import ErasureProof, RemedyAnswer
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.encoding import Time, format_time
from protocol.fields import StatementId
from protocol.messages import PeerStatus, Reached
from protocol.statements import Erase, Outcome

_UNDER_WAY: Final = "restoring"


class Withdrawal:
    """What took an own statement back, and what the peers answered.

    Attributes:
        latest: the last of what took it back; None where nothing did that asks for an answer.
    """

    def __init__(self, transaction: Transaction, record: StatementRecord, *, due_s: int) -> None:
        self._causes = restoring.causes(transaction, record.log_index)
        erases = transaction.statements.about(record.log_index, (Erase.KIND,), limit=1)
        self._erase = restoring.latest(erases)
        self.latest = restoring.latest([*self._causes, *erases])
        self._answers: dict[str, list[RemedyAnswer]] = {}
        self._proofs: dict[str, ErasureProof] = {}
        self._ids: dict[int, StatementRecord] = {}
        self._due = 0
        if self.latest is not None:
            self._answers = transaction.remedies.answers(record.log_index)
            self._proofs = transaction.remedies.proofs(record.log_index)
            received = transaction.statements.received([self.latest.log_index])
            self._due = received[self.latest.log_index] + due_s
            proved = [one.log_index for one in self._proofs.values()]
            self._ids = transaction.statements.by_indices(proved)

    def said_by(self, peer: str) -> RemedyAnswer | None:
        """Returns a peer's latest word."""
        return max(self._answers.get(peer, ()), key=lambda one: one.issued, default=None)

    def proof_of(self, peer: str) -> tuple[StatementId, Time] | None:
        """Returns the id of a peer's proof of erasure, and when it says that it erased."""
        proof = self._proofs.get(peer)
        if proof is None:
            return None
        return self._ids[proof.log_index].id, format_time(proof.erased)

    def late_since(self, peer: str, *, now: int) -> Time | None:
        """Returns since when a peer owes an answer or a proof; None where it does not."""
        if self.latest is None or now <= self._due:
            return None
        cause = restoring.latest(self._causes)
        answered = {one.cause for one in self._answers.get(peer, ())}
        said = self.said_by(peer)
        owes = cause is not None and cause.id not in answered
        owes |= said is not None and said.outcome == _UNDER_WAY
        owes |= self._erase is not None and peer not in self._proofs
        return format_time(self._due) if owes else None


def at_peers(
    transaction: Transaction,
    record: StatementRecord,
    peers: Sequence[PeerRecord],
    *,
    is_own: bool,
    due_s: int,
    now: int,
) -> tuple[PeerStatus, ...]:
    """Returns how far a statement has come at each of these peers.

    Args:
        transaction: to read in.
        record: of the statement.
        peers: who may have it.
        is_own: whether this node's organisation issued it, and is told what came of taking it back.
        due_s: how long after a withdrawal a peer that has not answered is late.
        now: Unix time in seconds.
    """
    refusals = transaction.peers.refusals(record.id)
    withdrawal = Withdrawal(transaction, record, due_s=due_s) if is_own else None
    latest = None if withdrawal is None else withdrawal.latest
    if withdrawal is None or latest is None:
        return tuple(
            PeerStatus(
                node=one.name,
                state=_state(one, record, refusals.get(one.name)),
                reason=refusals.get(one.name),
            )
            for one in peers
        )
    refused = transaction.peers.refusals(latest.id)
    found = []
    for peer in peers:
        said, proof = withdrawal.said_by(peer.name), withdrawal.proof_of(peer.name)
        found.append(
            PeerStatus(
                node=peer.name,
                state=_state(peer, record, refusals.get(peer.name)),
                reason=refusals.get(peer.name),
                withdrawal=_state(peer, latest, refused.get(peer.name)),
                outcome=None if said is None else cast("Outcome", said.outcome),
                outcome_at=None if said is None else format_time(said.issued),
                erased=None if proof is None else proof[1],
                proof=None if proof is None else proof[0],
                late_since=withdrawal.late_since(peer.name, now=now),
            )
        )
    return tuple(found)


def _state(peer: PeerRecord, record: StatementRecord, refusal: str | None) -> Reached:
    if refusal is not None:
        return "set-aside"
    return "acknowledged" if peer.acked_size > record.log_index else "pending"
