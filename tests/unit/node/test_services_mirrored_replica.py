"""Reading a log by way of mirrors: the origin's log at the end, and every liar by its name."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from desks import Desk
from federation.evidence import verify_evidence
from federation.misconduct import Contradiction
from mirror_reading import (
    ONE,
    ORIGIN,
    TWO,
    assert_whole,
    copy,
    evidence,
    flags,
    kept,
    mirror,
    mirrored_origin,
    pull,
    read,
    show_no_checkpoint,
    sources_of,
    state,
)
from node.services.replica import StoredReplica
from protocol.checkpoint import Note, format_note, parse_note
from protocol.errors import PeerUnreachableError
from protocol.evidence import parse_evidence
from protocol.fields import StatementId
from protocol.messages import Entries, EnvelopeAnswer, Envelopes
from simulator import NOW, Peer, media_flag
from worlds import PLATFORM


@pytest.fixture
def origin(desk: Desk) -> Peer:
    return mirrored_origin(desk)


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
        (show_no_checkpoint, "forged-checkpoint"),
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
