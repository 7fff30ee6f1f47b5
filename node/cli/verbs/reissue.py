"""`reissue`: the own bans once more under a circle's newest key, through the platform's own node.

The file holds identifiers in clear: it is read line by line, goes to the own node alone, and no
value of it is printed or written anywhere. Rows are named by their line.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import note, progress, show, show_json

KINDS: Final = ("email", "phone", "device", "username", "payment", "invite")
_STATEMENT: Final = "statement"
_LATER: Final = (429, 503)
_NOT_THIS: Final = (404, 409, 422)


_Row = tuple[int, str, list[dict[str, str]]]
"""Line, statement and identifiers."""


@dataclass
class Tally:
    """What came of the rows, by line of the file."""

    made: int = 0
    there: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    stopped: str | None = None
    left: int = 0


def register(app: options.Group) -> None:
    """Adds the verb to the command."""
    app.command("reissue")(reissue)


def reissue(
    file: Annotated[
        Path,
        typer.Argument(
            help="Table (CSV) whose first line names the columns: statement, and kinds of "
            "identifiers such as email or phone, each as often as needed.",
            metavar="FILE",
            exists=True,
            dir_okay=False,
        ),
    ],
    *,
    region: Annotated[
        str | None,
        typer.Option(
            help="Country of phone numbers without country code, such as DE.", metavar="COUNTRY"
        ),
    ] = None,
    node: options.OwnNodeUrl = options.OWN_NODE,
    api_key_file: options.ApiKeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Make your bans again under a circle's newest key.

    A fingerprint cannot be carried to another key, so this takes the identifiers once more, of
    accounts whose bans you still have a reason and a right to keep. Each ban keeps its end. Where
    the budget of the day ends, it stops; run it again, and it goes on.
    """
    from node.cli.own_node import Platform
    from node.cli.passphrases import read_api_key

    rows = list(_rows(file))
    tally = _all(Platform(node, read_api_key(api_key_file)), rows, region)
    if as_json:
        show_json(vars(tally))
    else:
        show(f"{tally.made} bans made again, {tally.there} were there already.")
    for one in tally.refused:
        note(f"line {one['line']}: {one['reason']}")
    if tally.stopped:
        note(f"{tally.left} rows are left: {tally.stopped}")
        note("Run the same again later: what is done is done.")
    if tally.refused or tally.stopped:
        raise typer.Exit(ExitCode.FAILED)


def _all(platform: Any, rows: list[_Row], region: str | None) -> Tally:
    from protocol.errors import PeerRefusedError

    tally = Tally()
    with progress("Making bans again", len(rows)) as step:
        for done, (line, statement, identifiers) in enumerate(rows):
            body = {"identifiers": identifiers} | ({"region": region} if region else {})
            try:
                receipt = platform.post(f"/v1/statements/{statement}/reissue", body)
            except PeerRefusedError as error:
                if error.status in _LATER:
                    tally.stopped, tally.left = str(error), len(rows) - done
                    break
                if error.status not in _NOT_THIS:
                    raise
                tally.refused.append({"line": line, "reason": str(error)})
            else:
                tally.made += not receipt.get("duplicate", False)
                tally.there += receipt.get("duplicate", False)
            step()
    return tally


def _rows(file: Path) -> Iterator[_Row]:
    """Gives line, statement and identifiers of each row.

    Raises:
        typer.BadParameter: the file is no such table; the message holds no value of it.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.reader(stream, strict=True)
            names = [name.strip().lower() for name in next(table, [])]
            if names.count(_STATEMENT) != 1 or not {*names} <= {_STATEMENT, *KINDS}:
                raise typer.BadParameter(
                    f"the first line names one column {_STATEMENT!r}, and columns of {KINDS}",
                    param_hint="FILE",
                )
            for cells in table:
                if any(cells):
                    yield _read(table.line_num, names, cells)
    except (csv.Error, UnicodeDecodeError):
        raise typer.BadParameter("this is no table in UTF-8", param_hint="FILE") from None


def _read(line: int, names: list[str], cells: list[str]) -> _Row:
    pairs = [(name, cell.strip()) for name, cell in zip(names, cells, strict=False) if cell.strip()]
    statement = dict(pairs).get(_STATEMENT, "")
    if len(cells) != len(names) or not _is_id(statement):
        raise typer.BadParameter(
            f"line {line} has another number of columns than the first, or no statement's id",
            param_hint="FILE",
        )
    found = [{"kind": name, "value": cell} for name, cell in pairs if name != _STATEMENT]
    return line, statement, found


def _is_id(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")  # noqa: PLR2004  # SHA-256
