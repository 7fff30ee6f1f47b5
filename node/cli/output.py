"""Where the command's words go: results to standard output, everything said meanwhile to the other.

What is printed may come from file names and from other nodes: control characters, which could move
a cursor or forge a line, are made visible instead of being sent to the terminal.
"""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TextIO

import typer

PATIENCE_S: Final = 1.0
"""How long something may take before a progress bar shows."""

_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def readable(text: str) -> str:
    """Returns a text as one line without control characters, undecodable bytes and the like."""
    whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", whole)


def show(line: str = "") -> None:
    """Prints one line of the result."""
    _print(line, sys.stdout)


def note(line: str = "") -> None:
    """Prints one line for the person who waits; no program reads it."""
    _print(line, sys.stderr)


def show_json(value: Any) -> None:
    """Prints the whole result as one JSON document, in ASCII for any terminal."""
    _print(json.dumps(value, indent=2), sys.stdout, clean=False)


def show_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows under a header, in columns as wide as they need to be."""
    cells = [list(header), *([readable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    for row in cells:
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Prints names and values under one another."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        show(f"{name.ljust(width)}  {readable(str(value))}")


def ago(then: int | None, now: int) -> str:
    """Returns how long ago an instant was, for a person; both in Unix seconds."""
    if then is None:
        return "never"
    seconds = max(0, now - then)
    for unit, length in (("days", _DAY_S), ("hours", _HOUR_S), ("minutes", _MINUTE_S)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def is_at_terminal() -> bool:
    """Says whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def ask(question: str) -> str:
    """Returns the line that a person answers, without blanks around it.

    The question goes to standard error: on the other there may be a program that reads the result.

    Raises:
        typer.Abort: there is nobody to answer.
    """
    sys.stderr.write(f"{readable(question)} ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        # Whatever comes next begins on a line of its own.
        note()
        raise typer.Abort
    return answer.strip()


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Gives a function to call after each of `total` steps.

    A bar shows on standard error once a second has passed, if that is a terminal; it is gone when
    the work is done.
    """
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Remaining(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(title, total=total)
    patience = threading.Timer(PATIENCE_S, bar.start)
    patience.daemon = True
    patience.start()
    try:
        yield lambda: bar.advance(task)
    finally:
        patience.cancel()
        patience.join()
        bar.stop()


def _nothing() -> None:
    """Nobody watches."""


def _print(line: str, stream: TextIO, *, clean: bool = True) -> None:
    text = readable(line) if clean else line
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()
