"""Reading a log by way of mirrors: the origin's log at the end, and every liar by its name."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import msgspec
import pytest

from desks import Desk
from federation.descriptors import open_descriptor
from federation.evidence import verify_evidence
from federation.mirrors import MirrorSource, Turn, sync_by_mirrors
from federation.misconduct import Contradiction
from federation.sync import Source, sync_peer
from federation.witness import WitnessedSource
from node.services import replica as direct
from node.services.directory import log_name
from node.services.mirror_sources import MirrorSources
from node.services.mirrored_replica import MirroredReplica
from node.services.replica import StoredReplica
from protocol.checkpoint import Note, NoteSignature, format_note, format_vkey, parse_note
from protocol.descriptors import NodeKey
from protocol.encoding import to_base64url
from protocol.errors import ConflictError, InvalidError, NotFoundError, PeerUnreachableError
from protocol.evidence import parse_evidence
from protocol.fields import StatementId
from protocol.messages import Entries, EnvelopeAnswer, Envelopes
from protocol.statements import MediaFlag
from protocol.witness_policy import parse_witness_policy
from signing.cosignatures import cosign, witness_name, witness_note_key
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from simulator import NOW, Peer, make_key, media_flag
from worlds import HOTLINE, PLATFORM, erase

ONE, TWO = "one.example", "two.example"
THREE = "three.example"
ORIGIN = f"{PLATFORM}/log/1"


@pytest.fixture
def origin(desk: Desk) -> Peer:
    """The platform, which does not answer; the mirrors are pinned, and read by the hotline."""
    peer = desk.world.nodes[PLATFORM]
    peer.append(*flags(6))
    sources = MirrorSources(desk.world.store, name=HOTLINE, clock=desk.clock)
    for name in (ONE, TWO):
        desk.world.know(name)
        sources.add(PLATFORM, name)
    return peer


def flags(count: int, first: int = 0) -> list[MediaFlag]:
    return [media_flag(PLATFORM, number) for number in range(first, first + count)]


def copy(peer: Peer) -> Peer:
    """The same log, to be shown otherwise."""
    return replace(peer, log=list(peer.log), held=dict(peer.held))


def mirror(name: str, of: Peer) -> Peer:
    return Peer(name, mirrored=copy(of), held=dict(of.held))


def sources_of(desk: Desk) -> MirrorSources:
    return MirrorSources(desk.world.store, name=HOTLINE, clock=desk.clock)


def read(
    desk: Desk,
    origin: Peer,
    *mirrors: Peer,
    wrap: Callable[[MirrorSource, int], Source] = lambda source, _least: source,
    turn_s: float = 60.0,
) -> list[Turn]:
    """Has the hotline read the log by way of these, and keep what came of it."""
    by_name = {one.name: one for one in mirrors}
    turns = asyncio.run(
        sync_by_mirrors(
            by_name,
            origin.pinned(),
            lambda name: MirroredReplica(
                desk.world.store,
                desk.world.ingest,
                node=PLATFORM,
                mirror=name,
                clock=desk.clock,
                log=log_name(origin.pinned()),
            ),
            wrap=wrap,
            run=asyncio.to_thread,
            turn_s=turn_s,
        )
    )
    sources_of(desk).note(PLATFORM, turns)
    return list(turns)


def pull(desk: Desk, origin: Peer) -> None:
    replica = StoredReplica(desk.world.store, desk.world.ingest, node=PLATFORM, clock=desk.clock)
    asyncio.run(sync_peer(origin, origin.pinned(), replica, run=asyncio.to_thread))


def kept(desk: Desk) -> list[StatementId]:
    """The entries of the origin's log as they were taken over."""
    replica = StoredReplica(desk.world.store, desk.world.ingest, node=PLATFORM, clock=desk.clock)
    return list(replica.entries(ORIGIN))


