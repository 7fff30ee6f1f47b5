"""The node's outgoing conversations about logs: syncing with peers, and poking them.

All of it runs on one event loop (`node.loop`); asking circles has another (`node.asking`).

What may happen here at any time: a peer is slow, lies, floods or is gone. Each sync is bounded by
`federation.client`, concerns one peer, and leaves a sentence about what went wrong with that peer.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from federation.client import PeerClient
from federation.descriptors import PinnedNode
from federation.gossip import poke_all
from federation.lines import Lines
from federation.log_reading import ContradictionError
from federation.sync import Source, sync_peer
from federation.witness import WitnessedSource
from node.chain_talk import ChainTalk
from node.loop import Loop
from node.mirror_talk import MirrorTalk
from node.services.directory import log_name, pinned
from node.services.ingest import Ingest
from node.services.key_use import KeysInUse
from node.services.keys import NodeKeys
from node.services.log import OwnLog
from node.services.mirroring import refresh
from node.services.replica import StoredReplica
from node.services.successions import Successions
from node.settings import Settings
from node.storage.engine import Store
from protocol.errors import FederationError, PeerMisbehavedError, SchutznetzError
from protocol.messages import Poke
from protocol.witness_policy import WitnessPolicy

_WATCH_EVERY_S = 1.0
_TELL_AGAIN_S = 3_600  # a peer may have been restored, or have pinned this node anew

_log = structlog.get_logger("node.exchange")


class Exchange:
    """Talks to other nodes; one for each process."""

    def __init__(
        self,
        store: Store,
        ingest: Ingest,
        log: OwnLog,
        successions: Successions,
        key_use: KeysInUse,
        *,
        keys: NodeKeys,
        settings: Settings,
        clock: Callable[[], float],
        required: WitnessPolicy | None = None,
    ) -> None:
        self._store = store
        self._required = required
        self._ingest = ingest
        self._own_log = log
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._chains = ChainTalk(store, successions, key_use, name=settings.name, clock=clock)
        self._mirrors = MirrorTalk(
            store, ingest, name=settings.name, required=required, clock=clock
        )
        self._loop = Loop("exchange", self._main, reach=settings.peer_reach)
        self._lines: Lines | None = None
        self._wanted: dict[str, asyncio.Event] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._poke: asyncio.Event | None = None
        self._acknowledged: dict[str, tuple[str, int, float]] = {}  # origin, size and time by peer
        # Nothing is known to have been announced: what a command wrote before the start is.
        self._announced = 0
        self._looked_at: int | None = None  # version of the database that was looked at last

    def start(self) -> None:
        """Opens the loop and syncs with every peer once."""
        self._loop.start()

    def close(self) -> None:
        """Ends every conversation."""
        self._loop.close()

    def sync_soon(self, name: str) -> None:
        """Has the log of one peer pulled; asking again before it began changes nothing."""
        self._loop.soon(self._want, name)

    def sync_all_soon(self) -> None:
        """Has the log of every peer pulled."""
        self._loop.soon(self._want_all)

    def log_grew(self, synced: bool) -> None:
        """Tells the peers that this node's log has grown.

        What a sync brought is told a moment later, by the watch: it is new to few of them, and a
        burst is told once. But it is told, so that what goes by way of this node arrives, and so
        that the peers acknowledge it.
        """
        if not synced:
            self._loop.soon(self._set_poke)

    def _accuse(self, node: str, message: str, evidence: bytes) -> None:
        with self._store.write() as transaction:
            now = int(self._clock())
            transaction.peers.keep_evidence(node, message, evidence, at=now)
            transaction.journal.audit("node", "peer.misbehaved", at=now, subject=node, detail=None)

    def _client(self, node: PinnedNode) -> PeerClient:
        assert self._lines is not None
        return PeerClient(
            self._lines,
            url=node.url,
            key=self._keys.request,
            clock=self._clock,
            deadline_s=self._settings.peer_timeout_s,
            allow_insecure_http=self._settings.allow_insecure_http,
        )

    async def _main(self, lines: Lines) -> None:
        self._poke = asyncio.Event()
        self._lines = lines
        tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._poke_peers())]
        try:
            await asyncio.gather(*tasks)
        finally:
            tasks += self._followers.values()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._chains.close()

    def _active_peers(self) -> list[PinnedNode]:
        with self._store.read() as transaction:
            nodes = [pinned(record) for record in transaction.peers.all()]
        now = int(self._clock())
        return [
            node.at(now)
            for node in nodes
            if node.name != self._settings.name and node.state == "active" and node.expires > now
        ]

    async def _watch(self) -> None:
        """Follows what other processes do: peers that a command added, and the log's growth."""
        while True:
            try:
                await self._chains.look(self._client)
                version = await asyncio.to_thread(self._store.version)
                if version is None or version != self._looked_at:
                    await self._look()
                self._looked_at = version
            except Exception as error:  # noqa: BLE001  # one failed look must not end the watch
                _log.warning("watch_failed", error=type(error).__name__)
            await asyncio.sleep(_WATCH_EVERY_S)

    async def _look(self) -> None:
        for node in await asyncio.to_thread(self._active_peers):
            if node.name not in self._followers:
                self._want(node.name)
        size = await asyncio.to_thread(self._own_log.size)
        if size > self._announced:
            self._set_poke()
        self._announced = size

    def _set_poke(self) -> None:
        assert self._poke is not None
        self._poke.set()

    def _want(self, name: str) -> None:
        wanted = self._wanted.setdefault(name, asyncio.Event())
        wanted.set()
        if name not in self._followers:
            self._followers[name] = asyncio.create_task(self._follow(name, wanted))

    def _want_all(self) -> None:
        for name in self._followers:
            self._want(name)

    async def _follow(self, name: str, wanted: asyncio.Event) -> None:
        failures = 0
        while True:
            await wanted.wait()
            # Cleared before the sync: what grows during it is asked for again.
            wanted.clear()
            try:
                went_well = await self._sync(name)
            except Exception as error:  # noqa: BLE001  # one peer's failure must not end its syncs
                _log.warning("sync_failed", peer=name, error=type(error).__name__)
                went_well = False
            failures = 0 if went_well else failures + 1
            delay_s = 2.0**failures
            if failures and delay_s < self._settings.poll_interval_s:
                # Sooner than the next poll, and ever more seldom: a peer that starts, or that pins
                # this node a moment later, is in step soon.
                asyncio.get_running_loop().call_later(delay_s, wanted.set)

    async def _sync(self, name: str, *, again: bool = True) -> bool:
        node = next(
            (one for one in await asyncio.to_thread(self._active_peers) if one.name == name), None
        )
        if node is None:
            return True
        replica = StoredReplica(
            self._store, self._ingest, node=name, clock=self._clock, log=log_name(node)
        )
        try:
            source = await self._source(node, replica)
            report = await sync_peer(
                source, node, replica, run=asyncio.to_thread, told=self._told(node)
            )
        except SchutznetzError as error:
            if again and await self._chains.after_failure(node, self._client, error):
                return await self._sync(name, again=False)
            await asyncio.to_thread(self._note_failure, name, error)
            _log.warning("sync_failed", peer=name, error=type(error).__name__)
            # Who has contradicted itself is frozen, and believed by way of nobody.
            is_frozen = isinstance(error, ContradictionError)
            return not is_frozen and await self._mirrors.sync(node, self._client)
        self._acknowledged[name] = (node.log_origin, report.size, self._clock())
        await asyncio.to_thread(self._note_success, name, report.note)
        if report.fetched:
            _log.info(
                "synced",
                peer=name,
                size=report.size,
                accepted=report.accepted,
                set_aside=report.set_aside,
                skipped=report.skipped,
                bytes=report.bytes_received,
            )
        return True

    def _told(self, node: PinnedNode) -> int | None:
        """Returns up to where a peer knows that its log was taken over."""
        origin, size, at = self._acknowledged.get(node.name, ("", 0, 0.0))
        is_known = origin == node.log_origin and self._clock() - at < _TELL_AGAIN_S
        return size if is_known else None

    async def _source(self, node: PinnedNode, replica: StoredReplica) -> Source:
        client = self._client(node)
        if self._required is None:
            return client
        frontier, _ = await asyncio.to_thread(replica.cursor, node.log_origin)
        return WitnessedSource(client, self._required, least=frontier.size)

    def _note_failure(self, name: str, error: SchutznetzError) -> None:
        with self._store.write() as transaction:
            known = transaction.peers.get(name)
            transaction.peers.note_sync(name, at=None, problem=str(error))
        # Who contradicted its own log is frozen by now, and the evidence of it is kept; and who
        # does the same again at every poll is accused once.
        is_new = known is not None and known.state == "active" and known.problem != str(error)
        if isinstance(error, PeerMisbehavedError) and is_new:
            self._accuse(name, str(error), error.evidence)

    def _note_success(self, name: str, note: bytes) -> None:
        # Forgotten in a failure of power, it only looks as if the last sync were the one before.
        with self._store.write(durable=False) as transaction:
            refresh(transaction, name, note, now=int(self._clock()))
            transaction.peers.note_sync(name, at=int(self._clock()), problem=None)

    async def _poke_peers(self) -> None:
        assert self._poke is not None
        while True:
            await self._poke.wait()
            self._poke.clear()
            try:
                nodes = await asyncio.to_thread(self._active_peers)
                size = await asyncio.to_thread(self._own_log.size)
                poke = Poke(origin=self._own_log.origin, size=size)
                failed = await poke_all(self._clients(nodes), poke)
            except Exception as error:  # noqa: BLE001  # a lost poke costs one poll, no more
                _log.warning("poke_failed", error=type(error).__name__)
                continue
            for name, failure in failed.items():
                _log.info("poke_failed", peer=name, error=type(failure).__name__)

    def _clients(self, nodes: Sequence[PinnedNode]) -> dict[str, PeerClient]:
        clients = {}
        for node in nodes:
            try:
                clients[node.name] = self._client(node)
            except FederationError as error:  # an address that must not be called
                _log.info("poke_failed", peer=node.name, error=type(error).__name__)
        return clients
