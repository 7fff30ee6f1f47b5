"""Connections to other nodes, kept open: one question and one answer at a time over HTTP/1.1.

What it is: as little between a request and its bytes as a sign-up check can bear, which asks
several nodes and waits for all of them. h11 says what is HTTP and what is not. What it is not: a
judge of statuses, bodies or deadlines, which is `federation.client`'s work. No redirect is
followed, no content coding undone, no proxy asked, and no cookie kept. Used on one event loop.
"""

import asyncio
import math
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import h11

from federation.certificates import seconds_left, why_refused
from federation.reach import Reach
from protocol.errors import PeerUnreachableError

MOST: Final = 64
"""Questions that are under way at once, and connections that wait for the next one."""

_KEPT_OPEN_S: Final = 25.0  # less than a node keeps one, so that none is closed while it is used
_MAX_HEAD_BYTES: Final = 64 << 10
_MAX_UNREAD_BYTES: Final = 256 << 10
_MAX_INTERIM: Final = 8
_MAX_FIELDS: Final = 128
_FREE_PIECES: Final = 1_024
_LEAST_PIECE_BYTES: Final = 256
_SECOND_ADDRESS_S: Final = 0.25  # RFC 8305 section 5
_CLOSING_S: Final = 1.0
_PORTS: Final = {"http": 80, "https": 443}
_KEPT_URLS: Final = 1_024

_BROKEN: Final = "The peer cannot be reached, or broke off."
_LATE: Final = "The peer took too long to answer."


@dataclass(frozen=True)
class _Place:
    """Where a node listens, by its URL."""

    is_tls: bool
    host: str
    port: int
    authority: bytes


