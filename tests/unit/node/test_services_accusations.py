"""Accusations: believed only as far as the accused's own signatures reach, and each once."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from desks import Desk
from federation.evidence import two_roots, verify_evidence
from federation.sync import sync_peer
from node.services import accusations as module
from node.services.accusations import Accusations, checked
from node.services.replica import StoredReplica
from protocol.checkpoint import Checkpoint, format_note, parse_note
from protocol.encoding import to_base64
from protocol.errors import (
    MalformedError,
    NotFoundError,
    PeerMisbehavedError,
    ProofError,
    RateLimitedError,
    SigningError,
)
from protocol.evidence import format_evidence, parse_evidence
from protocol.statements import MediaItem
from signing.keys import KeyUse, SigningKey
from signing.notes import sign_checkpoint
from simulator import NOW, Peer, make_key, media_flag
from worlds import ANNA, HOTLINE, PLATFORM, erase

THIRD = "third.example"
TELLER = "teller.example"


@pytest.fixture
def accusations(either_desk: Desk) -> Accusations:
    return Accusations(either_desk.world.store, name=HOTLINE, clock=either_desk.clock)


def document(name: str = PLATFORM, number: int = 0, *, key: SigningKey | None = None) -> bytes:
    signer = key or make_key(KeyUse.LOG, name)
    notes = [
        sign_checkpoint(Checkpoint(f"{name}/log/1", 5 + number, bytes([at]) * 32), signer)
        for at in (1, 2)
    ]
    descriptors = [Peer(name).descriptor_envelope]
    return format_evidence(two_roots(name, descriptors, (notes[0], notes[1]), now=NOW))


def test_a_peer_that_is_proved_to_have_lied_is_frozen(
    either_desk: Desk, accusations: Accusations
) -> None:
    assert accusations.hear(document(), teller=TELLER)
    state = either_desk.peers.get(PLATFORM)
    assert state.state == "frozen"
    assert state.problem == f"{PLATFORM}: it has signed two different logs of 5 entries"
    (kept,) = accusations.all()
    assert (kept.peer, kept.is_document) == (PLATFORM, True)
    verify_evidence(parse_evidence(accusations.get(kept.number).body))
    assert ("node", "peer.frozen", PLATFORM, state.problem) in either_desk.audited()


def test_the_same_matter_is_heard_once_also_after_the_operator_thawed(
    either_desk: Desk, accusations: Accusations
) -> None:
    assert accusations.hear(document(), teller=TELLER)
    either_desk.peers.thaw(PLATFORM)
    again = document().replace(b"2026-", b"2025-", 1)
    assert not accusations.hear(again, teller="another.example")
    assert either_desk.peers.get(PLATFORM).state == "active"
    assert len(accusations.all()) == 1
    assert accusations.hear(document(number=1), teller=TELLER), "a new matter freezes again"
    assert either_desk.peers.get(PLATFORM).state == "frozen"


def test_the_teller_is_believed_in_nothing(either_desk: Desk, accusations: Accusations) -> None:
    forged = document(key=SigningKey.generate(KeyUse.LOG))
    with pytest.raises(SigningError):
        accusations.hear(forged, teller=TELLER)
    true = parse_evidence(document())
    one = true.notes[0]
    with pytest.raises(ProofError):
        accusations.hear(
            format_evidence(
                two_roots(PLATFORM, [true.descriptors[0].encode()], (one.encode(),) * 2, now=NOW)
            ),
            teller=TELLER,
        )
    with pytest.raises(MalformedError):
        accusations.hear(b"{}", teller=TELLER)
    assert either_desk.peers.get(PLATFORM).state == "active"
    assert accusations.all() == []


def test_another_node_of_the_same_name_does_not_stand_in_for_a_pinned_one(
    either_desk: Desk, accusations: Accusations
) -> None:
    impostor = Peer(PLATFORM, generation=2)
    notes = tuple(
        sign_checkpoint(
            Checkpoint(f"{PLATFORM}/log/1", 5, bytes([at]) * 32), impostor.key(KeyUse.LOG)
        )
        for at in (1, 2)
    )
    made = two_roots(PLATFORM, [impostor.descriptor_envelope], (notes[0], notes[1]), now=NOW)
    with pytest.raises(SigningError, match="another node of this name"):
        accusations.hear(format_evidence(made), teller=TELLER)
    assert either_desk.peers.get(PLATFORM).state == "active"


def test_of_a_node_that_is_not_pinned_nothing_is_kept(accusations: Accusations) -> None:
    with pytest.raises(NotFoundError):
        accusations.hear(document("stranger.example"), teller=TELLER)
    assert accusations.all() == []
    with pytest.raises(NotFoundError):
        accusations.get(1)


def test_what_proves_it_against_this_node_itself_is_kept_and_told_to_the_operator(
    either_desk: Desk, accusations: Accusations
) -> None:
    assert accusations.hear(document(HOTLINE), teller=PLATFORM)
    assert accusations.about_self() == 1
    said = f"{HOTLINE}: it has signed two different logs of 5 entries"
    assert (PLATFORM, "node.accused", None, said) in either_desk.audited()


def test_neither_many_matters_nor_many_messages_fill_the_disk(
    accusations: Accusations, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        accusations.hear(document(number=number), teller=TELLER)
    assert len(accusations.all()) == 16
    monkeypatch.setattr("node.services.pace.time.monotonic", lambda: 1.0)
    fresh = Accusations(accusations._store, name=HOTLINE, clock=lambda: NOW)
    for _ in range(module.MAX_PER_MINUTE):
        fresh.hear(document(), teller=TELLER)
    with pytest.raises(RateLimitedError):
        fresh.hear(document(), teller=TELLER)


def test_every_other_peer_is_to_be_told_once_but_neither_the_teller_nor_the_accused(
    either_desk: Desk, accusations: Accusations
) -> None:
    either_desk.world.know(THIRD)
    accusations.hear(document(), teller=TELLER)
    ((number, data),) = accusations.untold(THIRD)
    assert parse_evidence(data).node == PLATFORM
    assert accusations.untold(TELLER) == []
    assert accusations.untold(PLATFORM) == []
    accusations.told(number, THIRD)
    assert accusations.untold(THIRD) == []


def test_what_a_sync_finds_is_kept_as_a_document(
    either_desk: Desk, accusations: Accusations
) -> None:
    peer = either_desk.world.nodes[PLATFORM]
    peer.append(*(media_flag(PLATFORM, number) for number in range(6)))
    world = either_desk.world
    replica = StoredReplica(world.store, world.ingest, node=PLATFORM, clock=either_desk.clock)
    asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread))
    peer.equivocate(3)
    peer.append(media_flag(PLATFORM, 70))
    with pytest.raises(PeerMisbehavedError):
        asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread))
    (kept,) = accusations.all()
    assert kept.is_document
    assert verify_evidence(parse_evidence(kept.body)).kind == "rewritten-entry"


def test_no_document_repeats_what_a_statement_says(tmp_path: Path) -> None:
    assert b"pdq" not in document()
    assert to_base64(bytes([1]) * 32).encode() in document()


@pytest.mark.parametrize("named", ["keyid", "signature-input", "entry", "entries"])
def test_no_flag_about_a_name_in_a_document_does_away_with_it_once_it_is_erased(
    either_desk: Desk, accusations: Accusations, named: str
) -> None:
    kid = Peer(PLATFORM).key(KeyUse.ROOT).kid
    entry = "ab" * 32
    body = {
        "keyid": document(),
        "signature-input": b'{"input":"sig1=();keyid=\\"%s\\""}' % kid.encode(),
        "entry": b'{"places":[{"entry":"%s","proof":[]}]}' % entry.encode(),
        "entries": b'{"start":0,"entries": ["%s", "%s"]}' % ((entry.encode(),) * 2),
    }[named]
    with either_desk.world.store.write() as transaction:
        transaction.peers.keep_evidence(PLATFORM, "what it did", body, at=NOW, grave=True)
    item = {"sha256": entry} if named.startswith("entr") else {"md5": kid}
    flagged = either_desk.world.submit(media_flag(ANNA, 7, items=(MediaItem(**item),)))
    either_desk.world.submit(erase(str(flagged.id), by=ANNA))
    (kept,) = accusations.all()
    assert kept.body == body


def test_false_lines_on_a_note_do_not_keep_it_from_convincing_others() -> None:
    found = parse_evidence(document())
    notes = [parse_note(one.encode()) for one in found.notes]
    false = [replace(one.signatures[0], raw=bytes(64)) for one in notes]
    spoilt = [
        format_note(replace(note, signatures=(line, *note.signatures)))
        for note, line in zip(notes, false, strict=True)
    ]
    descriptors = [one.encode() for one in found.descriptors]
    made = two_roots(PLATFORM, descriptors, (spoilt[0], spoilt[1]), now=NOW)
    with pytest.raises(MalformedError, match="two signatures"):
        verify_evidence(made)
    assert checked(made) == found
