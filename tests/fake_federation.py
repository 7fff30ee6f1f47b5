"""Doubles of what answers other nodes and flaggers.

They have behaviour, and no database. `api_fakes.fake_services` puts them together.
"""

from typing import Any

from fake_callers import KNOWN, NAME, FakePeers
from node.services.once import Once
from node.services.publication import PublicationState
from node.services.witnessing import Cosigned, OtherSize
from protocol.ceremonies import CeremonyAnswer, CeremonyRequest, parse_plan
from protocol.envelope import parse_envelope
from protocol.errors import (
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from protocol.evidence import parse_evidence
from protocol.messages import (
    Descriptors,
    Entries,
    EntriesRequest,
    EnvelopeAnswer,
    Envelopes,
    JoinRequest,
    OprfAnswer,
    OwnLogAnswer,
    OwnLogRequest,
    Receipt,
    StatementStatus,
    StatementStatuses,
)
from protocol.tiles import Tile
from protocol.witnessing import AddCheckpoint


class FakeStatements:
    """Ingest, flags and log over one list of ids."""

    def __init__(self, peers: FakePeers) -> None:
        self.peers = peers
        self.ids: list[str] = [KNOWN]
        self.last: dict[str, Any] = {}
        self.is_busy = False

    def _receipt(self, **said: Any) -> Receipt:
        self.last = said
        self.ids.append(f"{len(self.ids):064x}")
        return Receipt(id=self.ids[-1], index=len(self.ids) - 1)

    def submit(self, envelope: bytes, *, caller: str) -> Receipt:
        parse_envelope(envelope)
        if envelope in self.last.get("envelopes", ()):
            return Receipt(id=KNOWN, index=0, duplicate=True)
        return self._receipt(envelopes={envelope}, caller=caller)

    def envelopes(self, ids: Any, *, reader: str) -> Envelopes:
        return Envelopes(
            envelopes=tuple(
                EnvelopeAnswer(id=one, state="withheld" if one == KNOWN else "unknown")
                for one in ids
            )
        )

    def checkpoint(self, once: Once | None = None, *, wait: bool = True) -> bytes:
        if self.is_busy and not wait:
            raise UnavailableError("Somebody writes.")
        if once is not None:
            self.peers.remember(once)
        return b"hotline.example/log\n1\nAAAA\n\n"

    def tile(self, tile: Tile) -> bytes:
        return self._bytes(tile, 32)

    def bundle(self, tile: Tile) -> bytes:
        return self._bytes(tile, 34)

    def _bytes(self, tile: Tile, length: int) -> bytes:
        if tile.needs() > len(self.ids):
            raise NotFoundError("The log has not grown to this tile.")
        return bytes(length * tile.width)

    def receipt(self, statement_id: str, *, issuer: str | None = None) -> bytes:
        if statement_id not in self.ids or issuer not in {None, f"{NAME}/anna"}:
            raise NotFoundError("There is no such statement in this node's log.")
        return b"c2sp.org/tlog-proof@v1\n"

    def entries(self, request: Any) -> Entries:
        return Entries(
            start=request.start, entries=tuple(self.ids[request.start :][: request.limit])
        )

    def size(self) -> int:
        return len(self.ids)

    def flag_media(self, items: Any, **said: Any) -> Receipt:
        return self._receipt(items=items, **said)

    def _about(self, statement_id: str, **said: Any) -> Receipt:
        self.status(statement_id)
        return self._receipt(**said)

    retract = erase = dispute = resolve = feedback = _about

    def status(self, statement_id: str) -> StatementStatus:
        if statement_id not in self.ids:
            raise NotFoundError("There is no statement with this id in this node's log.")
        return StatementStatus(id=statement_id, kind="media-flag", index=0, state="active")

    def statuses(self, issuer: str, *, after: int | None) -> StatementStatuses:
        return StatementStatuses(statements=(self.status(KNOWN),), next=after)


class FakeEvaluator:
    def __init__(self, peers: FakePeers) -> None:
        self.peers = peers

    def evaluate(self, request: Any, *, member: str, once: Once) -> OprfAnswer:
        self.peers.remember(once)
        return OprfAnswer(index=1, epoch=request.epoch, evaluated=request.blinded, proof="A" * 86)


class FakeParticipation:
    def answer(self, request: CeremonyRequest, *, caller: str) -> CeremonyAnswer:
        plan = parse_plan(request.plan.encode())
        assert plan.coordinator != caller
        return CeremonyAnswer(state="unconfirmed")


class FakeWitness:
    """Cosigns whatever it is shown for the first time."""

    def add_checkpoint(
        self, request: AddCheckpoint, *, caller: str, said: object
    ) -> Cosigned | OtherSize:
        if request.old_size:
            return OtherSize(0)
        return Cosigned(b"\xe2\x80\x94 hotline.example/witness AAAAAAA=\n")

    def latest(self, origin: str) -> bytes:
        if origin != KNOWN:
            raise NotFoundError("This node has cosigned no checkpoint of such a log.")
        return b"a note"


class FakeMirroring:
    """Serves one log of two entries."""

    def checkpoint(self, origin: str) -> bytes:
        if origin != KNOWN:
            raise NotFoundError("This node mirrors no such log, or not yet.")
        return b"a note"

    def entries(self, origin: str, request: EntriesRequest) -> Entries:
        self.checkpoint(origin)
        return Entries(start=request.start, entries=(KNOWN,) if request.start < 2 else ())

    def tile(self, origin: str, tile: Tile) -> bytes:
        self.checkpoint(origin)
        return bytes(32 * tile.width)

    def bundle(self, origin: str, tile: Tile) -> bytes:
        self.checkpoint(origin)
        return bytes(34 * tile.width)


class FakeAccusations:
    """Believes whatever has the form of evidence."""

    def hear(self, data: bytes, *, teller: str) -> bool:
        return bool(parse_evidence(data))


class FakeStanding:
    """Has taken over one entry of everybody's log."""

    def own_log(self, request: OwnLogRequest, *, reader: str) -> OwnLogAnswer:
        entries = (KNOWN,) if request.start == 0 else ()
        origin = f"{reader}/log/1"
        return OwnLogAnswer(origin=origin, size=1, start=request.start, entries=entries)


class FakePublication:
    """Has a checkpoint with enough cosignatures, and gathers for the next."""

    def published(self) -> bytes:
        return b"a note"

    def state(self) -> PublicationState:
        return PublicationState(is_asked=True, size=3, asked_size=4, missing=1)


class FakeSuccessions:
    def own_after(self, version: int) -> Descriptors:
        return Descriptors(descriptors=("{}",) if version == 0 else ())

    def announced(self, message: Descriptors) -> None:
        if not message.descriptors:
            raise InvalidError("There is no descriptor in the message.", where="descriptors")


class FakeJoining:
    def applicant(self, request: JoinRequest) -> Any:
        raise NotFoundError(f"No invite that is good has this code of {len(request.code)}.")
