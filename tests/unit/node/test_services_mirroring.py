"""A node as a mirror: the origin's own words, whole and unchanged, and nothing to who may not."""

import asyncio
import hashlib

import pytest

from desks import Desk
from federation.sync import sync_peer
from node.services import mirroring as module
from node.services.mirroring import Mirroring
from node.services.replica import StoredReplica
from node.services.serving import Serving
from protocol.checkpoint import Note, NoteSignature, format_note, parse_note
from protocol.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    PeerUnreachableError,
    UnavailableError,
)
from protocol.fields import StatementId
from protocol.merkle import leaf_hash
from protocol.messages import EntriesRequest, EnvelopeAnswer, Envelopes
from protocol.proofs import TiledTree
from protocol.statements import MediaFlag
from protocol.tiles import Tile, split_bundle, split_tile
from signing.notes import open_checkpoint
from simulator import Peer, media_flag
from worlds import HOTLINE, PLATFORM, erase

ORIGIN = f"{PLATFORM}/log/1"
DIGEST = hashlib.sha256(ORIGIN.encode()).hexdigest()
THIRD = "third.example"


@pytest.fixture
def peer(either_desk: Desk) -> Peer:
    """The platform, whose log the hotline takes over, and then serves."""
    return either_desk.world.nodes[PLATFORM]


@pytest.fixture
def mirror(either_desk: Desk) -> Mirroring:
    return Mirroring(either_desk.world.store, name=HOTLINE, clock=either_desk.clock)


def pull(desk: Desk, peer: Peer) -> None:
    replica = StoredReplica(desk.world.store, desk.world.ingest, node=peer.name, clock=desk.clock)
    asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread))


def flags(count: int, first: int = 0) -> list[MediaFlag]:
    return [media_flag(PLATFORM, number) for number in range(first, first + count)]


def all_of(mirror: Mirroring) -> tuple[str, ...]:
    return mirror.entries(DIGEST, EntriesRequest(start=0, limit=4_096)).entries


