"""HTTP requests signed with RFC 9421, in the one profile that docs/protocol.md allows.

The profile: one signature ``sig1`` over exactly ``"@method" "@authority" "@target-uri"
"content-digest"`` in that order, of a GET too (the digest of the empty body); the parameters
``created``, ``expires``, ``nonce``, ``keyid``, ``alg`` and ``tag``, each once; ``Content-Digest``
with sha-256 alone (RFC 9530). All three fields stand in their canonical serialisation (RFC 8941
section 4.1), so a request has one form, and what is not of it is refused before any key is sought.

What it is not: the memory of nonces. A request that verifies here may still be a replay; the caller
records (keyid, nonce) for `protocol.limits.NONCE_KEPT_S` and refuses what is there already.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from http_message_signatures import HTTPMessageSignaturesException, HTTPSignatureComponentResolver

from protocol.encoding import from_base64, from_base64url, to_base64, to_base64url
from protocol.errors import BadSignatureError, LimitError, MalformedError
from protocol.limits import REQUEST_LIFETIME_S, REQUEST_SKEW_S
from signing.keys import KeyUse, PublicKey, SigningKey

LABEL: Final = "sig1"
"""Name of the one signature in the fields ``Signature-Input`` and ``Signature``."""

TAG: Final = "schutznetz/v1"
"""Value of the parameter ``tag``: a signature made for another application is not ours."""

ALGORITHM: Final = "ed25519"
"""Value of the parameter ``alg`` (RFC 9421 section 3.3.6)."""

COMPONENTS: Final = ("@method", "@authority", "@target-uri", "content-digest")
"""What every signature covers, in this order (RFC 9421 section 2)."""

NONCE_BYTES: Final = 16
"""Randomness of a nonce; 22 characters of base64url on the wire."""

MAX_FIELD_CHARS: Final = 512
"""Longest of the three header fields; ours have at most 206 characters."""

_KEPT_URLS: Final = 1_024
_COMPONENTS_OF: Final[Any] = HTTPSignatureComponentResolver  # the library has no types for it

_FIELDS: Final = ("content-digest", "signature-input", "signature")
_USES: Final = frozenset({KeyUse.REQUEST, KeyUse.FLAGGER})

_METHOD: Final = re.compile(r"[A-Z]{1,16}")
_DIGEST_FIELD: Final = re.compile(r"sha-256=:[A-Za-z0-9+/]{43}=:")
# The last character of 64 bytes carries two bits; the library would let the other four be anything.
_SIGNATURE_FIELD: Final = re.compile(r"sig1=:[A-Za-z0-9+/]{85}[AQgw]==:")
_INPUT_FIELD: Final = re.compile(
    r'sig1=\((?P<components>[^()]*)\)(?P<params>(?:;[a-z]+=(?:0|[1-9]\d{0,14}|"[\w/-]{1,64}"))*)',
    re.ASCII,
)
_PARAM: Final = re.compile(r';([a-z]+)=(?:(\d+)|"([^"]*)")', re.ASCII)
_COVERED: Final = " ".join(f'"{name}"' for name in COMPONENTS)
_NUMBERS: Final = frozenset({"created", "expires"})
_TEXTS: Final = frozenset({"nonce", "keyid", "alg", "tag"})
_KEYID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class SignedRequest:
    """Who signed a request, and what makes the request unique.

    Attributes:
        keyid: `PublicKey.kid` of the key under which the signature holds.
        nonce: 22 characters of base64url, once per key within `NONCE_KEPT_S`.
        created: Unix time in seconds at which the signer's clock stood.
    """

    keyid: str
    nonce: str
    created: int


@dataclass(frozen=True)
class _Message:
    """A request as the library wants to see it."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


