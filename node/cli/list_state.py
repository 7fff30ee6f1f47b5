"""How far a list has been sent: a file beside it, so that no row is flagged twice.

One line of JSON for each statement that the node has acknowledged: of which list, which rows, its
id, and a mark of each media hash in it, keyed with what is drawn when the file begins. The one
statement that is signed and not acknowledged lies in a second file: after a crash the same bytes
are submitted again, to which a node gives the same answer.

The two are the flagger's alone, as the list is: the second holds what was signed.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from node.matching.exact import ExactIndex
from protocol.errors import ConflictError, InvalidError

_MARK_BYTES: Final = 8
_VERSION: Final = 1
_PIECE: Final = 1 << 20


@dataclass(frozen=True)
class Batch:
    """Some rows of a list, in one statement.

    Attributes:
        input: SHA-256 of the list.
        about: SHA-256 of what is said about all of it: category, readers and so on.
        first: its first line.
        last: its last; every line up to there is done with.
        items: how many are in the statement.
        marks: of their media hashes, eight bytes each.
    """

    input: str
    about: str
    first: int
    last: int
    items: int
    marks: str


@dataclass(frozen=True)
class Done:
    """A batch that the node has acknowledged."""

    batch: Batch
    id: str
    index: int


class ListState:
    """What was sent, on disk before the next is sent."""

    def __init__(self, path: Path, *, flagger: str) -> None:
        """Opens the state, or begins it.

        Raises:
            ConflictError: it is no state, a damaged one, or another flagger's.
        """
        self._path = path
        self.pending_path = path.with_name(f"{path.name}.pending")
        self.done: list[Done] = []
        self._marks = ExactIndex()
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            self._salt = secrets.token_bytes(16)
            self._head = {"version": _VERSION, "flagger": flagger, "salt": self._salt.hex()}
            self._is_new = True
            return
        except OSError as error:
            raise InvalidError(f"{path}: {error.strerror}.") from None
        # A crash in the middle of a line leaves it without its end; it is written anew, because
        # the statement is still the pending one.
        whole = text[: text.rfind(b"\n") + 1]
        try:
            head, *lines = map(json.loads, whole.splitlines())
            self._salt = bytes.fromhex(head["salt"])
            if head["version"] != _VERSION or head["flagger"] != flagger:
                raise ConflictError(f"{path}: it is another flagger's, or a newer version's.")
            for line in lines:
                self._note(Done(Batch(**line["batch"]), str(line["id"]), int(line["index"])))
        except (ValueError, KeyError, TypeError):
            raise ConflictError(f"{path}: this is not the state of a list.") from None
        self._is_new = False
        if len(whole) < len(text):
            os.truncate(path, len(whole))

    def mark(self, kind: str, value: str) -> bytes:
        """Returns what a media hash is known by here: a keyed hash, RFC 7693."""
        told = f"{kind}:{value}".encode()
        return hashlib.blake2b(told, key=self._salt, digest_size=_MARK_BYTES).digest()

    def has(self, mark: bytes) -> bool:
        """Whether a media hash with this mark was sent before."""
        return bool(self._marks.find(mark))

    def upto(self, digest: str, about: str) -> int:
        """Returns the last line of a list that is done with; 0 if nothing of it is.

        Raises:
            ConflictError: it was begun with something else said about it.
        """
        of_it = [one.batch for one in self.done if one.batch.input == digest]
        if any(one.about != about for one in of_it):
            raise ConflictError(
                f"{self._path}: this list was begun with another category, or something else said "
                "of it; say the same, or name another --state."
            )
        return max((one.last for one in of_it), default=0)

    def prepare(self, batch: Batch, envelope: bytes) -> None:
        """A signed statement is on the disk, before anybody is sent it."""
        if self._is_new:
            _write(self._path, json.dumps(self._head) + "\n")
            self._is_new = False
        text = json.dumps({"batch": asdict(batch), "envelope": envelope.decode()})
        beside = self.pending_path.with_name(f"{self.pending_path.name}.new")
        _write(beside, text)
        beside.replace(self.pending_path)
        _sync_folder(self.pending_path.parent)

    def pending(self) -> tuple[Batch, bytes] | None:
        """Returns what was signed and of which no acknowledgement is known."""
        try:
            found: dict[str, Any] = json.loads(self.pending_path.read_text("utf-8"))
            batch, envelope = Batch(**found["batch"]), str(found["envelope"]).encode()
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise ConflictError(
                f"{self.pending_path}: this is not what a list was left with."
            ) from None
        place = (batch.input, batch.first)
        known = any((one.batch.input, one.batch.first) == place for one in self.done)
        return None if known else (batch, envelope)

    def acknowledge(self, done: Done) -> None:
        """The node has it, and that is on the disk."""
        line = {"batch": asdict(done.batch), "id": done.id, "index": done.index}
        _write(self._path, json.dumps(line) + "\n", append=True)
        self._note(done)
        self.drop_pending()

    def drop_pending(self) -> None:
        """What was signed last is not needed any more."""
        self.pending_path.unlink(missing_ok=True)

    def _note(self, done: Done) -> None:
        marks = base64.b64decode(done.batch.marks, validate=True)
        each = [marks[at : at + _MARK_BYTES] for at in range(0, len(marks), _MARK_BYTES)]
        self._marks.add([len(self.done)] * len(each), each)
        self.done.append(replace(done, batch=replace(done.batch, marks="")))


def joined(marks: Iterable[bytes]) -> str:
    """Returns marks as a batch carries them."""
    return base64.b64encode(b"".join(marks)).decode()


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file, read in pieces.

    Raises:
        InvalidError: it cannot be read.
    """
    made = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                made.update(piece)
    except OSError as error:
        raise InvalidError(f"{path}: {error.strerror}.") from None
    return made.hexdigest()


def digest_of_texts(texts: Sequence[str]) -> str:
    """Returns one SHA-256 of several texts, none of which holds a zero byte."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _write(path: Path, text: str, *, append: bool = False) -> None:
    """The text is in the file and on the disk; the file is its owner's alone."""
    how = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    try:
        with open(os.open(path, how, 0o600), "wb") as file:  # noqa: PTH123  # a descriptor
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InvalidError(f"{path}: {error.strerror}.") from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
