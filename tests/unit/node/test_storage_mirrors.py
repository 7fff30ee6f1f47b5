"""Mirrors of other nodes' logs: every entry at its place, however it came in."""

import asyncio

import pytest

from desks import Desk
from federation.sync import sync_peer
from node.services.directory import log_name
from node.services.replica import StoredReplica
from node.storage.engine import Store
from simulator import media_flag
from worlds import PLATFORM

LOG = "platform.example/log/1+kid"
IDS = [f"{number:064x}" for number in range(1_000)]


@pytest.mark.parametrize("steps", [[1_000], [1] * 3 + [253, 1, 255, 256, 232], [256, 744]])
def test_entries_are_found_where_they_stand(store: Store, steps: list[int]) -> None:
    at = 0
    for step in steps:
        with store.write() as transaction:
            assert transaction.mirrors.extend(LOG, at, IDS[at : at + step])
            at += step
            assert transaction.mirrors.size(LOG) == at
    with store.read() as transaction:
        for start, limit in [(0, 1), (0, 1_000), (255, 2), (256, 256), (700, 4_096), (999, 1)]:
            assert transaction.mirrors.entries(LOG, start, limit) == IDS[start : start + limit]
        assert transaction.mirrors.entries(LOG, 1_000, 5) == []
        assert transaction.mirrors.entries("other", 0, 5) == []


def test_nothing_is_added_that_does_not_follow(store: Store) -> None:
    with store.write() as transaction:
        assert not transaction.mirrors.extend(LOG, 3, IDS[3:5])
        assert transaction.mirrors.extend(LOG, 0, IDS[:3])
        assert not transaction.mirrors.extend(LOG, 2, IDS[2:5])
        assert transaction.mirrors.size(LOG) == 3


def test_a_log_that_is_taken_over_is_mirrored(either_desk: Desk) -> None:
    peer = either_desk.world.nodes[PLATFORM]
    store = either_desk.world.store
    replica = StoredReplica(store, either_desk.world.ingest, node=PLATFORM, clock=either_desk.clock)
    for count in (5, 300):
        peer.append(*(media_flag(PLATFORM, len(peer.log) + n) for n in range(count)))
        asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread))
    with store.read() as transaction:
        assert transaction.mirrors.entries(log_name(peer.pinned()), 0, 4_096) == peer.log
