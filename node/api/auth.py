"""Who calls: bearer keys of the node's own clients, and RFC 9421 signatures of everyone else.

Every dependency here runs before the body is parsed, and answers 401 with one sentence that says
what was missing; a caller who is known but may not do this gets 403.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from node.api.bodies import ENVELOPE, JSON, json_bytes, raw_body
from node.api.guard import CALLER
from node.api.metrics import Metrics
from node.api.problems import NOT_ALLOWED, NOT_AUTHENTICATED, ProblemError
from node.app import Services
from node.services.clients import Client
from node.services.once import Once
from node.services.peers import Caller
from protocol.errors import (
    NotAllowedError,
    ProtocolError,
    SchutznetzError,
    SigningError,
    UnknownKeyError,
)
from signing.keys import PublicKey
from signing.requests import verify_request

MAX_TOKEN_CHARS: Final = 128
"""Longest bearer key that is looked at; ours have 47 characters."""

_BEARER: Final = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    description="A key of the node's operator: `schutznetz node client add`.",
)
_SIGNATURE: Final = APIKeyHeader(
    name="Signature",
    auto_error=False,
    scheme_name="signature",
    description="RFC 9421 with Ed25519 over @method, @authority, @target-uri and content-digest.",
)


async def get_services(request: Request) -> Services:
    """Returns the services of the application that serves this request."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]
"""The services, as a handler's argument."""


async def get_metrics(request: Request) -> Metrics:
    """Returns the figures of the application that serves this request."""
    metrics: Metrics = request.app.state.metrics
    return metrics


MetricsDep = Annotated[Metrics, Depends(get_metrics)]
"""The figures, as a handler's argument."""


