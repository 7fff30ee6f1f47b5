"""What a hash pool and its workers say to each other over a socket pair.

A request is a length, how to read the picture, and its bytes; an answer is a length and a small
JSON document. Not pickles: a decoder that was taken over by a hostile file may send anything, and
what the node reads from it must stay data.
"""

import socket
import struct
import time
from collections.abc import Collection
from typing import Final, Literal

import msgspec

from node.matching.media import MediaHashes
from node.matching.variant_names import FAMILIES
from protocol.errors import MalformedError

MAX_ANSWER_BYTES: Final = 16_384
"""Length of an answer; a longer one is refused unread."""

_LENGTH: Final = struct.Struct(">I")
_REQUEST: Final = struct.Struct(">I?B")


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The worker has set its limits and passed check_pdqhash."""


class Hashed(msgspec.Struct, tag="hashed", frozen=True):
    """The picture was hashed."""

    hashes: MediaHashes


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """The picture was refused, with the sentence that the caller is told."""

    kind: Literal["invalid", "limit", "unavailable"]
    sentence: str


class Exhausted(msgspec.Struct, tag="exhausted", frozen=True):
    """The picture needed more memory than the worker may use."""


Answer = Ready | Hashed | Refused | Exhausted


def send(connection: socket.socket, payload: bytes) -> None:
    """All of `payload` is handed to the other side.

    Raises:
        TimeoutError: not within the connection's timeout.
        OSError: the other side is gone.
    """
    connection.sendall(_LENGTH.pack(len(payload)))
    connection.sendall(payload)


def receive(connection: socket.socket, *, max_bytes: int, timeout_s: float | None = None) -> bytes:
    """The next payload from the other side.

    Args:
        connection: a stream socket.
        max_bytes: a longer payload is refused before it is read.
        timeout_s: for the whole payload; None waits for ever.

    Raises:
        TimeoutError: not complete within `timeout_s`.
        EOFError: the other side closed the connection.
        MalformedError: longer than `max_bytes`.
        OSError: the connection broke.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    (length,) = _LENGTH.unpack(_receive_exactly(connection, _LENGTH.size, deadline))
    return _receive_exactly(connection, _allowed(length, max_bytes), deadline)


def send_request(
    connection: socket.socket, data: bytes, *, draft: bool, variants: Collection[str] = ()
) -> None:
    """The picture file `data` is handed to a worker.

    Args:
        connection: a stream socket.
        data: the whole file.
        draft: as node.matching.media.hash_picture.
        variants: likewise; told as one bit for each of FAMILIES.

    Raises:
        TimeoutError, OSError: as send.
    """
    families = sum(1 << place for place, one in enumerate(FAMILIES) if one in variants)
    connection.sendall(_REQUEST.pack(len(data), draft, families))
    connection.sendall(data)


def receive_request(
    connection: socket.socket, *, max_bytes: int
) -> tuple[bytes, bool, tuple[str, ...]]:
    """The next picture file from the pool, with `draft` and `variants`; waits for ever.

    Raises:
        EOFError, MalformedError, OSError: as receive.
    """
    length, draft, bits = _REQUEST.unpack(_receive_exactly(connection, _REQUEST.size, None))
    data = _receive_exactly(connection, _allowed(length, max_bytes), None)
    return data, draft, tuple(one for place, one in enumerate(FAMILIES) if bits >> place & 1)


def encode_answer(answer: Answer) -> bytes:
    """The bytes of an answer."""
    return msgspec.json.encode(answer)


def decode_answer(payload: bytes) -> Answer:
    """The answer that a worker sent, checked field by field.

    Raises:
        MalformedError: not an answer.
    """
    try:
        answer: Answer = msgspec.json.decode(payload, type=Answer)
    except (msgspec.DecodeError, ValueError):
        raise MalformedError("a hash worker sent something that is no answer") from None
    return answer


def _allowed(length: int, max_bytes: int) -> int:
    if length > max_bytes:
        raise MalformedError("a hash worker and its pool disagree about the length of a message")
    return length


def _receive_exactly(connection: socket.socket, size: int, deadline: float | None) -> bytes:
    buffer = bytearray(size)
    view = memoryview(buffer)
    done = 0
    while done < size:
        if deadline is not None:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                raise TimeoutError
            connection.settimeout(remaining_s)
        count = connection.recv_into(view[done:])
        if count == 0:
            raise EOFError
        done += count
    return bytes(buffer)
