"""Mirrors that are late, slow, gone or poor: what one lacks comes from another, and nobody is blamed."""

from dataclasses import replace
from functools import cached_property
from typing import Any

import msgspec
import pytest

from desks import Desk
from federation.descriptors import open_descriptor
from federation.mirrors import MirrorSource
from federation.sync import Source
from federation.witness import WitnessedSource
from mirror_reading import (
    ONE,
    THREE,
    TWO,
    assert_whole,
    copy,
    flags,
    here,
    kept,
    mirror,
    mirrored_origin,
    pull,
    read,
    show_no_checkpoint,
    sources_of,
)
from node.services import replica as direct
from protocol.checkpoint import Note, NoteSignature, format_note, format_vkey, parse_note
from protocol.descriptors import NodeKey
from protocol.encoding import to_base64url
from protocol.errors import ConflictError, InvalidError, NotFoundError
from protocol.messages import EnvelopeAnswer
from protocol.witness_policy import parse_witness_policy
from signing.cosignatures import cosign, witness_name, witness_note_key
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from simulator import NOW, Peer, make_key
from worlds import HOTLINE, PLATFORM, erase


@pytest.fixture
def origin(desk: Desk) -> Peer:
    return mirrored_origin(desk)


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
    show_no_checkpoint(liar)
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
