"""A peer in memory, on a real signed log with real keys, that can be told to misbehave.

`Peer` offers what `federation.client.PeerClient` offers. Beside it stand the statements that tests
are made of. unit/federation has a node without a database (memory_node.py), and a peer behind real
HTTP (served_peer.py).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from federation.descriptors import PinnedNode, open_descriptor, pin
from protocol import limits
from protocol.ceremonies import CeremonyAnswer, CeremonyRequest
from protocol.checkpoint import (
    Checkpoint,
    Note,
    format_note,
    format_signature_lines,
    parse_checkpoint,
    parse_note,
)
from protocol.descriptors import NodeDescriptor, NodeKey
from protocol.encoding import format_time, from_base64url, parse_time, to_base64url
from protocol.envelope import Envelope, Signature, encode_envelope, parse_envelope
from protocol.errors import PeerRefusedError, PeerUnreachableError
from protocol.fields import StatementId
from protocol.merkle import Frontier
from protocol.messages import (
    Acknowledgement,
    Entries,
    EnvelopeAnswer,
    Envelopes,
    JoinRequest,
    OprfAnswer,
    OprfRequest,
    OwnLogAnswer,
    Poke,
    Receipt,
    StatementStatus,
    StatementStatuses,
    WellKnown,
)
from protocol.statements import (
    AccountBan,
    Accredit,
    Basis,
    Fingerprint,
    MediaFlag,
    MediaItem,
    Statement,
)
from protocol.witnessing import AddCheckpoint
from signing.cosignatures import cosign, witness_name
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey
from signing.notes import sign_checkpoint
from signing.oprf.voprf import KeyPair, evaluate

NOW = parse_time("2026-11-22T10:00:00Z")
DAY_S = 86_400


def make_key(use: KeyUse, name: str, generation: int = 1) -> SigningKey:
    """The same key for the same name and generation, on every run."""
    label = f"{use}:{name}" if generation == 1 else f"{use}:{name}:{generation}"
    return SigningKey.from_seed(use, hashlib.sha256(label.encode()).digest())


def fields(issuer: str, number: int = 0, *, at: int = NOW) -> dict[str, Any]:
    """What every statement carries; `number` tells otherwise equal ones apart."""
    nonce = to_base64url(number.to_bytes(16, "big"))
    return {"issuer": issuer, "nonce": nonce, "issued": format_time(at), "audience": ("peers",)}


def media_flag(issuer: str, number: int = 0, **changes: Any) -> MediaFlag:
    sha256 = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
    values = {
        **fields(issuer, number),
        "items": (MediaItem(sha256=sha256),),
        "category": "csam.act.prepub",
        "basis": Basis(reviewers=2, reviewed=format_time(NOW)),
        "purpose": "detection",
        "legal_basis": "DSA-22",
        "review_by": format_time(NOW + 300 * DAY_S),
    }
    return MediaFlag(**(values | changes))


def account_ban(issuer: str, number: int = 0, **changes: Any) -> AccountBan:
    mark = Fingerprint(
        kind="email",
        circle="hotline.example/minors-1",
        epoch=1,
        scheme="email-v1",
        value=to_base64url(hashlib.sha256(number.to_bytes(8, "big")).digest()),
    )
    values = {
        **fields(issuer, number),
        "fingerprints": (mark,),
        "category": "account.grooming",
        "basis": Basis(reviewers=1, reviewed=format_time(NOW)),
        "scope": "account",
        "purpose": "detection",
        "legal_basis": "GDPR-6-1-f",
        "expires": format_time(NOW + 300 * DAY_S),
    }
    return AccountBan(**(values | changes))


def accredit(flagger: str, number: int = 0, **changes: Any) -> Accredit:
    values = {
        **fields(flagger.partition("/")[0], number),
        "flagger": flagger,
        "key": to_base64url(make_key(KeyUse.FLAGGER, flagger).public.raw),
        "categories": ("csam.*",),
        "not_before": format_time(NOW - DAY_S),
        "not_after": format_time(NOW + DAY_S),
        "status": "active",
    }
    return Accredit(**(values | changes))


@dataclass
class Peer:
    """A node, honest until one of its faults is set.

    Attributes:
        name: of the node.
        stalled: gives no answer at all.
        patience: how many more requests it answers before it stalls; None: all.
        page: longest page of entries it gives.
        bodies: most envelopes it gives in one answer.
        lies: what it answers about these statements, instead of what it has.
        flood: how many entries, or envelopes, too many it gives.
        shift: how far from the start asked for its entries begin.
        replayed: the checkpoint it shows instead of its own.
        garbled: how many of its next answers about entries lose their way on the line.
        generation: of its keys; a node that is set up anew under its name has others.
        later: its descriptors behind the first (tests/successions.py makes some).
        announced: descriptors of others that it was told of.
        mirrored: the peer whose log it serves as a mirror, as it wants it to be seen.
    """

    name: str
    url: str = "https://peer.example"
    stalled: bool = False
    patience: int | None = None
    page: int = limits.MAX_ENTRIES_PER_REQUEST
    bodies: int = limits.MAX_ENVELOPES_PER_REQUEST
    lies: dict[StatementId, EnvelopeAnswer] = field(default_factory=dict)
    flood: int = 0
    shift: int = 0
    replayed: bytes | None = None
    garbled: int = 0
    publication: bytes = b""
    cosigned: dict[str, bytes] = field(default_factory=dict)
    evidence: list[bytes] = field(default_factory=list)
    generation: int = 1
    later: list[bytes] = field(default_factory=list)
    announced: list[bytes] = field(default_factory=list)
    mirrored: "Peer | None" = None
    share: tuple[int, KeyPair] | None = None
    bytes_received: int = 0
    log: list[StatementId] = field(default_factory=list)
    held: dict[StatementId, bytes] = field(default_factory=dict)
    acknowledged: list[Acknowledgement] = field(default_factory=list)
    pokes: list[Poke] = field(default_factory=list)

    def key(self, use: KeyUse) -> SigningKey:
        return make_key(use, self.name, self.generation)

    @cached_property
    def descriptor_envelope(self) -> bytes:
        until = format_time(NOW + 400 * DAY_S)
        uses: tuple[Literal["request", "log", "statement"], ...] = ("request", "log", "statement")
        keys = tuple(
            NodeKey(
                use=use,
                key=to_base64url(self.key(KeyUse(use)).public.raw),
                not_before=format_time(NOW - 400 * DAY_S),
                not_after=until,
            )
            for use in uses
        )
        root = self.key(KeyUse.ROOT)
        descriptor = NodeDescriptor(
            **fields(self.name),
            version=1,
            url=self.url,
            root=to_base64url(root.public.raw),
            keys=keys,
            log_origin=f"{self.name}/log/1",
            expires=until,
        )
        return sign_statement(descriptor, root)

    def pinned(self, *, authority: bool = False) -> PinnedNode:
        return pin(*open_descriptor(self.descriptor_envelope, now=NOW), authority=authority)

    def sign(self, statement: Statement) -> bytes:
        """The envelope of a statement, signed by this node or by the flagger it names."""
        if statement.issuer == self.name:
            return sign_statement(statement, self.key(KeyUse.STATEMENT))
        return sign_statement(statement, make_key(KeyUse.FLAGGER, statement.issuer))

    def append(self, *statements: Statement | bytes) -> list[StatementId]:
        """Puts statements, or envelopes of others, into the log."""
        ids = []
        for one in statements:
            data = one if isinstance(one, bytes) else self.sign(one)
            ids.append(parse_envelope(data).statement_id)
            self.held[ids[-1]] = data
        self.log += ids
        return ids

    def note(self) -> bytes:
        """The checkpoint that this node signs over its log as it is now."""
        root = Frontier.EMPTY.append(bytes.fromhex(one) for one in self.log).root()
        checkpoint = Checkpoint(f"{self.name}/log/1", len(self.log), root)
        return sign_checkpoint(checkpoint, self.key(KeyUse.LOG))

    def rewind(self, size: int) -> None:
        del self.log[size:]

    def equivocate(self, at: int = -1) -> None:
        """Puts another statement where one stands already."""
        (other,) = self.append(media_flag(self.name, 10**6 + len(self.log)))
        self.log.pop()
        self.log[at] = other

    def tamper(self, statement: StatementId) -> None:
        """Breaks the signature; the id, which does not cover it, stays."""
        envelope = parse_envelope(self.held[statement])
        signature = envelope.signatures[0]
        broken = Signature(signature.keyid, signature.sig[:-1] + bytes([signature.sig[-1] ^ 1]))
        self.held[statement] = encode_envelope(
            Envelope(envelope.payload_type, envelope.payload, (broken,))
        )

    def _answer(self) -> None:
        if self.patience is not None:
            self.patience -= 1
        if self.stalled or (self.patience is not None and self.patience < 0):
            raise PeerUnreachableError("The simulated peer stalls.")

    async def well_known(self) -> WellKnown:
        self._answer()
        return WellKnown(name=self.name, url=self.url, fingerprint=self.pinned().fingerprint)

    async def descriptor(self) -> bytes:
        self._answer()
        return self.descriptor_envelope

    async def descriptors(self, after: int) -> list[bytes]:
        self._answer()
        return [self.descriptor_envelope, *self.later][after:]

    async def join(self, request: JoinRequest) -> None:
        self._answer()
        raise PeerRefusedError(f"There is no such invite as {len(request.code)}.", status=404)

    async def announce(self, descriptors: Sequence[bytes]) -> None:
        self._answer()
        self.announced += descriptors

    async def checkpoint(self) -> bytes:
        self._answer()
        note = self.replayed or self.note()
        self.bytes_received += len(note)
        return note

    async def published(self) -> bytes:
        self._answer()
        return self.publication

    async def add_checkpoint(self, request: AddCheckpoint, *, prefix: str = "") -> bytes:
        """Cosigns whatever follows the size that it cosigned last, without looking at proofs."""
        self._answer()
        note = parse_note(request.note)
        found = parse_checkpoint(note.text)
        known = self.cosigned.get(found.origin, b"")
        size = parse_checkpoint(parse_note(known).text).size if known else 0
        if request.old_size != size:
            raise PeerRefusedError("Another size was cosigned.", status=409, size=size)
        key, name = self.key(KeyUse.WITNESS), witness_name(self.name)
        line = cosign(note.text, key, name=name, now=NOW)
        self.cosigned[found.origin] = format_note(Note(note.text, (*note.signatures, line)))
        return format_signature_lines([line])

    async def tell_evidence(self, document: bytes) -> None:
        self._answer()
        self.evidence.append(document)

    async def own_log(self, start: int, limit: int) -> OwnLogAnswer:
        """Has taken over nothing of anybody's log."""
        self._answer()
        return OwnLogAnswer(origin="", size=0, start=start, entries=()[:limit])

    async def witnessed(self, origin: str, *, prefix: str = "") -> bytes:
        self._answer()
        if origin not in self.cosigned:
            raise PeerRefusedError("Nothing of it was cosigned.", status=404)
        return self.cosigned[origin]

    async def entries(self, start: int, limit: int) -> Entries:
        self._answer()
        start += self.shift
        page = self.log[start : start + min(limit, self.page)] + ["00" * 32] * self.flood
        if self.garbled > 0:
            self.garbled -= 1
            page = ["00" * 32, *page[1:]]
        self.bytes_received += 67 * len(page)
        return Entries(start=start, entries=tuple(page))

    async def mirror_checkpoint(self, origin: str) -> bytes:
        return await self._of(origin).checkpoint()

    async def mirror_entries(self, origin: str, start: int, limit: int) -> Entries:
        return await self._of(origin).entries(start, limit)

    def _of(self, origin: str) -> "Peer":
        self._answer()
        if self.mirrored is None or origin != f"{self.mirrored.name}/log/1":
            raise PeerRefusedError("This peer mirrors no such log.", status=404)
        return self.mirrored

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        self._answer()
        answers = [self._about(one) for one in ids[: self.bodies]]
        answers += answers[-1:] * self.flood
        self.bytes_received += sum(len(one.envelope or "") for one in answers)
        return Envelopes(envelopes=tuple(answers))

    def _about(self, statement: StatementId) -> EnvelopeAnswer:
        if statement in self.lies:
            return self.lies[statement]
        if statement not in self.held:
            return EnvelopeAnswer(id=statement, state="unknown")
        text = self.held[statement].decode()
        return EnvelopeAnswer(id=statement, state="present", envelope=text)

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        self._answer()
        self.acknowledged.append(acknowledgement)

    async def poke(self, poke: Poke) -> None:
        self._answer()
        self.pokes.append(poke)

    async def evaluate(self, request: OprfRequest) -> OprfAnswer:
        self._answer()
        assert self.share is not None
        index, key = self.share
        result = evaluate(key, [from_base64url(one) for one in request.blinded])
        return OprfAnswer(
            index=index,
            epoch=request.epoch,
            evaluated=tuple(map(to_base64url, result.elements)),
            proof=to_base64url(result.proof),
        )

    async def ceremony(self, request: CeremonyRequest) -> CeremonyAnswer:
        """Refuses: it has a part in none."""
        self._answer()
        raise PeerRefusedError(
            f"The simulated peer has no part in the ceremony {request.ceremony}.", status=404
        )

    async def submit(self, envelope: bytes) -> Receipt:
        self._answer()
        duplicate = parse_envelope(envelope).statement_id in self.held
        if not duplicate:
            self.append(envelope)
        found = parse_envelope(envelope).statement_id
        return Receipt(id=found, index=self.log.index(found), duplicate=duplicate)

    async def receipt(self, statement_id: StatementId) -> bytes:
        """Refuses: it gives none."""
        self._answer()
        raise PeerRefusedError(f"No receipt of {statement_id} is given here.", status=404)

    async def my_statements(self, after: int | None = None) -> StatementStatuses:
        self._answer()
        statuses = [
            StatementStatus(
                id=one, kind=parse_envelope(self.held[one]).kind, index=at, state="active"
            )
            for at, one in enumerate(self.log)
            if after is None or at < after
        ]
        return StatementStatuses(statements=tuple(reversed(statuses)))
