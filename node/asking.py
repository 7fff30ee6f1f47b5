"""Asking circles for fingerprints, on an event loop of its own.

What may happen here at any time: a holder is slow, lies or is gone. What is remembered here is not
secret: the public keys of shares, how fast holders answer, who lied. Nothing is looked up: the
fingerprints are compared elsewhere (`node.services.accounts`).
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from federation.circle import Asker, Lie, Panel
from federation.client import PeerClient
from federation.descriptors import PinnedNode
from federation.lines import Lines
from node.loop import Loop
from node.services.circles import mark_of
from node.services.directory import StoredDirectory
from node.services.epochs import Standing, Standings
from node.services.evaluator import Evaluator
from node.services.keys import NodeKeys
from node.settings import Settings
from node.storage.engine import Store
from protocol.circles import CircleDescriptor, Epoch
from protocol.errors import (
    FederationError,
    NodeError,
    PeerRefusedError,
    ProtocolError,
    RateLimitedError,
    SigningError,
    UnavailableError,
)
from protocol.identifiers import NormalisedIdentifier
from protocol.limits import MAX_FINGERPRINTS
from protocol.messages import OprfAnswer, OprfRequest
from signing.oprf.fingerprints import fingerprint_input
from signing.oprf.stretch import Stretcher

OUTCOMES: Final = ("answered", "spent", "late", "unavailable")
"""What may come of asking: fingerprints, no budget left, no answer in time, too few answers."""

CircleKey = tuple[CircleDescriptor, Epoch]

_TOO_MANY_REQUESTS = 429
_MOST_PANELS = 64
_LATE_S = 1.0  # the loop ends a question itself; this is for a loop that hangs
_RETRY_AFTER_S = 3_600  # where a holder does not say when its day ends

_log = structlog.get_logger("node.asking")


class Asking:
    """Asks the holders of circles' keys; one for each process."""

    def __init__(
        self,
        store: Store,
        evaluator: Evaluator,
        *,
        keys: NodeKeys,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._evaluator = evaluator
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._standings = Standings(store)
        self._stretcher = Stretcher(settings.stretches_at_once)
        self._lock = threading.Lock()
        self._panels: dict[tuple[str, str], Panel] = {}
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._lines: Lines | None = None
        self._loop = Loop("asking", self._main, reach=settings.peer_reach)

    def start(self) -> None:
        """Opens the loop."""
        self._loop.start()

    def close(self) -> None:
        """Ends every conversation."""
        self._loop.close()

    async def _main(self, lines: Lines) -> None:
        self._lines = lines
        await asyncio.Event().wait()

    def ask_circle(
        self,
        descriptor: CircleDescriptor,
        epoch: Epoch,
        identifiers: Sequence[NormalisedIdentifier],
    ) -> list[bytes]:
        """Returns the fingerprint of each identifier under one key.

        Raises: as `ask_circles`.
        """
        (found,) = self.ask_circles([(descriptor, epoch)], identifiers)
        return found

    def ask_circles(
        self,
        keys: Sequence[CircleKey],
        identifiers: Sequence[NormalisedIdentifier],
        *,
        standing: Standing | None = None,
    ) -> list[list[bytes]]:
        """Returns the fingerprints under each key (see `services.accounts.AskCircles`).

        All keys are asked at once, and all of it ends within `account_check_deadline_s`; a batch
        has that for every eight identifiers, since they may all have to be stretched.

        Raises:
            RateLimitedError: too few holders have budget left for this node.
            UnavailableError: fewer holders of one of the keys answered in time than its threshold
                asks for, or the identifiers cannot be stretched in time.
        """
        parts = max(1, -(-len(identifiers) // MAX_FINGERPRINTS))
        ends = time.monotonic() + parts * self._settings.account_check_deadline_s
        # In the caller's thread: on the loop, a stretch would hold up every other conversation.
        # Waiting for a place to stretch leaves half of the time for the conversation.
        prepared = [
            [self._input(epoch, one, wait_s=(ends - time.monotonic()) / 2) for one in identifiers]
            for _, epoch in keys
        ]
        try:
            panels = [self._panel(descriptor, epoch) for descriptor, epoch in keys]
            asked = zip(panels, prepared, self._askers(keys, standing), strict=True)
            questions = [partial(self._fingerprint, *one) for one in asked]
            left_s = ends - time.monotonic()
            found = self._loop.wait(_all(questions, left_s), left_s + _LATE_S)
        except TimeoutError:
            self._count("late")
            raise UnavailableError("The circle did not answer in time.") from None
        except (SigningError, FederationError, ProtocolError) as error:
            # A circle whose commitments are no elements is as good as down.
            failure = _circle_failed(error.__cause__)
            self._count("spent" if isinstance(failure, RateLimitedError) else "unavailable")
            raise failure from None
        self._count("answered")
        return found

    def outcomes(self) -> dict[str, int]:
        """Returns how often circles were asked in this process, by what came of it."""
        with self._lock:
            return dict(self._outcomes)

    def failing(self) -> dict[str, list[str]]:
        """Returns by circle the holders that this process leaves alone, since they keep failing."""
        found: dict[str, list[str]] = {}
        for panel in list(self._panels.values()):
            names = {one.index: one.node for one in panel.epoch.holders}
            found.setdefault(panel.circle, []).extend(
                names[index] for index in panel.holders.failing()
            )
        return {circle: sorted(set(names)) for circle, names in found.items() if names}

    def _count(self, outcome: str) -> None:
        with self._lock:
            self._outcomes[outcome] += 1

    def _panel(self, descriptor: CircleDescriptor, epoch: Epoch) -> Panel:
        """Returns what is remembered of the holders of a key, for as long as it is just that key.

        Raises:
            MalformedError: the epoch's commitments are no elements.
        """
        key = (descriptor.circle, mark_of(epoch))
        with self._lock:
            panel = self._panels.pop(key, None) or Panel(descriptor.circle, epoch)
            self._panels[key] = panel  # the last one is the one used last
            if len(self._panels) > _MOST_PANELS:
                del self._panels[next(iter(self._panels))]
        return panel

    def _askers(
        self, keys: Sequence[CircleKey], standing: Standing | None
    ) -> list[dict[int, Asker]]:
        """Returns for each key how its holders are asked: those pinned, active and not frozen."""
        if standing is None:
            standing = self._standings.now()
        now = self._clock()
        return [
            {
                holder.index: self._asker(node)
                for holder in epoch.holders
                if (node := standing.nodes.get(holder.node)) is not None
                and node.expires > now
                and (descriptor.circle, holder.node) not in standing.frozen
            }
            for descriptor, epoch in keys
        ]

    async def _fingerprint(
        self, panel: Panel, inputs: Sequence[bytes], ask: dict[int, Asker]
    ) -> list[bytes]:
        return await panel.fingerprint(
            inputs,
            ask,
            misbehaved=self._accuse,
            run=asyncio.to_thread,
            first=[one.index for one in panel.epoch.holders if one.node == self._settings.name],
        )

    def _input(self, epoch: Epoch, one: NormalisedIdentifier, *, wait_s: float) -> bytes:
        """Returns what is blinded for an identifier; made anew each time, and kept nowhere."""
        kind = one.kind.value
        private_input = fingerprint_input(kind, one.scheme, one.value)
        return self._stretcher.stretch(kind, private_input, epoch.stretch, wait_s=wait_s)

    def _asker(self, node: PinnedNode) -> Asker:
        if node.name == self._settings.name:
            return self._ask_self
        return partial(self._ask_node, node)

    async def _ask_self(self, request: OprfRequest) -> OprfAnswer:
        evaluate = partial(self._evaluator.evaluate, member=self._settings.name)
        return await asyncio.to_thread(evaluate, request)

    async def _ask_node(self, node: PinnedNode, request: OprfRequest) -> OprfAnswer:
        assert self._lines is not None
        client = PeerClient(
            self._lines,
            url=node.url,
            key=self._keys.request,
            clock=self._clock,
            deadline_s=self._settings.peer_timeout_s,
            allow_insecure_http=self._settings.allow_insecure_http,
        )
        return await client.evaluate(request)

    def _accuse(self, lie: Lie) -> None:
        """Keeps the evidence, and asks this holder no more until the operator says otherwise."""
        now = int(self._clock())
        with self._store.write() as transaction:
            if not transaction.trust.freeze_holder(
                lie.circle, lie.node, since=now, message=lie.message
            ):
                return  # another question that was under way has met it too
            descriptor = StoredDirectory(transaction).circle_id(lie.circle)
            evidence = lie.evidence(descriptor or "")
            # What freezes is grave: room for it is kept behind what else the peer did.
            transaction.peers.keep_evidence(lie.node, lie.message, evidence, at=now, grave=True)
            transaction.journal.audit(
                "node", "circle.freeze-holder", at=now, subject=lie.node, detail=lie.circle
            )
        _log.warning("holder_frozen", peer=lie.node, circle=lie.circle)


async def _all(
    questions: Sequence[Callable[[], Awaitable[list[bytes]]]], within_s: float
) -> list[list[bytes]]:
    """Returns the answers to all questions; where one fails, the others are given up."""
    async with asyncio.timeout(within_s):
        tasks = [asyncio.ensure_future(question()) for question in questions]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()


def _circle_failed(cause: BaseException | None) -> NodeError:
    """Returns what a look-up is told when too few holders answered; `cause` is the last failure."""
    after: int | None = None
    left: Mapping[str, int] | None = None
    if isinstance(cause, RateLimitedError):
        after, left = cause.retry_after_s, cause.budget
    elif isinstance(cause, PeerRefusedError) and cause.status == _TOO_MANY_REQUESTS:
        after, left = cause.retry_after_s or _RETRY_AFTER_S, cause.budget
    if after is not None:
        minute = left is not None and left["minute_left"] < left["day_left"]
        span = "one minute" if minute else "today"
        return RateLimitedError(
            f"The circle's budget of this node for {span} is used up: nothing was decided.",
            retry_after_s=after,
            budget=left,
        )
    return UnavailableError(
        "The circle could not be asked: too few of its holders answered rightly."
    )
