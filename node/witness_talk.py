"""The conversations with this node's witnesses: every new checkpoint is shown to them.

It runs on a loop of its own, in the process that has the lease of the jobs. What may happen here at
any time: a witness is slow, lies or is gone. Each is asked by itself, within a deadline, and one
that fails is asked again ever more seldom; the others are not kept waiting.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import structlog

from federation.client import PeerClient
from federation.descriptors import PinnedNode
from federation.lines import Lines
from federation.witness import Ahead, ask_cosignature, split_prefix
from node.evidence_talk import EvidenceTalk
from node.loop import Loop
from node.services.directory import pinned
from node.services.keys import NodeKeys
from node.services.log import OwnLog
from node.services.publication import Publication, Round
from node.settings import Settings
from node.storage.engine import Store
from protocol.checkpoint import NoteKey
from protocol.errors import PeerUnreachableError
from protocol.witness_policy import PolicyWitness

_LOOK_EVERY_S: Final = 1.0
_LEAST_PAUSE_S: Final = 0.5
_MOST_DOUBLINGS: Final = 16
_SUFFIX: Final = "/witness"

_log = structlog.get_logger("node.witnesses")


class WitnessTalk:
    """Has this node's checkpoints cosigned; one for each process, and one of them acts."""

    def __init__(
        self,
        store: Store,
        log: OwnLog,
        publication: Publication,
        *,
        keys: NodeKeys,
        settings: Settings,
        leads: Callable[[], bool],
        clock: Callable[[], float],
        evidence: EvidenceTalk,
    ) -> None:
        """Keeps what is needed; nothing runs yet.

        Args:
            store: the database, for the addresses of peers.
            log: the node's own.
            publication: what is gathered.
            keys: of the node; requests to witnesses are signed as all are.
            settings: of the node.
            leads: takes or renews the lease; whether this process is the one to ask.
            clock: Unix time in seconds.
            evidence: tells the peers of what was found.
        """
        self._evidence = evidence
        self._store = store
        self._own_log = log
        self._publication = publication
        self._keys = keys
        self._settings = settings
        self._leads = leads
        self._clock = clock
        self._loop = Loop("witnesses", self._main, reach=settings.peer_reach)
        self._lines: Lines | None = None
        self._wake: asyncio.Event | None = None
        self._on_published: Callable[[], None] = _nothing
        # By the witness's key: the size it cosigned last, failures in a row, when it is next asked.
        self._known: dict[NoteKey, int] = {}
        self._failures: dict[NoteKey, int] = {}
        self._not_before: dict[NoteKey, float] = {}
        self._busy: dict[NoteKey, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Opens the loop."""
        self._loop.start()

    def close(self) -> None:
        """Ends every conversation."""
        self._loop.close()

    def on_published(self, listener: Callable[[], None]) -> None:
        """Has `listener` called when a checkpoint has got enough cosignatures."""
        self._on_published = listener

    def log_grew(self, _synced: bool) -> None:  # as ingest calls its subscribers
        """Has the witnesses asked now."""
        self._loop.soon(self._set_wake)

    def _set_wake(self) -> None:
        if self._wake is not None:
            self._wake.set()

    async def _main(self, lines: Lines) -> None:
        self._lines = lines
        self._wake = asyncio.Event()
        try:
            while True:
                await self._turn(self._wake)
        finally:
            tasks = list(self._busy.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _turn(self, wake: asyncio.Event) -> None:
        try:
            await self._look()
            await self._evidence.look(self._client_of)
        except Exception as error:  # noqa: BLE001  # one failed look must not end the others
            _log.warning("witnesses_failed", error=type(error).__name__)
        # Without a call too: another process may have written.
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await wake.wait()
        wake.clear()

    async def _look(self) -> None:
        found = await asyncio.to_thread(self._publication.begin)
        if found is None:
            return
        now = asyncio.get_running_loop().time()
        due = [
            one
            for one in found.waiting
            if one.key not in self._busy and self._not_before.get(one.key, now) <= now
        ]
        if not due or not await asyncio.to_thread(self._leads):
            return
        for witness in due:
            # Nobody waits for it here: a slow one must not keep the next round from the others.
            task = asyncio.create_task(self._ask(witness, found))
            self._busy[witness.key] = task
            task.add_done_callback(partial(self._free, witness.key))

    def _free(self, key: NoteKey, _task: asyncio.Task[None]) -> None:
        del self._busy[key]
        self._set_wake()

    async def _ask(self, witness: PolicyWitness, found: Round) -> None:
        loop = asyncio.get_running_loop()
        pause_s = _LEAST_PAUSE_S
        try:
            if await self._answer(witness, found):
                self._on_published()
            self._failures.pop(witness.key, None)
        except Exception as error:  # noqa: BLE001  # one witness's failure must not end the asking
            # The name in the policy file is the operator's own; the answer is not repeated.
            _log.info("witness_failed", witness=witness.key.name, error=type(error).__name__)
            failures = self._failures[witness.key] = self._failures.get(witness.key, 0) + 1
            pause_s = min(2.0 ** min(failures, _MOST_DOUBLINGS), self._settings.poll_interval_s)
        self._not_before[witness.key] = loop.time() + pause_s
        loop.call_later(pause_s, self._set_wake)

    async def _answer(self, witness: PolicyWitness, found: Round) -> bool:
        """Asks one witness; returns whether the checkpoint is published by its answer."""
        url, prefix = split_prefix(await asyncio.to_thread(self._url_of, witness))
        line = await ask_cosignature(
            self._client_at(url),
            witness.key,
            found.note,
            size=found.size,
            known=self._known.get(witness.key, 0),
            prove=lambda old: self._own_log.consistency_proof(old, found.size),
            run=asyncio.to_thread,
            prefix=prefix,
        )
        if isinstance(line, Ahead):
            raise PeerUnreachableError("The witness has cosigned a longer log than this one.")
        self._known[witness.key] = found.size
        return await asyncio.to_thread(self._publication.add, found.size, [line])

    def _client_of(self, node: PinnedNode) -> PeerClient:
        return self._client_at(node.url)

    def _client_at(self, url: str) -> PeerClient:
        assert self._lines is not None
        return PeerClient(
            self._lines,
            url=url,
            key=self._keys.request,
            clock=self._clock,
            deadline_s=self._settings.peer_timeout_s,
            allow_insecure_http=self._settings.allow_insecure_http,
        )

    def _url_of(self, witness: PolicyWitness) -> str:
        """Returns where a witness answers: as the policy says, or as the pinned node's descriptor.

        Raises:
            PeerUnreachableError: nobody says.
        """
        if witness.url is not None:
            return witness.url
        name = witness.key.name.removesuffix(_SUFFIX)
        with self._store.read() as transaction:
            record = transaction.peers.get(name)
        if record is None:
            raise PeerUnreachableError("The policy gives no address, and no peer has the name.")
        return pinned(record).url


def _nothing() -> None:
    """Nobody listens."""