@dataclass(frozen=True)
class Requirement:
    """A dependency that gives the client whose bearer key has a scope."""

    scope: str

    def __call__(
        self,
        request: Request,
        services: ServicesDep,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> Client:
        """Returns the client.

        Raises:
            ProblemError: nobody, not with this key, not for this scope, or not from there.
        """
        client = _client_of(services, credentials)
        request.scope["state"][CALLER] = client.name
        if self.scope not in client.scopes:
            raise ProblemError(NOT_ALLOWED, f"This key is not for the scope {self.scope!r}.")
        if self.scope == "admin" and not (
            services.settings.allow_remote_admin or is_local(request)
        ):
            raise ProblemError(
                NOT_ALLOWED, "The operator's addresses answer on the node's own machine only."
            )
        return client

    def check(self, request: Request, services: Services) -> Client:
        """Returns the client as the call does; for who resolves no dependencies."""
        header = request.headers.get("authorization")
        scheme, key = get_authorization_scheme_param(header)
        is_bearer = scheme.lower() == "bearer" and bool(key)
        return self(
            request,
            services,
            HTTPAuthorizationCredentials(scheme=scheme, credentials=key) if is_bearer else None,
        )

    def known(self, request: Request, services: Services) -> Client | None:
        """Returns the client if that is known without asking the database, and it may do this.

        Not for the scope ``admin``, which depends on more than the key.
        """
        scheme, key = get_authorization_scheme_param(request.headers.get("authorization"))
        if scheme.lower() != "bearer" or len(key) > MAX_TOKEN_CHARS or not key.isascii():
            return None
        client = services.clients.known(key)
        if client is None or self.scope not in client.scopes or self.scope == "admin":
            return None
        request.scope["state"][CALLER] = client.name
        return client


def require(scope: str) -> Requirement:
    """Returns a dependency that gives the client whose bearer key has this scope."""
    return Requirement(scope)


def is_local(request: Request) -> bool:
    """Says whether a request comes from this machine; a caller without an address does not."""
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _client_of(services: Services, credentials: HTTPAuthorizationCredentials | None) -> Client:
    if credentials is None:
        raise _unauthenticated("A bearer key is needed: Authorization: Bearer snk_…", "Bearer")
    token = credentials.credentials
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise _unauthenticated("This is not a bearer key.", "Bearer")
    try:
        return services.clients.authenticate(token)
    except NotAllowedError:
        # One sentence for every cause: whether a key once existed is nobody's business.
        raise _unauthenticated("This bearer key is not known, or was revoked.", "Bearer") from None


@dataclass(frozen=True)
class Signed:
    """A request whose signature holds.

    Attributes:
        name: of the node or flagger that signed it.
        body: the bytes that were signed.
        once: owed by who serves it: to use it up with the first thing that it does. None where that
            has happened.
    """

    name: str
    body: bytes
    once: Once | None = None

    def __repr__(self) -> str:
        return f"Signed(name={self.name!r})"


async def _any_body(request: Request) -> bytes:
    """Reads whatever body there is: of a request without one, the empty one is what is signed."""
    return await request.body()


def signed_by(kind: str, *, body: bool, types: tuple[str, ...] = (JSON,)) -> Callable[..., Signed]:
    """Returns a dependency that gives a signed request of a ``node`` or a ``flagger``.

    Args:
        kind: who may call.
        body: whether the request has one.
        types: of the body.
    """
    reader = raw_body(*types) if body else _any_body

    def authenticate(
        request: Request,
        services: ServicesDep,
        _documented: Annotated[str | None, Security(_SIGNATURE)],
        data: Annotated[bytes, Depends(reader)],
    ) -> Signed:
        name, once = _verify(request, services, data, kind)
        services.peers.remember(once)
        return Signed(name, data)

    return authenticate


@dataclass(frozen=True)
class SignedOnce:
    """A dependency that gives a signed JSON request whose nonce the service uses up itself.

    For what is asked so often that a transaction of its own for the nonce is felt.
    """

    kind: str

    def __call__(
        self,
        request: Request,
        services: ServicesDep,
        _documented: Annotated[str | None, Security(_SIGNATURE)],
        data: Annotated[bytes, Depends(json_bytes)],
    ) -> Signed:
        """Returns the request."""
        return self.check(request, services, data)

    def check(self, request: Request, services: Services, data: bytes) -> Signed:
        """Returns the request as the call does; for who resolves no dependencies."""
        name, once = _verify(request, services, data, self.kind)
        return Signed(name, data, once)


@dataclass(frozen=True)
class SignedNow(SignedOnce):
    """The same for who owes nothing: the nonce is used up before the handler runs."""

    def check(self, request: Request, services: Services, data: bytes) -> Signed:
        """Returns the request, which was not here before."""
        name, once = _verify(request, services, data, self.kind)
        services.peers.remember(once)
        return Signed(name, data)


@dataclass(frozen=True)
class SignedRead(SignedOnce):
    """The same for a signed request without a body."""

    def __call__(
        self,
        request: Request,
        services: ServicesDep,
        _documented: Annotated[str | None, Security(_SIGNATURE)],
        data: Annotated[bytes, Depends(_any_body)],
    ) -> Signed:
        """Returns the request."""
        return self.check(request, services, data)


signed_envelope = signed_by("flagger", body=True, types=(ENVELOPE, JSON))
"""A flagger's request with an envelope in it."""


def _verify(request: Request, services: Services, data: bytes, kind: str) -> tuple[str, Once]:
    """Returns who of this kind signed a request, verified; and what has to be new about it."""
    now = int(services.clock())
    callers: list[Caller] = []
    unknown: list[UnknownKeyError] = []
    ended: list[str] = []

    def find_key(keyid: str) -> PublicKey:
        try:
            key, caller = services.peers.find_caller(keyid)
        except UnknownKeyError as error:
            if (found := services.peers.find_ended(keyid)) is None:
                raise
            unknown.append(error)
            key, day = found
            ended.append(day)
            return key
        callers.append(caller)
        return key

    try:
        signed = verify_request(
            method=request.method,
            url=_url_of(request, services),
            headers=request.headers,
            body=data,
            now=now,
            find_key=find_key,
        )
    except (ProtocolError, SigningError) as error:
        # These sentences are ours, and hold figures about clocks at most. That a key was known here
        # once is the business of who has it, and nobody else's.
        raise _unauthenticated(str(unknown[0] if unknown else error), "Signature") from None
    if ended:
        raise _unauthenticated(
            f"Your accreditation ended on {ended[0]}: ask the operator of your node for a new one.",
            "Signature",
        )
    (caller,) = callers
    request.scope["state"][CALLER] = caller.name
    if caller.kind != kind:
        raise ProblemError(NOT_ALLOWED, f"Only a {kind} that is known here may call this.")
    # Once the signature holds: nobody uses up another's requests.
    services.rates.count(signed.keyid)
    return caller.name, Once(signed.keyid, signed.nonce, now)


def verify_at_once(request: Request, services: Services) -> tuple[str, Once] | None:
    """Returns what `_verify` does, of a pinned node's request without a body.

    None for every other request, and for one that is counted by whoever may wait; which it is, is
    not said here.
    """
    now = int(services.clock())
    callers: list[Caller] = []

    def find_key(keyid: str) -> PublicKey:
        found = services.peers.find_node(keyid, wait=False)
        if found is None:
            raise UnknownKeyError("No pinned node has this key.")
        callers.append(found[1])
        return found[0]

    try:
        signed = verify_request(
            method=request.method,
            url=_url_of(request, services),
            headers=request.headers,
            body=b"",
            now=now,
            find_key=find_key,
        )
    except SchutznetzError:
        return None
    if not services.rates.count_at_once(signed.keyid):
        return None
    return callers[0].name, Once(signed.keyid, signed.nonce, now)


def _url_of(request: Request, services: Services) -> str:
    """Returns the address as it stands on the request line, under the *configured* URL.

    A request that was signed for another node must not verify here, whatever its Host field says.
    """
    scope: Any = request.scope
    query = scope["query_string"].decode("latin-1")
    target: str = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    return services.settings.url + target


def verify_applicant(request: Request, services: Services, data: bytes, key: PublicKey) -> Once:
    """Returns what has to be new about a request that a key signed which nobody vouches for yet.

    Raises:
        ProblemError: it is signed with another key, or not as it should be.
    """
    now = int(services.clock())

    def find_key(keyid: str) -> PublicKey:
        if keyid != key.kid:
            raise UnknownKeyError("The request is not signed with the key of who applies.")
        return key

    try:
        signed = verify_request(
            method=request.method,
            url=services.settings.url + request.scope["raw_path"].decode("latin-1"),
            headers=request.headers,
            body=data,
            now=now,
            find_key=find_key,
        )
    except (ProtocolError, SigningError) as error:
        raise _unauthenticated(str(error), "Signature") from None
    return Once(signed.keyid, signed.nonce, now)


def _unauthenticated(sentence: str, scheme: str) -> ProblemError:
    return ProblemError(NOT_AUTHENTICATED, sentence, header={"WWW-Authenticate": scheme})
