"""Requests to witnesses as text: one form each, and bounded."""

import pytest

from protocol import limits
from protocol.errors import LimitError, MalformedError, ProtocolError
from protocol.witnessing import (
    MAX_REQUEST_BYTES,
    AddCheckpoint,
    format_size,
    parse_add_checkpoint,
    parse_size,
)

HASH = b"h" * 32
LINE = b"aGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGg=\n"
NOTE = b"example.com/log\n1\n\n\xe2\x80\x94 x y\n"


@pytest.mark.parametrize("hashes", [0, 1, 63])
@pytest.mark.parametrize("old", [0, 7, limits.MAX_LOG_SIZE])
def test_a_request_has_one_form(old: int, hashes: int) -> None:
    request = AddCheckpoint(old, (HASH,) * hashes, NOTE)
    assert request.to_bytes() == f"old {old}\n".encode() + LINE * hashes + b"\n" + NOTE
    assert parse_add_checkpoint(request.to_bytes()) == request


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"old 0\n" + NOTE.replace(b"\n\n", b"\n"),
        b"\n" + NOTE,
        b"old\n\n" + NOTE,
        b"old 01\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"old +1\n\n" + NOTE,
        b"old 1 \n\n" + NOTE,
        b"Old 1\n\n" + NOTE,
        b"old 1\r\n\r\n" + NOTE,
        "old ١\n\n".encode() + NOTE,
        b"old 1\n" + LINE[:-2] + b"\n\n" + NOTE,
        b"old 1\nAAAA\n\n" + NOTE,
        b"old 1\n\xff\n\n" + NOTE,
        b"old 1\n" + LINE * 64 + b"\n" + NOTE,
        b"old " + b"9" * 17 + b"\n\n" + NOTE,
        b"old " + b"9" * 9_000 + b"\n\n" + NOTE,
        f"old {limits.MAX_LOG_SIZE + 1}\n\n".encode() + NOTE,
        b"old 1\n\n" + b"x" * MAX_REQUEST_BYTES,
    ],
    ids=lambda data: repr(data[:16]),
)
def test_what_is_no_such_request_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_add_checkpoint(data)


def test_the_longest_request_is_within_the_limit_of_its_body() -> None:
    longest = AddCheckpoint(limits.MAX_LOG_SIZE, (HASH,) * 63, b"x" * limits.MAX_NOTE_BYTES)
    assert len(longest.to_bytes()) <= MAX_REQUEST_BYTES


@pytest.mark.parametrize(
    ("proof", "old", "error"),
    [((HASH,) * 64, 1, LimitError), ((HASH[1:],), 1, MalformedError), ((), -1, LimitError)],
)
def test_what_could_not_be_written_is_no_request(
    proof: tuple[bytes, ...], old: int, error: type[ProtocolError]
) -> None:
    with pytest.raises(error):
        AddCheckpoint(old, proof, NOTE)


@pytest.mark.parametrize("size", [0, 12, limits.MAX_LOG_SIZE])
def test_a_size_has_one_form(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1",
        b"\n",
        b"01\n",
        b"-1\n",
        b"1\n\n",
        b"1 \n",
        b"9" * 17 + b"\n",
        b"9" * 10**6,
        b"\xff",
        f"{limits.MAX_LOG_SIZE + 1}\n".encode(),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_size_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_size(data)
