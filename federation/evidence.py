"""Evidence that a node has contradicted itself: making it, and the decision to believe it.

Whoever hands it over is believed in nothing, and nor is its file: it counts if it holds under the
keys of the node that it is about. That these are that node's keys, the reader knows from a pin, or
compares the fingerprint that is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from federation.offline import FileNode, read_nodes
from protocol.checkpoint import Checkpoint
from protocol.encoding import format_time, from_base64url, to_base64url
from protocol.errors import (
    MalformedError,
    ProofError,
    SigningError,
    UnknownKeyError,
)
from protocol.evidence import Evidence, EvidenceKind, Place, SaidRequest
from protocol.merkle import (
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from protocol.witnessing import parse_add_checkpoint
from signing.keys import PublicKey
from signing.notes import drop_false_lines, open_signed
from signing.requests import created_of, verify_request

_SENTENCES: Final[dict[EvidenceKind, str]] = {
    "two-roots": "it has signed two different logs of {new} entries",
    "rewritten-entry": "entry {index} of its log was another one when it signed {old} entries "
    "than when it signed {new}",
    "bad-proof": "it has asked a witness to cosign {new} entries, with a proof that they extend "
    "the {old} of before, which does not hold",
}


@dataclass(frozen=True)
class Shown:
    """What evidence shows, now that it was verified.

    Attributes:
        node: whom it is about, with its keys, as the descriptors in the document say.
        kind: of the evidence.
        sentence: what that node has done, for a person.
    """

    node: FileNode
    kind: EvidenceKind
    sentence: str


def verify_evidence(evidence: Evidence) -> Shown:
    """Returns what evidence shows (docs/protocol.md section 6.9).

    1. The descriptors are those of one node, the one named, from its first version on, each signed
       as section 7 asks.
    2. Every note is a checkpoint of that node's log, signed by one of its log keys.
    3. ``two-roots``: the sizes are the same, and the roots are not.
    4. ``rewritten-entry``: the entries differ, and each is proved at the index in its log.
    5. ``bad-proof``: the request is signed by a request key of the node, to no other path than that
       of witnesses. Its checkpoint satisfies step 2, its old size is the size of the note, and
       its proof does not hold between the two.

    Raises:
        ProtocolError: it is not of its form, or shows nothing.
        SigningError: it is not signed by that node.
    """
    # Step 1
    nodes = read_nodes(one.encode() for one in evidence.descriptors)
    if set(nodes) != {evidence.node}:
        raise MalformedError("The descriptors are of another node.", where="descriptors")
    whose = nodes[evidence.node]
    # Step 2
    opened = [_open(note.encode(), whose) for note in evidence.notes]
    old, new = opened[0], opened[-1]
    # Step 3
    if evidence.kind == "two-roots":
        if old.size != new.size or old.root == new.root:
            raise ProofError("The two checkpoints do not contradict each other.")
    # Step 4
    elif evidence.places is not None:
        assert evidence.index is not None  # the document's own form
        first, second = evidence.places
        if first.entry == second.entry:
            raise ProofError("The two logs have the same entry at this place.")
        for place, checkpoint in zip(evidence.places, opened, strict=True):
            _check_place(place, evidence.index, checkpoint)
    # Step 5
    else:
        assert evidence.request is not None
        new = _open_request(evidence.request, old, whose)
    sentence = _SENTENCES[evidence.kind].format(old=old.size, new=new.size, index=evidence.index)
    return Shown(whose, evidence.kind, sentence)


def _found(
    kind: EvidenceKind,
    node: str,
    descriptors: Sequence[bytes],
    notes: Sequence[bytes],
    *,
    now: int,
    **more: Any,
) -> Evidence:
    return Evidence(
        format="schutznetz-evidence",
        version=1,
        kind=kind,
        node=node,
        found=format_time(now),
        descriptors=tuple(one.decode() for one in descriptors),
        notes=tuple(one.decode() for one in notes),
        **more,
    )


def without_false_lines(evidence: Evidence) -> Evidence:
    """Returns the same, without signature lines under the log's name that do not hold.

    Whoever hands a note on can add one under a key that its reader did not look for. With it, the
    document would convince nobody.

    Raises:
        ProtocolError: a descriptor or a note is not of its form.
        SigningError: a descriptor is not signed as it should be.
    """
    whose = read_nodes(one.encode() for one in evidence.descriptors).get(evidence.node)
    if whose is None:
        return evidence
    notes = []
    for note in evidence.notes:
        kept = drop_false_lines(note.encode(), origin=whose.node.log_origin, keys=whose.log_keys)
        notes.append(note if kept is None else kept.decode())
    return msgspec.structs.replace(evidence, notes=tuple(notes))


def two_roots(
    node: str, descriptors: Sequence[bytes], notes: tuple[bytes, bytes], *, now: int
) -> Evidence:
    """Returns the evidence that two notes of one size are."""
    return _found("two-roots", node, descriptors, notes, now=now)


def bad_proof(
    node: str, descriptors: Sequence[bytes], note: bytes, request: SaidRequest, *, now: int
) -> Evidence:
    """Returns the evidence that a request to a witness is, beside the checkpoint of before."""
    return _found("bad-proof", node, descriptors, (note,), now=now, request=request)


def rewritten_entry(
    node: str,
    descriptors: Sequence[bytes],
    notes: tuple[bytes, bytes],
    logs: tuple[Sequence[bytes], Sequence[bytes]],
    *,
    now: int,
) -> Evidence | None:
    """Returns the evidence that two logs are in which one entry differs; None if none does.

    Args:
        node: whose logs.
        descriptors: of the node, from the first version on.
        notes: the checkpoints of the two logs.
        logs: the entries that each commits to, all of them, 32 bytes each; hashed here.
        now: Unix time in seconds.
    """
    first, second = logs
    index = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    if index is None:
        return None
    places = []
    for log in logs:
        proof = inclusion_proof([leaf_hash(one) for one in log], index)
        places.append(Place(entry=log[index].hex(), proof=tuple(map(to_base64url, proof))))
    return _found(
        "rewritten-entry", node, descriptors, notes, now=now, index=index, places=tuple(places)
    )


def _open(note: bytes, whose: FileNode) -> Checkpoint:
    return open_signed(note, origin=whose.node.log_origin, keys=whose.log_keys)


def _check_place(place: Place, index: int, checkpoint: Checkpoint) -> None:
    proof = [from_base64url(one) for one in place.proof]
    leaf = leaf_hash(bytes.fromhex(place.entry))
    verify_inclusion(index, checkpoint.size, leaf, proof, checkpoint.root)


def _open_request(said: SaidRequest, old: Checkpoint, whose: FileNode) -> Checkpoint:
    body = said.body.encode()
    headers = {
        "content-digest": said.digest,
        "signature-input": said.input,
        "signature": said.signature,
    }
    if not said.url.endswith("/add-checkpoint"):
        raise MalformedError("The request is none to a witness.", where="request.url")
    verify_request(
        method="POST",
        url=said.url,
        headers=headers,
        body=body,
        # As it was judged when it came: a signature does not get worse by lying in a file.
        now=created_of(said.input),
        find_key=lambda keyid: _request_key(whose, keyid),
    )
    request = parse_add_checkpoint(body)
    new = _open(request.note, whose)
    if request.old_size != old.size or not 0 < old.size <= new.size:
        raise ProofError("The request is about another checkpoint than the one of before.")
    try:
        verify_consistency(old.size, new.size, old.root, new.root, request.proof)
    except ProofError:
        return new
    raise ProofError("The proof in the request holds.")


def _request_key(whose: FileNode, keyid: str) -> PublicKey:
    for one in whose.node.request_keys:
        if one.key.kid == keyid:
            return one.key
    raise UnknownKeyError("The request is signed with another key than the node's.")


def is_about_pinned(shown: Shown, fingerprint: str) -> None:
    """Returns if evidence is about the node that a reader has pinned under this fingerprint.

    Raises:
        SigningError: another node has the same name in it.
    """
    if shown.node.node.fingerprint != fingerprint:
        raise SigningError("The evidence is about another node of this name.")
