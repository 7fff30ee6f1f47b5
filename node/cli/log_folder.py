"""A folder with the files of a log, laid out as C2SP tlog-tiles names them."""

import os
from pathlib import Path
from typing import Final

from protocol.errors import InvalidError

_PART: Final = ".part"


class LogFolder:
    """Reads and writes the files of one log.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str, max_bytes: int) -> bytes | None:
        """Returns what is at a path such as ``tile/0/000``, cut at `max_bytes`; None: nothing.

        Raises:
            InvalidError: it cannot be read.
        """
        try:
            with (self._root / path).open("rb") as file:
                return file.read(max_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InvalidError(f"{path}: the file cannot be read: {error.strerror}") from None

    def size(self, path: str) -> int | None:
        """Returns how long a file is; None where there is none."""
        try:
            return (self._root / path).stat().st_size
        except OSError:
            return None

    def write(self, path: str, data: bytes) -> None:
        """Writes a file as a whole: who reads it, or a crash, never meets half of it.

        Raises:
            InvalidError: the disk refused.
        """
        target = self._root / path
        part = target.with_name(target.name + _PART)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            os.replace(part, target)  # noqa: PTH105  # the same, and it says what it does
        except OSError as error:
            raise InvalidError(f"{path}: the file cannot be written: {error.strerror}") from None
