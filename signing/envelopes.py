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
from protocol.errors import MalformedError, UnknownKeyError, VersionError
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
        keyids: of the keys that signed it, at least one, in the order of the envelope.
        envelope: the exact bytes it came in.
    """

    id: StatementId
    statement: Statement
    keyids: tuple[str, ...]
    envelope: bytes

    @property
    def keyid(self) -> str:
        """Id of the first of the keys that signed it."""
        return self.keyids[0]

    def __repr__(self) -> str:
        return f"Verified({self.statement.KIND!r}, hidden)"


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
    # Types are checked by reading only: a field of a wrong type may still look like another value.
    if parse_as(type(statement), payload) != statement:
        raise MalformedError("A field of the statement is of another type than it should be.")
    kind = payload_type(statement.KIND)
    signature = Signature(key.kid, key.sign(pae(kind, payload)))
    return encode_envelope(Envelope(kind, payload, (signature,)))


def add_signature(envelope: bytes, key: SigningKey) -> bytes:
    """Returns an envelope with one more signature, over the same payload; the others are not read.

    Whoever signs has verified before what the envelope says.

    Raises:
        ProtocolError: not an envelope, or the key has signed it already.
    """
    parsed = parse_envelope(envelope)
    signature = Signature(key.kid, key.sign(pae(parsed.payload_type, parsed.payload)))
    whole = Envelope(parsed.payload_type, parsed.payload, (*parsed.signatures, signature))
    encoded = encode_envelope(whole)
    # Read again: with two signatures of one key, or one too many, it is no envelope.
    parse_envelope(encoded)
    return encoded


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
        BadSignatureError: such a key is named, but its signature does not fit; also where another
            such key's signature does.
    """
    # 1. The form of the envelope, and the type that it names.
    envelope = parse_envelope(data)
    kind = kinds.get(envelope.kind)
    if kind is None:
        raise VersionError("This kind of statement is not accepted here.")
    # 2. The payload, from exactly the bytes that were signed.
    statement = parse_as(kind, envelope.payload)
    # 3. The keys that may sign this statement; their names are hints, and looked up once each.
    names = dict.fromkeys(one.keyid for one in envelope.signatures)
    found = {keyid: find_key(statement, keyid) for keyid in names}
    keys = {keyid: key for keyid, key in found.items() if key is not None}
    if not keys:
        raise UnknownKeyError("The statement is signed with no key that may speak for its issuer.")
    # 4. Every signature under such a key. One bad one refuses the whole envelope, wherever it
    #    stands: the order of signatures is protected by nothing, and must not decide.
    message = pae(envelope.payload_type, envelope.payload)
    for one in envelope.signatures:
        key = keys.get(one.keyid)
        if key is None:
            continue
        if key.kid != one.keyid:
            raise RuntimeError("find_key returned another key than it was asked for")
        key.verify(message, one.sig)
    return Verified(
        statement_id(envelope.payload_type, envelope.payload), statement, tuple(keys), data
    )
