"""Signed notes and checkpoints as text (C2SP signed-note and tlog-checkpoint, version 1).

What it is: strict parsing and writing. Each value has one form, so parsing and writing again gives
the same bytes. What it is not: verification. A `Note` that was parsed says nothing until
`signing.notes` has checked a signature on it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from protocol import limits
from protocol.encoding import from_base64, to_base64
from protocol.errors import LimitError, MalformedError
from protocol.merkle import HASH_BYTES

ED25519: Final = 0x01
"""Signature type of an Ed25519 signature over the text of a note (signed-note)."""

COSIGNATURE: Final = 0x04
"""Signature type of a timestamped Ed25519 cosignature on a checkpoint (tlog-cosignature)."""

KEY_ID_BYTES: Final = 4
"""Length of a note key id. It picks a key, it does not vouch for one."""

_ED25519_KEY_BYTES: Final = 32
_ALGORITHM_MAX: Final = 0xFF
_DASH: Final = "\u2014 "
_MIN_LINES: Final = 3
_MAX_SIZE_DIGITS: Final = len(str(limits.MAX_LOG_SIZE))

# signed-note: valid UTF-8 without ASCII control characters other than newline. A lone surrogate is
# no UTF-8, but a Python str can hold one.
_FORBIDDEN: Final = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_SIZE: Final = re.compile("0|[1-9][0-9]*")
_KEY_ID: Final = re.compile("[0-9a-f]{8}")


@dataclass(frozen=True)
class Checkpoint:
    """What a log says about itself: its name, its size and its root.

    Attributes:
        origin: unique name of the log, such as ``hotline.example/log/1``; one non-empty line.
        size: number of entries, 0 to `limits.MAX_LOG_SIZE`.
        root: 32-byte root of the log.
        extensions: further lines, opaque; kept so that the text stays what was signed. Our own
            checkpoints have none.

    Raises:
        LimitError: `size` is greater than a log may be.
        MalformedError: a field is not as tlog-checkpoint asks.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be written as a checkpoint."""
        for line in (self.origin, *self.extensions):
            if not line or "\n" in line or _FORBIDDEN.search(line):
                raise MalformedError("A line of a checkpoint is empty or has control characters.")
        if self.size < 0:
            raise MalformedError("The size of a log is not negative.")
        if self.size > limits.MAX_LOG_SIZE:
            raise LimitError("A log has at most 2^53 − 1 entries.")
        if len(self.root) != HASH_BYTES:
            raise MalformedError(f"The root of a log has {HASH_BYTES} bytes.")

    def to_text(self) -> str:
        """Return the text that a log signs: its lines, each ended by a newline."""
        lines = (self.origin, str(self.size), to_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class NoteSignature:
    """One signature line of a note, not verified.

    Attributes:
        name: name of the key; not empty, without spaces and plus signs.
        key_id: 4 bytes that tell the keys of one name apart.
        raw: what the algorithm of the key gave, at least 1 byte.

    Raises:
        MalformedError: a field is not as signed-note asks.
    """

    name: str
    key_id: bytes
    raw: bytes

    def __post_init__(self) -> None:
        """Refuse what could not be written as a signature line."""
        _check_key_name(self.name)
        if len(self.key_id) != KEY_ID_BYTES:
            raise MalformedError(f"A note key id has {KEY_ID_BYTES} bytes.")
        if not self.raw:
            raise MalformedError("A signature line has no signature.")


@dataclass(frozen=True)
class Note:
    """A text with the signatures that it came with, not verified.

    Attributes:
        text: what was signed, with its last newline; it may hold empty lines.
        signatures: 1 to `limits.MAX_SIGNATURES` lines, in their order.

    Raises:
        LimitError: more signatures than allowed.
        MalformedError: no signature, or a text that signed-note does not allow.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        """Refuse what could not be written as a note."""
        if not self.text.endswith("\n") or _FORBIDDEN.search(self.text):
            raise MalformedError("The text of a note ends in a newline and has no other controls.")
        if not self.signatures:
            raise MalformedError("The note is not signed.")
        if len(self.signatures) > limits.MAX_SIGNATURES:
            raise LimitError(f"A note has at most {limits.MAX_SIGNATURES} signatures.")


@dataclass(frozen=True)
class NoteKey:
    """The public key of a signer of notes, under the name that it signs with.

    Attributes:
        name: name of the key; not empty, without spaces and plus signs.
        algorithm: signature type, 0 to 255, such as `ED25519` or `COSIGNATURE`.
        public_key: encoding of the key; 32 bytes for `ED25519` and `COSIGNATURE`.

    Raises:
        MalformedError: a field is not as signed-note asks.
    """

    name: str
    algorithm: int
    public_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what could not be a key."""
        _check_key_name(self.name)
        if not 0 <= self.algorithm <= _ALGORITHM_MAX:
            raise MalformedError("A signature type is one byte.")
        if not self.public_key:
            raise MalformedError("The public key is missing.")
        if self.algorithm in {ED25519, COSIGNATURE} and len(self.public_key) != _ED25519_KEY_BYTES:
            raise MalformedError(f"An Ed25519 public key has {_ED25519_KEY_BYTES} bytes.")

    @property
    def key_id(self) -> bytes:
        """The 4-byte note key id."""
        return note_key_id(self.name, self.algorithm, self.public_key)


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint that the text of a note holds (tlog-checkpoint, "Note text").

    Args:
        text: the text of a note. Verify a signature on it first.

    Raises:
        LimitError: the text, or the size that it states, is greater than allowed.
        MalformedError: not a checkpoint.
    """
    if len(text) > limits.MAX_NOTE_BYTES:
        raise LimitError(f"A checkpoint has at most {limits.MAX_NOTE_BYTES} bytes.")
    # Never splitlines(): it also parts at characters that may stand inside a line.
    *lines, rest = text.split("\n")
    if rest or len(lines) < _MIN_LINES:
        raise MalformedError("A checkpoint has three lines or more, each ended by a newline.")
    origin, size, root, *extensions = lines
    return Checkpoint(origin, _parse_size(size), from_base64(root), tuple(extensions))


