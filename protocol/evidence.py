"""Evidence against a node, as one self-contained JSON document (docs/protocol.md section 6.9).

What it is: the form of the document. What it is not: a verdict, which `federation.evidence` gives.
Whoever wrote it is believed in nothing: all that counts in it is signed by the node that it is
about.
"""

import hashlib
from typing import Annotated, Final, Literal

from msgspec import Meta

from protocol import limits
from protocol.encoding import convert, encode_json, parse_json
from protocol.fields import Bytes32, Digest256, LogSize, NodeName, Text, TimeField
from protocol.messages import Message
from protocol.structs import ContradictionError

FORMAT: Final = "schutznetz-evidence"

EvidenceKind = Literal["two-roots", "rewritten-entry", "bad-proof"]

NoteText = Annotated[str, Meta(max_length=limits.MAX_NOTE_BYTES)]
_Envelope = Annotated[str, Meta(max_length=limits.MAX_ENVELOPE_BYTES)]
_Proof = Annotated[tuple[Bytes32, ...], Meta(max_length=limits.MAX_CONSISTENCY_HASHES)]


class Place(Message, frozen=True, kw_only=True):
    """An entry of a log, and the proof that the log holds it at the document's `index`."""

    entry: Digest256
    proof: _Proof


class SaidRequest(Message, frozen=True, kw_only=True):
    """A request to a witness as it was signed (RFC 9421): `POST /add-checkpoint`.

    Attributes:
        url: as the witness was called.
        digest: field ``Content-Digest``.
        input: field ``Signature-Input``.
        signature: field ``Signature``.
        body: bytes of the body; they are UTF-8.
    """

    url: Annotated[str, Meta(max_length=2 * limits.MAX_URL_CHARS)]
    digest: Text
    input: Text
    signature: Text
    body: Annotated[str, Meta(max_length=limits.MAX_NOTE_BYTES + (4 << 10))]


class Evidence(Message, frozen=True, kw_only=True):
    """What a node has signed, and cannot have signed if its log only grows.

    Attributes:
        format: always `FORMAT`.
        version: of the format.
        kind: ``two-roots``: two checkpoints of one size with different roots. ``rewritten-entry``:
            two checkpoints, and at one place in both logs different entries. ``bad-proof``: a
            request to a witness with a proof that does not lead from the one checkpoint to the
            other, signed with the node's request key.
        node: whom it is about.
        found: when it was found, as whoever found it says.
        descriptors: envelopes of the node's descriptors from version 1 on, with the keys.
        notes: the two checkpoints; of ``bad-proof`` the one that was cosigned before.
        index: of ``rewritten-entry``.
        places: of ``rewritten-entry``: in the log of each note.
        request: of ``bad-proof``.
    """

    format: Literal["schutznetz-evidence"]
    version: Literal[1]
    kind: EvidenceKind
    node: NodeName
    found: TimeField
    descriptors: Annotated[tuple[_Envelope, ...], Meta(min_length=1, max_length=limits.MAX_LIST)]
    notes: Annotated[tuple[NoteText, ...], Meta(min_length=1, max_length=2)]
    index: LogSize | None = None
    places: Annotated[tuple[Place, ...], Meta(min_length=2, max_length=2)] | None = None
    request: SaidRequest | None = None

    def __post_init__(self) -> None:
        rewritten, bad = self.kind == "rewritten-entry", self.kind == "bad-proof"
        if len(self.notes) != (1 if bad else 2):
            raise ContradictionError("Evidence has two checkpoints, or one and a request.")
        if (self.places is not None) != rewritten or (self.index is not None) != rewritten:
            raise ContradictionError("There are places exactly where an entry was rewritten.")
        if (self.request is not None) != bad:
            raise ContradictionError("There is a request exactly where its proof is bad.")


def parse_evidence(data: bytes) -> Evidence:
    """Returns the evidence in a file or message; nothing in it is verified.

    Raises:
        ProtocolError: not of this form.
    """
    return convert(parse_json(data, max_bytes=limits.MAX_EVIDENCE_BYTES), Evidence)


def format_evidence(evidence: Evidence) -> bytes:
    """Returns the bytes of a document."""
    return encode_json(evidence)


def matter_of(evidence: Evidence) -> bytes:
    """Returns what two documents about the same matter have in common, 32 bytes.

    Who wrote it, when, which cosignatures it carries and which descriptors does not matter; so it
    cannot be told again and again in other words.
    """
    said = evidence.request.body if evidence.request is not None else ""
    texts = sorted(text.partition("\n\n")[0] for text in (*evidence.notes, said))
    whole = "\x00".join((evidence.kind, evidence.node, str(evidence.index), *texts))
    return hashlib.sha256(whole.encode()).digest()
