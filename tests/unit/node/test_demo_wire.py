"""The demo's wire carries everything, counts everything, and finds what crossed."""

import socket
import threading
from collections.abc import Iterator

import pytest

from node.demo.wire import Wire
from waiting import WITHIN_S


class Echo:
    """A server that gives back what it gets, in capitals, until the caller hangs up."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            thread.start()
            self._threads.append(thread)

    @staticmethod
    def _serve(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1 << 16):
                    connection.sendall(data.upper())
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S)


def receive(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        data = connection.recv(count - len(got))
        assert data, "the other side hung up"
        got += data
    return got


def test_what_is_sent_arrives_and_is_counted_both_ways(wire: Wire, echo: Echo) -> None:
    port = wire.relay_to(echo.port)
    assert wire.bytes_so_far() == 0
    with connect(port) as caller:
        caller.sendall(b"hello")
        assert receive(caller, 5) == b"HELLO"
        assert wire.bytes_so_far() == 10
    assert wire.holds(b"hello")
    assert wire.holds(b"HELLO")
    assert not wire.holds(b"good-bye")


def test_more_than_one_chunk_arrives_whole(wire: Wire, echo: Echo) -> None:
    sent = bytes(range(97, 123)) * 20_000
    with connect(wire.relay_to(echo.port)) as caller:
        sender = threading.Thread(target=caller.sendall, args=(sent,))
        sender.start()
        assert receive(caller, len(sent)) == sent.upper()
        sender.join()
    assert wire.bytes_so_far() == 2 * len(sent)
    assert wire.holds(sent)


def test_what_crossed_in_pieces_is_found_though_others_spoke_in_between(
    wire: Wire, echo: Echo
) -> None:
    """A search over one buffer for all connections would have missed it, and said: did not cross."""
    port = wire.relay_to(echo.port)
    with connect(port) as one, connect(port) as two:
        for piece in (b"offender", b"@example", b".com"):
            one.sendall(piece)
            receive(one, len(piece))
            two.sendall(b"noise")
            receive(two, 5)
    assert wire.holds(b"offender@example.com")


def test_relays_do_not_mix_what_they_carry(wire: Wire, echo: Echo) -> None:
    first, second = wire.relay_to(echo.port), wire.relay_to(echo.port)
    assert first != second
    with connect(first) as one, connect(second) as two:
        one.sendall(b"ab")
        receive(one, 2)
        two.sendall(b"cd")
        receive(two, 2)
    assert not wire.holds(b"abcd")
    assert wire.bytes_so_far() == 8


def test_a_node_that_is_not_there_is_a_connection_that_ends(wire: Wire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = int(nobody.getsockname()[1])
    with connect(wire.relay_to(port)) as caller:
        assert caller.recv(1) == b""
    assert wire.bytes_so_far() == 0


def test_when_one_side_hangs_up_the_other_is_told(wire: Wire) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        connect(wire.relay_to(int(listener.getsockname()[1]))) as caller,
    ):
        node, _ = listener.accept()
        node.sendall(b"so long")
        node.close()
        assert receive(caller, 7) == b"so long"
        assert caller.recv(1) == b""


def test_closing_ends_connections_that_are_open_and_what_crossed_is_still_known(
    echo: Echo,
) -> None:
    wire = Wire()
    port = wire.relay_to(echo.port)
    with connect(port) as caller:
        caller.sendall(b"hello")
        receive(caller, 5)
        wire.close()
        assert caller.recv(1) == b""
    assert wire.holds(b"hello")
    with pytest.raises(OSError, match="refused"):
        connect(port)
