"""Who calls the API of the tests, and the doubles that know them.

They have behaviour, and no database. `api_fakes.fake_services` puts them together.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from node.services.clients import SCOPES, Client
from node.services.once import Once
from node.services.peers import Caller, PeerState
from node.storage.access import ClientRecord
from node.storage.peers import SetAsideRecord
from protocol.descriptors import fingerprint_of, parse_fingerprint
from protocol.encoding import to_base64url
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
from protocol.fields import StatementId
from signing.keys import KeyUse, PublicKey, SigningKey

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
FILM = b"\x1a\x45\xdf\xa3"
"""How a film begins."""
STREAM_ID = "5a" * 16


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
