"""The node's conversations over real HTTP: each peer for itself, each wait with an end."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node import exchange as module
from node.services.ingest import Ingest
from protocol.errors import UnavailableError
from signing.envelopes import sign_statement
from unit.node.exchange_station import OWN, A, B, Station, Talker, flag_of, open_station
from waiting import wait_for


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    monkeypatch.setattr(module, "_WATCH_EVERY_S", 0.05)
    with open_station(sqlite_url, tmp_path) as station:
        yield station


@pytest.fixture
def hasty(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    """Gives a peer up soon; for tests of a peer that never answers."""
    monkeypatch.setattr(module, "_WATCH_EVERY_S", 0.05)
    with open_station(sqlite_url, tmp_path, peer_timeout_s=1) as station:
        yield station


# syncing


def test_every_pinned_peer_is_synced_at_the_start(station: Station) -> None:
    flags = [station.peer(name).flag() for name in (A, B)]
    with station.running():
        wait_for(lambda: all(map(station.has, flags)), "both logs are taken over")
        wait_for(lambda: station.peers.get(A).synced is not None, "the success is noted")
    assert station.peers.get(A).problem is None


@pytest.mark.parametrize("manner", ["stall", "flood", "cut"])
def test_one_peer_that_fails_stops_no_other_and_its_problem_is_said(
    hasty: Station, manner: Any
) -> None:
    bad, good = hasty.peer(A, manner=manner), hasty.peer(B)
    with hasty.running() as exchange:
        first = good.flag()
        exchange.sync_all_soon()
        wait_for(lambda: hasty.has(first), "the good peer's log is taken over")
        wait_for(lambda: hasty.peers.get(A).problem is not None, "the problem is noted")
        assert hasty.peers.get(A).synced is None
        bad.manner = "whole"
        later = bad.flag()
        exchange.sync_soon(A)
        wait_for(lambda: hasty.has(later), "the peer is heard again")
        wait_for(lambda: hasty.peers.get(A).problem is None, "nothing is wrong any more")
    assert hasty.peers.get(A).state == "active"


def test_a_peer_that_another_process_pinned_is_followed(station: Station) -> None:
    with station.running():
        late = station.peer(A)
        statement = late.flag()
        wait_for(lambda: station.has(statement), "the new peer's log is taken over")


def test_a_peer_is_synced_when_it_pokes_and_when_all_are_polled(station: Station) -> None:
    peer = station.peer(A)
    with station.running() as exchange:
        wait_for(lambda: station.peers.get(A).synced is not None, "the first sync is done")
        first = peer.flag()
        exchange.sync_soon(A)
        wait_for(lambda: station.has(first), "a poke brought it")
        second = peer.flag()
        exchange.sync_all_soon()
        wait_for(lambda: station.has(second), "a poll brought it")


def test_a_peer_that_was_told_is_asked_for_its_checkpoint_and_told_again_after_a_while(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = station.peer(A)

    with station.running() as exchange:
        wait_for(lambda: station.peers.get(A).synced is not None, "the first sync is done")
        before = peer.asked
        exchange.sync_soon(A)
        wait_for(lambda: peer.asked > before, "it is synced again")
        peer.flag()
        exchange.sync_soon(A)
        wait_for(lambda: len(peer.acknowledged) > 1, "what is new is acknowledged")
        assert [one.size for one in peer.acknowledged] == [0, 1]
        monkeypatch.setattr(module, "_TELL_AGAIN_S", 0)
        exchange.sync_soon(A)
        wait_for(lambda: len(peer.acknowledged) > 2, "it is repeated after a while")


def test_a_frozen_peer_is_not_asked_and_one_that_is_thawed_is(station: Station) -> None:
    peer, other = station.peer(A, pinned=False), station.peer(B)
    station.pin(peer, state="frozen")
    statement = peer.flag()
    with station.running() as exchange:
        exchange.sync_soon(A)
        exchange.sync_soon("nobody.example")
        mark = other.flag()
        exchange.sync_soon(B)
        wait_for(lambda: station.has(mark), "the other peer is synced")
        assert peer.asked == 0
        station.peers.thaw(A)
        exchange.sync_soon(A)
        wait_for(lambda: station.has(statement), "the thawed peer is synced")


def test_a_peer_that_contradicts_its_log_is_frozen_with_one_piece_of_evidence(
    station: Station,
) -> None:
    peer = station.peer(A)
    first, _second = peer.flag(), peer.flag()
    with station.running() as exchange:
        wait_for(lambda: station.has(first), "the log is taken over")
        wait_for(lambda: station.peers.get(A).synced is not None, "the sync has ended")
        peer.equivocate()
        exchange.sync_soon(A)
        wait_for(lambda: station.peers.get(A).state == "frozen", "the peer is frozen")
    assert station.evidence(A) == ["The peer signed two logs of one size."]


def test_a_peer_whose_address_has_no_tls_is_not_asked(station: Station) -> None:
    station.pin(Talker(A, url="http://a.example"))
    good = station.peer(B)
    statement = good.flag()
    with station.running():
        wait_for(lambda: station.has(statement), "the other peer is synced")
        wait_for(lambda: "TLS" in (station.peers.get(A).problem or ""), "the problem is noted")


# pokes


def test_peers_are_poked_when_this_node_or_another_process_adds_to_the_log(
    station: Station,
) -> None:
    peer = station.peer(A)
    with station.running():
        station.submit()
        wait_for(lambda: peer.pokes and peer.pokes[-1].size == 1, "the peer is poked")
        envelope = sign_statement(flag_of(OWN), station.keys.statement)
        other_process = Ingest(station.store, station.log, name=OWN, clock=time.time)
        other_process.submit(envelope, caller=OWN)
        wait_for(lambda: peer.pokes[-1].size == 2, "the peer is poked again")
    assert {poke.origin for poke in peer.pokes} == {f"{OWN}/log/1"}


def test_a_peer_that_cannot_be_poked_costs_the_others_nothing(hasty: Station) -> None:
    hasty.peer(A, manner="stall")
    good = hasty.peer(B)
    with hasty.running():
        hasty.submit()
        wait_for(lambda: bool(good.pokes), "the other peer is poked")
        hasty.submit()
        wait_for(lambda: good.pokes[-1].size == 2, "and the next time too")


def test_a_peer_with_an_address_that_must_not_be_called_keeps_no_other_from_a_poke(
    station: Station,
) -> None:
    station.pin(Talker(A, url="http://a.example"))
    good = station.peer(B)
    with station.running():
        station.submit()
        wait_for(lambda: bool(good.pokes), "the other peer is poked")


def test_a_peer_that_was_away_is_asked_again_before_the_next_poll(station: Station) -> None:
    peer = station.peer(A, manner="cut")
    statement = peer.flag()
    with station.running():
        wait_for(lambda: station.peers.get(A).problem is not None, "the first sync fails")
        peer.manner = "whole"
        wait_for(lambda: station.has(statement), "it is synced without poke or poll")


def test_what_one_peer_said_is_announced_to_the_others_and_to_itself(station: Station) -> None:
    speaker, other = station.peer(A), station.peer(B)
    statement = speaker.flag()
    with station.running():
        wait_for(lambda: station.has(statement), "it is taken over")
        wait_for(lambda: bool(other.pokes) and bool(speaker.pokes), "both are poked")


# the end


def test_what_never_began_can_end_and_may_be_told_of_growth(station: Station) -> None:
    station.exchange.sync_soon(A)
    station.exchange.sync_all_soon()
    station.exchange.log_grew(synced=False)
    station.exchange.close()


def test_a_conversation_that_hangs_does_not_keep_the_node_from_ending(station: Station) -> None:
    peer = station.peer(A, manner="stall")
    with station.running() as exchange:
        wait_for(lambda: peer.asked > 0, "the peer was asked")
        began = time.monotonic()
    assert time.monotonic() - began < station.settings.peer_timeout_s / 2
    assert not exchange._loop.is_alive
    exchange.sync_soon(A)
    exchange.close()


def test_a_database_that_is_away_for_a_moment_ends_no_conversation(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = station.peer(A)
    with station.running() as exchange:
        wait_for(lambda: station.peers.get(A).synced is not None, "the first sync is done")
        read, failures = station.store.read, [0]

        def away() -> Any:
            failures[0] += 1
            raise UnavailableError("The database does not answer.")

        monkeypatch.setattr(station.store, "read", away)
        exchange.sync_soon(A)
        exchange.log_grew(synced=False)
        wait_for(lambda: failures[0] >= 6, "watch, sync and poke have met it")
        monkeypatch.setattr(station.store, "read", read)
        statement = peer.flag()
        exchange.sync_soon(A)
        wait_for(lambda: station.has(statement), "the conversations go on")
        station.submit()
        wait_for(lambda: bool(peer.pokes) and peer.pokes[-1].size == 2, "pokes go on too")
