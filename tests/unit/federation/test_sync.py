import asyncio
import inspect

import pytest

import federation.log_reading
from federation.client import PeerClient
from federation.sync import Pulled, SyncReport, sync_peer
from protocol.checkpoint import Checkpoint
from protocol.encoding import from_base64url
from protocol.errors import PeerMisbehavedError, PeerUnreachableError
from protocol.limits import MAX_ENTRIES_PER_REQUEST, MAX_ENVELOPES_PER_REQUEST, MAX_LIST
from protocol.messages import EnvelopeAnswer
from protocol.statements import Retract
from signing.keys import KeyUse
from signing.notes import sign_checkpoint
from simulator import Peer, fields, make_key, media_flag
from unit.federation.memory_node import MemoryNode

HOTLINE = "hotline.example"
ORIGIN = f"{HOTLINE}/log/1"


async def inline(function, /, *args, **kwargs):
    return function(*args, **kwargs)


def sync(peer, here, *, told=None):
    return asyncio.run(sync_peer(peer, peer.pinned(), here, run=inline, told=told))


def flags(count, start=0):
    return [media_flag(HOTLINE, number) for number in range(start, start + count)]


@pytest.fixture
def peer():
    return Peer(HOTLINE)


@pytest.fixture
def here(peer):
    node = MemoryNode()
    node.know(peer)
    return node


def frozen(peer, here, complaint):
    """Syncs, and checks that the peer is frozen for it; returns the evidence."""
    taken = dict(here.taken)
    with pytest.raises(PeerMisbehavedError, match=complaint):
        sync(peer, here)
    ((name, _, evidence),) = here.frozen
    assert name == HOTLINE
    assert here.taken == taken
    return evidence


def useless(peer, here, complaint):
    """Syncs, and checks that the answer was of no use but froze nobody; returns the evidence."""
    with pytest.raises(PeerMisbehavedError, match=complaint) as caught:
        sync(peer, here)
    assert not here.frozen
    return caught.value.evidence


def renewed(peer, here):
    """The same peer under other keys alone, as this node has heard: the earlier ones have ended."""
    later = Peer(HOTLINE, generation=2, log=peer.log, held=peer.held)
    here.know(later)
    return later


def test_a_log_is_read_on_after_the_key_of_the_last_checkpoint_has_ended(peer, here):
    peer.append(*flags(3))
    sync(peer, here)
    later = renewed(peer, here)
    ids = later.append(*flags(2, start=3))
    assert sync(later, here).size == 5
    assert set(ids) <= set(here.taken)
    assert not here.frozen


def test_a_log_that_was_rewritten_freezes_the_peer_under_new_keys_as_well(peer, here):
    peer.append(*flags(3))
    sync(peer, here)
    later = renewed(peer, here)
    later.equivocate(1)
    frozen(later, here, "two logs of one size")


def test_the_simulated_peer_offers_what_the_client_offers():
    def offered(kind):
        return {
            name: list(inspect.signature(verb).parameters)
            for name, verb in inspect.getmembers(kind, inspect.iscoroutinefunction)
            if not name.startswith("_")
        }

    assert offered(Peer) == offered(PeerClient)


def test_a_log_is_taken_over_and_acknowledged(peer, here):
    ids = peer.append(*flags(5))
    report = sync(peer, here)
    assert list(here.taken) == ids
    assert report == SyncReport(
        size=5, fetched=5, accepted=5, set_aside=0, skipped=0, bytes_received=report.bytes_received
    )
    assert report.bytes_received > sum(map(len, peer.held.values()))
    (said,) = peer.acknowledged
    frontier, note = here.cursor(ORIGIN)
    assert (said.origin, said.size, from_base64url(said.root)) == (ORIGIN, 5, frontier.root())
    assert note == peer.note()


def test_an_empty_log_is_taken_over(peer, here):
    assert sync(peer, here).size == 0
    assert peer.acknowledged[0].size == 0


def test_only_what_is_new_is_asked_for(peer, here):
    peer.append(*flags(5))
    sync(peer, here)
    peer.append(*flags(2, start=5))
    report = sync(peer, here)
    assert (report.size, report.fetched) == (7, 2)


