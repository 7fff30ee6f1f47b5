"""Requests to another node, signed and bounded.

What it is: one answer of bounded size in bounded time, or an error of ours; a body of the right
form, or an error of ours. No redirect is followed, no content coding is undone (so nothing can
unfold in memory), no proxy is taken from the environment. What it is not: a judge of what the body
says, which is `federation.sync`'s work, or a second try.
"""

import asyncio
import hashlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

from federation.lines import Answer, Lines
from federation.reach import ANYWHERE, Reach
from federation.refusals import MAX_ERROR_BYTES, refusal
from protocol import endpoints, limits
from protocol.ceremonies import CeremonyAnswer, CeremonyRequest
from protocol.encoding import encode_json
from protocol.errors import (
    PeerMisbehavedError,
    PeerUnreachableError,
    ProtocolError,
)
from protocol.fields import StatementId
from protocol.messages import (
    Acknowledgement,
    Descriptors,
    Entries,
    EntriesRequest,
    Envelopes,
    EnvelopesRequest,
    JoinRequest,
    Message,
    OprfAnswer,
    OprfRequest,
    OwnLogAnswer,
    OwnLogRequest,
    Poke,
    Receipt,
    StatementStatuses,
    WellKnown,
    parse_message,
)
from protocol.witnessing import AddCheckpoint
from signing.keys import SigningKey
from signing.requests import sign_request

CONNECT_S: Final = 5.0
"""Longest wait for a connection, and for a free place among the open ones."""

READ_S: Final = 15.0
"""Longest silence while an answer, or its next piece, is awaited."""

DEADLINE_S: Final = 60.0
"""Longest time for one request as a whole, however steadily the answer trickles."""

_JSON: Final = {"Content-Type": "application/json"}
_PARSE_INLINE_BYTES: Final = 64 << 10
_OK: Final = range(200, 300)
_PLAIN: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}

M = TypeVar("M", bound=Message)


@asynccontextmanager
async def connect(
    *, reach: Reach = ANYWHERE, connect_s: float = CONNECT_S, read_s: float = READ_S
) -> AsyncIterator[Lines]:
    """Opens the connections that any number of `PeerClient` share, and closes them at the end.

    The certificates that count are those of the operating system, which the operator can add to.

    Args:
        reach: where they may lead. Anywhere is for addresses that the caller has typed; a node
            calls what others have chosen, and says what its operator allows.
        connect_s: longest wait for a connection, its name included.
        read_s: longest silence while an answer is awaited.
    """
    lines = Lines(connect_s=connect_s, read_s=read_s, reach=reach)
    try:
        yield lines
    finally:
        await lines.close()


