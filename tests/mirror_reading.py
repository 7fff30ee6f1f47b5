"""A node that reads a peer's log by way of mirrors, and what of it is kept."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from desks import Desk
from federation.mirrors import MirrorSource, Turn, sync_by_mirrors
from federation.sync import Source, sync_peer
from node.services.directory import log_name
from node.services.mirror_sources import MirrorSources
from node.services.mirrored_replica import MirroredReplica
from node.services.replica import StoredReplica
from protocol.fields import StatementId
from protocol.statements import MediaFlag
from simulator import Peer, media_flag
from worlds import HOTLINE, PLATFORM

ONE, TWO = "one.example", "two.example"
THREE = "three.example"
ORIGIN = f"{PLATFORM}/log/1"


def mirrored_origin(desk: Desk) -> Peer:
    """The platform, which does not answer; two mirrors are pinned, and read by the hotline."""
    peer = desk.world.nodes[PLATFORM]
    peer.append(*flags(6))
    sources = sources_of(desk)
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


def show_no_checkpoint(one: Peer) -> None:
    assert one.mirrored is not None
    one.mirrored.replayed = b"a note"