def test_nothing_of_a_peer_is_served_before_the_operator_has_said_so(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    peer.append(*flags(3))
    pull(either_desk, peer)
    with pytest.raises(NotFoundError, match="no such log"):
        mirror.checkpoint(DIGEST)
    with pytest.raises(NotFoundError, match="no such log"):
        all_of(mirror)
    with pytest.raises(NotFoundError, match="no such log"):
        mirror.tile(DIGEST, Tile(0, 0, 1))
    assert mirror.list() == []


def test_what_is_served_is_the_origins_own_checkpoint_and_what_leads_to_it(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    ids = peer.append(*flags(3))
    pull(either_desk, peer)
    added = mirror.add(PLATFORM)
    assert (added.node, added.state, added.size) == (PLATFORM, "serving", 3)
    ids += peer.append(*flags(2, 3))
    pull(either_desk, peer)
    assert mirror.checkpoint(DIGEST) == peer.note()
    found = open_checkpoint(
        mirror.checkpoint(DIGEST), origin=ORIGIN, key=peer.pinned().log_keys[0].key
    )
    assert list(all_of(mirror)) == ids
    bundle = split_bundle(mirror.bundle(DIGEST, Tile(0, 0, 5)), 5)
    assert [one.hex() for one in bundle] == ids
    assert mirror.entries(DIGEST, EntriesRequest(start=4, limit=9)).entries == tuple(ids[4:])
    assert mirror.entries(DIGEST, EntriesRequest(start=5, limit=9)).entries == ()
    tree = TiledTree(5, lambda tile: split_tile(mirror.tile(DIGEST, tile), tile))
    assert tree.root() == found.root
    with pytest.raises(NotFoundError, match="not grown"):
        mirror.tile(DIGEST, Tile(0, 0, 6))


def test_an_interrupted_sync_leaves_the_checkpoint_of_before_to_be_served(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    peer.append(*flags(3))
    pull(either_desk, peer)
    mirror.add(PLATFORM)
    before = peer.note()
    peer.append(*flags(5, 3))
    peer.bodies, peer.patience = 2, 4
    with pytest.raises(PeerUnreachableError):
        pull(either_desk, peer)
    assert either_desk.peers.get(PLATFORM).seen_size > 3
    assert mirror.checkpoint(DIGEST) == before
    assert len(all_of(mirror)) == 3, "no more than its checkpoint covers"
    peer.patience = None
    pull(either_desk, peer)
    assert mirror.checkpoint(DIGEST) == peer.note()


def test_a_log_that_is_not_here_as_a_whole_waits_until_it_is(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    assert mirror.add(PLATFORM).state == "waiting"
    with pytest.raises(NotFoundError, match="not yet"):
        mirror.checkpoint(DIGEST)
    peer.append(*flags(1))
    pull(either_desk, peer)
    assert mirror.list()[0].state == "serving"


def test_signatures_under_the_origins_name_that_were_not_verified_are_not_handed_on(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    peer.append(*flags(1))
    note = parse_note(peer.note())
    forged = NoteSignature(ORIGIN, b"\x01\x02\x03\x04", bytes(64))
    witness = NoteSignature("w.example/witness", b"\x05\x06\x07\x08", bytes(72))
    peer.replayed = format_note(Note(note.text, (*note.signatures, forged, witness)))
    pull(either_desk, peer)
    mirror.add(PLATFORM)
    served = parse_note(mirror.checkpoint(DIGEST))
    assert served.signatures == (*note.signatures, witness)


def test_false_lines_under_a_key_of_the_origin_are_not_handed_on(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    # Under a key that had ended here they were looked at by nobody; a reader may know it as valid.
    peer.append(*flags(1))
    pull(either_desk, peer)
    mirror.add(PLATFORM)
    note = parse_note(peer.note())
    (line,) = note.signatures
    false = NoteSignature(ORIGIN, line.key_id, bytes(64))
    with either_desk.world.store.write() as transaction:
        module.refresh(transaction, PLATFORM, format_note(Note(note.text, (false, line))), now=7)
    assert mirror.checkpoint(DIGEST) == peer.note()
    assert mirror.list()[0].at == 7
    with either_desk.world.store.write() as transaction:
        module.refresh(transaction, PLATFORM, format_note(Note(note.text, (false,))), now=8)
    assert mirror.checkpoint(DIGEST) == peer.note()


def test_a_checkpoint_of_another_log_of_the_same_size_replaces_none(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    peer.append(*flags(1))
    pull(either_desk, peer)
    mirror.add(PLATFORM)
    other = Peer(PLATFORM, generation=2)
    other.append(*flags(1, 8))
    with either_desk.world.store.write() as transaction:
        module.refresh(transaction, PLATFORM, other.note(), now=7)
    assert mirror.checkpoint(DIGEST) == peer.note()
    pull(either_desk, peer)
    assert either_desk.peers.get(PLATFORM).state == "active"


def test_cosignatures_that_come_later_are_handed_on(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    peer.append(*flags(2))
    pull(either_desk, peer)
    mirror.add(PLATFORM)
    note = parse_note(peer.note())
    witness = NoteSignature("w.example/witness", b"\x05\x06\x07\x08", bytes(72))
    later = format_note(Note(note.text, (*note.signatures, witness)))
    with either_desk.world.store.write() as transaction:
        module.refresh(transaction, PLATFORM, later, now=7)
        module.refresh(transaction, "nobody.example", later, now=8)
    assert mirror.checkpoint(DIGEST) == later
    assert mirror.list()[0].at == 7
    other = Peer(PLATFORM)
    other.append(*flags(1))
    with either_desk.world.store.write() as transaction:
        module.refresh(transaction, PLATFORM, other.note(), now=9)
    assert mirror.checkpoint(DIGEST) == later, "of another size it is for a sync to take over"


def test_a_frozen_or_removed_peers_log_is_served_no_more(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    peer.append(*flags(1))
    pull(either_desk, peer)
    mirror.add(PLATFORM)
    either_desk.peers.freeze(PLATFORM)
    with pytest.raises(NotFoundError):
        mirror.checkpoint(DIGEST)
    assert mirror.list()[0].state == "stopped"
    either_desk.peers.thaw(PLATFORM)
    assert mirror.checkpoint(DIGEST) == peer.note()
    either_desk.peers.remove(PLATFORM)
    with pytest.raises(NotFoundError):
        mirror.checkpoint(DIGEST)
    assert mirror.list()[0].state == "stopped"


def test_a_peer_that_is_pinned_anew_under_other_keys_is_not_mirrored_by_the_word_of_before(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    peer.append(*flags(1))
    pull(either_desk, peer)
    mirror.add(PLATFORM)
    either_desk.peers.remove(PLATFORM)
    other = Peer(PLATFORM, generation=2)
    either_desk.peers.add(other.descriptor_envelope, other.pinned().fingerprint, authority=False)
    other.append(*(media_flag(PLATFORM, number) for number in (7, 8)))
    with pytest.raises(NotFoundError):
        mirror.checkpoint(DIGEST)
    assert mirror.list()[0].state == "stopped"
    assert mirror.add(PLATFORM).state == "waiting"


def test_an_operator_takes_the_word_back_and_everything_is_told_to_the_audit(
    either_desk: Desk, peer: Peer, mirror: Mirroring
) -> None:
    peer.append(*flags(1))
    pull(either_desk, peer)
    mirror.add(PLATFORM)
    mirror.add(PLATFORM)
    mirror.remove(PLATFORM)
    with pytest.raises(NotFoundError):
        mirror.checkpoint(DIGEST)
    with pytest.raises(NotFoundError, match="does not mirror"):
        mirror.remove(PLATFORM)
    assert either_desk.peers.get(PLATFORM).seen_size == 1, "what was taken over stays"
    with either_desk.world.store.read() as transaction:
        lines = transaction.journal.audit_after(0, limit=100)
    found = [one.action for one in lines if one.action.startswith("mirror.")]
    assert found == ["mirror.add", "mirror.add", "mirror.remove"]


def test_only_pinned_peers_and_not_too_many_are_mirrored(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirroring(desk.world.store, name=HOTLINE, clock=desk.clock)
    with pytest.raises(NotFoundError, match="pinned"):
        mirror.add(THIRD)
    with pytest.raises(InvalidError, match="its own log"):
        mirror.add(HOTLINE)
    monkeypatch.setattr(module, "MOST_MIRRORED", 1)
    mirror.add(PLATFORM)
    desk.world.know(THIRD)
    with pytest.raises(ConflictError, match="at most"):
        mirror.add(THIRD)


def test_bodies_keep_to_their_audience_and_stay_erased(desk: Desk) -> None:
    peer = desk.world.nodes[PLATFORM]
    desk.world.know(THIRD)
    secret = media_flag(PLATFORM, 1, audience=(f"node:{HOTLINE}",))
    gone = media_flag(PLATFORM, 2)
    hidden, erased, shown = peer.append(secret, gone, media_flag(PLATFORM, 3))
    peer.append(erase(erased, by=PLATFORM))
    pull(desk, peer)
    Mirroring(desk.world.store, name=HOTLINE, clock=desk.clock).add(PLATFORM)
    serving = Serving(desk.world.store, clock=desk.clock)
    answers = serving.envelopes([hidden, erased, shown], reader=THIRD).envelopes
    assert [one.state for one in answers] == ["withheld", "erased", "present"]
    own = serving.envelopes([hidden], reader=HOTLINE).envelopes
    assert own[0].envelope == peer.held[hidden].decode(), "byte for byte as it came"


# tiles above the entries


def test_higher_tiles_are_made_ready_step_by_step_and_are_right(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 256 * 5 + 7
    ids = [StatementId(hashlib.sha256(b"%d" % at).hexdigest()) for at in range(count)]
    mirror = Mirroring(desk.world.store, name=HOTLINE, clock=desk.clock)
    peer = Bodiless(PLATFORM, log=ids)
    replica = StoredReplica(desk.world.store, desk.world.ingest, node=PLATFORM, clock=desk.clock)
    mirror.add(PLATFORM)
    asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread))
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 2)
    tile = Tile(1, 0, 5)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="made ready") as told:
            mirror.tile(DIGEST, tile)
        assert told.value.retry_after_s == 1
    hashes = split_tile(mirror.tile(DIGEST, tile), tile)
    leaves = [leaf_hash(bytes.fromhex(one)) for one in ids]
    tree = TiledTree(
        len(ids), lambda one: hashes if one.level else leaves[one.first :][: one.width]
    )
    found = open_checkpoint(
        mirror.checkpoint(DIGEST), origin=ORIGIN, key=peer.pinned().log_keys[0].key
    )
    assert tree.root() == found.root


class Bodiless(Peer):
    """A peer that says of every statement that its body has expired."""

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        return Envelopes(envelopes=tuple(EnvelopeAnswer(id=one, state="expired") for one in ids))
