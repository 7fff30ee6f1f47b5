"""`node backup` and `node restore`: a node's copy, and a node from it."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli import options
from node.cli.output import show, show_json


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    directory: options.NodeFolder,
    folder: Annotated[Path, typer.Argument(help="New folder for the copy.", metavar="FOLDER")],
    keys: Annotated[
        Path | None,
        typer.Option(
            help="Copy the sealed keys too, into this other new folder; never the passphrase.",
            metavar="FOLDER",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Copy a node, which may be running, and check the copy.

    The database as it is at one instant, and the settings. The keys are not in it unless you ask.
    """
    from node.backup import back_up
    from node.cli.passphrases import node_environment
    from node.settings import load_settings

    made = back_up(load_settings(directory, node_environment()), folder, keys=keys)
    if as_json:
        show_json({"entries": made.entries, "files": list(made.files), "keys": made.has_keys})
        return
    show(f"Copied and checked: {', '.join(made.files)}; the log has {made.entries:,} entries.")
    if made.has_keys:
        show("The keys are sealed: keep the passphrase elsewhere, they do not open without it.")
    else:
        show("The keys are not in it: without them the node cannot come back (--keys FOLDER).")


def restore(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder of the copy.", metavar="FOLDER", exists=True, file_okay=False),
    ],
    directory: Annotated[
        Path, typer.Argument(help="New folder for the node.", metavar="DIR", show_default=False)
    ],
    keys: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the copied keys.", metavar="FOLDER", exists=True, file_okay=False
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a node from its copy, and check it; nothing is started.

    When it starts, the node asks its peers and witnesses how long its log was, and signs nothing
    before it has fetched back what the copy lacks.
    """
    from node.backup import named_files
    from node.backup import restore as make
    from node.cli.passphrases import node_environment
    from node.settings import load_settings

    settings = load_settings(folder, node_environment())
    named = named_files(settings)
    made = make(folder, directory, name=settings.name, keys=keys, named=named)
    if as_json:
        show_json({"entries": made.entries, "files": list(made.files), "keys": made.has_keys})
        return
    show(f"Restored and checked: {', '.join(made.files)}; the log has {made.entries:,} entries.")
    if not made.has_keys:
        show(f"Put the keys into {directory / 'keys'} before you start it.")
    show(f"Give it its passphrase, and start it: schutznetz node serve {directory}")
    show("It asks its peers and witnesses where its log was before it signs anything.")
