"""This node as the coordinator of a ceremony: it proposes, keeps what all say, and publishes.

Everything is in the database at once: a coordinator that is interrupted goes on where it was. It
holds no secret of the ceremony; its own part in it, if it has one, is `node.services.participation`
like everybody else's.
"""

from collections.abc import Callable, Mapping

from federation.ceremony import (
    holders_of,
    participants_of,
    read_certificates,
    read_commitments,
    read_confirmations,
    witnessed_epoch,
)
from federation.conduct import Heard, Progress, given_up, missing_admins
from federation.descriptors import PinnedNode
from node.services.audit import Audit
from node.services.ceremonies import Ceremonies
from node.services.ceremony_ledger import SIGNATURE, Ledger
from node.services.ceremony_plans import check_plan
from node.services.directory import StoredDirectory
from node.services.ingest import Ingest
from node.services.participation import Participation
from node.storage.ceremonies import CeremonyRecord
from node.storage.engine import Store
from protocol.ceremonies import (
    STEPS,
    CeremonyAnswer,
    CeremonyRequest,
    Certificate,
    Commitment,
    Confirmation,
    Plan,
    ceremony_id,
    describe,
    encode_descriptor,
    encode_plan,
    parse_plan,
)
from protocol.circles import CircleDescriptor
from protocol.encoding import format_time, from_base64url
from protocol.envelope import (
    Envelope,
    Signature,
    encode_envelope,
    pae,
    parse_envelope,
    payload_type,
)
from protocol.errors import CeremonyError, NotFoundError, ProtocolError, SigningError
from protocol.fields import StatementId
from protocol.limits import MAX_SIGNATURES
from protocol.messages import Receipt
from protocol.statements import parse_as

_DONE = ("generated", "signed")