def here(desk: Desk, ids: list[StatementId]) -> list[bool]:
    with desk.world.store.read() as transaction:
        found = transaction.statements.by_ids(ids)
    return [one in found for one in ids]


def state(desk: Desk, name: str) -> str:
    return desk.peers.get(name).state


def evidence(desk: Desk, name: str) -> list[tuple[str, bytes]]:
    with desk.world.store.read() as transaction:
        return transaction.peers.evidence(name)


def assert_whole(desk: Desk, origin: Peer) -> None:
    assert kept(desk) == origin.log
    assert here(desk, origin.log) == [True] * len(origin.log)
    assert state(desk, PLATFORM) == "active", "an honest origin is not frozen for a mirror's lies"
    assert origin.acknowledged == []


def test_a_log_is_taken_over_from_a_mirror_as_from_the_origin(desk: Desk, origin: Peer) -> None:
    (turn,) = read(desk, origin, mirror(ONE, origin))
    assert (turn.lie, turn.problem, turn.size) == (None, None, 6)
    assert_whole(desk, origin)
    first, second = sources_of(desk).list()
    assert (first.state, first.size, first.heard, first.behind) == ("asked", 6, NOW, 0)
    assert (second.state, second.size, second.heard) == ("asked", 0, None)
    # And on from there, by way of the origin again.
    origin.append(*flags(1, 6))
    pull(desk, origin)
    assert kept(desk) == origin.log


def _wrong_entry(one: Peer) -> None:
    assert one.mirrored is not None
    (other,) = one.append(media_flag(PLATFORM, 99))
    real = one.mirrored.note()
    one.mirrored.log[2] = other
    one.mirrored.replayed = real


def _left_out(one: Peer) -> None:
    assert one.mirrored is not None
    one.mirrored.replayed = one.mirrored.note()
    del one.mirrored.log[3]


def _forged_checkpoint(one: Peer) -> None:
    assert one.mirrored is not None
    note = parse_note(one.mirrored.note())
    text = note.text.replace("\n6\n", "\n5\n")
    one.mirrored.replayed = format_note(Note(text, note.signatures))


def _no_checkpoint(one: Peer) -> None:
    assert one.mirrored is not None
    one.mirrored.replayed = b"a note"


def _other_body(one: Peer) -> None:
    first, second = list(one.held)[:2]
    text = one.held[second].decode()
    one.lies[first] = EnvelopeAnswer(id=first, state="present", envelope=text)


def _broken_signature(one: Peer) -> None:
    one.tamper(next(iter(one.held)))


def _about_others(one: Peer) -> None:
    first = next(iter(one.held))
    one.lies[first] = EnvelopeAnswer(id=StatementId("00" * 32), state="erased")


def _too_many_bodies(one: Peer) -> None:
    one.flood = 1


