"""Programs of the operator's own that may call this node, and what each may do."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from node.storage.access import ClientRecord
from node.storage.engine import Store
from protocol.encoding import to_base64url
from protocol.errors import InvalidError, NotAllowedError, NotFoundError

SCOPES = ("match", "check", "flag", "ban", "statements", "uploads", "admin")
"""What a key may be good for: match media, check accounts, flag media, ban accounts, act on and
read statements, register uploads, administer the node."""

_TOKEN_PREFIX = "snk_"  # noqa: S105  # says what the text is, to a person and to secret scanners
_TOKEN_BYTES = 32
_MAX_NAME_CHARS = 64


@dataclass(frozen=True)
class Client:
    """A caller whose key was accepted."""

    id: int
    name: str
    scopes: frozenset[str]


@dataclass(frozen=True, repr=False)
class _Known:
    """Whom the database had accepted, by digest of the key, at one version of it."""

    version: int | None
    clients: Mapping[bytes, Client]


class Clients:
    """Makes, checks and revokes bearer keys; only their digests are stored."""

    def __init__(self, store: Store, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._known = _Known(None, {})

    def create(
        self, name: str, scopes: Iterable[str], *, actor: str = "operator"
    ) -> tuple[Client, str]:
        """Returns a new client and its key, which is shown this once.

        Raises:
            InvalidError: an empty name, no scope, or one that does not exist.
            ConflictError: the name is taken.
        """
        chosen = frozenset(scopes)
        if not name.strip() or len(name) > _MAX_NAME_CHARS:
            raise InvalidError(
                f"A client has a name of 1 to {_MAX_NAME_CHARS} characters.", where="name"
            )
        if not chosen or not chosen <= set(SCOPES):
            raise InvalidError(f"Choose scopes among {', '.join(SCOPES)}.", where="scopes")
        token = _TOKEN_PREFIX + to_base64url(secrets.token_bytes(_TOKEN_BYTES))
        now = int(self._clock())
        with self._store.write() as transaction:
            number = transaction.access.add_client(name, _digest(token), chosen, now=now)
            transaction.journal.audit(
                actor, "client.create", at=now, subject=name, detail=",".join(sorted(chosen))
            )
        return Client(number, name, chosen), token

    def known(self, token: str) -> Client | None:
        """Returns the client that `authenticate` would without asking the database, else None."""
        version, known = self._store.version(), self._known
        if version is None or known.version != version:
            return None
        return known.clients.get(_digest(token))

    def authenticate(self, token: str) -> Client:
        """Returns the client with this key.

        The key is looked up by its SHA-256: 256 random bits need no slow digest, and a look-up by
        digest tells an observer of times nothing about the key. Who was accepted is remembered
        until anything at all changes in the database, so that access still ends at once.

        Raises:
            NotAllowedError: no such key, or its access has ended.
        """
        version = self._store.version()
        digest = _digest(token)
        known = self._known
        if version is not None and known.version == version and digest in known.clients:
            return known.clients[digest]
        with self._store.read_soon() as transaction:
            found = transaction.access.client_with(digest)
        if found is None or found.revoked is not None:
            raise NotAllowedError("This key opens nothing here.")
        client = Client(found.number, found.name, found.scopes)
        others = known.clients if known.version == version else {}
        self._known = _Known(version, {**others, digest: client})
        return client

    def list(self) -> list[ClientRecord]:
        """Returns every client, revoked ones too."""
        with self._store.read() as transaction:
            return transaction.access.clients()

    def revoke(self, number: int, *, actor: str = "operator") -> None:
        """Ends a client's access at once; it is told of nothing any more either.

        Raises:
            NotFoundError: there is no such client, or its access has ended before.
        """
        now = int(self._clock())
        with self._store.write() as transaction:
            if not transaction.access.revoke_client(number, now=now):
                raise NotFoundError("There is no client of this number with access.")
            transaction.webhooks.remove(number)
            transaction.journal.audit(
                actor, "client.revoke", at=now, subject=str(number), detail=None
            )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
