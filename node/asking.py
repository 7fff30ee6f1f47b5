"""Asking circles for fingerprints, on an event loop of its own.

What may happen here at any time: a holder is slow, lies or is gone. Nothing is looked up here: the
fingerprints are compared elsewhere (`node.services.accounts`).
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import httpx

from federation.circle import Asker, fingerprint
from federation.client import PeerClient
from federation.descriptors import PinnedNode
from node.loop import Loop
from node.services.directory import pinned
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
from protocol.messages import OprfAnswer, OprfRequest
from signing.oprf.fingerprints import fingerprint_input
from signing.oprf.stretch import Stretcher

_TOO_MANY_REQUESTS = 429
_RETRY_AFTER_S = 3_600  # where a holder does not say when its day ends


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
        self._stretcher = Stretcher(settings.stretches_at_once)
        self._http: httpx.AsyncClient | None = None
        self._loop = Loop("asking", self._main)

    def start(self) -> None:
        """Opens the loop."""
        self._loop.start()

    def close(self) -> None:
        """Ends every conversation."""
        self._loop.close()

    async def _main(self, http: httpx.AsyncClient) -> None:
        self._http = http
        await asyncio.Event().wait()

    def ask_circle(
        self,
        descriptor: CircleDescriptor,
        epoch: Epoch,
        identifiers: Sequence[NormalisedIdentifier],
    ) -> list[bytes]:
        """Returns the fingerprint of each identifier (see `services.accounts.AskCircle`).

        Raises:
            RateLimitedError: too few holders have budget left for this node.
            UnavailableError: fewer holders answered than the threshold asks for, or the identifiers
                cannot be stretched in time.
        """
        # In the caller's thread: on the loop, a stretch would hold up every other conversation.
        inputs = [self._input(epoch, one) for one in identifiers]
        with self._store.read() as transaction:
            nodes = {holder.index: transaction.peers.get(holder.node) for holder in epoch.holders}
        ask = {
            index: self._asker(pinned(record))
            for index, record in nodes.items()
            if record is not None and record.state == "active"
        }
        try:
            # Two rounds of holders, each bounded by the client's own deadline.
            return self._loop.wait(
                fingerprint(
                    inputs,
                    epoch,
                    ask,
                    circle=descriptor.circle,
                    misbehaved=self._accuse,
                    run=asyncio.to_thread,
                ),
                2 * self._settings.peer_timeout_s + 1,
            )
        except (SigningError, FederationError, ProtocolError) as error:
            # A circle whose commitments are no elements is as good as down.
            raise _circle_failed(error.__cause__) from None

    def _input(self, epoch: Epoch, one: NormalisedIdentifier) -> bytes:
        """Returns what is blinded for an identifier; made anew each time, and kept nowhere."""
        kind = one.kind.value
        private_input = fingerprint_input(kind, one.scheme, one.value)
        wait_s = self._settings.peer_timeout_s
        return self._stretcher.stretch(kind, private_input, epoch.stretch, wait_s=wait_s)

    def _asker(self, node: PinnedNode) -> Asker:
        if node.name == self._settings.name:
            return self._ask_self
        return partial(self._ask_node, node)

    async def _ask_self(self, request: OprfRequest) -> OprfAnswer:
        evaluate = partial(self._evaluator.evaluate, member=self._settings.name)
        return await asyncio.to_thread(evaluate, request)

    async def _ask_node(self, node: PinnedNode, request: OprfRequest) -> OprfAnswer:
        assert self._http is not None
        client = PeerClient(
            self._http,
            url=node.url,
            key=self._keys.request,
            clock=self._clock,
            deadline_s=self._settings.peer_timeout_s,
            allow_insecure_http=self._settings.allow_insecure_http,
        )
        return await client.evaluate(request)

    def _accuse(self, node: str, message: str, evidence: bytes) -> None:
        with self._store.write() as transaction:
            now = int(self._clock())
            transaction.peers.keep_evidence(node, message, evidence, at=now)
            transaction.journal.audit("node", "peer.misbehaved", at=now, subject=node, detail=None)


def _circle_failed(cause: BaseException | None) -> NodeError:
    """Returns what a look-up is told when too few holders answered; `cause` is the last failure."""
    after: int | None = None
    if isinstance(cause, RateLimitedError):
        after = cause.retry_after_s
    elif isinstance(cause, PeerRefusedError) and cause.status == _TOO_MANY_REQUESTS:
        after = cause.retry_after_s or _RETRY_AFTER_S
    if after is not None:
        return RateLimitedError(
            "The circle's budget of this node for today is used up: nothing was decided.",
            retry_after_s=after,
        )
    return UnavailableError(
        "The circle could not be asked: too few of its holders answered rightly."
    )
