"""Conversations about keys: telling peers of this node's later descriptors, and asking for theirs.

They run on the loop of `node.exchange`. A descriptor proves itself, so it is told without a signed
request: also a peer that knows none of the keys in use any more can go on to the latest.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from federation.client import PeerClient
from federation.descriptors import PinnedNode
from node.services.directory import pinned
from node.services.key_use import KeysInUse
from node.services.successions import Successions
from node.storage.engine import Store
from protocol.errors import (
    ChainError,
    PeerMisbehavedError,
    PeerRefusedError,
    SchutznetzError,
)
from protocol.limits import MAX_DESCRIPTORS_PER_MESSAGE

_DAY_S = 86_400
_PULL_EVERY_S = 60
_LONGEST_WAIT_S = 300.0
_AT_ONCE = 16
_NOT_PINNED = 404
_UNKNOWN = 401

_log = structlog.get_logger("node.chain_talk")

ClientOf = Callable[[PinnedNode], PeerClient]


class ChainTalk:
    """Keeps the peers' knowledge of this node's keys up to date, and this node's of theirs."""

    def __init__(
        self,
        store: Store,
        successions: Successions,
        key_use: KeysInUse,
        *,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._successions = successions
        self._key_use = key_use
        self._name = name
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._tries: dict[str, tuple[int, float]] = {}

    async def look(self, client_of: ClientOf) -> None:
        """Uses a new key once it may be, and begins to tell and ask whom it is time to."""
        try:
            await asyncio.to_thread(self._key_use.refresh)
        except SchutznetzError as error:
            _log.warning("keys_not_refreshed", error=type(error).__name__)
        if self._task is not None and not self._task.done():
            return
        to_tell, to_ask = await asyncio.to_thread(self._due)
        if to_tell or to_ask:
            self._task = asyncio.create_task(self._talk(to_tell, to_ask, client_of))

    async def close(self) -> None:
        """Ends what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def after_failure(
        self, node: PinnedNode, client_of: ClientOf, error: SchutznetzError
    ) -> bool:
        """Looks whether new keys explain why a sync failed; returns whether to try it again."""
        if isinstance(error, PeerRefusedError) and error.status == _UNKNOWN:
            await asyncio.to_thread(self._forget_told, node.name)
        if isinstance(error, PeerMisbehavedError):
            # It may have signed with a key that is not known here yet.
            return await self.ask(node, client_of, every_s=_PULL_EVERY_S)
        return False

    async def ask(self, node: PinnedNode, client_of: ClientOf, *, every_s: int) -> bool:
        """Asks a peer for its later descriptors, unless it was asked lately; returns if it had any.

        What it answers starts with the version that is known: it must be the same one.
        """
        version = await asyncio.to_thread(self._begin_asking, node.name, every_s)
        if version is None:
            return False
        try:
            found = await client_of(node).descriptors(version - 1)
            if not found:
                return False
            return await asyncio.to_thread(self._take, node.name, found) > 0
        except ChainError:
            _log.warning("chain_broken", peer=node.name)
        except SchutznetzError as error:
            _log.info("no_descriptors", peer=node.name, error=type(error).__name__)
        return False

    def _take(self, name: str, found: list[bytes]) -> int:
        return self._successions.take(name, found, answered=True)

    def _begin_asking(self, name: str, every_s: int) -> int | None:
        now = int(self._clock())
        with self._store.write() as transaction:
            if transaction.descriptors.pulled(name) > now - every_s:
                return None
            transaction.descriptors.set_pulled(name, now)
            return transaction.descriptors.version(name) or None

    def _forget_told(self, name: str) -> None:
        """A peer that knows the key of no request of ours has forgotten, or never heard."""
        with self._store.write() as transaction:
            if transaction.descriptors.version(self._name) > 1:
                transaction.descriptors.set_told(name, 1)

    def _due(self) -> tuple[list[PinnedNode], list[PinnedNode]]:
        now = int(self._clock())
        with self._store.read() as transaction:
            records = [
                one
                for one in transaction.peers.all()
                if one.name != self._name and one.state == "active"
            ]
            told = transaction.descriptors.told()
            latest = transaction.descriptors.version(self._name)
            to_ask = [
                pinned(one)
                for one in records
                if max(transaction.descriptors.pulled(one.name), one.added) < now - _DAY_S
            ]
        moment = time.monotonic()
        to_tell = [
            pinned(one)
            for one in records
            if told.get(one.name, 1) < latest and self._tries.get(one.name, (0, 0.0))[1] <= moment
        ]
        return to_tell, to_ask

    async def _talk(
        self, to_tell: list[PinnedNode], to_ask: list[PinnedNode], client_of: ClientOf
    ) -> None:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def tell(node: PinnedNode) -> None:
            async with turns:
                await self._tell(node, client_of)

        async def ask(node: PinnedNode) -> None:
            async with turns:
                await self.ask(node, client_of, every_s=_DAY_S)

        async with asyncio.TaskGroup() as tasks:
            for node in to_tell:
                tasks.create_task(tell(node))
            for node in to_ask:
                tasks.create_task(ask(node))

    async def _tell(self, node: PinnedNode, client_of: ClientOf) -> None:
        """Tells one peer everything that it has not heard; its good answer is kept."""
        try:
            client = client_of(node)
            while found := await asyncio.to_thread(self._untold, node.name):
                await client.announce([body for _, body in found])
                await asyncio.to_thread(self._note_told, node.name, found[-1][0])
        except PeerRefusedError as error:
            if error.status == _NOT_PINNED:
                # It has not pinned this node, so nothing of ours is refused for its key.
                await asyncio.to_thread(self._note_all_told, node.name)
            else:
                self._wait(node.name, error)
        except SchutznetzError as error:
            self._wait(node.name, error)
        else:
            self._tries.pop(node.name, None)

    def _wait(self, name: str, error: SchutznetzError) -> None:
        failures = self._tries.get(name, (0, 0.0))[0] + 1
        delay_s = min(2.0**failures, _LONGEST_WAIT_S)
        self._tries[name] = (failures, time.monotonic() + delay_s)
        _log.info("keys_not_told", peer=name, error=type(error).__name__)

    def _untold(self, name: str) -> list[tuple[int, bytes]]:
        with self._store.read() as transaction:
            told = transaction.descriptors.told().get(name, 1)
            found = transaction.descriptors.after(
                self._name, told, limit=MAX_DESCRIPTORS_PER_MESSAGE
            )
        return [(one.version, one.body) for one in found]

    def _note_told(self, name: str, version: int) -> None:
        with self._store.write() as transaction:
            transaction.descriptors.set_told(name, version)

    def _note_all_told(self, name: str) -> None:
        with self._store.write() as transaction:
            transaction.descriptors.set_told(name, transaction.descriptors.version(self._name))