class PeerClient:
    """Another node, as it can be asked.

    Every method raises `PeerUnreachableError` (no whole answer within the limits of time and size),
    `PeerRefusedError` (any status but a success) or `PeerMisbehavedError` (an answer that is not of
    the form that the protocol gives, with its bytes), and no other error.

    Attributes:
        url: scheme, host and port of the node.
        bytes_sent: bodies sent so far.
        bytes_received: bodies received so far, those of errors included.
    """

    def __init__(
        self,
        lines: Lines,
        *,
        url: str,
        key: SigningKey | None = None,
        clock: Callable[[], float],
        deadline_s: float = DEADLINE_S,
        allow_insecure_http: bool = False,
    ) -> None:
        """Keeps what is needed; sends nothing.

        Args:
            lines: from `connect`.
            url: of the node, as its descriptor has it.
            key: for the use ``request`` or ``flagger``; without it only `descriptor` and
                `well_known` can be asked.
            clock: Unix time in seconds.
            deadline_s: longest time for one request.
            allow_insecure_http: let ``http:`` through to hosts other than this machine.

        Raises:
            PeerUnreachableError: a URL without TLS that leaves this machine.
        """
        if not (allow_insecure_http or url.startswith("https://") or _is_loopback(url)):
            raise PeerUnreachableError("The peer's address has no TLS, and is not this machine.")
        self.url = url
        self.bytes_sent = 0
        self.bytes_received = 0
        self._lines = lines
        self._key = key
        self._clock = clock
        self._deadline_s = deadline_s

    async def well_known(self) -> WellKnown:
        """Returns who answers there. Unsigned, and proves nothing."""
        return await _parse(WellKnown, await self._unsigned(endpoints.WELL_KNOWN))

    async def descriptor(self) -> bytes:
        """Returns the node's descriptor, unverified (`federation.descriptors`)."""
        return await self._unsigned(endpoints.DESCRIPTOR)

    async def descriptors(self, after: int) -> list[bytes]:
        """Returns the node's descriptors behind one version, unverified: all that it gave."""
        found: list[bytes] = []
        while len(found) < limits.MAX_DESCRIPTORS:
            path = f"{endpoints.DESCRIPTOR}?{urlencode({'after': after + len(found)})}"
            body = await self._unsigned(path, limits.MAX_PEER_REQUEST_BYTES)
            answer = await _parse(Descriptors, body)
            found += [one.encode() for one in answer.descriptors]
            if len(answer.descriptors) < limits.MAX_DESCRIPTORS_PER_MESSAGE:
                break
        return found

    async def announce(self, descriptors: Sequence[bytes]) -> None:
        """Tells the node of later descriptors of one that it has pinned; they prove themselves."""
        body = encode_json(Descriptors(descriptors=tuple(map(bytes.decode, descriptors))))
        await self._send("POST", endpoints.DESCRIPTOR, body, _JSON, limits.MAX_NOTE_BYTES)

    async def join(self, request: JoinRequest) -> None:
        """Applies with an invite of the node."""
        await self._signed("POST", endpoints.JOIN, encode_json(request))

    async def checkpoint(self) -> bytes:
        """Returns the node's latest checkpoint, unverified (`signing.notes`)."""
        return await self._signed("GET", endpoints.CHECKPOINT, max_bytes=limits.MAX_NOTE_BYTES)

    async def entries(self, start: int, limit: int) -> Entries:
        """Returns log entries from index `start` on."""
        question = EntriesRequest(start=start, limit=limit)
        return await self._ask(endpoints.ENTRIES, question, Entries)

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        """Returns the envelopes of statements, or why there is none."""
        return await self._ask(endpoints.ENVELOPES, EnvelopesRequest(ids=ids), Envelopes)

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Tells the node up to where its log has been taken over."""
        await self._signed("POST", endpoints.ACKNOWLEDGE, encode_json(acknowledgement))

    async def published(self) -> bytes:
        """Returns the latest checkpoint that the node's witnesses cosigned, unverified."""
        return await self._signed("GET", endpoints.PUBLISHED, max_bytes=limits.MAX_NOTE_BYTES)

    async def add_checkpoint(self, request: AddCheckpoint, *, prefix: str = "") -> bytes:
        """Returns what a witness answers to a new checkpoint: signature lines, unverified.

        Where it knows another size, the `PeerRefusedError` says which.

        Args:
            request: the checkpoint and the proof.
            prefix: path of the witness before the one that C2SP gives.
        """
        return await self._signed(
            "POST",
            prefix + endpoints.ADD_CHECKPOINT,
            request.to_bytes(),
            max_bytes=limits.MAX_NOTE_BYTES,
            media_type="application/octet-stream",
        )

    async def own_log(self, start: int, limit: int) -> OwnLogAnswer:
        """Returns the caller's own log as the node took it over, from index `start` on."""
        question = OwnLogRequest(start=start, limit=limit)
        return await self._ask(endpoints.OWN_LOG, question, OwnLogAnswer)

    async def witnessed(self, origin: str, *, prefix: str = "") -> bytes:
        """Returns the checkpoint of a log that the node cosigned last, unverified."""
        digest = hashlib.sha256(origin.encode()).hexdigest()
        path = prefix + endpoints.WITNESSED.replace("{origin}", digest)
        return await self._signed("GET", path, max_bytes=limits.MAX_NOTE_BYTES)

    async def mirror_checkpoint(self, origin: str) -> bytes:
        """Returns the checkpoint of a log that the node mirrors, unverified."""
        path = _mirrored(endpoints.MIRROR_CHECKPOINT, origin)
        return await self._signed("GET", path, max_bytes=limits.MAX_NOTE_BYTES)

    async def mirror_entries(self, origin: str, start: int, limit: int) -> Entries:
        """Returns entries of a log that the node mirrors, from index `start` on."""
        question = EntriesRequest(start=start, limit=limit)
        return await self._ask(_mirrored(endpoints.MIRROR_ENTRIES, origin), question, Entries)

    async def tell_evidence(self, document: bytes) -> None:
        """Hands over what proves that a node has contradicted itself."""
        await self._signed("POST", endpoints.EVIDENCE, document)

    async def poke(self, poke: Poke) -> None:
        """Tells the node that the caller's log has grown."""
        await self._signed("POST", endpoints.POKE, encode_json(poke))

    async def evaluate(self, request: OprfRequest) -> OprfAnswer:
        """Returns blinded elements under the node's share, the proof not verified."""
        return await self._ask(endpoints.OPRF, request, OprfAnswer)

    async def ceremony(self, request: CeremonyRequest) -> CeremonyAnswer:
        """Tells a participant of a ceremony how it stands; returns how far it has come itself."""
        return await self._ask(endpoints.CEREMONY, request, CeremonyAnswer)

    async def submit(self, envelope: bytes) -> Receipt:
        """Hands one signed statement over."""
        return await _parse(Receipt, await self._signed("POST", endpoints.STATEMENTS, envelope))

    async def my_statements(self, after: int | None = None) -> StatementStatuses:
        """Returns what became of the caller's statements, continued from `after`."""
        query = "" if after is None else "?" + urlencode({"after": after})
        body = await self._signed("GET", endpoints.MY_STATEMENTS + query)
        return await _parse(StatementStatuses, body)

    async def receipt(self, statement_id: StatementId) -> bytes:
        """Returns the receipt of one of the caller's statements, unverified."""
        path = endpoints.MY_RECEIPT.replace("{statement_id}", statement_id)
        return await self._signed("GET", path, max_bytes=limits.MAX_RECEIPT_BYTES)

    async def _ask(self, path: str, question: Message, answer: type[M]) -> M:
        return await _parse(answer, await self._signed("POST", path, encode_json(question)))

    async def _unsigned(self, path: str, max_bytes: int = limits.MAX_ENVELOPE_BYTES) -> bytes:
        return await self._send("GET", path, b"", {}, max_bytes)

    async def _signed(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        max_bytes: int = limits.MAX_PEER_RESPONSE_BYTES,
        media_type: str = "application/json",
    ) -> bytes:
        if self._key is None:
            raise RuntimeError("This request has to be signed, and there is no key.")
        url, now = self.url + path, int(self._clock())
        try:
            # Signing costs 0.3 ms: less than handing it to another thread would.
            fields = sign_request(method=method, url=url, body=body, key=self._key, now=now)
        except ProtocolError as error:
            raise PeerUnreachableError(f"The peer's address cannot be used: {error}") from None
        if body:
            fields["Content-Type"] = media_type
        return await self._send(method, path, body, fields, max_bytes)

    async def _send(
        self, method: str, path: str, body: bytes, fields: Mapping[str, str], max_bytes: int
    ) -> bytes:
        """Returns the body of a success; every foreign error becomes one of ours here."""
        headers = {**_PLAIN, **fields}
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._exchange(method, path, body, headers, max_bytes)
        except TimeoutError:
            raise PeerUnreachableError("The peer took too long to answer.") from None

    async def _exchange(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], max_bytes: int
    ) -> bytes:
        self.bytes_sent += len(body)
        async with self._lines.ask(method, self.url, path, headers, body) as answer:
            if answer.status not in _OK:
                detail, _ = await self._read(answer, MAX_ERROR_BYTES)
                raise refusal(answer, detail)
            coding = answer.header.get("content-encoding", "identity")
            if coding.lower() != "identity":
                raise PeerMisbehavedError(
                    "The peer compressed an answer that was to be plain.",
                    evidence=coding.encode("utf-8", "replace")[:MAX_ERROR_BYTES],
                )
            received, whole = await self._read(answer, max_bytes)
            if not whole:
                raise PeerUnreachableError(f"The answer is longer than {max_bytes} bytes.")
            return received

    async def _read(self, answer: Answer, max_bytes: int) -> tuple[bytes, bool]:
        """Returns at most `max_bytes` of the body as it came, and whether that is all of it."""
        received = bytearray()
        async for piece in answer.pieces():
            self.bytes_received += len(piece)
            received += piece
            if len(received) > max_bytes:
                return bytes(received[:max_bytes]), False
        return bytes(received), True


async def _parse(kind: type[M], body: bytes) -> M:
    try:
        if len(body) <= _PARSE_INLINE_BYTES:
            return parse_message(kind, body, max_bytes=limits.MAX_PEER_RESPONSE_BYTES)
        # Reading the longest answer allowed takes a good part of a second.
        return await asyncio.to_thread(
            parse_message, kind, body, max_bytes=limits.MAX_PEER_RESPONSE_BYTES
        )
    except ProtocolError as error:
        raise PeerMisbehavedError(
            f"The peer's answer is not what the protocol asks for: {error}", evidence=body
        ) from None


def _mirrored(path: str, origin: str) -> str:
    return path.replace("{origin}", hashlib.sha256(origin.encode()).hexdigest())


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