def sign_request(
    *,
    method: str,
    url: str,
    body: bytes,
    key: SigningKey,
    now: int,
    nonce: bytes | None = None,
) -> dict[str, str]:
    """Return the three header fields that sign a request.

    Args:
        method: in upper case.
        url: the whole URL, spelled exactly as the receiver's descriptor and the request spell it.
        body: the bytes as they are sent, after any content coding; empty where there is none.
        key: for the use ``request`` or ``flagger``.
        now: Unix time in seconds.
        nonce: 16 random bytes; made here if None. A second try of a request needs a new one.

    Returns:
        ``Content-Digest``, ``Signature-Input`` and ``Signature``, to be added to the request.

    Raises:
        MalformedError: the method is not in upper case, or the URL is not an absolute one.
        RuntimeError: the key is for another use, or the nonce has another length.
    """
    if key.use not in _USES:
        raise RuntimeError(f"A key for {key.use.value!r} does not sign requests.")
    if nonce is None:
        nonce = secrets.token_bytes(NONCE_BYTES)
    if len(nonce) != NONCE_BYTES:
        raise RuntimeError(f"A nonce has {NONCE_BYTES} bytes.")
    digest = _content_digest(body)
    params = (
        f'({_COVERED});created={now};keyid="{key.kid}";alg="{ALGORITHM}";'
        f'expires={now + REQUEST_LIFETIME_S};nonce="{to_base64url(nonce)}";tag="{TAG}"'
    )
    signature = key.sign(_signature_base(method, url, digest, params))
    return {
        "Content-Digest": digest,
        "Signature-Input": f"{LABEL}={params}",
        "Signature": f"{LABEL}=:{to_base64(signature)}:",
    }


def created_of(signature_input: str) -> int:
    """Return when a request says that it was signed; nothing is verified.

    Args:
        signature_input: its field ``Signature-Input``, untrusted.

    Raises:
        MalformedError: the field is not of the profile's form.
    """
    if len(signature_input) > MAX_FIELD_CHARS:
        raise MalformedError("A field of the signature is too long.")
    match = _INPUT_FIELD.fullmatch(signature_input)
    found = [] if match is None else _PARAM.findall(match["params"])
    created = [number for name, number, _ in found if name == "created" and number]
    if len(created) != 1:
        raise MalformedError("The request does not say when it was signed.")
    return int(created[0])


def verify_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    now: int,
    find_key: Callable[[str], PublicKey],
) -> SignedRequest:
    """Return who signed the request, now that the signature is known to hold.

    Trusted afterwards: method, URL and body came from the owner of the key, for this server, and
    not longer ago than `REQUEST_LIFETIME_S`, give or take the skew. Owed by the caller: to refuse a
    (keyid, nonce) that was there before, and to decide what the key's owner may do. Other header
    fields are not signed and prove nothing.

    Args:
        method: of the request line.
        url: this server's *configured* public URL followed by path and query of the request line,
            undecoded. Never made of the ``Host`` field: a request to another server would verify.
        headers: all fields of the request; repeated ones either joined or repeated by ``items()``.
        body: the bytes as received, before any content coding is undone.
        now: Unix time in seconds.
        find_key: gives the key of a key id, or raises `UnknownKeyError` or `RevokedError`.

    Raises:
        MalformedError: a field, or the method, is not of the profile's form.
        LimitError: a field is too long.
        BadSignatureError: unsigned, or the signature does not hold for this request and time.
        UnknownKeyError: `find_key` does not know the key.
    """
    # 1. One short field of each name.
    _check_method(method)
    fields = _pick_fields(headers)
    # 2. Exactly one signature, with exactly the components and parameters of the profile.
    params = _parse_input(fields)
    keyid, nonce = params["keyid"], params["nonce"]
    created, expires = int(params["created"]), int(params["expires"])
    # 3. The body is the one of the digest, which the signature covers.
    if not hmac.compare_digest(fields["content-digest"], _content_digest(body)):
        raise BadSignatureError("The body is not the one that Content-Digest names.")
    # 4. Made for this application, with the one algorithm.
    if (params["tag"], params["alg"]) != (TAG, ALGORITHM):
        raise BadSignatureError(f"The signature's tag is not {TAG!r} or its alg not {ALGORITHM!r}.")
    # 5. Made now.
    _check_dates(created, expires, now)
    # 6. By a key that somebody vouches for, and that is meant for this.
    key = find_key(keyid)
    if key.use not in _USES:
        raise BadSignatureError(f"A key for {key.use.value!r} does not sign requests.")
    # 7. The signature fits the signature base (RFC 9421 section 3.2).
    given = fields["signature-input"].removeprefix(f"{LABEL}=")
    signature = from_base64(fields["signature"].removeprefix(f"{LABEL}=:").removesuffix(":"))
    try:
        key.verify(_signature_base(method, url, fields["content-digest"], given), signature)
    except (BadSignatureError, MalformedError):
        raise BadSignatureError(
            "The signature does not fit this method, URL and body under the named key."
        ) from None
    return SignedRequest(keyid, nonce, created)