def test_where_nothing_is_new_the_acknowledgement_is_repeated_unless_the_peer_has_it(peer, here):
    peer.append(*flags(2))
    sync(peer, here)
    assert sync(peer, here).fetched == 0
    assert sync(peer, here, told=2).fetched == 0
    assert [one.size for one in peer.acknowledged] == [2, 2]
    peer.append(*flags(1, start=2))
    sync(peer, here, told=2)
    assert [one.size for one in peer.acknowledged] == [2, 2, 3]


def test_a_sync_with_nothing_new_is_one_request(peer, here):
    peer.append(*flags(2))
    sync(peer, here)
    asked = []
    for name in ("checkpoint", "entries", "envelopes", "acknowledge"):
        setattr(peer, name, counted(asked, name, getattr(peer, name)))
    sync(peer, here, told=2)
    assert asked == ["checkpoint"]


def counted(asked, name, verb):
    async def called(*arguments):
        asked.append(name)
        return await verb(*arguments)

    return called


def test_while_one_answer_is_taken_over_the_next_one_is_fetched(peer, here):
    peer.append(*flags(6))
    peer.bodies = 2
    asked, seen = [], []
    peer.envelopes = counted(asked, "envelopes", peer.envelopes)

    async def in_a_moment(function, /, *args, **kwargs):
        for _ in range(5):
            await asyncio.sleep(0)  # the other task runs
        if function.__name__ == "_take":
            seen.append(len(asked))
        return function(*args, **kwargs)

    asyncio.run(sync_peer(peer, peer.pinned(), here, run=in_a_moment))
    assert seen == [2, 3, 3]


def test_what_is_fetched_ahead_ends_with_a_sync_that_fails(peer, here):
    peer.append(*flags(6))
    peer.bodies = 2
    here.fail_after = 1
    with pytest.raises(RuntimeError, match="killed before the commit"):
        sync(peer, here)
    here.fail_after = None
    assert sync(peer, here).fetched == 4


def test_what_is_known_already_is_not_fetched_again(peer, here):
    envelopes = [peer.sign(one) for one in flags(4)]
    here.believe(envelopes[1])
    peer.append(*envelopes)
    report = sync(peer, here)
    assert (report.fetched, len(here.taken)) == (3, 4)


def test_a_log_longer_than_a_page_and_an_answer_is_taken_over(peer, here):
    envelope = peer.sign(media_flag(HOTLINE, 1))
    here.believe(envelope)
    peer.append(*flags(MAX_ENVELOPES_PER_REQUEST + 2, start=2))
    (known,) = peer.append(envelope)
    # A log may repeat itself: odd, and cheap to make long.
    peer.log += [known] * MAX_ENTRIES_PER_REQUEST
    report = sync(peer, here)
    assert report.size == len(peer.log)
    assert report.accepted == MAX_ENVELOPES_PER_REQUEST + 2


def test_a_statement_that_stands_twice_is_asked_for_once(peer, here):
    (one, _) = peer.append(*flags(2))
    peer.log.append(one)
    assert sync(peer, here).fetched == 2


def test_a_peer_that_gives_little_at_a_time_is_synced_all_the_same(peer, here):
    ids = peer.append(*flags(20))
    peer.page, peer.bodies = 3, 2
    assert sync(peer, here).accepted == 20
    assert list(here.taken) == ids


def test_a_statement_with_a_bad_signature_is_set_aside_and_stops_nothing(peer, here):
    ids = peer.append(*flags(5))
    peer.tamper(ids[2])
    report = sync(peer, here)
    assert (report.accepted, report.set_aside) == (4, 1)
    assert list(here.taken) == ids[:2] + ids[3:]
    (aside,) = peer.acknowledged[0].set_aside
    assert aside.id == ids[2]
    assert "signature" in aside.reason


def test_what_is_no_envelope_is_set_aside_and_stops_nothing(peer, here):
    ids = peer.append(*flags(3))
    peer.lies[ids[1]] = EnvelopeAnswer(id=ids[1], state="present", envelope="<html>")
    assert sync(peer, here).set_aside == 1
    assert peer.acknowledged[0].set_aside[0].reason.startswith("Not JSON")


def test_more_is_set_aside_than_one_message_holds(peer, here):
    ids = peer.append(*flags(MAX_LIST + 1))
    for one in ids:
        peer.tamper(one)
    assert sync(peer, here).set_aside == MAX_LIST + 1
    assert [len(one.set_aside) for one in peer.acknowledged] == [MAX_LIST, 1]
    assert {one.size for one in peer.acknowledged} == {MAX_LIST + 1}


