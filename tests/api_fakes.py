"""Services with behaviour but without a database, for tests of the HTTP surface alone."""

import contextlib
import socket
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import uvicorn

from node.api.app import build_api
from node.api.server import server_config
from node.matching.variant_names import VariantPdq
from node.services.accounts import CheckAnswer
from node.services.accuracy import Accuracy
from node.services.budgets import Allowance, Usage
from node.services.clients import SCOPES, Client
from node.services.erasures import Erasure, Proof
from node.services.judging import MediaMatch, MediaResult
from node.services.leads import Lead
from node.services.lookups import ListState, MatchAnswer
from node.services.once import Once
from node.services.peers import Caller, PeerState
from node.services.publication import PublicationState
from node.services.quarantines import Entry as QuarantineEntry
from node.services.remedies import Remedy, RemedyDeed
from node.services.retro import RetroMatch
from node.services.sources import SourceState
from node.services.streams import OpenedStream
from node.services.uploads import Registered
from node.services.webhooks import WebhookState
from node.services.witnessing import Cosigned, OtherSize
from node.settings import Settings
from node.storage.access import ClientRecord
from node.storage.gates import Allowed
from node.storage.journal import AuditEntry
from node.storage.peers import SetAsideRecord
from node.storage.trust import FrozenHolder
from protocol.ceremonies import CeremonyAnswer, CeremonyRequest, parse_plan
from protocol.descriptors import fingerprint_of, parse_fingerprint
from protocol.encoding import to_base64url
from protocol.envelope import parse_envelope
from protocol.errors import (
    ConflictError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    RateLimitedError,
    ReplayedError,
    UnavailableError,
    UnknownKeyError,
)
from protocol.evidence import parse_evidence
from protocol.fields import StatementId
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
from protocol.pdq import Pdq
from protocol.tiles import Tile
from protocol.witnessing import AddCheckpoint
from signing.keys import KeyUse, PublicKey, SigningKey
from signing.requests import sign_request
from waiting import WITHIN_S

NOW = 1_795_341_600
NAME = "hotline.example"
KNOWN = "5f" * 32
NODE_KEY = SigningKey.from_seed(KeyUse.REQUEST, b"n" * 32)
FLAGGER_KEY = SigningKey.from_seed(KeyUse.FLAGGER, b"f" * 32)
ENDED_KEY = SigningKey.from_seed(KeyUse.FLAGGER, b"e" * 32)
"""Of a flagger whose accreditation has ended."""
STRANGER_KEY = SigningKey.from_seed(KeyUse.REQUEST, b"s" * 32)
CALLERS = {
    NODE_KEY.kid: (NODE_KEY, Caller("platform-a.example", "node")),
    FLAGGER_KEY.kid: (FLAGGER_KEY, Caller("hotline.example/anna", "flagger")),
}
FINGERPRINT = fingerprint_of(StatementId("ab" * 32))
"""Of the one descriptor that the fake believes."""


def token_for(scope: str) -> str:
    return "snk_" + to_base64url(scope.encode().ljust(32, b"."))


class FakeClients:
    def __init__(self) -> None:
        self.keys = {
            token_for(one): Client(n, one, frozenset({one})) for n, one in enumerate(SCOPES, 1)
        }
        self.revoked: set[int] = set()

    def known(self, token: str) -> Client | None:
        client = self.keys.get(token)
        return None if client is None or client.id in self.revoked else client

    def authenticate(self, token: str) -> Client:
        if token not in self.keys or self.keys[token].id in self.revoked:
            raise NotAllowedError("This key opens nothing here.")
        return self.keys[token]

    def create(self, name: str, scopes: Any, *, actor: str) -> tuple[Client, str]:
        if name in {one.name for one in self.keys.values()}:
            raise ConflictError("The name is taken.")
        token = token_for(f"{name[:20]}!")
        self.keys[token] = Client(len(self.keys) + 1, name, frozenset(scopes))
        return self.keys[token], token

    def list(self) -> list[ClientRecord]:
        return [
            ClientRecord(one.id, one.name, one.scopes, NOW, NOW if one.id in self.revoked else None)
            for one in self.keys.values()
        ]

    def revoke(self, number: int, *, actor: str) -> None:
        if number <= len(SCOPES) or number > len(self.keys):
            raise NotFoundError("There is no client of this number with access.")
        self.revoked.add(number)


