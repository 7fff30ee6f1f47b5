"""`node fsck`: whether what a node keeps agrees with itself."""

from dataclasses import asdict
from typing import Annotated

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import show, show_json


def register(app: options.Group) -> None:
    """Adds the verb to the group."""
    app.command("fsck")(fsck)


def fsck(
    directory: options.NodeFolder,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make anew what can be made from the database.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Compare what the node has stored with itself.

    So far, the index of pdqs with the database. Works beside the running node, which goes over to
    what was made anew by itself.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from protocol.errors import UnavailableError

    with open_services(directory, environ=node_environment()) as services:
        findings = services.fsck.run(rebuild=rebuild)
    wrong = [one for one in findings if not one.ok]
    if as_json:
        show_json({"ok": not wrong, "findings": [asdict(one) for one in findings]})
        if wrong:
            raise typer.Exit(ExitCode.FAILED)
        return
    for one in findings:
        if one.ok:
            show(one.sentence)
    if wrong:
        remedy = "" if rebuild else " Mend it with --rebuild."
        raise UnavailableError(" ".join(one.sentence for one in wrong) + remedy)