@pytest.mark.parametrize("state", ["withheld", "erased", "expired"])
def test_a_statement_without_a_body_is_skipped_and_counted(peer, here, state):
    ids = peer.append(*flags(3))
    peer.lies[ids[0]] = EnvelopeAnswer(id=ids[0], state=state)
    report = sync(peer, here)
    assert (report.fetched, report.accepted, report.skipped, report.set_aside) == (3, 2, 1, 0)


def test_what_points_at_a_skipped_statement_is_set_aside(peer, here):
    (target,) = peer.append(*flags(1))
    peer.append(Retract(**fields(HOTLINE, 9), target=target, reason="wrong"))
    peer.lies[target] = EnvelopeAnswer(id=target, state="withheld")
    assert sync(peer, here).set_aside == 1


def test_a_log_that_shrinks_ends_the_sync_with_both_checkpoints(peer, here):
    peer.append(*flags(5))
    before = peer.note()
    sync(peer, here)
    peer.rewind(4)
    assert useless(peer, here, "shrunk") == peer.note() + b"\n" + before


def test_an_old_checkpoint_shown_again_freezes_nobody(peer, here):
    """Everyone who ever read it can show it: the peer need not have done so."""
    peer.append(*flags(2))
    old = peer.note()
    peer.append(*flags(2, start=2))
    sync(peer, here)
    peer.replayed = old
    useless(peer, here, "shrunk")
    peer.replayed = None
    peer.append(*flags(1, start=4))
    assert sync(peer, here).accepted == 1


@pytest.mark.parametrize("known", [0, 2])
def test_entries_garbled_once_are_asked_for_again(peer, here, known):
    peer.append(*flags(known))
    sync(peer, here)
    peer.append(*flags(3, start=known))
    peer.garbled = 1
    assert sync(peer, here).accepted == 3
    assert not here.frozen


def test_two_checkpoints_of_one_size_within_one_sync_freeze_the_peer(peer, here):
    peer.append(*flags(3))
    peer.garbled = 1
    entries, first = peer.entries, peer.note()

    async def rewrite_after_being_asked(start, limit):
        page = await entries(start, limit)
        peer.equivocate()
        return page

    peer.entries = rewrite_after_being_asked
    evidence = frozen(peer, here, "two logs of one size")
    assert evidence.endswith(b"\n" + first)


def test_the_entries_that_do_not_fit_are_kept_as_evidence_within_bounds(peer, here, monkeypatch):
    monkeypatch.setattr(federation.log_reading, "MAX_EVIDENCE_IDS", 2)
    peer.append(*flags(2))
    before = peer.note()
    sync(peer, here)
    peer.equivocate(at=1)
    ids = peer.append(*flags(3, start=2))
    evidence = frozen(peer, here, "not those of the signed log")
    assert evidence == b"\n".join((peer.note(), before, *(one.encode() for one in ids[:2])))


def test_two_logs_of_one_size_are_frozen_with_both_checkpoints(peer, here):
    peer.append(*flags(5))
    before = peer.note()
    sync(peer, here)
    peer.equivocate()
    assert frozen(peer, here, "two logs of one size") == peer.note() + b"\n" + before


def test_a_log_that_was_rewritten_and_grew_is_frozen(peer, here):
    peer.append(*flags(5))
    sync(peer, here)
    peer.equivocate(at=2)
    peer.append(*flags(3, start=5))
    frozen(peer, here, "not those of the signed log")


def test_entries_that_are_not_the_signed_ones_are_not_taken(peer, here):
    peer.append(*flags(5))
    peer.replayed = peer.note()
    peer.equivocate(at=2)
    frozen(peer, here, "not those of the signed log")


def test_a_log_rewritten_while_a_sync_was_interrupted_is_frozen(peer, here):
    peer.bodies = 1
    peer.append(*flags(5))
    here.fail_after = 2
    with pytest.raises(RuntimeError, match="killed"):
        sync(peer, here)
    here.fail_after = None
    assert here.cursor(ORIGIN)[0].size == 2
    peer.equivocate(at=3)
    peer.append(*flags(3, start=5))
    frozen(peer, here, "not those of the signed log")


def test_a_log_that_shrinks_while_a_sync_was_interrupted_ends_the_next(peer, here):
    peer.bodies = 1
    peer.append(*flags(5))
    here.fail_after = 2
    with pytest.raises(RuntimeError, match="killed"):
        sync(peer, here)
    here.fail_after = None
    peer.rewind(3)
    useless(peer, here, "shrunk")


