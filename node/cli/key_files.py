"""Files that a verb checks or checks with: bounded, and with one sentence where one is missing."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from protocol.errors import InvalidError, SchutznetzError

if TYPE_CHECKING:
    from federation.offline import FileNode

MAX_VERSIONS_BYTES: Final = 8 << 20
"""Longest file with descriptors: one envelope, or one on each line."""


def read_file(path: Path, max_bytes: int) -> bytes:
    """Returns the bytes of a file.

    Raises:
        InvalidError: it cannot be read, or is longer than what it is to be may be.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise InvalidError(f"{path}: the file cannot be read: {error.strerror}") from None
    if len(data) > max_bytes:
        raise InvalidError(f"{path}: the file has more than {max_bytes} bytes")
    return data


def read_envelopes(path: Path) -> list[bytes]:
    """Returns the envelopes in a file: one, or one on each line.

    Raises:
        InvalidError: as `read_file`.
    """
    data = read_file(path, MAX_VERSIONS_BYTES).strip()
    lines = [line.strip() for line in data.split(b"\n")]
    whole = all(line.startswith(b"{") and line.endswith(b"}") for line in lines if line)
    return [line for line in lines if line] if whole else [data]


def read_nodes(paths: Sequence[Path]) -> "dict[str, FileNode]":
    """Returns the nodes whose descriptors lie in files, by name.

    Raises:
        ProtocolError, SigningError: as `federation.offline.read_nodes`.
        InvalidError: as `read_file`.
    """
    from federation import offline

    return offline.read_nodes(one for path in paths for one in read_envelopes(path))


def about(what: str | Path, error: SchutznetzError) -> InvalidError:
    """Returns an error with the name of what it is about in front."""
    return InvalidError(f"{what}: {error}")
