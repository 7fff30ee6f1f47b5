"""Asking witnesses: what they answer is believed only as far as their signature reaches."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from federation.sync import sync_peer
from federation.witness import Ahead, WitnessedSource, ask_cosignature, split_prefix
from protocol.checkpoint import (
    Note,
    NoteSignature,
    format_note,
    format_signature_lines,
    format_vkey,
    parse_note,
)
from protocol.errors import (
    PeerMisbehavedError,
    PeerRefusedError,
    PeerUnreachableError,
    QuorumError,
)
from protocol.merkle import consistency_proof, leaf_hash
from protocol.witness_policy import parse_witness_policy
from protocol.witnessing import AddCheckpoint
from signing.cosignatures import cosign, verify_cosignatures, witness_name, witness_note_key
from signing.keys import KeyUse, SigningKey
from simulator import NOW, Peer, make_key, media_flag
from unit.federation.memory_node import MemoryNode

T = TypeVar("T")
NAME = "witness.example"
KEY = make_key(KeyUse.WITNESS, NAME)
NOTE_KEY = witness_note_key(NAME, KEY.public)
PLATFORM = "platform.example"


def wait(awaitable: Awaitable[T]) -> T:
    async def main() -> T:
        return await awaitable

    return asyncio.run(main())


def cosigned(note: bytes, *keys: SigningKey) -> bytes:
    opened = parse_note(note)
    lines = [cosign(opened.text, one, name=witness_name(NAME), now=NOW) for one in keys]
    return format_note(Note(opened.text, (*opened.signatures, *lines)))


@dataclass
class Witness:
    """Cosigns what it is shown, after it has named each of `sizes` once."""

    sizes: list[int] = field(default_factory=list)
    key: SigningKey = KEY
    asked: list[AddCheckpoint] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    spoil: bool = False

    async def add_checkpoint(self, request: AddCheckpoint, *, prefix: str = "") -> bytes:
        self.asked.append(request)
        self.prefixes.append(prefix)
        if self.sizes:
            raise PeerRefusedError("Another size.", status=409, size=self.sizes.pop(0))
        text = parse_note(request.note).text
        line = cosign(text, self.key, name=witness_name(NAME), now=NOW)
        if self.spoil:
            line = NoteSignature(line.name, line.key_id, line.raw[:-1] + b"x")
        return format_signature_lines([line])


@pytest.fixture
def peer() -> Peer:
    peer = Peer(PLATFORM)
    peer.append(*(media_flag(PLATFORM, number) for number in range(7)))
    return peer


def ask(witness: Any, peer: Peer, **how: Any) -> NoteSignature | Ahead:
    leaves = [leaf_hash(bytes.fromhex(one)) for one in peer.log]

    def prove(old: int) -> Sequence[bytes]:
        return consistency_proof(leaves, old) if old else ()

    values: dict[str, Any] = {"known": 0, "prove": prove, "run": asyncio.to_thread} | how
    return wait(ask_cosignature(witness, NOTE_KEY, peer.note(), size=len(peer.log), **values))


def test_a_cosignature_is_taken_as_it_came(peer: Peer) -> None:
    witness = Witness()
    line = ask(witness, peer, prefix="/w")
    assert isinstance(line, NoteSignature)
    note = parse_note(peer.note())
    assert verify_cosignatures(Note(note.text, (line,)), [NOTE_KEY]) == {NOTE_KEY: NOW}
    assert [(one.old_size, one.proof) for one in witness.asked] == [(0, ())]
    assert witness.prefixes == ["/w"]


def test_a_witness_that_knows_another_size_gets_the_proof_from_there(peer: Peer) -> None:
    witness = Witness(sizes=[3])
    assert isinstance(ask(witness, peer, known=5), NoteSignature)
    assert [one.old_size for one in witness.asked] == [5, 3]
    leaves = [leaf_hash(bytes.fromhex(one)) for one in peer.log]
    assert list(witness.asked[1].proof) == list(consistency_proof(leaves, 3))


def test_a_witness_that_claims_to_know_more_is_not_argued_with(peer: Peer) -> None:
    assert ask(Witness(sizes=[8]), peer) == Ahead(8)


def test_a_witness_that_names_another_size_each_time_is_given_up(peer: Peer) -> None:
    with pytest.raises(PeerUnreachableError, match="another size"):
        ask(Witness(sizes=[1, 2, 3, 4]), peer)


def test_a_refusal_without_a_size_stays_one(peer: Peer) -> None:
    class Refusing:
        async def add_checkpoint(self, _request: AddCheckpoint, *, prefix: str = "") -> bytes:
            raise PeerRefusedError("No.", status=403)

    with pytest.raises(PeerRefusedError, match="No"):
        ask(Refusing(), peer)


def test_what_is_no_cosignature_of_that_witness_is_not_taken(peer: Peer) -> None:
    with pytest.raises(PeerMisbehavedError, match="no line"):
        ask(Witness(key=SigningKey.generate(KeyUse.WITNESS)), peer)
    with pytest.raises(PeerMisbehavedError, match="no cosignature"):
        ask(Witness(spoil=True), peer)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example", ("https://a.example", "")),
        ("https://a.example/", ("https://a.example", "")),
        ("https://a.example:8443/w/1/", ("https://a.example:8443", "/w/1")),
    ],
)
def test_an_address_may_have_a_path_before_the_one_of_the_specification(
    url: str, expected: tuple[str, str]
) -> None:
    assert split_prefix(url) == expected


POLICY = parse_witness_policy(f"witness W {format_vkey(NOTE_KEY)}\nquorum W\n".encode())


def here() -> MemoryNode:
    node = MemoryNode()
    node.know(Peer(PLATFORM))
    return node


def pull(peer: Peer, replica: MemoryNode, published: bytes, *, least: int = 0) -> Any:
    peer.publication = published
    source = WitnessedSource(peer, POLICY, least=least)
    return wait(sync_peer(source, peer.pinned(), replica, run=asyncio.to_thread))


def test_only_what_enough_witnesses_have_cosigned_is_taken_over(peer: Peer) -> None:
    replica = here()
    published = cosigned(peer.note(), KEY)
    peer.append(media_flag(PLATFORM, 8))
    report = pull(peer, replica, published)
    assert (report.size, report.accepted) == (7, 7)
    assert report.bytes_received > 0
    assert [one.size for one in peer.acknowledged] == [7]


def test_a_checkpoint_with_too_few_cosignatures_ends_the_sync(peer: Peer) -> None:
    with pytest.raises(QuorumError, match="lacks 1"):
        pull(peer, here(), peer.note())


def test_a_spoiled_cosignature_ends_the_sync(peer: Peer) -> None:
    published = cosigned(peer.note(), KEY)
    note = parse_note(published)
    bad = NoteSignature(NOTE_KEY.name, NOTE_KEY.key_id, note.signatures[-1].raw[:-1] + b"x")
    with pytest.raises(PeerMisbehavedError, match="cannot be believed"):
        pull(peer, here(), format_note(Note(note.text, (note.signatures[0], bad))))
    with pytest.raises(PeerMisbehavedError, match="cannot be believed"):
        pull(peer, here(), b"no note")


def test_witnesses_that_are_behind_what_is_here_end_the_sync(peer: Peer) -> None:
    with pytest.raises(QuorumError, match="less of the peer's log"):
        pull(peer, here(), cosigned(peer.note(), KEY), least=8)
