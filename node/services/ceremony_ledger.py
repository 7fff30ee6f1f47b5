"""The book that this node keeps of ceremonies: what was proposed, what it said, why it ended."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from federation.ceremony import participants_of
from node.services.ceremony_plans import OPEN, check_time
from node.services.directory import StoredDirectory
from node.services.keys import forget_ceremony_key
from node.storage.ceremonies import CeremonyRecord
from node.storage.engine import Store
from node.storage.transaction import Transaction
from protocol.ceremonies import (
    CeremonyAnswer,
    Certificate,
    Commitment,
    Confirmation,
    Plan,
    ceremony_id,
    parse_plan,
)
from protocol.circles import Epoch
from protocol.encoding import convert, from_base64url, parse_json, parse_time
from protocol.envelope import parse_envelope
from protocol.errors import NotAllowedError, RateLimitedError
from protocol.limits import (
    MAX_CEREMONY_DAYS,
    MAX_ENVELOPE_BYTES,
    MAX_OPEN_CEREMONIES,
    MAX_TEXT_CHARS,
)
from protocol.statements import parse_as

SIGNATURE: Final = "signature"
"""Step under which a signature over the descriptor is kept: key id and 64 bytes."""

_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400

GIVEN_UP: Final = ("failed", "refused")
"""States of a ceremony that came to nothing."""

KEPT_S: Final = (MAX_CEREMONY_DAYS + 1) * _DAY_S
"""How long that is remembered; longer than any plan may be open."""

_EVIDENCE: Final = "gave something in a ceremony that does not hold"


class Ledger:
    """Reads and writes the book; each method is one transaction."""

    def __init__(
        self, store: Store, *, directory: Path, name: str, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._directory = directory
        self._name = name
        self._clock = clock

    def file(self, plan: Plan, data: bytes) -> CeremonyRecord:
        """Returns the record of a plan; a new one waits for the operator.

        Raises:
            NotAllowedError: this node has no part in it.
            ConflictError: its time is over.
            RateLimitedError: too many plans of this coordinator wait here.
        """
        ceremony = ceremony_id(data)
        with self._store.read() as transaction:
            known = transaction.ceremonies.get(ceremony)
        if known is not None:
            return known
        self.end_late()
        with self._store.write() as transaction:
            known = transaction.ceremonies.get(ceremony)
            if known is not None:
                return known
            current = StoredDirectory(transaction).circle(plan.circle)
            before: tuple[str, ...] = ()
            # Who has no part in a circle does not learn who its admins are, or that there is one.
            if current is not None and plan.coordinator in (*current.readers, *current.admins):
                before = current.admins
            if self._name not in participants_of(plan, before):
                raise NotAllowedError("This node has no part in that ceremony.")
            check_time(plan, int(self._clock()))
            since = int(self._clock()) - _DAY_S
            waiting = transaction.ceremonies.proposed(plan.coordinator, at=self._name, since=since)
            if waiting >= MAX_OPEN_CEREMONIES:
                raise RateLimitedError(
                    "Too many ceremonies of this node wait here.", retry_after_s=_HOUR_S
                )
            record = CeremonyRecord(
                id=ceremony,
                circle=plan.circle,
                version=plan.version,
                coordinator=plan.coordinator,
                plan=data,
                state="unconfirmed",
                at=int(self._clock()),
            )
            transaction.ceremonies.add(record)
            transaction.journal.audit(
                plan.coordinator,
                "ceremony.propose",
                at=record.at,
                subject=plan.circle,
                detail=ceremony,
            )
            return record

    def end_late(self) -> None:
        """Ends ceremonies whose time is over, whether or not anybody asks about them again.

        Else their plans would keep out others for ever, and the static key of one that was never
        finished would lie here for ever. What came to nothing is forgotten `KEPT_S` later: by then
        its plan's time is over too, so that it cannot come back.
        """
        with self._store.write() as transaction:
            ended = self._end_late(transaction)
            transaction.ceremonies.forget(GIVEN_UP, before=int(self._clock()) - KEPT_S)
        for ceremony in ended:
            forget_ceremony_key(self._directory, ceremony)

    def _end_late(self, transaction: Transaction) -> list[str]:
        now = int(self._clock())
        ended = []
        for one in transaction.ceremonies.in_states(OPEN):
            expires = parse_time(parse_plan(one.plan).expires)
            if expires < now:
                transaction.ceremonies.move(
                    one.id, one.state, "failed", at=expires, reason="Its time is over."
                )
                ended.append(one.id)
        return ended

    def before(self, plan: Plan) -> tuple[tuple[str, ...], int]:
        """Returns the admins of the version before, and how many of them must sign."""
        with self._store.read() as transaction:
            current = StoredDirectory(transaction).circle(plan.circle)
        if current is None or current.version >= plan.version:
            return (), 0
        return current.admins, current.admin_threshold

    def own_message(self, record: CeremonyRecord) -> bytes:
        """Returns what this node has said in round 1."""
        with self._store.read() as transaction:
            body = transaction.ceremonies.parts(record.id)[self._name, Commitment.KIND]
        return from_base64url(parse_as(Commitment, parse_envelope(body).payload).message)

    def move(
        self,
        record: CeremonyRecord,
        after: str,
        step: str | None = None,
        body: bytes | None = None,
        **values: Any,
    ) -> CeremonyRecord:
        """Stores what this node says next; where another process was quicker, its words count."""
        with self._store.write() as transaction:
            now = int(self._clock())
            moved = transaction.ceremonies.move(record.id, record.state, after, at=now, **values)
            if moved and step is not None and body is not None:
                transaction.ceremonies.put_part(record.id, self._name, step, body)
            found = transaction.ceremonies.get(record.id)
        assert found is not None
        return found

    def fail(
        self, ceremony: str, reason: str, *, culprit: str | None, evidence: bytes = b""
    ) -> None:
        """Marks a ceremony as failed, and keeps what shows whose fault it was."""
        with self._store.write() as transaction:
            now = int(self._clock())
            found = transaction.ceremonies.get(ceremony)
            if found is None or found.state not in OPEN:
                return
            transaction.ceremonies.move(
                ceremony,
                found.state,
                "failed",
                at=now,
                reason=reason[:MAX_TEXT_CHARS],
                culprit=culprit,
            )
            if evidence and culprit is not None and culprit != self._name:
                transaction.peers.keep_evidence(culprit, _EVIDENCE, evidence, at=now)
            transaction.journal.audit(
                "node", "ceremony.fail", at=now, subject=found.circle, detail=culprit
            )
        forget_ceremony_key(self._directory, ceremony)

    def said(self, ceremony: str) -> CeremonyAnswer:
        """Returns everything that this node has said so far, from the database."""
        with self._store.read() as transaction:
            record = transaction.ceremonies.get(ceremony)
            assert record is not None
            parts = {
                step: body.decode()
                for (node, step), body in transaction.ceremonies.parts(ceremony).items()
                if node == self._name
            }
        keyid, _, signature = parts.get(SIGNATURE, "").partition(":")
        return convert(
            {
                "state": record.state,
                "confirmation": parts.get(Confirmation.KIND),
                "commitment": parts.get(Commitment.KIND),
                "certificate": parts.get(Certificate.KIND),
                "keyid": keyid or None,
                "signature": signature or None,
                "reason": record.reason,
                "culprit": record.culprit,
            },
            CeremonyAnswer,
        )


def stored_epoch(record: CeremonyRecord) -> Epoch | None:
    """Returns the epoch that was generated, once it was."""
    if record.epoch is None:
        return None
    return convert(parse_json(record.epoch, max_bytes=MAX_ENVELOPE_BYTES), Epoch)
