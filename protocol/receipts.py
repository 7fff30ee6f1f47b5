"""Receipts as text: an entry's place in a log, and the proof of it (C2SP tlog-proof, version 1).

What it is: strict parsing and writing. Parsing and writing again gives the same bytes. What it is
not: verification, which `signing.receipts` does.
"""

import re
from dataclasses import dataclass
from typing import Final

from protocol import limits
from protocol.encoding import from_base64, to_base64
from protocol.errors import LimitError, MalformedError
from protocol.merkle import HASH_BYTES

RECEIPT_SUFFIX: Final = ".tlog-proof"
"""How the name of a file with a receipt ends."""

_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = "index "
_NUMBER: Final = re.compile("0|[1-9][0-9]{0,15}")
_MAX_HASHES: Final = limits.MAX_LOG_SIZE.bit_length()


@dataclass(frozen=True)
class LogProof:
    """What a receipt says, not verified.

    Attributes:
        index: place of the entry in the log, from 0.
        hashes: the inclusion proof, 32 bytes each, from the leaf's sibling upwards; at most 53.
        note: the checkpoint, a signed note, with whatever cosignatures it came with.
        extra: opaque further data, which nothing vouches for; ours have none.

    Raises:
        LimitError: more than a receipt may hold.
        MalformedError: a field is not as tlog-proof asks.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be written as a receipt."""
        if not 0 <= self.index < limits.MAX_LOG_SIZE:
            raise LimitError("A log has at most 2^53 − 1 entries.")
        if len(self.hashes) > _MAX_HASHES:
            raise LimitError(f"A proof has at most {_MAX_HASHES} hashes.")
        if any(len(item) != HASH_BYTES for item in self.hashes):
            raise MalformedError(f"A hash in a proof has {HASH_BYTES} bytes.")
        if self.extra == b"":
            raise MalformedError("A receipt without extra data has no line for it.")

    def to_bytes(self) -> bytes:
        """Return the one form of the receipt.

        Raises:
            LimitError: longer than `limits.MAX_RECEIPT_BYTES`.
        """
        extra = [] if self.extra is None else [_EXTRA + to_base64(self.extra)]
        lines = [_FIRST_LINE, *extra, f"{_INDEX}{self.index}", *map(to_base64, self.hashes), "", ""]
        data = "\n".join(lines).encode() + self.note
        if len(data) > limits.MAX_RECEIPT_BYTES:
            raise LimitError(f"A receipt has at most {limits.MAX_RECEIPT_BYTES} bytes.")
        return data


def parse_log_proof(data: bytes) -> LogProof:
    """Return what a receipt says, not verified (tlog-proof, "Format").

    Args:
        data: untrusted bytes.

    Raises:
        LimitError: longer than `limits.MAX_RECEIPT_BYTES`, or more than a receipt may hold.
        MalformedError: not a receipt, or not in its one form.
    """
    if len(data) > limits.MAX_RECEIPT_BYTES:
        raise LimitError(f"A receipt has at most {limits.MAX_RECEIPT_BYTES} bytes.")
    head, blank, note = data.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise MalformedError("The lines before the checkpoint of a receipt are ASCII.") from None
    if first != _FIRST_LINE or not blank:
        raise MalformedError("A receipt begins with the line of C2SP tlog-proof, version 1.")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = from_base64(lines.pop(0).removeprefix(_EXTRA))
    if not lines or not lines[0].startswith(_INDEX):
        raise MalformedError("A receipt has a line with the index of its entry.")
    number = lines.pop(0).removeprefix(_INDEX)
    if not _NUMBER.fullmatch(number):
        raise MalformedError("An index is a decimal number without leading zeros.")
    if len(lines) > _MAX_HASHES:
        raise LimitError(f"A proof has at most {_MAX_HASHES} hashes.")
    return LogProof(int(number), tuple(from_base64(line) for line in lines), note, extra)
