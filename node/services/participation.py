"""This node as a participant of ceremonies: the answering side of `federation.ceremony`.

Whatever this node says in a ceremony is stored before it is sent, and never said again in other
words: whoever asks twice gets the same bytes, and whoever shows it something else than before ends
the ceremony. So a crash at any point loses nothing, and nobody gets two answers from one secret.
The one secret that lasts is the static key of the ceremony: in a key file, until there is a share.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from federation.ceremony import (
    Roll,
    Round,
    blamed,
    holders_of,
    read_certificates,
    read_commitments,
    read_confirmations,
    witnessed_epoch,
)
from federation.conduct import missing_admins, naming
from node.services.ceremony_ledger import SIGNATURE, Ledger, stored_epoch
from node.services.ceremony_plans import AGREED, OPEN, check_first, check_rivals, check_time, say
from node.services.directory import StoredDirectory
from node.services.keys import (
    NodeKeys,
    forget_ceremony_key,
    load_ceremony_key,
    put_share,
)
from node.storage.ceremonies import CeremonyRecord
from node.storage.engine import Store
from protocol.ceremonies import (
    CeremonyAnswer,
    CeremonyRequest,
    Certificate,
    Commitment,
    Plan,
    ceremony_id,
    describe,
    encode_descriptor,
    finished_epoch,
    parse_plan,
)
from protocol.circles import CircleDescriptor, Epoch
from protocol.encoding import (
    encode_json,
    format_time,
    to_base64url,
)
from protocol.envelope import pae, payload_type
from protocol.errors import (
    CeremonyError,
    ConflictError,
    KeygenError,
    MalformedError,
    NotAllowedError,
    UnavailableError,
)
from protocol.limits import MAX_FUTURE_S
from protocol.statements import parse_as
from signing.dkg.rounds import certify, commit, conclude, receive
from signing.dkg.sessions import Seat, take_seat
from signing.oprf.voprf import load_key_pair


class Participation:
    """Goes through a ceremony, as far as what the coordinator passes on allows."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        keys: NodeKeys,
        *,
        directory: Path,
        name: str,
        passphrase: Callable[[], bytes],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._keys = keys
        self._directory = directory
        self._name = name
        self._passphrase = passphrase
        self._clock = clock

    def answer(self, request: CeremonyRequest, *, caller: str) -> CeremonyAnswer:
        """Returns how far this node has come, after going as far as the request allows.

        Args:
            request: everything that the coordinator has so far.
            caller: who sent it, as its signature showed.

        Raises:
            MalformedError: the plan is none, or another one than is named.
            NotAllowedError: the caller is not its coordinator, or this node has no part in it.
            RateLimitedError: too many plans of this coordinator wait here.
        """
        data = request.plan.encode()
        if ceremony_id(data) != request.ceremony:
            raise MalformedError("The plan is not the one that the ceremony is named after.")
        plan = parse_plan(data)
        if plan.coordinator != caller:
            raise NotAllowedError("A ceremony is conducted by the node that its plan names.")
        record = self._ledger.file(plan, data)
        if request.failed is not None and record.state in OPEN:
            self._ledger.fail(
                record.id,
                f"{caller} gave it up{naming(request.culprit)}: {request.failed}",
                culprit=request.culprit,
            )
        elif record.state in AGREED:
            self._advance(record, plan, request)
        if record.state not in OPEN or record.state == "generated":
            # Where a crash came between the last of its use and its end.
            forget_ceremony_key(self._directory, record.id)
        return self._ledger.said(request.ceremony)

    def _advance(self, record: CeremonyRecord, plan: Plan, request: CeremonyRequest) -> None:
        """Takes every step that is due; a fault of somebody ends the ceremony here."""
        try:
            if record.state != "signed":
                check_time(plan, int(self._clock()))
            if self._name in holders_of(plan) and record.state in ("confirmed", "committed"):
                record = self._exchange(record, plan, request)
            if self._name in holders_of(plan) and record.state == "certified":
                record = self._finish(record, plan, request)
            if request.descriptor is not None and record.state in ("confirmed", "generated"):
                self._sign(record, plan, request)
        except CeremonyError as error:
            self._ledger.fail(record.id, str(error), culprit=error.culprit, evidence=error.evidence)
        except ConflictError as error:
            self._ledger.fail(record.id, str(error), culprit=None)

    def _exchange(
        self, record: CeremonyRecord, plan: Plan, request: CeremonyRequest
    ) -> CeremonyRecord:
        """Rounds 1 and 2: commits once all have confirmed, certifies once all have committed."""
        if not request.confirmations:
            return record
        if record.state == "committed" and not request.commitments:
            return record  # to open the key file takes memory and time: not for every question
        roll = self._roll(record, plan, request)
        if missing_admins(sorted(roll.confirmed), plan, *self._ledger.before(plan)):
            # Without them nobody would sign for this key, and a share of it is no use to anybody.
            raise CeremonyError(
                "Round 1 was begun before enough admins had agreed.", culprit=plan.coordinator
            )
        seat = self._seat(record, roll)
        if record.state == "confirmed":
            envelope = say(
                self._keys,
                self._name,
                int(self._clock()),
                plan,
                Commitment,
                ceremony=record.id,
                session=seat.session.context.hex(),
                message=to_base64url(commit(seat)),
            )
            record = self._ledger.move(
                record, "committed", Commitment.KIND, envelope, session=seat.session.context
            )
        if record.state == "committed" and request.commitments:
            shown = self._shown(record, plan, request, roll)
            try:
                candidate = receive(
                    seat,
                    shown.messages,
                    own=self._ledger.own_message(record),
                    extension=shown.extension,
                )
            except KeygenError as error:
                raise blamed(error, plan, shown.envelopes) from error
            envelope = say(
                self._keys,
                self._name,
                int(self._clock()),
                plan,
                Certificate,
                ceremony=record.id,
                seen=shown.ids,
                transcript=hashlib.sha512(candidate.transcript).hexdigest(),
                signature=to_base64url(certify(seat, candidate)),
            )
            record = self._ledger.move(
                record, "certified", Certificate.KIND, envelope, shown=shown.extension
            )
        return record

    def _finish(
        self, record: CeremonyRecord, plan: Plan, request: CeremonyRequest
    ) -> CeremonyRecord:
        """Round 3: keeps the share once all have certified the same."""
        if not request.certificates:
            return record
        assert plan.generate is not None
        roll = self._roll(record, plan, request)
        seat = self._seat(record, roll)
        shown = self._shown(record, plan, request, roll)
        signatures = read_certificates(
            plan, record.id, _encoded(request.certificates), self._find_node, shown=shown
        )
        try:
            candidate = receive(
                seat,
                shown.messages,
                own=self._ledger.own_message(record),
                extension=shown.extension,
            )
            made = conclude(seat, candidate, signatures)
        except KeygenError as error:
            raise blamed(error, plan, _encoded(request.certificates)) from error
        self._check_unpublished(plan)
        # The share is on disk before the coordinator hears that it is. A crash in between has the
        # same share made and found again.
        put_share(
            self._directory,
            plan.circle,
            plan.generate.epoch,
            made.share.private,
            self._passphrase(),
        )
        epoch = finished_epoch(plan.generate, made.commitments, made.transcript_digest)
        record = self._ledger.move(record, "generated", epoch=encode_json(epoch))
        forget_ceremony_key(self._directory, record.id)
        return record

    def _sign(self, record: CeremonyRecord, plan: Plan, request: CeremonyRequest) -> None:
        """Signs the descriptor, if it is the plan with the key that this node saw generated."""
        assert request.descriptor is not None
        if plan.generate is not None and record.state == "confirmed":
            if self._name in holders_of(plan):
                return
            epoch: Epoch | None = self._witness(record, plan, request)
        else:
            epoch = stored_epoch(record)
        payload = request.descriptor.encode()
        try:
            issued = parse_as(CircleDescriptor, payload).issued
            expected = encode_descriptor(describe(plan, epoch, issued=issued))
        except MalformedError as error:
            raise CeremonyError(
                f"The descriptor is not one: {error}", culprit=plan.coordinator
            ) from None
        now = int(self._clock())
        if payload != expected or not plan.issued <= issued <= format_time(now + MAX_FUTURE_S):
            raise CeremonyError(
                "The descriptor that was to be signed is not what was agreed on.",
                culprit=plan.coordinator,
                evidence=payload,
            )
        key = self._keys.statement
        signature = key.sign(pae(payload_type(CircleDescriptor.KIND), payload))
        with self._store.write() as transaction:
            # Whatever this node signs for a version, it signs for no other plan of that version.
            check_rivals(transaction, record, now=int(self._clock()))
            check_first(transaction, plan)
            transaction.ceremonies.keep_descriptor(record.id, payload)
            stored = transaction.ceremonies.get(record.id)
            if stored is None or stored.descriptor != payload:
                raise CeremonyError(
                    "Another descriptor was to be signed before.", culprit=plan.coordinator
                )
            if transaction.ceremonies.move(record.id, record.state, "signed", at=now):
                body = f"{key.kid}:{to_base64url(signature)}".encode()
                transaction.ceremonies.put_part(record.id, self._name, SIGNATURE, body)

    def _witness(self, record: CeremonyRecord, plan: Plan, request: CeremonyRequest) -> Epoch:
        """Returns the epoch that the holders made, as an admin without a share can see it."""
        roll = self._roll(record, plan, request)
        shown = self._shown(record, plan, request, roll)
        signatures = read_certificates(
            plan, record.id, _encoded(request.certificates), self._find_node, shown=shown
        )
        return witnessed_epoch(plan, roll, shown, signatures)

    def _roll(self, record: CeremonyRecord, plan: Plan, request: CeremonyRequest) -> Roll:
        roll = read_confirmations(plan, record.id, _encoded(request.confirmations), self._find_node)
        if record.session not in (None, roll.session.context if roll.session else None):
            raise CeremonyError(
                "Other confirmations were passed on than before.", culprit=plan.coordinator
            )
        return roll

    def _shown(
        self, record: CeremonyRecord, plan: Plan, request: CeremonyRequest, roll: Roll
    ) -> Round:
        shown = read_commitments(
            plan, record.id, _encoded(request.commitments), self._find_node, roll=roll
        )
        if record.shown not in (None, shown.extension):
            raise CeremonyError(
                "Other commitments were passed on than before.", culprit=plan.coordinator
            )
        return shown

    def _seat(self, record: CeremonyRecord, roll: Roll) -> Seat:
        private = load_ceremony_key(self._directory, record.id, self._passphrase())
        if private is None or roll.session is None:
            raise UnavailableError("The key of this ceremony is gone: it has to be held anew.")
        return take_seat(roll.session, load_key_pair(private))

    def _find_node(self, name: str) -> Any:
        with self._store.read() as transaction:
            return StoredDirectory(transaction).node(name)

    def _check_unpublished(self, plan: Plan) -> None:
        """Never replace a share that a descriptor promises."""
        assert plan.generate is not None
        with self._store.read() as transaction:
            current = StoredDirectory(transaction).circle(plan.circle)
        if current is not None and any(one.epoch == plan.generate.epoch for one in current.epochs):
            raise ConflictError("The circle has an epoch of this number already.")


def _encoded(envelopes: Sequence[str]) -> list[bytes]:
    return [one.encode() for one in envelopes]
