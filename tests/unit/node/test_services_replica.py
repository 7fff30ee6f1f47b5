"""What is taken over of another node's log: the good whatever else is there, the bad with a reason."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from desks import Desk
from federation.evidence import verify_evidence
from federation.sync import Pulled, SyncReport, sync_peer
from node.services import replica as module
from node.services.replica import StoredReplica
from node.storage.engine import Store
from node.storage.transaction import Transaction
from protocol.encoding import format_time
from protocol.errors import NotFoundError, PeerMisbehavedError, UnavailableError
from protocol.evidence import parse_evidence
from protocol.fields import StatementId
from protocol.merkle import Frontier
from protocol.messages import EnvelopeAnswer
from protocol.statements import MediaItem
from simulator import DAY_S, NOW, Peer, media_flag
from worlds import PLATFORM, dispute, erase, feedback, items, retract

THIRD = "third.example"
CARL = f"{PLATFORM}/carl"
ORIGIN = f"{PLATFORM}/log/1"


@pytest.fixture
def peer(either_desk: Desk) -> Peer:
    """The platform, whose log the hotline takes over."""
    return either_desk.world.nodes[PLATFORM]


def pull(desk: Desk, peer: Peer, *, store: Store | None = None) -> SyncReport:
    replica = StoredReplica(
        store or desk.world.store, desk.world.ingest, node=peer.name, clock=desk.clock
    )
    return asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread))


def here(desk: Desk, *ids: str) -> list[bool]:
    with desk.world.store.read() as transaction:
        found = transaction.statements.by_ids(ids)
    return [one in found for one in ids]


def set_aside(desk: Desk) -> dict[str, str]:
    return {one.id: one.reason for one in desk.peers.set_aside()}


def gone(statement: str, state: Any) -> EnvelopeAnswer:
    return EnvelopeAnswer(id=statement, state=state)


# taking over


def test_a_log_is_taken_over_and_the_cursor_stands_at_its_end(
    either_desk: Desk, peer: Peer
) -> None:
    ids = peer.append(*(media_flag(PLATFORM, number) for number in range(5)))
    heard: list[bool] = []
    either_desk.world.ingest.subscribe(heard.append)
    report = pull(either_desk, peer)
    assert (report.fetched, report.accepted, report.set_aside, report.skipped) == (5, 5, 0, 0)
    assert here(either_desk, *ids) == [True] * 5
    assert either_desk.peers.get(PLATFORM).seen_size == 5
    assert heard == [True]
    assert pull(either_desk, peer).fetched == 0
    assert heard == [True], "nobody is told of nothing"


def test_what_comes_while_the_own_log_waits_for_its_witnesses_is_taken_over_afterwards(
    either_desk: Desk, peer: Peer
) -> None:
    ids = peer.append(media_flag(PLATFORM, 1), media_flag(PLATFORM, 2))
    either_desk.world.log.hold("The witnesses have not said yet.")
    with pytest.raises(UnavailableError, match="not said yet"):
        pull(either_desk, peer)
    assert (set_aside(either_desk), either_desk.peers.get(PLATFORM).seen_size) == ({}, 0)
    either_desk.world.log.hold(None)
    assert pull(either_desk, peer).accepted == 2
    assert here(either_desk, *ids) == [True, True]


def test_what_came_another_way_is_not_asked_for_again(either_desk: Desk, peer: Peer) -> None:
    known = media_flag(PLATFORM, 1)
    either_desk.world.submit(known)
    peer.append(known, media_flag(PLATFORM, 2))
    assert pull(either_desk, peer).fetched == 1


def test_a_statement_of_a_third_party_is_believed_from_whomever_it_comes(
    either_desk: Desk, peer: Peer
) -> None:
    third = either_desk.world.know(THIRD)
    ids = peer.append(third.sign(media_flag(THIRD)))
    pull(either_desk, peer)
    assert here(either_desk, *ids) == [True]


def test_a_bad_statement_is_set_aside_with_its_reason_and_never_stops_the_rest(
    either_desk: Desk, peer: Peer
) -> None:
    ids = peer.append(
        media_flag(PLATFORM, 1),
        media_flag(PLATFORM, 2),
        media_flag(PLATFORM, 3, items=(MediaItem(pdq="00" * 32, quality=99),)),
        media_flag(PLATFORM, 4, audience=(f"node:{THIRD}",)),
        media_flag(PLATFORM, 5, issued=format_time(NOW - DAY_S), review_by=format_time(NOW - 1)),
        feedback("ab" * 32),
        media_flag(PLATFORM, 6),
    )
    peer.tamper(ids[1])
    report = pull(either_desk, peer)
    assert here(either_desk, *ids) == [True, False, False, False, False, False, True]
    assert report.set_aside == 4
    reasons = set_aside(either_desk)
    assert reasons[ids[1]].startswith("BadSignature: ")
    assert reasons[ids[2]].startswith("Invalid: A pdq is that of a nearly constant picture")
    assert reasons[ids[3]].startswith("NotAllowed: ")
    assert ids[4] not in reasons  # it has ended: as if the peer had said so
    assert reasons[ids[5]].startswith("UnknownTarget: ")
    assert {one.id: one.reason for one in peer.acknowledged[-1].set_aside} == reasons
    assert either_desk.peers.get(PLATFORM).seen_size == 7


def test_what_is_no_envelope_is_set_aside_and_not_kept(either_desk: Desk, peer: Peer) -> None:
    (statement,) = peer.append(media_flag(PLATFORM))
    peer.lies[statement] = EnvelopeAnswer(id=statement, state="present", envelope='{"no": 1}')
    assert pull(either_desk, peer).set_aside == 1
    (record,) = either_desk.peers.set_aside()
    assert (record.id, record.envelope, record.retry) == (statement, None, False)


def test_reasons_repeat_nothing_of_the_statement(desk: Desk) -> None:
    peer = desk.world.nodes[PLATFORM]
    dull = MediaItem(pdq="00" * 31 + "01", quality=99, sha256="ab" * 32)
    peer.append(media_flag(PLATFORM, 1, items=(dull,)))
    peer.append(media_flag(PLATFORM, 2, items=items(1), audience=(f"node:{THIRD}",)))
    pull(desk, peer)
    reasons = repr(set_aside(desk))
    for value in (dull.pdq, dull.sha256, items(1)[0].sha256):
        assert value is not None
        assert value not in reasons


# what one peer says binds that peer alone


@pytest.mark.parametrize("lie", ["bad signature", "withheld", "erased", "expired", "no envelope"])
def test_a_peer_cannot_hide_what_another_has(either_desk: Desk, peer: Peer, lie: str) -> None:
    third = either_desk.world.know(THIRD)
    (statement,) = third.append(media_flag(THIRD))
    peer.append(third.held[statement])
    if lie == "bad signature":
        peer.tamper(statement)
    elif lie == "no envelope":
        peer.lies[statement] = EnvelopeAnswer(id=statement, state="present", envelope="{}")
    else:
        peer.lies[statement] = gone(statement, lie)
    pull(either_desk, peer)
    assert here(either_desk, statement) == [False]
    pull(either_desk, third)
    assert here(either_desk, statement) == [True]
    assert set_aside(either_desk) == {}


def test_what_is_not_for_this_node_is_passed_over_once(either_desk: Desk, peer: Peer) -> None:
    ids = peer.append(*(media_flag(PLATFORM, number) for number in range(3)))
    states = ("withheld", "erased", "expired")
    peer.lies |= {one: gone(one, state) for one, state in zip(ids, states, strict=True)}
    report = pull(either_desk, peer)
    assert (report.skipped, report.set_aside) == (3, 0)
    assert set_aside(either_desk) == {}
    replica = StoredReplica(
        either_desk.world.store, either_desk.world.ingest, node=PLATFORM, clock=either_desk.clock
    )
    assert replica.missing(ids) == set()


@pytest.mark.parametrize("about", [erase, retract, dispute, feedback])
def test_what_is_said_of_a_statement_that_is_rightly_not_here_is_moot(
    either_desk: Desk, peer: Peer, about: Any
) -> None:
    (target,) = peer.append(media_flag(PLATFORM, 1))
    peer.lies[target] = gone(target, "erased")
    ids = peer.append(about(target, by=PLATFORM), media_flag(PLATFORM, 2))
    report = pull(either_desk, peer)
    assert here(either_desk, target, *ids) == [False, False, True]
    assert (report.set_aside, set_aside(either_desk)) == (0, {})


# bounds


def test_a_flood_of_bad_statements_is_kept_up_to_a_bound_and_good_ones_still_come(
    either_desk: Desk, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_KEPT", 4)
    bad = peer.append(*(media_flag(THIRD, number) for number in range(10)))
    good = peer.append(media_flag(PLATFORM, 99))
    report = pull(either_desk, peer)
    assert (report.accepted, report.set_aside) == (1, 10)
    assert len(set_aside(either_desk)) == 4
    assert here(either_desk, *good) == [True]
    assert len(bad) == 10
    assert pull(either_desk, peer).fetched == 0, "what is past the bound is not asked for again"


# crashes and misbehaviour


class Failing:
    """A store that fails in the n-th write: before the commit, or after it, unnoticed."""

    def __init__(self, store: Store, at: int, *, persists: bool) -> None:
        self._store = store
        self.left = at
        self.persists = persists
        self.read = store.read
        self.forget_deleted = store.forget_deleted

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        self.left -= 1
        if self.left == 0 and self.persists:
            with self._store.write() as transaction:
                yield transaction
            raise UnavailableError("The power went.")
        with self._store.write() as transaction:
            yield transaction
            if self.left == 0:
                raise UnavailableError("The power went.")


@pytest.mark.parametrize("persists", [False, True], ids=["not persisted", "persisted"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_crash_in_the_middle_of_a_sync_loses_nothing_and_doubles_nothing(
    either_desk: Desk, peer: Peer, at: int, *, persists: bool
) -> None:
    peer.bodies = 2
    ids = peer.append(*(media_flag(PLATFORM, number) for number in range(6)))
    failing: Any = Failing(either_desk.world.store, at, persists=persists)
    with pytest.raises(UnavailableError, match="power"):
        pull(either_desk, peer, store=failing)
    taken = 2 * (at if persists else at - 1)
    assert here(either_desk, *ids) == [True] * taken + [False] * (6 - taken)
    assert either_desk.peers.get(PLATFORM).seen_size == taken
    assert pull(either_desk, peer).fetched == 6 - taken
    assert here(either_desk, *ids) == [True] * 6
    assert either_desk.world.log.size() == 1 + 6


def test_a_peer_that_contradicts_its_log_is_frozen_and_the_evidence_kept(
    either_desk: Desk, peer: Peer
) -> None:
    peer.append(*(media_flag(PLATFORM, number) for number in range(3)))
    pull(either_desk, peer)
    honest = peer.note()
    peer.equivocate()
    with pytest.raises(PeerMisbehavedError, match="two logs"):
        pull(either_desk, peer)
    state = either_desk.peers.get(PLATFORM)
    assert (state.state, state.problem) == ("frozen", "The peer signed two logs of one size.")
    with either_desk.world.store.read() as transaction:
        ((message, body),) = transaction.peers.evidence(PLATFORM)
    assert message == "The peer signed two logs of one size."
    evidence = parse_evidence(body)
    assert evidence.notes == (honest.decode(), peer.note().decode())
    verify_evidence(evidence)
    assert either_desk.audited() == [
        ("node", "peer.frozen", PLATFORM, "The peer signed two logs of one size.")
    ]


def test_nothing_of_a_contradicting_log_is_taken_over(either_desk: Desk, peer: Peer) -> None:
    peer.append(media_flag(PLATFORM, 1))
    pull(either_desk, peer)
    before = either_desk.world.log.size()
    peer.equivocate()
    peer.append(media_flag(PLATFORM, 2))
    with pytest.raises(PeerMisbehavedError):
        pull(either_desk, peer)
    assert either_desk.world.log.size() == before
    with pytest.raises(NotFoundError):
        either_desk.flags.status(peer.log[-1])


def test_an_unknown_log_begins_at_nothing(either_desk: Desk) -> None:
    replica = StoredReplica(
        either_desk.world.store, either_desk.world.ingest, node=PLATFORM, clock=either_desk.clock
    )
    assert replica.cursor(ORIGIN) == (Frontier.EMPTY, None)


def test_a_batch_without_anything_new_moves_the_cursor(either_desk: Desk) -> None:
    replica = StoredReplica(
        either_desk.world.store, either_desk.world.ingest, node=PLATFORM, clock=either_desk.clock
    )
    grown = Frontier.EMPTY.append([bytes(32)])
    gone_by = Pulled(StatementId("00" * 32), None)
    assert replica.take(ORIGIN, [gone_by], grown, b"checkpoint") == []
    assert replica.cursor(ORIGIN) == (grown, b"checkpoint")
