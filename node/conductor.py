"""A ceremony conducted from this node: its own conversations, beside those of the running server.

The operator's command runs it, on an event loop of its own, for as long as the operator lets it.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from federation.client import PeerClient, connect
from federation.conduct import Asker, Progress, conduct
from federation.descriptors import PinnedNode
from node.services.coordination import Coordination
from node.services.keys import NodeKeys
from node.services.participation import Participation
from node.settings import Settings
from protocol.ceremonies import CeremonyAnswer, CeremonyRequest
from protocol.errors import PeerUnreachableError
from signing.keys import SigningKey


class Conductor:
    """Asks everybody who has a part in a ceremony, over and over, until it has ended."""

    def __init__(
        self,
        coordination: Coordination,
        participation: Participation,
        *,
        keys: NodeKeys,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._coordination = coordination
        self._participation = participation
        self._keys = keys
        self._settings = settings
        self._clock = clock

    @property
    def request_key(self) -> SigningKey:
        """The key that signs the command's own requests."""
        return self._keys.request

    def conduct(
        self, ceremony: str, *, report: Callable[[Progress], None], wait_s: float | None
    ) -> Progress:
        """Returns how a ceremony stands once it has ended, or can go no further now.

        May be broken off at any time and begun again.

        Args:
            ceremony: its id.
            report: is told whenever something has changed.
            wait_s: seconds between two attempts; None: not to wait for anybody.

        Raises:
            NotFoundError: this node conducts no such ceremony.
        """
        return asyncio.run(self._conduct(ceremony, report, wait_s))

    async def _conduct(
        self, ceremony: str, report: Callable[[Progress], None], wait_s: float | None
    ) -> Progress:
        nodes = await asyncio.to_thread(self._coordination.participants, ceremony)
        async with connect(reach=self._settings.peer_reach) as http:

            def asker(name: str, node: PinnedNode | None) -> Asker:
                if name == self._settings.name:
                    return self._ask_self
                if node is None:
                    return _ask_nobody
                client = PeerClient(
                    http,
                    url=node.url,
                    key=self._keys.request,
                    clock=self._clock,
                    deadline_s=self._settings.peer_timeout_s,
                    allow_insecure_http=self._settings.allow_insecure_http,
                )
                return client.ceremony

            return await conduct(
                self._coordination,
                ceremony,
                {name: asker(name, node) for name, node in nodes.items()},
                report=report,
                wait_s=wait_s,
                run=asyncio.to_thread,
            )

    async def _ask_self(self, request: CeremonyRequest) -> CeremonyAnswer:
        answer = partial(self._participation.answer, request, caller=self._settings.name)
        return await asyncio.to_thread(answer)


async def _ask_nobody(_request: CeremonyRequest) -> CeremonyAnswer:
    raise PeerUnreachableError("It is not pinned here any more.")
