"""`node evidence`: what is kept against other nodes, and handing it out."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli import options
from node.cli.output import show, show_json, show_table


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("What is kept against nodes that have contradicted themselves.")
    verbs.command("list")(list_evidence)
    verbs.command("export")(export)
    app.add_typer(verbs, name="evidence")


def list_evidence(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List the evidence that the node keeps.

    Documents can be exported, and checked by anybody with `schutznetz verify evidence`. The rest
    shows something to this node alone.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from protocol.encoding import format_time

    with open_services(directory, environ=node_environment()) as services:
        found = services.accusations.all()
    if as_json:
        show_json(
            {
                "evidence": [
                    {
                        "number": one.number,
                        "node": one.peer,
                        "at": format_time(one.at),
                        "message": one.message,
                        "document": one.is_document,
                    }
                    for one in found
                ]
            }
        )
        return
    if not found:
        show("Nothing is kept against anybody.")
        return
    rows = [
        (one.number, one.peer, format_time(one.at), "yes" if one.is_document else "no", one.message)
        for one in found
    ]
    show_table(("number", "node", "since", "document", "what"), rows)


def export(
    directory: options.NodeFolder,
    number: Annotated[int, typer.Argument(help="From `evidence list`.", metavar="NUMBER", min=1)],
    file: Annotated[Path, typer.Argument(help="New file to write.", metavar="FILE")],
    as_json: options.Json = False,
) -> None:
    """Write one piece of evidence into a file.

    It holds what the node has signed, and its descriptors: no statement, no pdq, no fingerprint of
    an account. Whoever gets it checks it with `schutznetz verify evidence FILE`.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from protocol.errors import ConflictError, InvalidError

    with open_services(directory, environ=node_environment()) as services:
        found = services.accusations.get(number)
    if not found.is_document:
        raise InvalidError("This piece is no document: it shows something to this node alone.")
    try:
        with file.open("xb") as opened:
            opened.write(found.body)
    except FileExistsError:
        raise ConflictError(f"{file}: there is a file already.") from None
    except OSError as error:
        raise InvalidError(f"{file}: cannot be written: {error.strerror}") from None
    if as_json:
        show_json({"number": number, "node": found.peer, "file": str(file)})
        return
    show(f"Written: {file}")