class FakePeers:
    def __init__(self) -> None:
        self.nonces: set[tuple[str, str]] = set()
        self.pinned = {"platform-a.example"}
        self.states = {"platform-a.example": "active"}
        self.pokes: list[tuple[str, int]] = []
        self.is_away = False

    def find_caller(self, keyid: str) -> tuple[PublicKey, Caller]:
        if keyid not in CALLERS:
            raise UnknownKeyError("Nobody that this node knows has the key of this request.")
        key, caller = CALLERS[keyid]
        return key.public, caller

    def find_ended(self, keyid: str) -> tuple[PublicKey, str] | None:
        return (ENDED_KEY.public, "2026-11-21") if keyid == ENDED_KEY.kid else None

    def find_node(self, keyid: str, *, wait: bool = True) -> tuple[PublicKey, Caller] | None:
        if self.is_away and not wait:
            raise UnavailableError("The database has to be waited for.")
        if keyid not in CALLERS or CALLERS[keyid][1].kind != "node":
            return None
        return self.find_caller(keyid)

    def remember(self, request: Once) -> None:
        if (request.keyid, request.nonce) in self.nonces:
            raise ReplayedError("This request was here before: it needs a new nonce.")
        self.nonces.add((request.keyid, request.nonce))

    def list(self) -> list[PeerState]:
        return [
            PeerState(
                name=name,
                url=f"https://{name}",
                fingerprint=FINGERPRINT,
                authority=False,
                state=state,
                seen_size=3,
                synced=NOW - 5 if name == "platform-a.example" else None,
                problem=None,
                acked_size=2,
                acked_at=None,
                set_aside=1,
            )
            for name, state in sorted(self.states.items())
        ]

    def node(self, name: str) -> Any:
        return SimpleNamespace(name=name, fingerprint=FINGERPRINT)

    def own_descriptor(self) -> bytes:
        return b'{"payload":"","payloadType":"","signatures":[]}'

    def add(
        self,
        descriptor: bytes,
        fingerprint: str,
        *,
        authority: bool,
        later: Sequence[bytes],
        actor: str,
    ) -> PeerState:
        if parse_fingerprint(fingerprint) != FINGERPRINT:
            raise InvalidError("The fingerprint is not that of this node.", where="fingerprint")
        if "platform-b.example" in self.states:
            raise ConflictError("A node of this name is pinned.")
        self.states["platform-b.example"] = "active"
        return self.list()[-1]

    def _set(self, name: str, state: str) -> None:
        if name not in self.states:
            raise NotFoundError("No node of this name is pinned.")
        self.states[name] = state

    def freeze(self, name: str, *, actor: str) -> None:
        self._set(name, "frozen")

    def thaw(self, name: str, *, actor: str) -> None:
        self._set(name, "active")

    def remove(self, name: str, *, actor: str) -> None:
        self._set(name, "removed")
        if name != "platform-a.example":
            del self.states[name]

    def acknowledge(self, name: str, acknowledgement: Any) -> None:
        if acknowledgement.origin != f"{NAME}/log":
            raise InvalidError("This node has no such log.", where="origin")

    def poked(self, name: str, poke: Any) -> None:
        self.pokes.append((name, poke.size))

    def set_aside(self) -> tuple[SetAsideRecord, ...]:
        record = SetAsideRecord(StatementId(KNOWN), "a.example/log", "Bad.", True, NOW, b"secret")
        return (record,)


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


