"""A list of accounts as a platform exports it: strict CSV, held in memory and nowhere else.

Every row has an id of the platform's own and the account's identifiers, in columns that are named
after their kinds; it may have the pdq of the account's picture and its quality in two more. What is
wrong with a row is told by line and column, and never by value.
"""

import csv
import io
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import typer

from node.cli.output import is_at_terminal
from protocol.errors import InvalidError
from protocol.identifiers.kinds import IdentifierKind
from protocol.limits import MAX_FINGERPRINTS, MAX_TEXT_CHARS

MAX_FILE_BYTES: Final = 64 << 20
"""Largest list; it is held in memory whole, about ten times as large."""

STANDARD_INPUT: Final = Path("-")

_ID: Final = "id"
_AVATAR: Final = ("avatar_pdq", "avatar_quality")
_KINDS: Final = tuple(one.value for one in IdentifierKind)
_PDQ_FORM: Final = re.compile(r"[0-9a-f]{64}")
_QUALITY_FORM: Final = re.compile(r"100|[1-9]?[0-9]")
_ID_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_DELIMITERS: Final = ",;\t"


@dataclass(frozen=True, repr=False)
class Row:
    """One account.

    Attributes:
        line: where the row begins, from 1.
        id: the platform's own reference; it never leaves this command but to the output.
        identifiers: 1 to 8 of (kind, value).
        columns: the column of each, from 1.
        avatar: pdq and quality of the account's picture, if it is given.
    """

    line: int
    id: str
    identifiers: tuple[tuple[str, str], ...]
    columns: tuple[int, ...]
    avatar: tuple[str, int] | None = None


@dataclass(frozen=True)
class Fault:
    """A row that cannot be checked.

    Attributes:
        line: where the row begins, from 1.
        id: of the row, where that is known to be one.
        message: a sentence that names the column and holds no value.
    """

    line: int
    id: str | None
    message: str


@dataclass(frozen=True, repr=False)
class UserList:
    """What a file holds.

    Attributes:
        data: its bytes, to know it again by.
        rows: accounts that can be asked about, in the file's order.
        faults: rows that cannot be.
    """

    data: bytes
    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def read_users(path: Path) -> UserList:
    """Returns the accounts of a file; ``-`` is standard input.

    Raises:
        typer.BadParameter: standard input is a terminal.
        InvalidError: the file cannot be read, or is no such list.
    """
    data = _read(path)
    if len(data) > MAX_FILE_BYTES:
        raise InvalidError(f"The list is larger than {MAX_FILE_BYTES >> 20} MiB: divide it.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidError(f"line {line}: this is not UTF-8; export the list as UTF-8.") from None
    users = UserList(data)
    rows = _rows(text)
    _, header = next(rows, (0, []))
    kinds = _kinds(header)
    first_with: dict[str, int] = {}
    for line, cells in rows:
        found = _row(line, cells, kinds)
        if isinstance(found, Row) and (before := first_with.setdefault(found.id, line)) != line:
            found = Fault(line, None, f"column {_ID}: the same as in line {before}.")
        (users.rows if isinstance(found, Row) else users.faults).append(found)  # type: ignore[arg-type]  # each list gets its own type
    if not users.rows and not users.faults:
        raise InvalidError("There is no account in the list.")
    return users


def _read(path: Path) -> bytes:
    if path == STANDARD_INPUT:
        if is_at_terminal():
            raise typer.BadParameter(
                "standard input is a terminal: name a file, or pipe the list in",
                param_hint="--file",
            )
        return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidError(f"The list cannot be read: {error.strerror}.") from None


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Gives each row that is not empty, and the line on which it begins."""
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            # What the module says of it may change; that it is about this row does not.
            raise InvalidError(
                f"line {line}: this is no CSV from here on; are the quotation marks in pairs?"
            ) from None
        if cells:
            yield line, cells


def _kinds(header: Sequence[str]) -> list[str]:
    """Returns the name of each column.

    Raises:
        InvalidError: the first line is no header. What stands there instead may be somebody's
            address, so it is not repeated.
    """
    names = [one.strip().lower() for one in header]
    known = ", ".join((_ID, *_KINDS, *_AVATAR))
    for number, name in enumerate(names, start=1):
        if name not in (_ID, *_KINDS, *_AVATAR):
            raise InvalidError(f"line 1, column {number}: the name of a column is one of {known}.")
    if names.count(_ID) != 1:
        raise InvalidError(f"line 1: exactly one column is named {_ID}.")
    if [names.count(one) for one in _AVATAR] not in ([0, 0], [1, 1]):
        raise InvalidError(f"line 1: {' and '.join(_AVATAR)} stand there once each, or not at all.")
    if not set(names) & set(_KINDS):
        raise InvalidError(
            f"line 1: there is no column of an identifier; name some of {', '.join(_KINDS)}."
        )
    return names


def _row(line: int, cells: Sequence[str], kinds: Sequence[str]) -> Row | Fault:
    if len(cells) != len(kinds):
        return Fault(line, None, f"there are {len(cells)} cells, and {len(kinds)} in the header.")
    own = cells[kinds.index(_ID)].strip()
    found: dict[tuple[str, str], int] = {}
    for number, (kind, cell) in enumerate(zip(kinds, cells, strict=True), start=1):
        if kind in _KINDS and (value := cell.strip()):
            found.setdefault((kind, value), number)
    if wrong := _wrong_id(own, found):
        return Fault(line, None, f"column {_ID}: {wrong}")
    if wrong := _wrong_identifiers(found):
        return Fault(line, own, wrong)
    pdq, quality = (_cell(name, cells, kinds) for name in _AVATAR)
    if wrong := _wrong_avatar(pdq, quality):
        return Fault(line, own, wrong)
    avatar = (pdq, int(quality)) if pdq else None
    return Row(line, own, tuple(found), tuple(found.values()), avatar)


def _cell(name: str, cells: Sequence[str], kinds: Sequence[str]) -> str:
    return cells[kinds.index(name)].strip() if name in kinds else ""


def _wrong_avatar(pdq: str, quality: str) -> str:
    if not pdq and not quality:
        return ""
    if not _PDQ_FORM.fullmatch(pdq):
        return f"column {_AVATAR[0]}: this is no pdq, 64 characters of 0-9 and a-f."
    if not _QUALITY_FORM.fullmatch(quality):
        return f"column {_AVATAR[1]}: a quality is 0 to 100, as `schutznetz hash` gives it."
    return ""


def _wrong_id(own: str, found: Collection[tuple[str, str]]) -> str:
    if not _ID_FORM.fullmatch(own):
        return "1 to 64 characters of A-Z, a-z, 0-9, '.', '_', ':' and '-'."
    if any(own == value for _, value in found):
        return "it is an identifier of the account; use a number of your own."
    return ""


def _wrong_identifiers(found: Mapping[tuple[str, str], int]) -> str:
    if not found:
        return "there is no identifier."
    if len(found) > MAX_FINGERPRINTS:
        return f"there are more than {MAX_FINGERPRINTS} identifiers."
    for (kind, value), number in found.items():
        if len(value) > MAX_TEXT_CHARS or "\x00" in value:
            return f"column {number} ({kind}): this is no identifier."
    return ""
