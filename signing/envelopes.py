"""Statements signed and verified: DSSE with Ed25519.

`sign_statement` makes an envelope, `verify_envelope` is the only way from untrusted bytes to a
`Verified` statement. Whether the key may speak for the issuer named in the statement is not decided
here but in `federation.trust`, which calls this.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from protocol.encoding import to_base64url
from protocol.envelope import (
    Envelope,
    Signature,
    encode_envelope,
    pae,
    parse_envelope,
    payload_type,
    statement_id,
)
from protocol.errors import UnknownKeyError, VersionError
from protocol.fields import StatementId
from protocol.statements import Statement, encode_statement, parse_as
from signing.keys import PublicKey, SigningKey

NONCE_BYTES = 16

FindKeys = Callable[[Statement, str], PublicKey | None]
"""Given the unverified statement and a key id: the key, if it may sign this statement, else None.

It is called before the signature is checked and must only look keys up.
"""


@dataclass(frozen=True)
class Verified:
    """A statement whose signature holds, under a key that `FindKeys` vouched for.

    Attributes:
        id: statement id.
        statement: the value that was signed.
        keyid: of the key that signed it.
        envelope: the exact bytes it came in.
    """

    id: StatementId
    statement: Statement
    keyid: str
    envelope: bytes


def new_nonce() -> str:
    """Returns a fresh statement nonce: 128 random bits in base64url."""
    return to_base64url(secrets.token_bytes(NONCE_BYTES))


def sign_statement(statement: Statement, key: SigningKey) -> bytes:
    """Returns the envelope of `statement`, signed with one key.

    The payload is parsed again before it is signed, so that nobody signs what no one would accept.

    Raises:
        ProtocolError: the statement is not one that the protocol allows.
    """
    payload = encode_statement(statement)
    parse_as(type(statement), payload)
    kind = payload_type(statement.KIND)
    signature = Signature(key.kid, key.sign(pae(kind, payload)))
    return encode_envelope(Envelope(kind, payload, (signature,)))


def verify_envelope(
    data: bytes, find_key: FindKeys, *, kinds: dict[str, type[Statement]]
) -> Verified:
    """Returns the statement in `data` once one signature under a known key holds.

    The steps are those of docs/protocol.md section 5.2.

    Args:
        data: untrusted bytes.
        find_key: which key may sign which statement.
        kinds: the kinds of statement that are accepted here.

    Raises:
        ProtocolError: not an envelope, or not a statement of these kinds.
        UnknownKeyError: no signature names a key that may sign this statement.
        BadSignatureError: such a key is named, but its signature does not fit.
    """
    # 1. The form of the envelope, and the type that it names.
    envelope = parse_envelope(data)
    kind = kinds.get(envelope.kind)
    if kind is None:
        raise VersionError("This kind of statement is not accepted here.")
    # 2. The payload, from exactly the bytes that were signed.
    statement = parse_as(kind, envelope.payload)
    # 3. A key that may sign this statement; names of keys are hints, and count only once each.
    message = pae(envelope.payload_type, envelope.payload)
    for keyid, signature in {one.keyid: one.sig for one in envelope.signatures}.items():
        key = find_key(statement, keyid)
        if key is None:
            continue
        # 4. The signature. One bad signature of a known key refuses the whole envelope.
        if key.kid != keyid:
            raise RuntimeError("find_key returned another key than it was asked for")
        key.verify(message, signature)
        return Verified(
            statement_id(envelope.payload_type, envelope.payload), statement, keyid, data
        )
    raise UnknownKeyError("The statement is signed with no key that may speak for its issuer.")
