"""`node uploads` and `node webhook`: a platform's past uploads, and who is told of matches."""

import csv
import re
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from node.cli import options
from node.cli.output import note, show, show_json, show_table

if TYPE_CHECKING:
    from node.services.clients import Client
    from node.services.uploads import NewUpload

_AT_ONCE: Final = 1_000
_MOST_QUALITY: Final = 100
_DIGITS: Final = {"pdq": 64, "sha256": 64, "sha1": 40, "md5": 32}
_COLUMNS: Final = ("id", "surface", "pdq", "quality", "sha256", "sha1", "md5", "uploaded")
_ID: Final = re.compile(r"[A-Za-z0-9._~:@=+\-]{1,128}", re.ASCII)
_SURFACES: Final = ("public", "hosted", "private")


def register(app: options.Group) -> None:
    """Adds the groups."""
    verbs = options.group("A platform's own past uploads.")
    verbs.command("import")(import_file)
    app.add_typer(verbs, name="uploads")
    hooks = options.group("Where platforms are told of matches.")
    hooks.command("list")(list_webhooks)
    app.add_typer(hooks, name="webhook")


def import_file(
    directory: options.NodeFolder,
    file: Annotated[
        Path, typer.Argument(help="CSV with a head line.", metavar="FILE", dir_okay=False)
    ],
    client: Annotated[
        str, typer.Option(help="Name of the key whose uploads they are.", metavar="NAME")
    ],
    as_json: options.Json = False,
) -> None:
    """Register past uploads from a file; doing it again changes nothing.

    Columns: id, surface, and pdq with quality, sha256, sha1, md5 or uploaded (Unix seconds).
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment

    totals = {"added": 0, "replaced": 0, "known": 0}
    with open_services(directory, environ=node_environment()) as services:
        owner = _client(services.clients.list(), client)
        with file.open(encoding="utf-8", newline="") as opened:
            rows = _uploads(csv.DictReader(opened))
            while part := list(islice(rows, _AT_ONCE)):
                for name, count in asdict(services.uploads.register(part, client=owner)).items():
                    totals[name] += count
                note(f"{sum(totals.values())} uploads")
    if as_json:
        show_json(totals)
        return
    show(", ".join(f"{count} {name}" for name, count in totals.items()))


def list_webhooks(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List where platforms are told, what waits, and what was given up."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = services.webhooks.all()
        names = {one.number: one.name for one in services.clients.list()}
    if as_json:
        show_json({"webhooks": [asdict(one) for one in found]})
        return
    rows = [
        (names.get(one.client, one.client), one.url, one.waiting, one.dead, one.problem or "")
        for one in found
    ]
    show_table(("client", "address", "waiting", "given up", "problem"), rows)


def _client(known: Any, name: str) -> "Client":
    from node.services.clients import Client

    for one in known:
        if one.name == name and one.revoked is None:
            return Client(one.number, one.name, one.scopes)
    raise typer.BadParameter("there is no key of this name with access", param_hint="--client")


def _uploads(rows: "csv.DictReader[str]") -> "Iterator[NewUpload]":
    from node.services.uploads import NewUpload

    if not {"id", "surface"} <= set(rows.fieldnames or ()) <= set(_COLUMNS):
        raise typer.BadParameter(f"columns are {', '.join(_COLUMNS)}", param_hint="FILE")
    for row in rows:
        said = {name: value for name, value in row.items() if value}
        if not _is_right(said):
            where = f"line {rows.line_num} is not an upload; those before it are registered"
            raise typer.BadParameter(where, param_hint="FILE")
        numbers = {name: int(said.pop(name)) for name in ("quality", "uploaded") if name in said}
        yield NewUpload(**said, **numbers)  # type: ignore[arg-type]  # checked by _is_right


def _is_right(said: dict[str, str]) -> bool:
    """Whether a line is of the form that the surface takes, too."""
    hashes = [name for name in _DIGITS if name in said]
    numbers = [said[name] for name in ("quality", "uploaded") if name in said]
    return (
        None not in said
        and bool(hashes)
        and _ID.fullmatch(said.get("id", "")) is not None
        and said.get("surface") in _SURFACES
        and all(re.fullmatch(f"[0-9a-f]{{{_DIGITS[name]}}}", said[name]) for name in hashes)
        and all(re.fullmatch("[0-9]{1,10}", one) for one in numbers)
        and ("quality" not in said or ("pdq" in said and int(said["quality"]) <= _MOST_QUALITY))
    )
