"""What becomes of an error: one sentence for a person, and an exit code. Never a traceback."""

import sys
import traceback
from enum import IntEnum
from pathlib import Path
from typing import Final

from protocol.errors import SchutznetzError

_ROOT: Final = Path(__file__).resolve().parents[2]
_FOREIGN: Final = "site-packages"


class ExitCode(IntEnum):
    """What the command tells the shell."""

    DONE = 0
    """Everything that was asked for was done."""

    FAILED = 1
    """It was refused, or it failed, or some of it did."""

    WRONG_USE = 2
    """It was not called as it can be called."""

    UNFINISHED = 3
    """Some is left for later, and can be gone on with: a budget was used up, or a circle down."""

    INTERRUPTED = 130
    """Somebody pressed Ctrl-C (128 + SIGINT)."""


def sentence_of(error: Exception) -> str:
    """Returns what a person is told about an error, on one line.

    Errors of the project carry a sentence that holds nothing confidential. Of any other error only
    the type and the place are told: its text may quote whatever was being worked on.
    """
    if isinstance(error, SchutznetzError):
        return " ".join(str(error).split())
    return (
        f"unexpected {type(error).__name__}{_place_of(error)}: this is a mistake in Schutznetz; "
        "please report this line and the verb that you used, as CONTRIBUTING.md says, "
        "without keys, names or identifiers."
    )


def _place_of(error: Exception) -> str:
    """Returns the innermost line of the project that the error passed through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(_ROOT) and _FOREIGN not in path.relative_to(_ROOT).parts:
            return f" at {path.relative_to(_ROOT)}:{frame.lineno}"
    return ""


def complain(sentence: str) -> None:
    """Puts one sentence on standard error, in the form of all Unix commands."""
    # What cannot be shown in the terminal's encoding is escaped instead of failing in turn.
    encoding = sys.stderr.encoding or "utf-8"
    safe = f"schutznetz: {sentence}".encode(encoding, "backslashreplace").decode(encoding)
    sys.stderr.write(f"{safe}\n")
