"""Who asks in `bench upload`: blocking sockets that cost little, and a watch over memory."""

import os
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_END: Final = b"\r\n\r\n"
_RECEIVE_BYTES: Final = 65_536
_LOOK_EVERY_S: Final = 0.05
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Reply:
    """An answer: its status, and whether it says when to come back."""

    status: int
    says_when: bool
    body: bytes


def request(path: str, token: str, body: bytes, *, kind: str = "application/json") -> bytes:
    """Returns the bytes of a POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench.example\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


class Connection:
    """One connection that is kept open, to a server on this machine."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, data: bytes) -> Reply:
        """Sends a request and returns its answer.

        Raises:
            OSError: the server closed the connection.
        """
        self.socket.sendall(data)
        return self.receive()

    def receive(self) -> Reply:
        """Returns the next answer.

        Raises:
            OSError: the server closed the connection.
        """
        found = b""
        while _END not in found:
            found += self._more()
        head, _, body = found.partition(_END)
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._more()
        return Reply(int(head[9:12]), b"\r\nretry-after:" in lower, body)

    def _more(self) -> bytes:
        more = self.socket.recv(_RECEIVE_BYTES)
        if not more:
            raise ConnectionResetError
        return more

    def __enter__(self) -> Self:
        """The connection itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Closes it."""
        self.socket.close()


def latencies_s(port: int, requests: Sequence[bytes]) -> list[float]:
    """Returns how long each request took, one after the other, on one connection.

    Raises:
        RuntimeError: the server refused one.
    """
    times = []
    with Connection(port) as connection:
        for data in requests:
            before = time.perf_counter()
            reply = connection.ask(data)
            times.append(time.perf_counter() - before)
            if reply.status != 200:  # noqa: PLR2004  # HTTP's word for success
                raise RuntimeError(f"the server answered {reply.status}")
    return times


def rate_per_s(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> float:
    """Returns how many requests a second are answered while each connection has one under way."""
    answered = sent = 0
    opened = [Connection(port) for _ in range(connections)]
    with selectors.DefaultSelector() as ready:
        for one in opened:
            ready.register(one.socket, selectors.EVENT_READ, one)
            one.socket.sendall(requests[sent % len(requests)])
            sent += 1
        began = time.perf_counter()
        until = began + seconds
        while (now := time.perf_counter()) < until:
            for key, _events in ready.select(until - now):
                key.data.receive()
                answered += 1
                key.data.socket.sendall(requests[sent % len(requests)])
                sent += 1
        taken = time.perf_counter() - began
    for one in opened:
        one.receive()
        one.socket.close()
    return answered / taken


class MemoryWatch:
    """The greatest memory that a process and all it has started held together, in bytes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.peak_bytes = tree_bytes(pid)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Looks at it many times a second while the block runs."""
        done = threading.Event()
        looking = threading.Thread(target=self._look, args=(done,))
        looking.start()
        try:
            yield
        finally:
            done.set()
            looking.join()

    def _look(self, done: threading.Event) -> None:
        while not done.wait(_LOOK_EVERY_S):
            self.peak_bytes = max(self.peak_bytes, tree_bytes(self._pid))


def tree_bytes(pid: int) -> int:
    """The resident memory of a process and all that it has started; shared pages count for each."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(
                path.read_text("utf-8").rpartition(")")[2].split()[1]
            )
        except (OSError, UnicodeDecodeError):
            continue  # it has ended by now
    total = 0
    for one in parents:
        above = one
        while above not in {pid, 0}:
            above = parents.get(above, 0)
        if above == pid:
            total += _resident_bytes(one)
    return total


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE
    except OSError:
        return 0