class Coordination:
    """Conducts ceremonies."""

    def __init__(
        self,
        store: Store,
        ingest: Ingest,
        audit: Audit,
        *,
        ceremonies: Ceremonies,
        participation: Participation,
        ledger: Ledger,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._ingest = ingest
        self._audit = audit
        self._ceremonies = ceremonies
        self._participation = participation
        self._ledger = ledger
        self._name = name
        self._clock = clock

    def propose(self, plan: Plan) -> str:
        """Begins a ceremony; who proposes a plan has confirmed it. Returns its id.

        Raises:
            ProtocolError: no descriptor can come of the plan.
            ConflictError: it does not fit what this node knows of the circle, or another plan for
                this version was confirmed here.
            NotAllowedError: this node has no part in it.
        """
        data = encode_plan(plan)
        plan = parse_plan(data)
        with self._store.read() as transaction:
            check_plan(plan, self._name, StoredDirectory(transaction))
        request = CeremonyRequest(ceremony=ceremony_id(data), plan=data.decode())
        self._participation.answer(request, caller=self._name)
        return self._ceremonies.confirm(request.ceremony).id

    def latest(self, circle: str) -> tuple[CircleDescriptor, StatementId]:
        """Returns the latest version of a circle, and its statement id.

        Raises:
            NotFoundError: no such circle is known here.
        """
        with self._store.read() as transaction:
            directory = StoredDirectory(transaction)
            found, found_id = directory.circle(circle), directory.circle_id(circle)
        if found is None or found_id is None:
            raise NotFoundError("No descriptor of a circle of this name has arrived here.")
        return found, found_id

    def participants(self, ceremony: str) -> dict[str, PinnedNode | None]:
        """Returns who has to be asked, as they are pinned here; this node itself among them.

        Raises:
            NotFoundError: this node conducts no such ceremony.
        """
        record = self._record(ceremony)
        plan = parse_plan(record.plan)
        before, _ = self._ledger.before(plan)
        with self._store.read() as transaction:
            directory = StoredDirectory(transaction)
            return {name: directory.node(name) for name in participants_of(plan, before)}

    def request(self, ceremony: str, heard: Mapping[str, Heard]) -> CeremonyRequest:
        """Returns what everybody is told next.

        Args:
            ceremony: its id.
            heard: what everybody answered last; empty at first.
        """
        record = self._record(ceremony)
        plan = parse_plan(record.plan)
        text = record.plan.decode()
        if record.state in ("failed", "refused"):
            return CeremonyRequest(
                ceremony=record.id, plan=text, failed=record.reason, culprit=record.culprit
            )
        try:
            return self._built(record, plan, text, heard)
        except CeremonyError as error:
            self._ledger.fail(record.id, str(error), culprit=error.culprit, evidence=error.evidence)
            return CeremonyRequest(
                ceremony=record.id, plan=text, failed=str(error), culprit=error.culprit
            )

    def keep(self, ceremony: str, heard: Mapping[str, Heard]) -> Progress:
        """Keeps what everybody answered, publishes what is complete, and says how it stands."""
        record = self._record(ceremony)
        plan = parse_plan(record.plan)
        moved = False
        with self._store.write() as transaction:
            known = transaction.ceremonies.parts(record.id)
            find_node = StoredDirectory(transaction).node
            for name, one in heard.items():
                for step, body in _said(one.answer).items():
                    if (name, step) in known:
                        continue
                    # A signature that does not hold is not kept: a good one may follow.
                    if (
                        _signature(record, find_node(name), body) is not None
                        if step == SIGNATURE
                        else _is_own(name, step, body)
                    ):
                        transaction.ceremonies.put_part(record.id, name, step, body)
                        moved = True
        before, threshold = self._ledger.before(plan)
        lost = given_up(plan, heard, before, threshold)
        if lost is not None:
            # Where this node has signed already, its own record stays: it signs nothing else.
            self._ledger.fail(record.id, lost[0], culprit=lost[1])
        record = self._record(ceremony)
        nodes = {name: _shown(one) for name, one in heard.items()}
        if record.state in ("failed", "refused"):
            lost = (record.reason or "", record.culprit)
        if lost is not None:
            return Progress(record.id, plan.circle, "failed", nodes, moved, lost[0], lost[1])
        receipt = self._publish(record, plan)
        if receipt is None:
            return Progress(record.id, plan.circle, "waiting", nodes, moved)
        return Progress(
            record.id, plan.circle, "published", nodes, moved=True, statement=receipt.id
        )

    def _built(
        self, record: CeremonyRecord, plan: Plan, text: str, heard: Mapping[str, Heard]
    ) -> CeremonyRequest:
        """Returns everything that may be passed on by now, each round once it is complete."""
        with self._store.read() as transaction:
            parts = transaction.ceremonies.parts(record.id)
            find_node = StoredDirectory(transaction).node
            said: dict[str, tuple[bytes, ...]] = {}
            holders = holders_of(plan)
            before, threshold = self._ledger.before(plan)
            agreed = [node for node, step in parts if step == Confirmation.KIND]
            everybody = {*holders, *agreed} == set(agreed)
            if everybody and not missing_admins(agreed, plan, before, threshold):
                others = sorted(set(agreed) - set(holders))
                said[Confirmation.KIND] = tuple(
                    parts[name, Confirmation.KIND] for name in (*holders, *others)
                )
                for step in (Commitment.KIND, Certificate.KIND):
                    if not all((name, step) in parts for name in holders):
                        break
                    said[step] = tuple(parts[name, step] for name in holders)
            payload = None
            if Confirmation.KIND in said:
                payload = self._payload(record, plan, said, heard, find_node)
        if payload is not None:
            with self._store.write() as transaction:
                transaction.ceremonies.keep_descriptor(record.id, payload)
        texts = {step: tuple(one.decode() for one in bodies) for step, bodies in said.items()}
        return CeremonyRequest(
            ceremony=record.id,
            plan=text,
            confirmations=texts.get(Confirmation.KIND, ()),
            commitments=texts.get(Commitment.KIND, ()),
            certificates=texts.get(Certificate.KIND, ()),
            descriptor=None if payload is None else payload.decode(),
        )

    def _payload(
        self,
        record: CeremonyRecord,
        plan: Plan,
        said: Mapping[str, tuple[bytes, ...]],
        heard: Mapping[str, Heard],
        find_node: Callable[[str], PinnedNode | None],
    ) -> bytes | None:
        """Returns the descriptor that is to be signed, once every holder has its share."""
        if record.descriptor is not None:
            return record.descriptor
        roll = read_confirmations(plan, record.id, said[Confirmation.KIND], find_node)
        epoch = None
        if plan.generate is not None:
            states = {
                name: one.answer.state for name, one in heard.items() if one.answer is not None
            }
            if not all(states.get(name) in _DONE for name in roll.holders):
                return None
            shown = read_commitments(plan, record.id, said[Commitment.KIND], find_node, roll=roll)
            signatures = read_certificates(
                plan, record.id, said[Certificate.KIND], find_node, shown=shown
            )
            epoch = witnessed_epoch(plan, roll, shown, signatures)
        issued = format_time(int(self._clock()))
        return encode_descriptor(describe(plan, epoch, issued=issued))

    def _publish(self, record: CeremonyRecord, plan: Plan) -> Receipt | None:
        """Publishes the descriptor once enough admins have signed it."""
        if record.descriptor is None:
            return None
        kind = payload_type(CircleDescriptor.KIND)
        with self._store.read() as transaction:
            find_node = StoredDirectory(transaction).node
            found = {
                name: _signature(record, find_node(name), body)
                for (name, step), body in transaction.ceremonies.parts(record.id).items()
                if step == SIGNATURE
            }
        good = {name: one for name, one in found.items() if one is not None}
        before, threshold = self._ledger.before(plan)
        if self._name not in good or missing_admins(list(good), plan, before, threshold):
            return None
        # The issuer's own first; then whoever decides about this version or the one before.
        both = set(plan.admins) & set(before or plan.admins)
        others = sorted(set(good) - {self._name}, key=lambda name: (name not in both, name))
        names = [self._name, *others][:MAX_SIGNATURES]
        envelope = encode_envelope(
            Envelope(kind, record.descriptor, tuple(good[name] for name in names))
        )
        audited = self._audit.with_statement("operator", "ceremony.publish", subject=plan.circle)
        return self._ingest.submit(envelope, caller=self._name, also=audited)

    def _record(self, ceremony: str) -> CeremonyRecord:
        with self._store.read() as transaction:
            record = transaction.ceremonies.get(ceremony)
        if record is None or record.coordinator != self._name:
            raise NotFoundError("This node conducts no such ceremony.")
        return record


def _said(answer: CeremonyAnswer | None) -> dict[str, bytes]:
    """Returns by step what a participant has said."""
    if answer is None:
        return {}
    said = {
        Confirmation.KIND: answer.confirmation,
        Commitment.KIND: answer.commitment,
        Certificate.KIND: answer.certificate,
        SIGNATURE: f"{answer.keyid}:{answer.signature}" if answer.signature else None,
    }
    return {step: text.encode() for step, text in said.items() if text is not None}


def _is_own(name: str, step: str, body: bytes) -> bool:
    """Whether a participant speaks for itself, so that no word of another is passed on twice.

    Whether it is signed as it should is asked when all have spoken (`federation.ceremony`).
    """
    try:
        return parse_as(STEPS[step], parse_envelope(body).payload).issuer == name
    except ProtocolError:
        return False


def _signature(record: CeremonyRecord, node: PinnedNode | None, body: bytes) -> Signature | None:
    """Returns what a node signed the descriptor with, if it holds under a key of that node."""
    if record.descriptor is None or node is None:
        return None
    message = pae(payload_type(CircleDescriptor.KIND), record.descriptor)
    keyid, _, text = body.decode().partition(":")
    for one in node.statement_keys:
        if one.key.kid != keyid:
            continue
        try:
            raw = from_base64url(text)
            one.key.verify(message, raw)
        except (ProtocolError, SigningError):
            continue
        return Signature(keyid, raw)
    return None


def _shown(heard: Heard) -> str:
    if heard.answer is None:
        return f"no answer: {heard.problem}"
    return heard.answer.state
