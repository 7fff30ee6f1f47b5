"""A list of media hashes in a file: CSV, JSON lines or Parquet, read row by row.

A cell is what its column says or a fault, named by where it stands and never by what it holds.
Memory stays that of one row, or of one batch of Parquet, however long the list is.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.cli.output import readable
from protocol.encoding import parse_json
from protocol.errors import InvalidError, ProtocolError
from protocol.statements import MediaItem

COLUMNS: Final = ("pdq", "quality", "sha256", "sha1", "md5")
LABEL: Final = "label"
MISSING: Final = (
    "Parquet cannot be read here: install the extra, pip install 'schutznetz[parquet]'."
)

_HEX: Final = {
    name: re.compile(rf"[0-9a-fA-F]{{{digits}}}")
    for name, digits in (("pdq", 64), ("sha256", 64), ("sha1", 40), ("md5", 32))
}
_QUALITY: Final = re.compile(r"[0-9]{1,3}", re.ASCII)
_MOST_QUALITY: Final = 100
_MAX_LINE_BYTES: Final = 16 << 10
_MAX_LABEL_CHARS: Final = 200
_PAGE: Final = 4_096  # rows of Parquet that are in memory at a time

Cells = Mapping[str, Any]


class Fault(NamedTuple):
    """What is wrong with one cell, or with the row where `column` is empty."""

    column: str
    sentence: str


@dataclass(frozen=True)
class Row:
    """One row of a list.

    Attributes:
        line: where it stands, counted from 1: of the file, or of the rows of Parquet.
        label: what the list calls it; stays on this computer.
        item: what it says; None exactly if there are faults.
        faults: what is wrong with it.
    """

    line: int
    label: str
    item: MediaItem | None
    faults: tuple[Fault, ...] = ()


def read_rows(path: Path) -> Iterator[Row]:
    """Gives the rows of a list; its name says which kind it is.

    Raises:
        InvalidError: it is no such list as a whole, or cannot be read.
    """
    try:
        yield from _reader_of(path)(path)
    except OSError as error:
        raise InvalidError(f"{path}: {error.strerror or 'it cannot be read'}.") from None


def is_known_kind(path: Path) -> bool:
    """Whether the name ends as those of lists do."""
    return path.suffix.lower() in _READERS


def unit_of(path: Path) -> str:
    """What the places of this list are counted in."""
    return "row" if path.suffix.lower() == ".parquet" else "line"


def _reader_of(path: Path) -> Callable[[Path], Iterator[Row]]:
    return _READERS[path.suffix.lower()]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Gives number and text of each line, with its end; without the mark that begins some files."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > _MAX_LINE_BYTES:
                raise InvalidError(f"{path}: line {number} is too long to be a row of a list.")
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise InvalidError(f"{path}: line {number} is not UTF-8.") from None


def _csv_rows(path: Path) -> Iterator[Row]:
    at = 0

    def texts() -> Iterator[str]:
        nonlocal at
        for at, text in _lines(path):  # noqa: B007  # read below, as the reader goes on
            yield text

    reader = csv.reader(texts(), strict=True)
    try:
        header = next(reader, None)
        _check_columns(path, header)
        assert header is not None
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                what = f"it has {len(cells)} cells, and the first line names {len(header)}"
                yield Row(at, "", None, (Fault("", what),))
                continue
            yield row_of(at, {name: cell or None for name, cell in zip(header, cells, strict=True)})
    except csv.Error:
        raise InvalidError(f"{path}: line {at} is not CSV.") from None


def _json_rows(path: Path) -> Iterator[Row]:
    for at, text in _lines(path):
        if not text.strip():
            continue
        try:
            cells = parse_json(text.encode(), max_bytes=_MAX_LINE_BYTES)
        except ProtocolError:
            yield Row(at, "", None, (Fault("", "it is not one strict JSON object"),))
            continue
        if not isinstance(cells, dict):
            yield Row(at, "", None, (Fault("", "it is not one strict JSON object"),))
        elif cells.keys() - {*COLUMNS, LABEL}:
            yield Row(at, "", None, (Fault("", f"it has other keys than {_named()}"),))
        else:
            yield row_of(at, cells)


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise InvalidError(MISSING) from None
    try:
        with ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_columns(path, names)
            at = 0
            for batch in file.iter_batches(batch_size=_PAGE):
                columns = [batch.column(name).to_pylist() for name in names]
                for cells in zip(*columns, strict=True):
                    at += 1
                    yield row_of(at, dict(zip(names, map(_plain, cells), strict=True)))
    except ArrowException:
        raise InvalidError(f"{path}: this is not Parquet, or it is damaged.") from None


_READERS: Final[dict[str, Callable[[Path], Iterator[Row]]]] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
    ".parquet": _parquet_rows,
}


def _plain(cell: Any) -> Any:
    """Bytes, as which Parquet may hold a digest, in hexadecimal."""
    return cell.hex() if isinstance(cell, bytes) else cell


def _check_columns(path: Path, header: Sequence[str] | None) -> None:
    names = header or ()
    if len(set(names)) != len(names) or set(names) - {*COLUMNS, LABEL}:
        raise InvalidError(f"{path}: the columns are some of {_named()}, each once.")
    if not set(names) & set(_HEX):
        raise InvalidError(f"{path}: there is no column of media hashes; there are {_named()}.")


def _named() -> str:
    return ", ".join((*COLUMNS, LABEL))


def row_of(line: int, cells: Cells) -> Row:
    """Returns a row from its cells: text, a number for the quality, or None where there is none."""
    faults: list[Fault] = []
    values: dict[str, Any] = {}
    for name, pattern in _HEX.items():
        cell = cells.get(name)
        if cell is None:
            continue
        if isinstance(cell, str) and pattern.fullmatch(cell):
            values[name] = cell.lower()
        else:
            digits = pattern.pattern.partition("{")[2].rstrip("}")
            faults.append(Fault(name, f"not {digits} hexadecimal digits"))
    quality = cells.get("quality")
    if quality is not None and cells.get("pdq") is not None:
        if (number := _quality(quality)) is None:
            faults.append(Fault("quality", "not a whole number from 0 to 100"))
        values["quality"] = number
    elif cells.get("pdq") is not None:
        faults.append(Fault("quality", "a pdq stands with its quality"))
    elif quality is not None:
        faults.append(Fault("pdq", "a quality stands with its pdq"))
    label = cells.get(LABEL)
    if label is not None and not (isinstance(label, str) and len(label) <= _MAX_LABEL_CHARS):
        faults.append(Fault(LABEL, f"not a text of at most {_MAX_LABEL_CHARS} characters"))
        label = None
    if not values and not faults:
        faults.append(Fault("", "it has no media hash"))
    item = None if faults else MediaItem(**values)
    return Row(line, readable(label or ""), item, tuple(faults))


def _quality(cell: object) -> int | None:
    if isinstance(cell, str) and _QUALITY.fullmatch(cell):
        cell = int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool) and 0 <= cell <= _MOST_QUALITY:
        return cell
    return None