def _parse_size(digits: str) -> int:
    if not _SIZE.fullmatch(digits):
        raise MalformedError("The size of a log is a decimal number without leading zeros.")
    # The length is looked at first: turning a long run of digits into an int costs its square.
    if len(digits) > _MAX_SIZE_DIGITS:
        raise LimitError("A log has at most 2^53 − 1 entries.")
    return int(digits)


def parse_note(data: bytes) -> Note:
    """Return the text and the signatures of a note, none of them verified (signed-note, "Format").

    Args:
        data: untrusted bytes.

    Raises:
        LimitError: longer than `limits.MAX_NOTE_BYTES`, or too many signatures.
        MalformedError: not a signed note.
    """
    if len(data) > limits.MAX_NOTE_BYTES:
        raise LimitError(f"A note has at most {limits.MAX_NOTE_BYTES} bytes.")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError("The note is not UTF-8.") from None
    # The text may hold empty lines: the last one of the note parts it from the signatures.
    text, blank, block = whole.rpartition("\n\n")
    *lines, rest = block.split("\n")
    if not blank or rest:
        raise MalformedError("A note is a text, an empty line, and signature lines.")
    return Note(f"{text}\n", tuple(_parse_signature(line) for line in lines))


def parse_signature_lines(data: bytes) -> tuple[NoteSignature, ...]:
    """Return the signature lines that a witness answers with (tlog-witness, "add-checkpoint").

    Args:
        data: untrusted bytes: lines as in a note, each ended by a newline.

    Raises:
        LimitError: longer than `limits.MAX_NOTE_BYTES`, or more than `limits.MAX_SIGNATURES`.
        MalformedError: not of that form, or no line at all.
    """
    # The same parser decides, so that what is taken here can stand in a note.
    return parse_note(b"-\n\n" + data).signatures


def format_signature_lines(signatures: Iterable[NoteSignature]) -> bytes:
    """Return signature lines as they stand in a note, each ended by a newline."""
    return "".join(map(_format_signature, signatures)).encode()


def _parse_signature(line: str) -> NoteSignature:
    if not line.startswith(_DASH):
        raise MalformedError("A signature line starts with an em dash and a space.")
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    data = from_base64(encoded)
    return NoteSignature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def format_note(note: Note) -> bytes:
    """Return the bytes of a note; `parse_note` gives the same note back.

    Raises:
        LimitError: longer than `limits.MAX_NOTE_BYTES`.
    """
    data = f"{note.text}\n".encode() + format_signature_lines(note.signatures)
    if len(data) > limits.MAX_NOTE_BYTES:
        raise LimitError(f"A note has at most {limits.MAX_NOTE_BYTES} bytes.")
    return data


def _format_signature(signature: NoteSignature) -> str:
    return f"{_DASH}{signature.name} {to_base64(signature.key_id + signature.raw)}\n"


def note_key_id(name: str, algorithm: int, public_key: bytes) -> bytes:
    """Return SHA-256(name ‖ 0A ‖ algorithm ‖ public_key)[:4] (signed-note, "Signatures").

    Args:
        name: name of the key.
        algorithm: signature type, 0 to 255.
        public_key: encoding of the key, as the signature type has it.
    """
    digest = sha256(name.encode() + b"\n" + bytes([algorithm]) + public_key).digest()
    return digest[:KEY_ID_BYTES]


def format_vkey(key: NoteKey) -> str:
    """Return the one-line form of a key, ``<name>+<key id in hex>+<base64 of type and key>``."""
    encoded = to_base64(bytes([key.algorithm]) + key.public_key)
    return f"{key.name}+{key.key_id.hex()}+{encoded}"


def parse_vkey(text: str) -> NoteKey:
    """Return the key that `format_vkey` wrote.

    Keys whose id is not computed as signed-note recommends (ECDSA, type 0x02) are refused.

    Args:
        text: untrusted text.

    Raises:
        LimitError: longer than `limits.MAX_NOTE_BYTES`.
        MalformedError: not of that form, or the key id does not fit the key.
    """
    if len(text) > limits.MAX_NOTE_BYTES:
        raise LimitError(f"A note key has at most {limits.MAX_NOTE_BYTES} bytes.")
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    data = from_base64(encoded)
    if not _KEY_ID.fullmatch(key_id) or not data:
        raise MalformedError("A note key has the form <name>+<8 hex digits>+<base64>.")
    key = NoteKey(name, data[0], data[1:])
    if key.key_id.hex() != key_id:
        raise MalformedError("The note key id does not fit the key: it was mistyped or cut.")
    return key


def _check_key_name(name: str) -> None:
    # isspace() covers the Unicode spaces that signed-note bars, newline among them.
    if not name or _FORBIDDEN.search(name) or any(c == "+" or c.isspace() for c in name):
        raise MalformedError("A note key name is not empty and has no space, plus or control.")
