"""Asking peers and witnesses what they have kept of this node's log, before it signs anything.

Every process asks once before it begins to serve, and waits a little for the answers. A node with
a witness policy goes on only when those who have not answered could not have published anything by
themselves; it asks again until then. One whose log is behind fetches what is missing, in the
process that has the lease of the jobs.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from federation.client import PeerClient
from federation.descriptors import PinnedNode
from federation.lines import Lines
from federation.witness import split_prefix
from node.loop import Loop
from node.recovery_talk import RecoveryTalk
from node.services.directory import pinned
from node.services.keys import NodeKeys
from node.services.log import OwnLog
from node.services.publication import Publication
from node.services.recovery import Recovery
from node.services.standing import Standing
from node.settings import Settings
from node.storage.engine import Store
from protocol.checkpoint import NoteKey
from protocol.errors import (
    FederationError,
    PeerRefusedError,
    PeerUnreachableError,
    ProtocolError,
    UnavailableError,
)
from protocol.messages import OwnLogAnswer

_WAIT_S: Final = 5.0
_AGAIN_S: Final = 2.0
_SUFFIX: Final = "/witness"
_NONE: Final = 404
_UNASKED: Final = "The node's witnesses have not said yet how much of its log they cosigned."

_log = structlog.get_logger("node.standing")


@dataclass
class _Heard:
    """What was answered: notes, who serves how much of the log, and which witnesses did."""

    notes: list[bytes] = field(default_factory=list)
    served: list[tuple[PinnedNode, OwnLogAnswer]] = field(default_factory=list)
    witnesses: set[NoteKey] = field(default_factory=set)


class StandingTalk:
    """Asks at the start, and recovers where that is needed; one for each process."""

    def __init__(
        self,
        store: Store,
        log: OwnLog,
        standing: Standing,
        recovery: Recovery,
        publication: Publication,
        *,
        keys: NodeKeys,
        settings: Settings,
        leads: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        """Keeps what is needed; nothing runs yet.

        Args:
            store: the database, for the peers.
            log: the node's own, which is held until enough have answered.
            standing: compares.
            recovery: appends what is missing.
            publication: has the witness policy.
            keys: of the node.
            settings: of the node.
            leads: takes or renews the lease; whether this process is the one to recover.
            clock: Unix time in seconds.
        """
        self._store = store
        self._own_log = log
        self._standing = standing
        self._recovery = recovery
        self._publication = publication
        self._keys = keys
        self._settings = settings
        self._leads = leads
        self._clock = clock
        self._loop = Loop("standing", self._main, reach=settings.peer_reach)
        self._lines: Lines | None = None

    def start(self) -> None:
        """Asks, and returns when enough have answered, or after a few seconds."""
        if not self._peers() and not self._witnesses():
            return
        self._own_log.hold(_UNASKED)
        self._loop.start()
        with suppress(TimeoutError, UnavailableError):
            self._loop.wait(self._ask_first(), _WAIT_S)
        if self._publication.policy is None:
            # Nobody is bound to answer: what a peer says later still counts.
            self._own_log.hold(None)

    def close(self) -> None:
        """Ends every conversation."""
        self._loop.close()

    async def _ask_first(self) -> None:
        try:
            await self._look()
        except Exception as error:  # noqa: BLE001  # one odd answer must not keep a node from starting
            _log.warning("standing_failed", error=type(error).__name__)

    async def _main(self, lines: Lines) -> None:
        self._lines = lines
        while True:
            await asyncio.sleep(_AGAIN_S)
            try:
                if await asyncio.to_thread(self._is_needed):
                    await self._look()
            except Exception as error:  # noqa: BLE001  # one failed look must not end the others
                _log.warning("standing_failed", error=type(error).__name__)

    def _is_needed(self) -> bool:
        return self._own_log.held is not None or self._standing.state().state == "behind"

    async def _look(self) -> None:
        heard = await self._ask_all()
        state = await asyncio.to_thread(self._standing.judge, heard.notes)
        if self._is_enough(heard):
            self._own_log.hold(None)
        if state.state == "behind" and await asyncio.to_thread(self._leads):
            await self._recover(heard)

    def _is_enough(self, heard: _Heard) -> bool:
        """Whether those who have not answered could not have published anything by themselves."""
        policy = self._publication.policy
        if policy is None or not policy.witnesses:
            return True
        return not policy.is_met([key for key in policy.keys if key not in heard.witnesses])

    async def _ask_all(self) -> _Heard:
        heard = _Heard()
        peers = await asyncio.to_thread(self._peers)
        witnesses = await asyncio.to_thread(self._witnesses)
        async with asyncio.TaskGroup() as tasks:
            for node in peers:
                tasks.create_task(self._ask_peer(node, heard))
            for key, url in witnesses:
                tasks.create_task(self._ask_witness(key, url, heard))
        return heard

    async def _ask_peer(self, node: PinnedNode, heard: _Heard) -> None:
        try:
            answer = await self._client(node.url).own_log(0, 1)
        except FederationError:
            return
        if answer.origin == self._own_log.origin and answer.checkpoint is not None:
            heard.notes.append(answer.checkpoint.encode())
            heard.served.append((node, answer))

    async def _ask_witness(self, key: NoteKey, url: str, heard: _Heard) -> None:
        try:
            address, prefix = split_prefix(url)
            note = await self._client(address).witnessed(self._own_log.origin, prefix=prefix)
            heard.notes.append(note)
        except PeerRefusedError as error:
            if error.status != _NONE:
                return
        except FederationError:
            return
        heard.witnesses.add(key)

    async def _recover(self, heard: _Heard) -> None:
        """Takes back what some peer has, up to the greatest checkpoint that it serves wholly."""
        opened = await asyncio.to_thread(self._standing.opened, heard.notes)
        talk = RecoveryTalk(
            self._recovery,
            size=self._own_log.size,
            peers=[one for one, _ in heard.served],
            client_of=lambda node: self._client(node.url),
        )
        for target, _ in opened:
            for node, answer in heard.served:
                if answer.size < target.size:
                    continue
                try:
                    await talk.recover(node, target)
                except (FederationError, ProtocolError) as error:
                    _log.warning("recovery_failed", peer=node.name, error=type(error).__name__)
                else:
                    return

    def _client(self, url: str) -> PeerClient:
        if self._lines is None:
            raise PeerUnreachableError("There is no loop to ask on.")
        return PeerClient(
            self._lines,
            url=url,
            key=self._keys.request,
            clock=self._clock,
            deadline_s=min(self._settings.peer_timeout_s, _WAIT_S),
            allow_insecure_http=self._settings.allow_insecure_http,
        )

    def _peers(self) -> list[PinnedNode]:
        now = int(self._clock())
        with self._store.read() as transaction:
            nodes = [pinned(record) for record in transaction.peers.all()]
        return [
            node.at(now)
            for node in nodes
            if node.name != self._settings.name and node.state == "active" and node.expires > now
        ]

    def _witnesses(self) -> list[tuple[NoteKey, str]]:
        policy = self._publication.policy
        urls = {node.name: node.url for node in self._peers()}
        found = []
        for one in () if policy is None else policy.witnesses:
            url = one.url or urls.get(one.key.name.removesuffix(_SUFFIX))
            if url is not None:
                found.append((one.key, url))
        return found