def _signature_base(method: str, url: str, digest: str, params: str) -> bytes:
    """Return what is signed (RFC 9421 section 2.5), of a request in the one form of the profile."""
    components = _derived_components(method, url)
    return f'{components}"content-digest": {digest}\n"@signature-params": {params}'.encode()


@lru_cache(maxsize=_KEPT_URLS)
def _derived_components(method: str, url: str) -> str:
    """Return the lines for method, authority and URL (RFC 9421 section 2.2).

    What a URL is and how its authority is spelled is left to the library, which takes a while.
    """
    _check_method(method)
    try:
        found: Any = _COMPONENTS_OF(_Message(method, url))
        values = (found.get_method(), found.get_authority(), found.get_target_uri())
    except HTTPMessageSignaturesException:
        raise MalformedError("The URL of the request is not an absolute, encoded one.") from None
    return "".join(f'"{name}": {value}\n' for name, value in zip(COMPONENTS, values, strict=False))


def _content_digest(body: bytes) -> str:
    """Return Content-Digest with sha-256 alone (RFC 9530 section 2)."""
    return f"sha-256=:{to_base64(hashlib.sha256(body).digest())}:"


def _check_method(method: str) -> None:
    if not _METHOD.fullmatch(method):
        raise MalformedError("A method is one word in upper case.")


def _pick_fields(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the three fields by lower-case name (step 1)."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower not in _FIELDS:
            continue
        if lower in found:
            raise MalformedError(f"The field {lower} stands twice.")
        if len(value) > MAX_FIELD_CHARS:
            raise LimitError(f"The field {lower} is longer than {MAX_FIELD_CHARS} characters.")
        found[lower] = value
    for name in _FIELDS:
        if name not in found:
            raise BadSignatureError(f"The request is not signed: it has no field {name}.")
    return found


def _parse_input(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the signature's parameters, all there and of their form (step 2)."""
    if not _DIGEST_FIELD.fullmatch(fields["content-digest"]):
        raise MalformedError("Content-Digest is sha-256=:…:, and nothing else.")
    if not _SIGNATURE_FIELD.fullmatch(fields["signature"]):
        raise MalformedError(f"Signature is {LABEL}=:…: with 64 bytes, and no second one.")
    match = _INPUT_FIELD.fullmatch(fields["signature-input"])
    if match is None:
        raise MalformedError(f"Signature-Input is {LABEL}=(…) with parameters, and no second one.")
    if match["components"] != _COVERED:
        raise BadSignatureError(f"The signature has to cover exactly {_COVERED}.")
    numbers: dict[str, str] = {}
    texts: dict[str, str] = {}
    found = _PARAM.findall(match["params"])
    for name, number, text in found:
        (numbers if number else texts)[name] = number or text
    if len(found) != len(_NUMBERS | _TEXTS) or numbers.keys() != _NUMBERS or texts.keys() != _TEXTS:
        raise MalformedError(
            "The parameters are created, expires, nonce, keyid, alg and tag, each once."
        )
    if not _KEYID.fullmatch(texts["keyid"]):
        raise MalformedError("A keyid has 32 hexadecimal digits in lower case.")
    from_base64url(texts["nonce"], length=NONCE_BYTES, where="nonce")
    return numbers | texts


def _check_dates(created: int, expires: int, now: int) -> None:
    """Refuse what was not made now (step 5; RFC 9421 section 7.2.2).

    The last second in which a request is good lies less than `NONCE_KEPT_S` after the first one.
    """
    if not created <= expires <= created + REQUEST_LIFETIME_S:
        raise BadSignatureError(f"A signature is valid for 0 to {REQUEST_LIFETIME_S} s.")
    if created > now + REQUEST_SKEW_S:
        raise BadSignatureError(
            f"The signature is dated {created - now} s ahead of this server's clock: "
            "one of the two clocks is wrong."
        )
    if expires + REQUEST_SKEW_S <= now:
        raise BadSignatureError(
            f"The signature expired {now - expires} s ago by this server's clock: "
            "the request was kept back, or one of the two clocks is wrong."
        )
