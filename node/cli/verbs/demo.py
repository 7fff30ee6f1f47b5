"""`demo`: three nodes on this machine, and one offender's path through them."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import note, show, show_json


def register(app: options.Group) -> None:
    """Adds the verb to the group."""
    app.command("demo")(demo)


def demo(
    image: Annotated[
        Path | None,
        typer.Option(
            help="A picture of your own that the hotline flags; it stays on this machine.",
            metavar="FILE",
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End the nodes with the story, not at Ctrl-C.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """See an offender stopped at the second platform: three nodes on this machine."""
    from node.demo.run import play
    from node.matching.media import hash_file

    if image is not None:
        hash_file(image)  # says what is wrong with the file before three nodes are started
    # With --json, standard output holds one document and nothing else.
    result = play(image=image, once=once, say=note if as_json else show)
    if as_json:
        show_json(result)
    if not result["ok"]:
        raise typer.Exit(ExitCode.FAILED)
