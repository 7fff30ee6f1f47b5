"""What a log says to its witnesses, and they to it (C2SP tlog-witness, "add-checkpoint").

What it is: strict parsing and writing of a text format. What it is not: a decision. Nothing that
was parsed here is believed until `signing.notes` and `protocol.merkle` have looked at it.
"""

import re
from dataclasses import dataclass
from typing import Final

from protocol import limits
from protocol.encoding import from_base64, to_base64
from protocol.errors import LimitError, MalformedError
from protocol.merkle import HASH_BYTES

SIZE_TYPE: Final = "text/x.tlog.size"
"""Content type of the answer that names the size a witness knows (status 409)."""

MAX_REQUEST_BYTES: Final = limits.MAX_NOTE_BYTES + (4 << 10)
"""Longest body of `add-checkpoint`: a note, and 63 hashes of 45 characters each before it."""

_OLD: Final = re.compile("old (0|[1-9][0-9]*)")
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]*)\n")
_MAX_DIGITS: Final = len(str(limits.MAX_LOG_SIZE))


@dataclass(frozen=True)
class AddCheckpoint:
    """A new checkpoint for a witness to cosign.

    Attributes:
        old_size: of the checkpoint that the witness cosigned last, as the log believes.
        proof: consistency proof from there, 32 bytes each; empty from 0.
        note: bytes of the signed checkpoint, not parsed.

    Raises:
        LimitError: a size or a proof that no log has.
        MalformedError: a hash of another length.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    def __post_init__(self) -> None:
        """Refuse what could not be written as a request."""
        if not 0 <= self.old_size <= limits.MAX_LOG_SIZE:
            raise LimitError("A log has 0 to 2^53 − 1 entries.")
        if len(self.proof) > limits.MAX_CONSISTENCY_HASHES:
            raise LimitError(f"A proof has at most {limits.MAX_CONSISTENCY_HASHES} hashes.")
        if any(len(one) != HASH_BYTES for one in self.proof):
            raise MalformedError(f"A hash in a proof has {HASH_BYTES} bytes.")

    def to_bytes(self) -> bytes:
        """Return the body of the request."""
        lines = [f"old {self.old_size}", *map(to_base64, self.proof), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.note


def parse_add_checkpoint(data: bytes) -> AddCheckpoint:
    """Return the request that `AddCheckpoint.to_bytes` wrote.

    Args:
        data: untrusted bytes.

    Raises:
        LimitError: longer than `MAX_REQUEST_BYTES`, or a number that no log has.
        MalformedError: not of that form.
    """
    if len(data) > MAX_REQUEST_BYTES:
        raise LimitError(f"A request to a witness has at most {MAX_REQUEST_BYTES} bytes.")
    head, blank, note = data.partition(b"\n\n")
    if not blank:
        raise MalformedError("A request to a witness is a size, a proof, an empty line and a note.")
    try:
        first, *hashes = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise MalformedError("The head of a request to a witness is not ASCII.") from None
    old = _OLD.fullmatch(first)
    if old is None:
        raise MalformedError("A request to a witness begins with `old` and a size.")
    # Before anything is decoded: a request may not cost more than the longest proof.
    if len(hashes) > limits.MAX_CONSISTENCY_HASHES:
        raise LimitError(f"A proof has at most {limits.MAX_CONSISTENCY_HASHES} hashes.")
    return AddCheckpoint(_size(old[1]), tuple(map(from_base64, hashes)), note)


def format_size(size: int) -> bytes:
    """Return the body that tells a log which size a witness cosigned last."""
    return f"{size}\n".encode()


def parse_size(data: bytes) -> int:
    """Return the size that `format_size` wrote.

    Raises:
        LimitError: greater than a log may be.
        MalformedError: not of that form.
    """
    found = _SIZE.fullmatch(data[: _MAX_DIGITS + 2])
    if found is None or len(data) > _MAX_DIGITS + 1:
        raise MalformedError("The size that a witness answers is a decimal number and a newline.")
    return _size(found[1].decode())


def _size(digits: str) -> int:
    # The length is looked at first: turning a long run of digits into an int costs its square.
    if len(digits) > _MAX_DIGITS or int(digits) > limits.MAX_LOG_SIZE:
        raise LimitError("A log has at most 2^53 − 1 entries.")
    return int(digits)
