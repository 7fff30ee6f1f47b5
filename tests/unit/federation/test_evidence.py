"""Evidence: what a node has signed convicts it, whoever hands it over, and nothing else does."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from federation.evidence import (
    bad_proof,
    is_about_pinned,
    rewritten_entry,
    two_roots,
    verify_evidence,
)
from federation.sync import sync_peer
from protocol import limits
from protocol.checkpoint import Checkpoint
from protocol.encoding import encode_json
from protocol.errors import (
    LimitError,
    MalformedError,
    PeerMisbehavedError,
    ProofError,
    ProtocolError,
    SchutznetzError,
    SigningError,
)
from protocol.evidence import (
    Evidence,
    Place,
    SaidRequest,
    format_evidence,
    matter_of,
    parse_evidence,
)
from protocol.merkle import Frontier, consistency_proof, leaf_hash
from protocol.witnessing import AddCheckpoint
from signing.keys import KeyUse, SigningKey
from signing.notes import sign_checkpoint
from signing.requests import created_of, sign_request
from simulator import NOW, Peer, make_key, media_flag
from unit.federation.memory_node import MemoryNode

LIAR = "liar.example"
PEER = Peer(LIAR)
DESCRIPTORS = [PEER.descriptor_envelope]
URL = "https://witness.example/add-checkpoint"


def log(size: int, *, fork: int | None = None) -> list[bytes]:
    return [
        hashlib.sha256(f"{at}{fork is not None and at >= fork}".encode()).digest()
        for at in range(size)
    ]


def note(entries: list[bytes], *, key: SigningKey | None = None, origin: str = LIAR) -> bytes:
    root = Frontier.EMPTY.append(entries).root()
    signer = key or make_key(KeyUse.LOG, LIAR)
    return sign_checkpoint(Checkpoint(f"{origin}/log/1", len(entries), root), signer)


def roots() -> Evidence:
    return two_roots(LIAR, DESCRIPTORS, (note(log(9)), note(log(9, fork=4))), now=NOW)


def rewritten(old: int = 7, new: int = 20, *, fork: int | None = 4) -> Evidence:
    logs = log(old), log(new, fork=fork)
    made = rewritten_entry(LIAR, DESCRIPTORS, (note(logs[0]), note(logs[1])), logs, now=NOW)
    assert made is not None
    return made


def proof_of(old: int, entries: list[bytes]) -> tuple[bytes, ...]:
    return tuple(consistency_proof([leaf_hash(one) for one in entries], old))


def request(
    *, old: int = 7, fork: int | None = 4, url: str = URL, key: SigningKey | None = None
) -> SaidRequest:
    new = log(20, fork=fork)
    body = AddCheckpoint(old, proof_of(old, new), note(new)).to_bytes()
    signer = key or make_key(KeyUse.REQUEST, LIAR)
    fields = sign_request(method="POST", url=url, body=body, key=signer, now=NOW - 10**7)
    return SaidRequest(
        url=url,
        digest=fields["Content-Digest"],
        input=fields["Signature-Input"],
        signature=fields["Signature"],
        body=body.decode(),
    )


def bad(**how: Any) -> Evidence:
    return bad_proof(LIAR, DESCRIPTORS, note(log(7)), request(**how), now=NOW)


KINDS: dict[str, Callable[[], Evidence]] = {
    "two-roots": roots,
    "rewritten-entry": rewritten,
    "bad-proof": bad,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_node_signed_convicts_it_with_the_file_alone(kind: str) -> None:
    made = KINDS[kind]()
    data = format_evidence(made)
    assert len(data) < limits.MAX_EVIDENCE_BYTES
    shown = verify_evidence(parse_evidence(data))
    assert shown.kind == kind
    assert shown.node.node.fingerprint == PEER.pinned().fingerprint
    is_about_pinned(shown, PEER.pinned().fingerprint)
    with pytest.raises(SigningError, match="another node"):
        is_about_pinned(shown, Peer("other.example").pinned().fingerprint)


def test_the_sentence_says_what_was_done() -> None:
    assert verify_evidence(roots()).sentence == "it has signed two different logs of 9 entries"
    assert "entry 4" in verify_evidence(rewritten()).sentence
    assert "20 entries" in verify_evidence(bad()).sentence
    assert "the 7 of before" in verify_evidence(bad()).sentence


@pytest.mark.parametrize("fork", [0, 1, 6])
def test_the_first_entry_that_differs_is_the_proof(fork: int) -> None:
    assert rewritten(fork=fork).index == fork


def test_two_logs_of_which_one_extends_the_other_prove_nothing() -> None:
    logs = log(7), log(20)
    notes = note(logs[0]), note(logs[1])
    assert rewritten_entry(LIAR, DESCRIPTORS, notes, logs, now=NOW) is None
    with pytest.raises(ProofError, match="do not contradict"):
        verify_evidence(two_roots(LIAR, DESCRIPTORS, notes, now=NOW))
    with pytest.raises(ProofError, match="do not contradict"):
        verify_evidence(two_roots(LIAR, DESCRIPTORS, (notes[0], notes[0]), now=NOW))


def changed(made: Evidence, **fields: Any) -> Evidence:
    return msgspec.structs.replace(made, **fields)


def test_a_place_that_is_not_proved_proves_nothing() -> None:
    made = rewritten()
    assert made.places is not None
    first, second = made.places
    for places in ((first, first), (second, first), (Place(entry="00" * 32, proof=()), second)):
        with pytest.raises(ProofError):
            verify_evidence(changed(made, places=places))
    with pytest.raises(ProofError):
        verify_evidence(changed(made, index=5))


def test_a_request_convicts_only_if_the_node_signed_it_and_its_proof_is_bad() -> None:
    with pytest.raises(ProofError, match="proof in the request holds"):
        verify_evidence(bad(fork=None))
    with pytest.raises(ProofError, match="another checkpoint"):
        verify_evidence(bad(old=6))
    with pytest.raises(SigningError):
        verify_evidence(bad(key=SigningKey.generate(KeyUse.REQUEST)))
    with pytest.raises(MalformedError, match="none to a witness"):
        verify_evidence(bad(url="https://witness.example/federation/v1/poke"))
    made = bad()
    assert made.request is not None
    body = made.request.body.replace("old 7", "old 7\n" + "A" * 43 + "=", 1)
    forged = msgspec.structs.replace(made.request, body=body)
    with pytest.raises(SchutznetzError):
        verify_evidence(changed(made, request=forged))
    forged = msgspec.structs.replace(made.request, input="sig1=()")
    with pytest.raises(MalformedError):
        verify_evidence(changed(made, request=forged))


@pytest.mark.parametrize(
    "text", ["", "sig1=();created=x", "sig1=();created=1;created=2", "x" * 600]
)
def test_a_request_that_does_not_say_when_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        created_of(text)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_convicted_by_what_another_signed(kind: str) -> None:
    made = KINDS[kind]()
    other = Peer("honest.example").descriptor_envelope.decode()
    with pytest.raises(MalformedError, match="another node"):
        verify_evidence(changed(made, descriptors=(other,)))
    with pytest.raises(MalformedError, match="another node"):
        verify_evidence(changed(made, node="honest.example"))
    with pytest.raises(SchutznetzError):
        verify_evidence(changed(made, node="honest.example", descriptors=(other,)))
    stranger = note(log(9), key=SigningKey.generate(KeyUse.LOG))
    notes = (stranger.decode(), *made.notes[1:])
    with pytest.raises(SigningError):
        verify_evidence(changed(made, notes=notes))


def test_the_same_matter_is_the_same_however_it_is_told() -> None:
    made = roots()
    again = changed(
        made,
        found="2020-01-01T00:00:00Z",
        notes=(made.notes[1] + "— x.example AAAAAAA=\n", made.notes[0]),
    )
    assert matter_of(again) == matter_of(made)
    assert len({matter_of(KINDS[kind]()) for kind in KINDS}) == 3
    assert matter_of(rewritten(fork=3)) != matter_of(rewritten())


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "other"},
        {"version": 2},
        {"kind": "gossip"},
        {"notes": []},
        {"notes": ["a"]},
        {"notes": ["a"] * 3},
        {"descriptors": []},
        {"index": 3},
        {"request": {}},
        {"kind": "bad-proof"},
        {"kind": "rewritten-entry"},
        {"node": "NOT A NAME"},
        {"found": "now"},
    ],
)
def test_what_is_not_of_the_form_is_refused(fields: dict[str, Any]) -> None:
    document = msgspec.json.decode(format_evidence(roots())) | fields
    with pytest.raises(ProtocolError):
        parse_evidence(encode_json(document))


def test_a_longer_document_is_not_read() -> None:
    with pytest.raises(LimitError):
        parse_evidence(b" " * (limits.MAX_EVIDENCE_BYTES + 1))


def pull(peer: Peer, here: MemoryNode) -> None:
    asyncio.run(sync_peer(peer, peer.pinned(), here, run=asyncio.to_thread))


@pytest.fixture
def here() -> MemoryNode:
    node = MemoryNode()
    node.know(Peer(LIAR))
    return node


def test_a_sync_that_finds_a_rewritten_log_makes_it_a_proof(here: MemoryNode) -> None:
    peer = Peer(LIAR)
    peer.append(*(media_flag(LIAR, number) for number in range(6)))
    pull(peer, here)
    peer.equivocate(2)
    peer.append(media_flag(LIAR, 70))
    with pytest.raises(PeerMisbehavedError):
        pull(peer, here)
    assert here.shown is not None
    assert here.shown.logs is not None
    made = rewritten_entry(LIAR, DESCRIPTORS, here.shown.notes, here.shown.logs, now=NOW)
    assert made is not None
    assert made.index == 2
    verify_evidence(made)


def test_a_sync_that_finds_two_roots_makes_them_a_proof(here: MemoryNode) -> None:
    peer = Peer(LIAR)
    peer.append(*(media_flag(LIAR, number) for number in range(3)))
    pull(peer, here)
    peer.equivocate()
    with pytest.raises(PeerMisbehavedError):
        pull(peer, here)
    assert here.shown is not None
    verify_evidence(two_roots(LIAR, DESCRIPTORS, here.shown.notes, now=NOW))


def test_entries_that_lead_to_no_signed_root_prove_nothing_to_others(here: MemoryNode) -> None:
    peer = Peer(LIAR)
    peer.append(*(media_flag(LIAR, number) for number in range(3)))
    pull(peer, here)
    peer.append(media_flag(LIAR, 71))
    peer.garbled = 10**6
    with pytest.raises(PeerMisbehavedError):
        pull(peer, here)
    assert len(here.frozen) == 1
    assert here.shown is None