def test_an_interrupted_sync_goes_on_where_it_stopped(peer, here):
    peer.bodies = 2
    ids = peer.append(*flags(9))
    here.fail_after = 2
    with pytest.raises(RuntimeError, match="killed"):
        sync(peer, here)
    assert list(here.taken) == ids[:4]
    here.fail_after = None
    peer.append(*flags(2, start=9))
    assert sync(peer, here).fetched == 7
    assert list(here.taken) == peer.log


def test_a_statement_of_its_own_log_that_a_peer_does_not_know_ends_the_sync(peer, here):
    ids = peer.append(*flags(3))
    body = peer.held.pop(ids[1])
    useless(peer, here, "does not know")
    peer.held[ids[1]] = body
    assert sync(peer, here).accepted == 3


def test_other_bytes_than_the_log_commits_to_end_the_sync(peer, here):
    ids = peer.append(*flags(3))
    other = peer.held[ids[2]]
    peer.lies[ids[1]] = EnvelopeAnswer(id=ids[1], state="present", envelope=other.decode())
    assert useless(peer, here, "other bytes").endswith(b"\n" + other)


def test_an_answer_about_another_statement_is_of_no_use(peer, here):
    ids = peer.append(*flags(3))
    peer.lies[ids[1]] = EnvelopeAnswer(id=ids[2], state="withheld")
    useless(peer, here, "another statement")


def test_no_progress_is_misbehaviour(peer, here):
    peer.append(*flags(3))
    peer.bodies = 0
    useless(peer, here, "about 0 of 3")
    peer.page = 0
    useless(peer, here, "0 entries")


def test_more_than_was_asked_for_is_misbehaviour(peer, here):
    peer.append(*flags(3))
    peer.flood = 1
    useless(peer, here, "4 entries")
    peer.flood = 0
    envelopes = peer.envelopes

    async def flood(ids):
        peer.flood = 1
        return await envelopes(ids)

    peer.envelopes = flood
    useless(peer, here, "about 4 of 3")


def test_entries_from_another_place_are_misbehaviour(peer, here):
    peer.append(*flags(3))
    peer.shift = 1
    useless(peer, here, "from 1 on, and was asked for 3 from 0 on")


@pytest.mark.parametrize("note", [b"", b"no note", b"\xff"])
def test_what_is_no_checkpoint_is_of_no_use(peer, here, note):
    peer.replayed = note or b"\n"
    useless(peer, here, "cannot be believed")


def test_a_checkpoint_that_another_log_signed_is_of_no_use(peer, here):
    peer.replayed = Peer("platform.example").note()
    useless(peer, here, "cannot be believed")


def test_a_stalling_peer_is_unreachable_and_loses_nothing(peer, here):
    ids = peer.append(*flags(5))
    peer.stalled = True
    with pytest.raises(PeerUnreachableError, match="stalls"):
        sync(peer, here)
    peer.stalled = False
    sync(peer, here)
    assert list(here.taken) == ids


def test_a_log_that_grew_beyond_what_one_sync_holds_is_not_begun(peer, here, monkeypatch):
    monkeypatch.setattr(federation.log_reading, "MAX_NEW_ENTRIES", 4)
    peer.append(*flags(5))
    with pytest.raises(PeerUnreachableError, match="more than 4 new"):
        sync(peer, here)
    assert not here.taken


def test_a_log_of_any_size_that_is_claimed_costs_nothing(peer, here):
    huge = Checkpoint(ORIGIN, 2**53 - 1, bytes(32))
    peer.replayed = sign_checkpoint(huge, make_key(KeyUse.LOG, HOTLINE))
    with pytest.raises(PeerUnreachableError, match="new entries"):
        sync(peer, here)


def test_a_mirror_serves_the_log_of_another(peer, here):
    peer.append(*flags(3))
    mirror = Peer("mirror.example", held=peer.held, log=peer.log, replayed=peer.note())
    asyncio.run(sync_peer(mirror, peer.pinned(), here, run=asyncio.to_thread))
    assert len(here.taken) == 3


def test_nothing_that_was_pulled_shows_its_body(peer):
    assert "aGVsbG8" not in repr(Pulled("ab" * 32, b"aGVsbG8"))