class FakeLookups:
    def __init__(self) -> None:
        self.down = False
        self.asked: list[Any] = []
        self.variants: frozenset[str] = frozenset()
        self.nothing_like: set[str] = set()

    def match_at_once(self, item: Any, *, surface: str, client: Client) -> MatchAnswer | None:
        if item.md5 not in self.nothing_like:
            return None
        assert client.scopes == {"match"}
        return MatchAnswer((MediaResult("none", None, (), ()),), self.list_state())

    def families(self, surface: str) -> frozenset[str]:
        return self.variants if surface == "public" else frozenset()

    def list_state(self) -> ListState:
        return ListState(entries=7, size=1, age_s=None)

    def match(
        self, items: Any, *, surface: str, client: Client, references: Sequence[str] = ()
    ) -> MatchAnswer:
        if self.down:
            raise UnavailableError("secret reason")
        self.asked = list(items)
        hit = MediaMatch(
            statement=KNOWN,
            item=0,
            kind="pdq",
            distance=4,
            category="csam.act.prepub",
            issuer_code=None,
            flags=(),
            issuers=("ngo.example",),
            accredited=True,
            disputed=False,
            issued="2026-11-22T10:00:00Z",
        )
        none = MediaResult("none", None, ("no rule",), ())
        found = MediaResult("block", "confirmed abuse", ("fired",), (hit,))
        results = tuple(found if one.pdq == "ab" * 32 else none for one in items)
        return MatchAnswer(results, self.list_state())


class FakeAccounts:
    def __init__(self, statements: FakeStatements) -> None:
        self.down = False
        self.spent = False
        self.statements = statements

    def check(
        self,
        identifiers: Any,
        *,
        client: Client,
        region: Any,
        scope: Any,
        avatar: Any = None,
    ) -> CheckAnswer:
        self._ask(identifiers)
        if "bad@example.com" in {value for _, value in identifiers}:
            lead = Lead(
                statement=KNOWN,
                kinds=("email",),
                category="account.grooming",
                issuers=("a.example",),
                independent=1,
                expires="2027-11-22T10:00:00Z",
                disputed=False,
                name_looks_alike=False,
            )
            return CheckAnswer("review", "one identifier", ("fired",), (lead,))
        return CheckAnswer("none", None, ("no rule",), ())

    def check_batch(
        self, accounts: Any, avatars: Any, *, client: Client, region: Any, scope: Any
    ) -> list[CheckAnswer | InvalidError]:
        found: list[CheckAnswer | InvalidError] = []
        for number, one in enumerate(accounts):
            try:
                found.append(self.check(one, client=client, region=region, scope=scope))
            except InvalidError as error:
                found.append(InvalidError(str(error), where=f"accounts[{number}].{error.where}"))
        return found

    def ban(self, identifiers: Any, **said: Any) -> Receipt:
        self._ask(identifiers)
        return self.statements._receipt(**said)

    def _ask(self, identifiers: Any) -> None:
        if self.down:
            raise UnavailableError("secret reason")
        if self.spent:
            raise RateLimitedError("The budget is used up.", retry_after_s=77)
        for number, (kind, value) in enumerate(identifiers):
            if kind == "email" and "@" not in value:
                raise InvalidError("Not an e-mail address.", where=f"identifiers[{number}].value")


class FakeReissues:
    def __init__(self, statements: FakeStatements) -> None:
        self.statements = statements

    def reissue(self, statement_id: str, identifiers: Any, **said: Any) -> Receipt:
        if statement_id != KNOWN:
            raise NotFoundError("There is no such statement.")
        return self.statements._receipt(identifiers=identifiers, **said)


FILM = b"\x1a\x45\xdf\xa3"
"""How a film begins."""


class FakePool:
    """Knows one picture; a draft of it is of lower quality."""

    def hash(self, data: bytes, *, draft: bool = False, variants: Collection[str] = ()) -> Any:
        if not data.startswith(b"PICTURE"):
            raise InvalidError("the file is not a picture that can be read here")
        mirrored = VariantPdq("mirrored", Pdq(b"\xcd" * 32), 90)
        return SimpleNamespace(
            pdq=b"\xab" * 32,
            quality=80 if draft else 90,
            sha256="1" * 64,
            sha1="2" * 40,
            md5="3" * 32,
            width=2,
            height=3,
            format="PNG",
            variants=(mirrored,) if "mirror" in variants else (),
        )


