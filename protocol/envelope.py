"""DSSE envelopes (Dead Simple Signing Envelope v1.0.2): a payload, its type, its signatures.

What is signed is the PAE of the exact payload bytes, and the statement id is the SHA-256 of that
PAE: not of the envelope's JSON, whose spelling may change, nor of its key ids, which nothing
protects. No canonicalisation anywhere. Signatures are checked in `signing.envelopes`.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from protocol import limits
from protocol.encoding import convert, encode_json, from_base64, parse_json, to_base64
from protocol.errors import LimitError, MalformedError
from protocol.fields import Digest128, StatementId

_TYPE_PREFIX = "application/vnd.schutznetz."
_TYPE_SUFFIX = ".v1+json"
SIGNATURE_BYTES = 64
MAX_SPELLING_BYTES = 1024
"""By how much an envelope may be longer than its compact JSON: order, blanks and escapes are free,
but nobody signs them, and every holder serves them on."""


class _WireSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keyid: Digest128
    sig: str


class _WireEnvelope(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    payload: str
    payload_type: Annotated[str, Meta(max_length=128)]
    signatures: Annotated[
        tuple[_WireSignature, ...], Meta(min_length=1, max_length=limits.MAX_SIGNATURES)
    ]


@dataclass(frozen=True)
class Signature:
    """One signature: a hint whose key it is, and 64 bytes of Ed25519."""

    keyid: str
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """An envelope that has the right form; nothing in it may be believed yet."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def kind(self) -> str:
        """Kind of statement that the payload type names.

        Raises:
            MalformedError: the payload is no statement of this protocol.
        """
        return kind_of(self.payload_type)

    @property
    def statement_id(self) -> StatementId:
        """SHA-256 of the PAE, in hexadecimal."""
        return statement_id(self.payload_type, self.payload)

    def __repr__(self) -> str:
        return f"Envelope({self.payload_type!r}, {len(self.payload)} bytes)"


def payload_type(kind: str) -> str:
    """Returns the DSSE payload type of a kind of statement."""
    return f"{_TYPE_PREFIX}{kind}{_TYPE_SUFFIX}"


def kind_of(payload_type_text: str) -> str:
    """Returns the kind of statement that a payload type names; the inverse of `payload_type`.

    Raises:
        MalformedError: it is no payload type of this protocol.
    """
    kind = payload_type_text.removeprefix(_TYPE_PREFIX).removesuffix(_TYPE_SUFFIX)
    if payload_type(kind) != payload_type_text:
        raise MalformedError("The payload type is not one of this protocol.", where="payloadType")
    return kind


def pae(payload_type_text: str, payload: bytes) -> bytes:
    """Returns the pre-authentication encoding (DSSE v1 protocol, "Signature Definition")."""
    kind = payload_type_text.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def statement_id(payload_type_text: str, payload: bytes) -> StatementId:
    """Returns the id of the statement with this type and these payload bytes."""
    return StatementId(hashlib.sha256(pae(payload_type_text, payload)).hexdigest())


def parse_envelope(data: bytes) -> Envelope:
    """Returns the envelope in `data`, unverified.

    Raises:
        LimitError: longer than `limits.MAX_ENVELOPE_BYTES`.
        MalformedError: no DSSE envelope, or base64 that is not canonical; or it holds what nobody
            signs: other keys, one key id twice, or more blanks than a spelling needs.
    """
    value = parse_json(data, max_bytes=limits.MAX_ENVELOPE_BYTES)
    try:
        wire = convert(value, _WireEnvelope)
    except MalformedError as error:
        if "unknown field" in str(error):
            # Never by its name, which would travel on in reasons and logs.
            raise MalformedError(
                "The envelope holds an unknown field.", where=error.where
            ) from None
        raise
    signatures = tuple(
        Signature(one.keyid, from_base64(one.sig, where=f"signatures[{at}].sig"))
        for at, one in enumerate(wire.signatures)
    )
    if any(len(one.sig) != SIGNATURE_BYTES for one in signatures):
        raise MalformedError("An Ed25519 signature has 64 bytes.", where="signatures")
    if len({one.keyid for one in signatures}) != len(signatures):
        raise MalformedError("One key signs an envelope once.", where="signatures")
    if len(data) > len(encode_json(wire)) + MAX_SPELLING_BYTES:
        raise MalformedError("The envelope is padded.")
    return Envelope(wire.payload_type, from_base64(wire.payload, where="payload"), signatures)


def encode_envelope(envelope: Envelope) -> bytes:
    """Returns the compact JSON of an envelope.

    Raises:
        LimitError: longer than `limits.MAX_ENVELOPE_BYTES`.
    """
    data = encode_json(
        _WireEnvelope(
            payload=to_base64(envelope.payload),
            payload_type=envelope.payload_type,
            signatures=tuple(
                _WireSignature(one.keyid, to_base64(one.sig)) for one in envelope.signatures
            ),
        )
    )
    if len(data) > limits.MAX_ENVELOPE_BYTES:
        raise LimitError(
            f"The envelope would be longer than {limits.MAX_ENVELOPE_BYTES} bytes: split it."
        )
    return data