@pytest.mark.parametrize(
    ("spoil", "lie"),
    [
        (_wrong_entry, "wrong-entries"),
        (_left_out, "missing-entries"),
        (_forged_checkpoint, "forged-checkpoint"),
        (_no_checkpoint, "forged-checkpoint"),
        (_other_body, "wrong-body"),
        (_broken_signature, "forged-body"),
        (_about_others, "broken-answer"),
        (_too_many_bodies, "broken-answer"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_the_log_is_whole_and_the_liar_is_named(
    desk: Desk, origin: Peer, spoil: Callable[[Peer], None], lie: str
) -> None:
    liar = mirror(ONE, origin)
    spoil(liar)
    read(desk, origin, liar, mirror(TWO, origin))
    assert_whole(desk, origin)
    listed = {one.mirror: one for one in sources_of(desk).list()}
    assert (listed[ONE].state, listed[ONE].lie, listed[ONE].lied) == ("stopped", lie, NOW)
    assert f"As a mirror of {PLATFORM}: {lie}." in evidence(desk, ONE)[0][0]
    assert [one.name for one in sources_of(desk).to_ask(PLATFORM)] == [TWO]
    assert (listed[TWO].state, listed[TWO].lie) == ("asked", None)
    assert evidence(desk, TWO) == evidence(desk, PLATFORM) == []
    assert state(desk, ONE) == "active", "as a peer it goes on: nobody else could check this"


class Witness(Peer):
    """A node that is a witness as well."""

    @cached_property
    def descriptor_envelope(self) -> bytes:
        found, _ = open_descriptor(Peer(self.name).descriptor_envelope, now=NOW)
        key = to_base64url(self.key(KeyUse.WITNESS).public.raw)
        first = found.keys[0]
        more = NodeKey(
            use="witness", key=key, not_before=first.not_before, not_after=first.not_after
        )
        descriptor = msgspec.structs.replace(found, keys=(*found.keys, more))
        return sign_statement(descriptor, self.key(KeyUse.ROOT))


class Evasive(Peer):
    """A mirror that lies twice about what is new, and is honest when everything is looked at."""

    lies_left = 2

    async def mirror_entries(self, origin: str, start: int, limit: int) -> Entries:
        found = await super().mirror_entries(origin, start, limit)
        if start == 0 or self.lies_left == 0:
            return found
        self.lies_left -= 1
        return Entries(start=start, entries=("00" * 32,) * len(found.entries))


def test_who_lies_about_what_is_new_alone_is_named_as_well(desk: Desk, origin: Peer) -> None:
    read(desk, origin, mirror(ONE, origin))
    origin.append(*flags(2, 6))
    liar = Evasive(ONE, mirrored=copy(origin), held=origin.held)
    turns = read(desk, origin, liar, mirror(TWO, origin))
    assert [one.lie for one in turns] == ["wrong-entries", None]
    assert_whole(desk, origin)


def test_a_mirror_that_lied_once_on_the_line_is_not_named(desk: Desk, origin: Peer) -> None:
    one = mirror(ONE, origin)
    assert one.mirrored is not None
    one.mirrored.garbled = 1
    (turn,) = read(desk, origin, one)
    assert (turn.lie, turn.problem) == (None, None)
    assert_whole(desk, origin)


# what the origin itself has signed


def test_two_logs_of_one_size_convict_the_origin_and_not_who_brought_them(
    desk: Desk, origin: Peer
) -> None:
    other = copy(origin)
    other.equivocate()
    turns = read(desk, origin, mirror(ONE, origin), mirror(TWO, other), mirror("x.example", origin))
    assert [one.mirror for one in turns] == [ONE, TWO], "nobody is asked behind that"
    assert [one.lie for one in turns] == [None, None]
    assert state(desk, PLATFORM) == "frozen"
    (document,) = (body for _, body in evidence(desk, PLATFORM))
    shown = verify_evidence(parse_evidence(document))
    assert "two different logs of 6 entries" in shown.sentence
    assert evidence(desk, ONE) == evidence(desk, TWO) == []


def test_what_the_operator_has_judged_freezes_nobody_anew_by_way_of_a_mirror(
    desk: Desk, origin: Peer
) -> None:
    other = copy(origin)
    other.equivocate()
    read(desk, origin, mirror(ONE, origin), mirror(TWO, other))
    desk.peers.thaw(PLATFORM)
    turns = read(desk, origin, mirror(TWO, other), mirror(ONE, origin))
    assert [(one.mirror, one.lie) for one in turns] == [(TWO, None), (ONE, None)]
    assert state(desk, PLATFORM) == "active"
    assert_whole(desk, origin)


def test_a_rewritten_log_convicts_the_origin_by_way_of_an_honest_mirror(
    desk: Desk, origin: Peer
) -> None:
    other = copy(origin)
    other.equivocate(2)
    other.append(*flags(2, 6))
    turns = read(desk, origin, mirror(ONE, origin), mirror(TWO, other))
    assert [one.lie for one in turns] == [None, None]
    assert state(desk, PLATFORM) == "frozen"
    (document,) = (body for _, body in evidence(desk, PLATFORM))
    assert parse_evidence(document).kind == "rewritten-entry"


def test_where_it_cannot_be_proved_neither_origin_nor_mirror_is_blamed(
    desk: Desk, origin: Peer
) -> None:
    read(desk, origin, mirror(ONE, origin))
    with desk.world.store.write() as transaction:
        # As of a log that was taken over before its entries were kept.
        log = next(one for one in transaction.logs.origins() if one.startswith(ORIGIN))
        transaction._connection.exec_driver_sql("DELETE FROM mirror")
    assert log
    other = copy(origin)
    other.equivocate(2)
    other.append(*flags(2, 6))
    (turn,) = read(desk, origin, mirror(TWO, other))
    assert turn.lie is None
    assert "another log than the one that was taken over" in str(turn.problem)
    assert state(desk, PLATFORM) == "active"


def test_who_serves_the_log_that_the_origin_signed_after_an_interruption_is_no_liar(
    desk: Desk, origin: Peer
) -> None:
    first = mirror(ONE, origin)
    first.bodies, first.patience = 2, 4
    read(desk, origin, first)
    assert 0 < len(kept(desk)) < 5, "the checkpoint that was believed is ahead of that"
    other = copy(origin)
    other.equivocate(5)
    other.append(*flags(2, 6))
    (turn,) = read(desk, origin, mirror(TWO, other))
    assert turn.lie is None
    assert "another log than the one that was taken over" in str(turn.problem)
    liar = Evasive(TWO, mirrored=copy(origin), held=origin.held)
    (turn,) = read(desk, origin, liar)
    assert turn.lie == "wrong-entries"


class Meanwhile(Peer):
    """A mirror during whose turn something happens, before its first body."""

    happens: Callable[[], None]

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        self.happens()
        return await super().envelopes(ids)


def test_what_was_asked_of_a_peer_says_nothing_of_who_is_pinned_in_its_place_meanwhile(
    desk: Desk, origin: Peer
) -> None:
    new = Peer(PLATFORM, generation=2)
    new.append(*flags(3, 20))

    def pin_anew() -> None:
        desk.peers.remove(PLATFORM)
        desk.peers.add(new.descriptor_envelope, new.pinned().fingerprint, authority=False)

    slow = Meanwhile(ONE, mirrored=copy(origin), held=origin.held)
    slow.happens = pin_anew
    turns = read(desk, origin, slow, mirror(TWO, origin))
    assert [one.lie for one in turns] == [None, None]
    assert ["meanwhile" in str(one.problem) for one in turns] == [True, True]
    pull(desk, new)
    assert kept(desk) == new.log
    assert state(desk, PLATFORM) == "active"


def test_a_contradiction_of_the_log_of_before_does_not_freeze_who_is_pinned_now(
    desk: Desk, origin: Peer
) -> None:
    read(desk, origin, mirror(ONE, origin))
    replica = StoredReplica(desk.world.store, desk.world.ingest, node=PLATFORM, clock=desk.clock)
    replica.cursor(ORIGIN)
    other, new = copy(origin), Peer(PLATFORM, generation=2)
    other.equivocate()
    desk.peers.remove(PLATFORM)
    desk.peers.add(new.descriptor_envelope, new.pinned().fingerprint, authority=False)
    with pytest.raises(PeerUnreachableError, match="meanwhile"):
        replica.misbehaved(PLATFORM, "", b"", Contradiction((origin.note(), other.note())))
    assert state(desk, PLATFORM) == "active"


def test_a_checkpoint_under_a_key_that_is_not_known_is_no_lie(desk: Desk, origin: Peer) -> None:
    later = replace(origin, generation=2)
    turns = read(desk, origin, mirror(ONE, later), mirror(TWO, origin))
    assert [one.lie for one in turns] == [None, None]
    assert "cannot be believed" in str(turns[0].problem)
    assert_whole(desk, origin)


# late, slow, gone, poor


def test_a_mirror_that_is_late_is_passed_over_and_not_blamed(desk: Desk, origin: Peer) -> None:
    late = mirror(ONE, origin)
    origin.append(*flags(2, 6))
    turns = read(desk, origin, mirror(TWO, origin), late)
    assert [one.lie for one in turns] == [None, None]
    assert "shows 6 entries, and 8 are known" in str(turns[1].problem)
    assert_whole(desk, origin)
    listed = {one.mirror: one for one in sources_of(desk).list()}
    assert (listed[ONE].state, listed[ONE].size, listed[ONE].heard) == ("asked", 6, None)
    # And where the late one is asked first, the other one goes on from there.
    origin.append(*flags(1, 8))
    read(desk, origin, mirror(TWO, origin))
    assert kept(desk) == origin.log


@pytest.mark.parametrize("how", [{"stalled": True}, {"patience": 2}, {"mirrored": None}])
def test_where_one_mirror_fails_the_next_goes_on(
    desk: Desk, origin: Peer, how: dict[str, Any]
) -> None:
    weak = replace(mirror(ONE, origin), bodies=2, **how)
    turns = read(desk, origin, weak, mirror(TWO, origin))
    assert [(one.lie, one.problem is None) for one in turns] == [(None, False), (None, True)]
    assert_whole(desk, origin)
    assert [one.name for one in sources_of(desk).to_ask(PLATFORM)] == [TWO, ONE], "the good first"


def test_a_mirrors_turn_ends_and_nothing_is_left_half_done(desk: Desk, origin: Peer) -> None:
    (turn,) = read(desk, origin, mirror(ONE, origin), turn_s=-1)
    assert (turn.lie, turn.report) == (None, None)
    assert "too long" in str(turn.problem)
    assert kept(desk) == []


def test_a_body_that_one_mirror_lacks_comes_from_another_or_from_the_origin(
    desk: Desk, origin: Peer
) -> None:
    poor, poorer = mirror(ONE, origin), mirror(TWO, origin)
    first, second, third = origin.log[:3]
    for one in (first, second, third):
        del poor.held[one]
    poorer.lies[second] = EnvelopeAnswer(id=second, state="withheld")
    poorer.lies[third] = EnvelopeAnswer(id=third, state="present", envelope='{"no": "form"}')
    read(desk, origin, poor, poorer)
    assert kept(desk) == origin.log
    assert here(desk, [first, second, third]) == [True, False, False]
    listed = {one.mirror: one for one in sources_of(desk).list()}
    assert (listed[ONE].lacked, listed[TWO].lacked) == (1, 0)
    (fresh,) = sources_of(desk).freshness()
    assert fresh.lacking == 2
    # Asked of each mirror once, and of the origin when it is back.
    poor.held[second] = origin.held[second]
    read(desk, origin, poor, poorer)
    assert here(desk, [second]) == [False]
    pull(desk, origin)
    assert here(desk, [second, third]) == [True, True]
    assert sources_of(desk).freshness()[0].lacking == 0


def test_what_is_not_believed_of_a_mirror_is_set_aside_under_its_name_alone(
    desk: Desk, origin: Peer
) -> None:
    liar = mirror(ONE, origin)
    first = origin.log[0]
    liar.tamper(first)
    read(desk, origin, liar)
    assert [(one.id, one.origin) for one in desk.peers.set_aside()] == [(first, ONE)]
    pull(desk, origin)
    assert here(desk, [first]) == [True]
    assert desk.peers.set_aside() == []
    assert all(not one.set_aside for one in origin.acknowledged)


def test_what_came_another_way_is_asked_for_no_more(desk: Desk, origin: Peer) -> None:
    poor = mirror(ONE, origin)
    first = origin.log[0]
    del poor.held[first]
    read(desk, origin, poor)
    desk.world.ingest.submit(origin.held[first], caller=PLATFORM)
    assert sources_of(desk).freshness()[0].lacking == 1
    read(desk, origin, mirror(TWO, origin))
    assert sources_of(desk).freshness()[0].lacking == 0


def test_more_lacking_bodies_than_can_be_noted_leave_the_log_where_it_was(
    desk: Desk, origin: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "MOST_SKIPPED", 3)
    empty = Peer(ONE, mirrored=copy(origin))
    turns = read(desk, origin, empty, mirror(TWO, origin))
    assert "more bodies than" in str(turns[0].problem)
    assert turns[0].lie is None
    assert_whole(desk, origin)


def test_more_bad_bodies_than_can_be_noted_leave_the_log_where_it_was(
    desk: Desk, origin: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "MOST_SKIPPED", 3)
    bad = mirror(ONE, origin)
    for one in origin.log:
        bad.tamper(one)
    turns = read(desk, origin, bad, mirror(TWO, origin))
    assert turns[0].lie == "forged-body"
    assert sources_of(desk).freshness()[0].lacking <= 3
    assert_whole(desk, origin)


def test_erased_bodies_stay_erased_whoever_serves_them(desk: Desk, origin: Peer) -> None:
    gone = origin.log[0]
    origin.append(erase(gone, by=PLATFORM))
    read(desk, origin, mirror(ONE, origin))
    with desk.world.store.read() as transaction:
        record = transaction.statements.by_id(gone)
        assert record is not None
        assert record.state == "erased"
        assert transaction.statements.envelopes([record.log_index]) == {}


def test_an_erasure_that_cannot_be_kept_leaves_the_log_where_it_was(
    desk: Desk, origin: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "_MOST_QUIET", 1)
    gone = origin.log[:2]
    origin.append(*(erase(one, by=PLATFORM) for one in gone))
    honest = mirror(ONE, origin)
    honest.bodies = 1
    for one in gone:
        del honest.held[one]
        honest.lies[one] = EnvelopeAnswer(id=one, state="erased")
    (turn,) = read(desk, origin, honest)
    assert (turn.lie, kept(desk)) == (None, origin.log[:-1])
    assert "erasures" in str(turn.problem)
    # Who has the bodies all the same has them deleted here, all of them.
    read(desk, origin, mirror(TWO, origin))
    assert kept(desk) == origin.log
    with desk.world.store.read() as transaction:
        found = transaction.statements.by_ids(gone)
    assert [found[one].state for one in gone] == ["erased", "erased"]


# witnesses, and how new it all is


def test_cosignatures_are_asked_for_by_way_of_mirrors_too_and_say_how_new_it_is(
    desk: Desk, origin: Peer
) -> None:
    witness, other = make_key(KeyUse.WITNESS, THREE), Witness(THREE)
    desk.peers.add(other.descriptor_envelope, other.pinned().fingerprint, authority=False)
    key = witness_note_key(THREE, witness.public)
    policy = parse_witness_policy(f"witness w {format_vkey(key)}\nquorum w\n".encode())

    def wrap(source: MirrorSource, least: int) -> Source:
        return WitnessedSource(source, policy, least=least)

    one = mirror(ONE, origin)
    (turn,) = read(desk, origin, one, wrap=wrap)
    assert (turn.lie, kept(desk)) == (None, [])
    assert "lacks 1 cosignatures" in str(turn.problem)
    note = parse_note(origin.note())
    line = cosign(note.text, witness, name=witness_name(THREE), now=NOW - 60)
    bad = NoteSignature(line.name, line.key_id, line.raw[:-1] + bytes([line.raw[-1] ^ 1]))
    assert one.mirrored is not None
    one.mirrored.replayed = format_note(Note(note.text, (*note.signatures, bad)))
    (turn,) = read(desk, origin, one, wrap=wrap)
    assert (turn.lie, kept(desk)) == (None, []), "it may have come so from the origin"
    one.mirrored.replayed = format_note(Note(note.text, (*note.signatures, line)))
    (turn,) = read(desk, origin, one, wrap=wrap)
    assert (turn.lie, turn.problem) == (None, None)
    assert_whole(desk, origin)
    assert sources_of(desk).freshness()[0].cosigned == NOW - 60
    # Whoever leaves it out takes it from nobody; a later one comes by way of any mirror.
    bare, later = mirror(TWO, origin), mirror(ONE, origin)
    read(desk, origin, bare)
    assert sources_of(desk).freshness()[0].cosigned == NOW - 60
    again = cosign(note.text, witness, name=witness_name(THREE), now=NOW - 30)
    assert later.mirrored is not None
    later.mirrored.replayed = format_note(Note(note.text, (*note.signatures, again)))
    read(desk, origin, later, bare)
    assert sources_of(desk).freshness()[0].cosigned == NOW - 30


def test_how_new_it_is_counts_from_when_the_newest_checkpoint_was_first_seen(
    desk: Desk, origin: Peer
) -> None:
    read(desk, origin, mirror(ONE, origin))
    desk.world.clock.tick(3_600)
    read(desk, origin, mirror(ONE, origin))
    (fresh,) = sources_of(desk).freshness()
    assert (fresh.size, fresh.answered, fresh.newest) == (6, None, NOW)
    assert sources_of(desk).list()[0].heard == NOW + 3_600


# the operator


def test_a_stopped_mirror_is_asked_again_when_the_operator_says_so(
    desk: Desk, origin: Peer
) -> None:
    liar = mirror(ONE, origin)
    _no_checkpoint(liar)
    read(desk, origin, liar)
    assert [one.name for one in sources_of(desk).to_ask(PLATFORM)] == [TWO]
    assert sources_of(desk).add(PLATFORM, ONE).state == "asked"
    assert [one.name for one in sources_of(desk).to_ask(PLATFORM)] == [ONE, TWO]
    with desk.world.store.read() as transaction:
        lines = [one.action for one in transaction.journal.audit_after(0, limit=100)]
    assert lines[-2:] == ["mirror.lied", "mirror.read"]


def test_mirrors_that_are_frozen_removed_or_ended_are_not_asked(desk: Desk, origin: Peer) -> None:
    desk.peers.freeze(ONE)
    assert [one.name for one in sources_of(desk).to_ask(PLATFORM)] == [TWO]
    assert sources_of(desk).list()[0].state == "away"
    sources_of(desk).remove(PLATFORM, TWO)
    assert list(sources_of(desk).to_ask(PLATFORM)) == []
    desk.peers.thaw(ONE)
    desk.world.clock.tick(500 * 86_400)
    assert list(sources_of(desk).to_ask(PLATFORM)) == []
    assert sources_of(desk).freshness()[0].size == 0
    with pytest.raises(NotFoundError, match="not read"):
        sources_of(desk).remove(PLATFORM, TWO)


def test_a_mirror_is_another_pinned_node_and_there_are_not_too_many(
    desk: Desk, origin: Peer
) -> None:
    sources = sources_of(desk)
    for node, name in ((PLATFORM, PLATFORM), (PLATFORM, HOTLINE), (HOTLINE, ONE)):
        with pytest.raises(InvalidError, match="another node"):
            sources.add(node, name)
    with pytest.raises(NotFoundError, match="is pinned"):
        sources.add(PLATFORM, "nobody.example")
    for number in range(6):
        desk.world.know(f"more-{number}.example")
        sources.add(PLATFORM, f"more-{number}.example")
    desk.world.know("ninth.example")
    with pytest.raises(ConflictError, match="at most"):
        sources.add(PLATFORM, "ninth.example")
    assert len(sources.list()) == 8


def test_what_a_removed_mirror_did_is_not_kept(desk: Desk, origin: Peer) -> None:
    one = mirror(ONE, origin)
    sources_of(desk).remove(PLATFORM, ONE)
    read(desk, origin, one)
    assert [each.mirror for each in sources_of(desk).list()] == [TWO]
