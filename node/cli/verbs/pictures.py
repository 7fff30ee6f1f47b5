"""`hash`: the media hashes of pictures and films, computed on this computer and sent nowhere."""

import csv
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import note, show, show_json

if TYPE_CHECKING:
    from node.cli.gather import Read
    from node.matching.film_process import FilmHashes
    from node.matching.media import MediaHashes

COLUMNS: Final = ("file", "pdq", "quality", "sha256", "sha1", "md5", "width", "height", "format")
"""Header of the CSV, and names in the JSON."""

_MS_PER_S: Final = 1_000


def register(app: options.Group) -> None:
    """Adds the verb to the command."""
    app.command("hash")(hash_files)


def hash_files(
    files: options.Pictures,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table for a spreadsheet.")] = False,
    workers: options.Workers = options.WORKERS,
    interval_ms: options.FrameInterval = options.INTERVAL_MS,
    as_json: options.Json = False,
) -> None:
    """Compute media hashes; nothing leaves."""
    from node.cli.gather import find_pictures, hash_pictures

    if as_csv and as_json:
        raise typer.BadParameter("choose --csv or --json", param_hint="--csv")
    read = hash_pictures(find_pictures(files), workers=workers, interval_ms=interval_ms)
    if as_json:
        _show_json(read)
    elif as_csv:
        _show_csv(read)
    else:
        _show_text(read)
    failed = [one for one in read if one.hashes is None]
    for one in failed:
        note(f"{one.name}: {one.problem}")
    if failed:
        note(f"{len(failed)} of {len(read)} files could not be read.")
        raise typer.Exit(ExitCode.FAILED)


def _row(name: str, hashes: "MediaHashes | FilmHashes") -> tuple[str | int | None, ...]:
    from node.matching.film_process import FilmHashes

    exact = (hashes.sha256, hashes.sha1, hashes.md5)
    shown = (hashes.width, hashes.height, hashes.format)
    if isinstance(hashes, FilmHashes):
        return (name, None, None, *exact, *shown)
    return (name, hashes.pdq.hex(), hashes.quality, *exact, *shown)


def _in_full(name: str, hashes: "MediaHashes | FilmHashes") -> dict[str, Any]:
    """Returns a row by its names; of a film with its frames, which no table could hold."""
    import msgspec

    from node.cli.assess import frames_of
    from node.matching.film_process import FilmHashes

    row: dict[str, Any] = dict(zip(COLUMNS, _row(name, hashes), strict=True))
    if isinstance(hashes, FilmHashes):
        row |= {
            "duration_ms": hashes.duration_ms,
            "frames": msgspec.to_builtins(frames_of(hashes)),
        }
    return row


def _show_json(read: "Sequence[Read]") -> None:
    rows = [_in_full(one.name, one.hashes) for one in read if one.hashes]
    failed = [{"file": one.name, "why": one.problem} for one in read if one.problem]
    show_json({"files": rows, "failed": failed})


def _show_csv(read: "Sequence[Read]") -> None:
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in read:
        if one.hashes:
            table.writerow(_row(_no_formula(one.name), one.hashes))


def _no_formula(name: str) -> str:
    """Returns a name that a spreadsheet does not take for something to compute."""
    return f"./{name}" if name.startswith(("=", "+", "-", "@")) else name


def _show_text(read: "Sequence[Read]") -> None:
    from node.cli.assess import unfit
    from node.matching.film_process import FilmHashes

    for one in read:
        if one.hashes is None:
            continue
        why = unfit(one.hashes)
        show(one.name)
        if isinstance(one.hashes, FilmHashes):
            told = f"{len(one.hashes.frames)} in {one.hashes.duration_ms / _MS_PER_S:.1f} s"
            show(f"  frames  {told}; --json shows them")
        else:
            show(f"  pdq     {one.hashes.pdq.hex()}  quality {one.hashes.quality} of 100")
        show(f"  sha256  {one.hashes.sha256}")
        show(f"  sha1    {one.hashes.sha1}")
        show(f"  md5     {one.hashes.md5}")
        if why:
            show(f"  {why}: only exact copies will be found")