STREAM_ID = "5a" * 16


class FakeStreams:
    """Watches one stream, which matches at once; None of its frames is kept but for the test."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.full = False

    def open(self, *, surface: str, client: Any) -> Any:
        if self.full:
            raise UnavailableError("full", retry_after_s=7)
        return OpenedStream(STREAM_ID, 30_000, 60)

    def look(self, stream_id: str, frames: Sequence[Any], *, client: Any) -> MediaResult:
        self._own(stream_id)
        self.asked += frames
        return MediaResult("review", "review-any-match", ("fired",), ())

    def close(self, stream_id: str, *, client: Any) -> None:
        self._own(stream_id)

    def _own(self, stream_id: str) -> None:
        if stream_id != STREAM_ID:
            raise NotFoundError("There is no such stream, or it is over.")


class FakeFilms:
    """Sees two frames in any film."""

    def hash(self, data: bytes) -> Any:
        assert data.startswith(FILM)
        frames = [SimpleNamespace(pdq=b"\xab" * 32, quality=90, at_ms=at) for at in (0, 1_000)]
        return SimpleNamespace(
            frames=frames,
            sha256="1" * 64,
            sha1="2" * 40,
            md5="3" * 32,
            width=2,
            height=3,
            format="WEBM",
            duration_ms=1_900,
        )


class FakeAudit:
    def export(self, after: int, limit: int) -> list[AuditEntry]:
        lines = [AuditEntry(n, NOW, "operator", "peer.add", "a.example", None) for n in range(1, 4)]
        return [one for one in lines if one.number > after][:limit]


class FakeRemedies:
    def __init__(self) -> None:
        self.waiting = {7}

    def open(self) -> list[Any]:
        return [
            Remedy(
                n,
                KNOWN,
                "media-flag",
                "hotline.example/anna",
                (0,),
                "wrong",
                "2026-11-22T10:00:00Z",
                "open",
            )
            for n in self.waiting
        ]

    def list(self, *, open_only: bool) -> list[Any]:
        return self.open()

    def get(self, number: int) -> Any:
        if number != 7:
            raise NotFoundError("There is no task of this number.")
        deed = RemedyDeed(
            client="app",
            decision="block",
            rule="block-media",
            reference="u-1029",
            item=0,
            count=2,
            first="2026-11-21T10:00:00Z",
            last="2026-11-22T09:00:00Z",
        )
        return replace(self.open()[0], deeds=(deed,))

    def done(self, number: int, client: Client, note: str | None = None) -> None:
        if number != 7:
            raise NotFoundError("There is no such remedy.")
        self.waiting.discard(number)


class FakeRates:
    """Lets so many requests through."""

    def __init__(self) -> None:
        self.left = 10**9

    def count(self, keyid: str) -> None:
        if not self.left:
            raise RateLimitedError("You have made 0 requests in this minute.", retry_after_s=42)
        self.left -= 1

    def count_at_once(self, keyid: str) -> bool:
        if not self.left:
            return False
        self.left -= 1
        return True

    def take_back(self, keyid: str) -> None:
        self.left += 1


class FakeAccuracies:
    def of_year(self, year: int, *, flagger: str | None, full: bool) -> list[Accuracy]:
        counts = (9, 1, 2, 90) if full else (None,) * 4
        return [
            Accuracy(
                flagger or "hotline.example/anna", "csam.act.prepub", year, 5, 1, None, *counts
            )
        ]


class FakeErasures:
    def get(self, statement_id: str) -> Erasure:
        if statement_id != KNOWN:
            raise NotFoundError("There is no statement with this id in this node's log.")
        proof = Proof("a.example", "2026-11-22T10:00:00Z", KNOWN, "{}")
        return Erasure(KNOWN, (proof,), ("b.example",))


class FakeUploads:
    """Knows one upload."""

    def register(self, uploads: Sequence[Any], *, client: Client) -> Registered:
        return Registered(len(uploads), 0, 0)

    def delete(self, ids: Sequence[str], *, client: Client) -> int:
        return len(ids)

    def delete_one(self, upload_id: str, *, client: Client) -> None:
        if upload_id != "u-1029":
            raise NotFoundError("No upload of this id is registered.")


class FakeRetro:
    """Has found one match."""

    def matches(self, client: Client, *, after: int, limit: int) -> list[RetroMatch]:
        found = "2026-11-22T10:00:00Z"
        match = RetroMatch(7, 9, "u-1029", KNOWN, 0, "pdq", 4, "block", "rule", found, "open")
        return [match] if after < match.change else []

    def done(self, number: int, *, client: Client) -> None:
        if number != 7:
            raise NotFoundError("No match of this number is open.")


class FakeWebhooks:
    """Calls one address."""

    def put(self, url: str, *, client: Client) -> str:
        if not url.startswith("https:"):
            raise InvalidError("The address has to be https.", where="url")
        return "whsec_" + "A" * 44

    def rotate(self, *, client: Client) -> str:
        return "whsec_" + "B" * 44

    def state(self, *, client: Client) -> WebhookState:
        return self.all()[0]

    def all(self) -> list[WebhookState]:
        return [WebhookState(2, "https://platform.example/hook", None, 1, 0, None)]

    def retry(self, *, client: Client) -> int:
        return 3

    def remove(self, *, client: Client) -> None:
        return None


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


class FakeQuarantines:
    def __init__(self) -> None:
        self.state = "quarantined"

    def list(self, states: Sequence[str] = ("quarantined", "rejected")) -> list[QuarantineEntry]:
        one = QuarantineEntry(
            statement=KNOWN,
            item=0,
            issuer=f"{NAME}/anna",
            category="csam.act.prepub",
            state=self.state,
            reason="share",
            since="2026-11-22T10:00:00Z",
            matches=400,
            usual=3,
            lookups=4_000,
            issuer_told=None,
            decided_by=None,
        )
        return [one] if self.state in states else []

    def _say(self, state: str, statement: str) -> QuarantineEntry:
        if statement != KNOWN:
            raise NotFoundError("There is no statement with this id in this node's log.")
        self.state = state
        return self.list([state])[0]

    def confirm(self, statement: str, item: int, *, actor: str) -> QuarantineEntry:
        if self.state != "quarantined":
            raise ConflictError("The entry is not in quarantine.")
        return self._say("confirmed", statement)

    def reject(self, statement: str, item: int, *, actor: str) -> QuarantineEntry:
        return self._say("rejected", statement)


class FakeAllowList:
    def __init__(self) -> None:
        self.entries = {7: Allowed(7, "pdq", b"secret", 8, "logo", NOW, "op", NOW + 9)}

    def list(self) -> list[Allowed]:
        return list(self.entries.values())

    def add(self, kind: str, value: str, *, actor: str, **said: Any) -> Allowed:
        return self.entries[7]

    def remove(self, number: int, *, actor: str) -> None:
        if self.entries.pop(number, None) is None:
            raise NotFoundError("The allow list has no entry of this number.")


class FakeSources:
    def list(self) -> list[SourceState]:
        return [SourceState(NAME, 25, 9, 3, 4, 2, 1)]

    def matches(self) -> dict[tuple[str, str], int]:
        return {(NAME, "acted"): 3, (NAME, "shadow"): 4}


class FakeSuccessions:
    def own_after(self, version: int) -> Descriptors:
        return Descriptors(descriptors=("{}",) if version == 0 else ())

    def announced(self, message: Descriptors) -> None:
        if not message.descriptors:
            raise InvalidError("There is no descriptor in the message.", where="descriptors")


class FakeJoining:
    def applicant(self, request: JoinRequest) -> Any:
        raise NotFoundError(f"No invite that is good has this code of {len(request.code)}.")


class FakeBudgets:
    def usage(self, day: str | None = None) -> list[Usage]:
        members = {"platform-a.example": 4_000}
        allowed = Allowance(per_day=5_000, per_minute=600)
        return [Usage("hotline.example/c", "platform-a.example", allowed, 4_000, 80, members)]

    def alarms(self) -> list[Usage]:
        return self.usage()


class FakeCircles:
    def __init__(self) -> None:
        self.frozen = [FrozenHolder("hotline.example/minors-1", "holder-2.example", NOW, "lied")]

    def frozen_holders(self) -> list[FrozenHolder]:
        return self.frozen

    def thaw_holder(self, circle: str, node: str, *, actor: str) -> None:
        assert actor
        if not self.frozen or (self.frozen[0].circle, self.frozen[0].node) != (circle, node):
            raise NotFoundError("No holder of this name is frozen in this circle.")
        self.frozen = []


class FakeAsking:
    def outcomes(self) -> dict[str, int]:
        return {"answered": 5, "late": 1}

    def failing(self) -> dict[str, list[str]]:
        return {"hotline.example/minors-1": ["holder-3.example"]}


class FakeHealth:
    def __init__(self) -> None:
        self.wrong: tuple[str, ...] = ()

    def reasons(self) -> tuple[str, ...]:
        return self.wrong


def fake_services(directory: Path, *, url: str = "http://127.0.0.1:8440", **settings: Any) -> Any:
    """Returns services of a node that knows one statement, one peer and one flagger."""
    said = {"metrics_enabled": True} | settings
    peers = FakePeers()
    statements = FakeStatements(peers)
    return SimpleNamespace(
        settings=Settings(directory=directory, name=NAME, url=url, **said),
        clock=lambda: float(NOW),
        store=None,
        log=statements,
        ingest=statements,
        serving=statements,
        flags=statements,
        lookups=FakeLookups(),
        accounts=FakeAccounts(statements),
        reissues=FakeReissues(statements),
        evaluator=FakeEvaluator(peers),
        budgets=FakeBudgets(),
        circles=FakeCircles(),
        asking=FakeAsking(),
        participation=FakeParticipation(),
        peers=peers,
        successions=FakeSuccessions(),
        joining=FakeJoining(),
        witness=FakeWitness(),
        mirroring=FakeMirroring(),
        publication=FakePublication(),
        standing=FakeStanding(),
        accusations=FakeAccusations(),
        clients=FakeClients(),
        audit=FakeAudit(),
        remedies=FakeRemedies(),
        accuracies=FakeAccuracies(),
        rates=FakeRates(),
        erasures=FakeErasures(),
        uploads=FakeUploads(),
        retro=FakeRetro(),
        webhooks=FakeWebhooks(),
        health=FakeHealth(),
        pool=FakePool(),
        films=FakeFilms(),
        quarantines=FakeQuarantines(),
        allow_list=FakeAllowList(),
        sources=FakeSources(),
        streams=FakeStreams(),
        policy=SimpleNamespace(problem=None),
    )


def bearer(scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_for(scope)}"}


def signed(
    method: str, url: str, body: bytes = b"", *, key: SigningKey = NODE_KEY, now: int = NOW
) -> dict[str, str]:
    return sign_request(method=method, url=url, body=body, key=key, now=now)


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[tuple[str, Any]]:
    """Serves fake services by a real server on a free port; gives its URL and the services."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        services = fake_services(directory, url=url)
        server = uvicorn.Server(server_config(build_api(services)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            # The socket listens already: the first request waits in its queue until it is served.
            assert httpx.get(f"{url}/livez", timeout=WITHIN_S).status_code == 200
            yield url, services
        finally:
            server.should_exit = True
            thread.join(WITHIN_S)
