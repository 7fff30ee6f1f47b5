"""What becomes of a node that has contradicted what it signed.

The evidence is kept as a document that anybody can check, the node is frozen, every other peer is
told, and the operator decides. What another node tells is checked like a stranger's: nothing is
believed on the teller's word.
"""

from collections.abc import Callable
from typing import Final

import structlog

from federation.evidence import is_about_pinned, verify_evidence, without_false_lines
from node.services import judgements
from node.services.pace import Pace
from node.storage.engine import Store
from node.storage.evidence import EvidenceRecord
from node.storage.transaction import Transaction
from protocol.errors import NotFoundError, ProtocolError, SigningError
from protocol.evidence import Evidence, format_evidence, matter_of, parse_evidence
from protocol.limits import MAX_LIST, MAX_TEXT_CHARS

_log = structlog.get_logger("node.accusations")

MAX_PER_MINUTE: Final = 30
"""Documents that one peer may tell in a minute: each costs some signatures and proofs to check."""

FROZEN: Final = "peer.frozen"
"""Word of the audit for a peer that is believed no more, by this node's own finding."""


def freeze(transaction: Transaction, node: str, message: str, evidence: bytes, *, now: int) -> None:
    """Keeps the bytes that show what a peer did, freezes it, and tells the operator.

    Args:
        transaction: one that writes.
        node: name of the peer.
        message: one sentence for the operator.
        evidence: the bytes that show it.
        now: Unix time in seconds.
    """
    transaction.peers.keep_evidence(node, message, evidence, at=now, grave=True)
    _stop(transaction, node, message, now=now)


def accuse(
    transaction: Transaction, message: str, evidence: Evidence, *, now: int, told: bool = False
) -> None:
    """Does what `freeze` does where there is a document that proves it to anybody.

    Args:
        transaction: one that writes.
        message: one sentence for the operator.
        evidence: checked.
        now: Unix time in seconds.
        told: another node has brought it, not the accused itself: then nothing comes of what the
            operator has judged.
    """
    if told and judgements.is_judged(transaction, evidence):
        return
    keep(transaction, message, evidence, now=now)
    judgements.note(transaction, evidence)
    _stop(transaction, evidence.node, message, now=now)


def keep(transaction: Transaction, message: str, evidence: Evidence, *, now: int) -> int | None:
    """Keeps a document, once for each matter; returns its number if it is new."""
    if _is_known(transaction, evidence):
        return None
    return transaction.evidence.add(evidence.node, message, format_evidence(evidence), at=now)


def _is_known(transaction: Transaction, evidence: Evidence) -> bool:
    known = transaction.evidence.documents(evidence.node)
    matter = matter_of(evidence)
    return any(matter_of(parse_evidence(one)) == matter for one in known)


def descriptors_of(transaction: Transaction, node: str) -> list[bytes]:
    """Returns the descriptors of a pinned node, from the first version on."""
    return [one.body for one in transaction.descriptors.after(node, 0, limit=MAX_LIST)]


def _stop(transaction: Transaction, node: str, message: str, *, now: int) -> None:
    transaction.peers.set_state(node, "frozen")
    transaction.peers.note_sync(node, at=None, problem=message)
    transaction.journal.audit("node", FROZEN, at=now, subject=node, detail=message[:MAX_TEXT_CHARS])


class Accusations:
    """Hears of misconduct, and hands out what is known of it."""

    def __init__(self, store: Store, *, name: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._pace = Pace(MAX_PER_MINUTE, "documents")

    def hear(self, data: bytes, *, teller: str) -> bool:
        """Takes in what a peer tells; returns whether it was new.

        1. The document is well-formed, and holds under the keys in it (`federation.evidence`).
        2. These are the keys of a node that is pinned here, or of this node itself.
        3. The matter is new, and lies beyond what the operator has judged: then it is kept, as far
           as there is room, and that node is frozen.

        Args:
            data: untrusted bytes.
            teller: who told it; believed in nothing.

        Raises:
            ProtocolError: step 1.
            SigningError: step 1 or 2.
            NotFoundError: no such node is pinned.
            RateLimitedError: the teller tells too much.
        """
        self._pace.take(teller)
        # Step 1
        evidence = parse_evidence(data)
        shown = verify_evidence(evidence)
        now = int(self._clock())
        with self._store.write() as transaction:
            # Step 2
            record = transaction.peers.get(evidence.node)
            if record is None:
                raise NotFoundError("The node that the evidence is about is not pinned here.")
            is_about_pinned(shown, record.fingerprint)
            # Step 3
            message = f"{evidence.node}: {shown.sentence}"[:MAX_TEXT_CHARS]
            if _is_known(transaction, evidence) or judgements.is_judged(transaction, evidence):
                return False
            number = keep(transaction, message, evidence, now=now)
            judgements.note(transaction, evidence)
            # For want of room it is not kept; but who was thawed is frozen for it all the same.
            if number is None and (evidence.node == self._name or record.state == "frozen"):
                return False
            if number is not None:
                transaction.evidence.mark_told(number, teller)
            if evidence.node == self._name:
                transaction.journal.audit(
                    teller, "node.accused", at=now, subject=None, detail=message
                )
            else:
                _stop(transaction, evidence.node, message, now=now)
        _log.warning("evidence_heard", node=evidence.node, kind=evidence.kind, teller=teller)
        return True

    def all(self) -> list[EvidenceRecord]:
        """Returns everything that is kept against anybody, oldest first."""
        with self._store.read() as transaction:
            return transaction.evidence.all()

    def get(self, number: int) -> EvidenceRecord:
        """Returns one piece.

        Raises:
            NotFoundError: there is none of this number.
        """
        for one in self.all():
            if one.number == number:
                return one
        raise NotFoundError("There is no evidence of this number.")

    def about_self(self) -> int:
        """Returns how many documents prove that this very node has contradicted itself."""
        with self._store.read() as transaction:
            return len(transaction.evidence.documents(self._name))

    def untold(self, peer: str) -> list[tuple[int, bytes]]:
        """Returns the documents that a peer has to be told, by number."""
        with self._store.read() as transaction:
            return transaction.evidence.untold(peer)

    def told(self, number: int, peer: str) -> None:
        """Takes note that a peer knows, or does not want to."""
        with self._store.write() as transaction:
            transaction.evidence.mark_told(number, peer)


def checked(evidence: Evidence) -> Evidence | None:
    """Returns a document if it holds: nothing is told to others that they could not check."""
    try:
        evidence = without_false_lines(evidence)
        verify_evidence(evidence)
    except (ProtocolError, SigningError) as error:
        _log.error("evidence_incomplete", node=evidence.node, error=type(error).__name__)
        return None
    return evidence
