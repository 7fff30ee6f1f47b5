"""What this node keeps of a log that it reads by way of a mirror.

The entries are the origin's: they lead to the root that it has signed. The bodies are the mirror's
word until they are believed. So whatever a mirror serves badly, or not at all, speaks for that
mirror alone: it is asked of the others, and of the origin as soon as that answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from federation.misconduct import Contradiction
from federation.sync import Pulled
from node.services import judgements, waiting
from node.services import replica as direct
from node.services.ingest import Accepted, Ingest
from node.services.replica import StoredReplica
from node.storage.engine import Store
from node.storage.peers import SetAsideRecord
from node.storage.transaction import Transaction
from protocol.envelope import parse_envelope
from protocol.errors import BadSignatureError, PeerUnreachableError, SchutznetzError
from protocol.fields import StatementId
from protocol.limits import MAX_ENVELOPES_PER_REQUEST
from protocol.messages import SetAside
from protocol.statements import Erase


class MirroredReplica(StoredReplica):
    """Takes over pulled statements of a peer's log that a mirror has served.

    Attributes:
        forged: the first envelope that no honest mirror serves; empty while there was none.
        is_convicted: the origin has signed what cannot both be true, and is frozen.
    """

    def __init__(
        self,
        store: Store,
        ingest: Ingest,
        *,
        node: str,
        mirror: str,
        clock: Callable[[], float],
        log: str | None = None,
    ) -> None:
        """Serves the sync of one log with one mirror.

        Args:
            store: the database.
            ingest: the one way in.
            node: name of the peer whose log it is.
            mirror: name of the peer that serves it.
            clock: Unix time in seconds.
            log: as for `StoredReplica`.
        """
        super().__init__(store, ingest, node=node, clock=clock, log=log)
        self._served_by = mirror
        self.forged = b""
        self.is_convicted = False

    def wanted(self) -> Sequence[StatementId]:
        """Returns what to ask the mirror for, beyond what is new: what it was not asked for yet."""
        most = MAX_ENVELOPES_PER_REQUEST
        with self._store.read() as transaction:
            open_ones = transaction.mirroring.wanted(self._node, self._served_by, limit=most)
            versions = transaction.peers.wanted(self._served_by, waiting.VERSION, limit=most)
            found = list(dict.fromkeys([*open_ones, *versions]))[:most]
            here = transaction.statements.by_ids(found)
        self._settle(list(here))
        return [one for one in found if one not in here]

    def _pass_over(self, transaction: Transaction, pulled: Sequence[Pulled]) -> int:
        room = direct.MOST_SKIPPED - transaction.peers.count_skipped(self._node)
        bodiless = [one.id for one in pulled if one.has_no_body]
        if len(bodiless) > room:
            # Of what could not be noted nobody would ever be asked again: the state stays behind.
            raise PeerUnreachableError("The mirror lacks more bodies than can be asked for again.")
        transaction.mirroring.pass_over(self._node, bodiless, self._served_by)
        return room - len(bodiless)

    def _answered(
        self,
        transaction: Transaction,
        accepted: Sequence[Accepted],
        refused: Sequence[SetAside],
        later: Sequence[StatementId],
    ) -> None:
        ids = [one.id for one in accepted]
        for names in transaction.mirroring.asked(self._node, ids).values():
            for name in names:
                known = transaction.mirroring.source(self._node, name)
                if known is not None and name != self._served_by:
                    transaction.mirroring.put_source(replace(known, lacked=known.lacked + 1))
        transaction.mirroring.settle(self._node, ids)
        here = {*ids, *later}
        bad = [StatementId(one.id) for one in refused if one.id not in here]
        if bad and transaction.peers.count_skipped(self._node) + len(bad) > direct.MOST_SKIPPED:
            raise PeerUnreachableError("The mirrors served more bad bodies than can be asked for.")
        transaction.mirroring.pass_over(self._node, bad, self._served_by)

    def _judge(
        self, transaction: Transaction, one: Pulled, error: SchutznetzError, now: int
    ) -> SetAsideRecord:
        envelope = one.envelope
        # With several signatures it may have ignored one whose key it does not know. Of one alone,
        # a mirror that took the statement in has seen that it holds.
        if (
            isinstance(error, BadSignatureError)
            and envelope is not None
            and not self.forged
            and len(parse_envelope(envelope).signatures) == 1
        ):
            self.forged = envelope
        return super()._judge(transaction, one, error, now)

    def _set_aside(self, transaction: Transaction, record: SetAsideRecord) -> None:
        # What it erases is still asked of other mirrors: one of them may serve it all the same.
        if (
            record.quiet
            and record.envelope is not None
            and isinstance(waiting.statement_in(record.envelope), Erase)
            and not self._is_room(transaction, quiet=True)
        ):
            raise PeerUnreachableError("More erasures of what mirrors lack than can be kept.")
        super()._set_aside(transaction, record)

    def misbehaved(
        self, node: str, message: str, evidence: bytes, shown: Contradiction | None = None
    ) -> None:
        """Holds against the origin what the origin itself has signed, and nothing else.

        Entries that lead nowhere are the mirror's, and so is what it does not serve.
        """
        if shown is None:
            return
        document = self._document(node, shown, int(self._clock()))
        if document is None:
            return
        with self._store.read() as transaction:
            is_pinned = transaction.peers.get(node) is not None
            # A mirror may show for ever what the operator has looked at.
            is_judged = judgements.is_judged(transaction, document)
        if is_pinned and not is_judged:
            self.is_convicted = True
            super().misbehaved(node, message, evidence, shown)