class Answer:
    """The status and header of an answer, and its body as it comes.

    Attributes:
        status: of the answer.
        header: by name in lower case; the values of a repeated field are joined by commas.
    """

    def __init__(self, head: h11.Response, line: "_Line", read_s: float) -> None:
        """Keeps the head; the body has not been read yet."""
        self.status = head.status_code
        self.header: dict[str, str] = {}
        for raw, value in head.headers:
            name, text = raw.decode("latin-1"), value.decode("latin-1")
            self.header[name] = f"{self.header[name]}, {text}" if name in self.header else text
        self._line = line
        self._read_s = read_s

    async def pieces(self) -> AsyncIterator[bytes]:
        """Gives the body, undecoded. Who stops early has the connection closed.

        Raises:
            PeerUnreachableError: it broke off, was silent for too long, or comes in crumbs: what
                lies here already is read without a pause, and every peer waits meanwhile.
        """
        left = _FREE_PIECES * _LEAST_PIECE_BYTES
        while not isinstance(event := await self._line.next_event(self._read_s), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                left += len(event.data) - _LEAST_PIECE_BYTES
                if left < 0:
                    raise PeerUnreachableError(_BROKEN)
                left = min(left, _FREE_PIECES * _LEAST_PIECE_BYTES)
                yield bytes(event.data)


class Lines:
    """Connections, lent to whoever asks the same node next."""

    def __init__(self, *, connect_s: float, read_s: float, reach: Reach) -> None:
        """Opens nothing yet.

        Args:
            reach: where connections may lead.
            connect_s: longest wait for a connection, and for a free place among the open ones.
            read_s: longest silence while an answer, or its next piece, is awaited.
        """
        self._connect_s = connect_s
        self._reach = reach
        self._read_s = read_s
        self._tls = ssl.create_default_context()
        self._tls.set_alpn_protocols(["http/1.1"])
        self._turns = asyncio.Semaphore(MOST)
        self._open: set[_Line] = set()
        self._idle: deque[tuple[_Place, _Line, float]] = deque()

    @asynccontextmanager
    async def ask(
        self, method: str, url: str, target: str, header: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Answer]:
        """Puts one question; gives the answer until the block ends.

        Args:
            method: in upper case.
            url: of the node: scheme, host and port.
            target: path and query.
            header: fields beside ``Host`` and ``Content-Length``.
            body: empty for none.

        Raises:
            PeerUnreachableError: the URL is none, nobody answers there, it broke off, is too slow,
                or speaks no HTTP.
        """
        try:
            place = _place_of(url)
            async with asyncio.timeout(self._connect_s):
                await self._turns.acquire()
        except TimeoutError:
            raise PeerUnreachableError(_LATE) from None
        except ValueError:
            raise PeerUnreachableError(_BROKEN) from None
        try:
            line = self._kept(place) or await self._opened(place)
            try:
                line.send(place, method, target, header, body)
                yield Answer(await line.head(self._read_s), line, self._read_s)
            finally:
                self._put_back(place, line)
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Closes every connection."""
        for line in self._open:
            line.close()
        if self._open:
            await asyncio.wait([line.gone for line in self._open], timeout=_CLOSING_S)

    def _kept(self, place: _Place) -> "_Line | None":
        """Returns the connection to a node that was used last, if one is still open."""
        self._forget_old()
        for at in range(len(self._idle) - 1, -1, -1):
            if self._idle[at][0] == place:
                line = self._idle[at][1]
                del self._idle[at]
                return line
        return None

    def _forget_old(self) -> None:
        now = asyncio.get_running_loop().time()
        for entry in list(self._idle):
            _, line, since = entry
            if since + _KEPT_OPEN_S < now or not line.is_ready:
                line.close()
                self._idle.remove(entry)

    async def _opened(self, place: _Place) -> "_Line":
        try:
            async with asyncio.timeout(self._connect_s):
                addresses = await self._reach.resolve(place.host, place.port)
                line = await self._first(place, addresses)
        except TimeoutError:
            raise PeerUnreachableError(_LATE) from None
        except (OSError, ValueError) as error:
            # `from error` keeps the cause for a debugger; its text may hold anything.
            raise PeerUnreachableError(why_refused(error) or _BROKEN) from error
        self._open.add(line)
        line.gone.add_done_callback(lambda _: self._open.discard(line))
        return line

    async def _first(self, place: _Place, addresses: Sequence[str]) -> "_Line":
        """Returns the first connection that one of these addresses takes (RFC 8305 section 5).

        Each has a moment before the next one is tried beside it.
        """
        tries: list[asyncio.Task[_Line]] = []
        left = list(addresses)
        try:
            while True:
                if left:
                    tries.append(asyncio.create_task(self._dial(place, left.pop(0))))
                wait_s = _SECOND_ADDRESS_S if left else None
                under_way = [one for one in tries if not one.done()]
                if under_way:
                    await asyncio.wait(
                        under_way, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
                    )
                good = [one for one in tries if one.done() and one.exception() is None]
                if good:
                    tries.remove(good[0])
                    return good[0].result()
                if not left and all(one.done() for one in tries):
                    return tries[0].result()  # which raises
        finally:
            for one in tries:
                one.cancel()
                one.add_done_callback(_close_late)

    async def _dial(self, place: _Place, address: str) -> "_Line":
        tls: dict[str, Any] = {}
        if place.is_tls:
            tls = {"ssl": self._tls, "server_hostname": place.host}
        # A number is resolved to itself: nobody is asked for a name again.
        _, line = await asyncio.get_running_loop().create_connection(
            _Line, address, place.port, **tls
        )
        return line

    def _put_back(self, place: _Place, line: "_Line") -> None:
        if not line.rest():
            line.close()
            return
        self._idle.append((place, line, asyncio.get_running_loop().time()))
        if len(self._idle) > MOST:
            self._idle.popleft()[1].close()


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self._transport: Any = None
        self._ends = math.inf
        self._is_asked = False
        self._is_paused = False
        self._unread = 0
        self._failure: Exception | None = None
        self._news: asyncio.Future[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a question can be put; on a certificate that has ended, none can."""
        if self._is_asked or self.gone.done() or self._transport.is_closing():
            return False
        return asyncio.get_running_loop().time() < self._ends

    def connection_made(self, transport: Any) -> None:
        """Called when it is open."""
        self._transport = transport
        if certificate := transport.get_extra_info("peercert"):
            left_s = seconds_left(certificate, time.time())  # by the clock that OpenSSL went by
            self._ends = asyncio.get_running_loop().time() + left_s

    def data_received(self, data: bytes) -> None:
        """Called with what has come."""
        if not self._is_asked:
            self.close()  # nobody has asked: what comes now would pass for the next answer
            return
        self._http.receive_data(data)
        self._unread += len(data)
        if self._unread > _MAX_UNREAD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when it is closed, by either side."""
        self._failure = exc
        if not self.gone.done():
            self.gone.set_result(None)
        self._tell()

    def close(self) -> None:
        """Closes it at once; what was not sent yet never is."""
        self._transport.abort()

    def send(
        self, place: _Place, method: str, target: str, header: Mapping[str, str], body: bytes
    ) -> None:
        """Sends a request; raises PeerUnreachableError if it is none that HTTP can carry."""
        self._is_asked = True
        fields = [(b"host", place.authority)]
        try:
            fields += [
                (name.encode("ascii"), text.encode("ascii")) for name, text in header.items()
            ]
            if body:
                fields.append((b"content-length", str(len(body)).encode("ascii")))
            request = h11.Request(method=method, target=target, headers=fields)
            pieces = [self._http.send(request)]
            pieces += [self._http.send(h11.Data(data=body))] if body else []
            pieces.append(self._http.send(h11.EndOfMessage()))
        except (h11.LocalProtocolError, ValueError) as error:
            raise PeerUnreachableError(_BROKEN) from error
        self._transport.write(b"".join(one or b"" for one in pieces))

    async def head(self, within_s: float) -> h11.Response:
        """Returns the head of the final answer; raises as `next_event`."""
        for _ in range(1 + _MAX_INTERIM):
            event = await self.next_event(within_s)
            if isinstance(event, h11.Response) and len(event.headers) <= _MAX_FIELDS:
                return event
            if not isinstance(event, h11.InformationalResponse):
                break
        raise PeerUnreachableError(_BROKEN)

    async def next_event(self, within_s: float) -> object:
        """Returns the next piece of the answer.

        Raises:
            PeerUnreachableError: it is no HTTP, the connection is gone, or it was silent too long.
        """
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._unread = 0
                if self.gone.done():
                    if self._failure is not None:
                        raise PeerUnreachableError(_BROKEN) from self._failure
                    self._http.receive_data(b"")  # the end, which only some answers may have here
                    continue
                if self._is_paused:
                    self._is_paused = False
                    self._transport.resume_reading()
                await self._wait(within_s)
        except h11.RemoteProtocolError as error:
            raise PeerUnreachableError(_BROKEN) from error
        return event

    def rest(self) -> bool:
        """Returns whether the connection can be used again, having got itself ready for it."""
        self._is_asked = False
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if self._http.trailing_data[0] or not self.is_ready:
            return False
        self._http.start_next_cycle()
        return True

    async def _wait(self, within_s: float) -> None:
        self._news = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within_s):
                await self._news
        except TimeoutError:
            raise PeerUnreachableError(_LATE) from None
        finally:
            self._news = None

    def _tell(self) -> None:
        if self._news is not None:
            with suppress(asyncio.InvalidStateError):  # cancelled in this very turn
                self._news.set_result(None)


def _close_late(task: "asyncio.Task[_Line]") -> None:
    """Closes a connection that came after another one was chosen."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


@lru_cache(maxsize=_KEPT_URLS)
def _place_of(url: str) -> _Place:
    """Returns where a URL points; raises ValueError if it points nowhere."""
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    if not host or parts.scheme not in _PORTS:
        raise ValueError("no host, or no scheme of HTTP")
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port is None else f"{shown}:{port}"
    port = port or _PORTS[parts.scheme]
    return _Place(parts.scheme == "https", host, port, authority.encode("ascii"))
