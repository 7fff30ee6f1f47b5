"""`node client`: keys for the operator's own programs."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from node.cli import options
from node.cli.output import note, show, show_json, show_table


class Scope(StrEnum):
    """What a key may be good for, as a choice of the command line."""

    MATCH = "match"
    CHECK = "check"
    FLAG = "flag"
    BAN = "ban"
    STATEMENTS = "statements"
    UPLOADS = "uploads"
    ADMIN = "admin"


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("Keys for your own programs.")
    verbs.command("add")(add)
    verbs.command("list")(list_clients)
    verbs.command("revoke")(revoke)
    app.add_typer(verbs, name="client")


def add(
    directory: options.NodeFolder,
    name: Annotated[str, typer.Argument(help="Name of the program.", metavar="NAME")],
    scope: Annotated[
        list[Scope],
        typer.Option(
            help="What it may do: match, check, flag, ban, statements, uploads or admin; may be "
            "repeated.",
            metavar="SCOPE",
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Make a key, which is shown once."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        client, token = services.clients.create(name, [one.value for one in scope])
    if as_json:
        scopes = sorted(client.scopes)
        show_json({"id": client.id, "name": client.name, "scopes": scopes, "key": token})
        return
    note(f"Key number {client.id} for {client.name}. It is shown this once: keep it in a file that")
    note("only the program may read, and give it as: Authorization: Bearer KEY")
    show(token)


def list_clients(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List the keys and what they may do."""
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from protocol.encoding import format_time

    with open_services(directory, environ=node_environment()) as services:
        found = services.clients.list()
    rows: list[dict[str, Any]] = [
        {
            "id": one.number,
            "name": one.name,
            "scopes": sorted(one.scopes),
            "created": format_time(one.created),
            "revoked": None if one.revoked is None else format_time(one.revoked),
        }
        for one in found
    ]
    if as_json:
        show_json({"clients": rows})
        return
    table = [
        (one["id"], one["name"], ",".join(one["scopes"]), one["created"], one["revoked"] or "no")
        for one in rows
    ]
    show_table(("number", "name", "may", "since", "revoked"), table)


def revoke(
    directory: options.NodeFolder,
    number: Annotated[
        int, typer.Argument(help="Number of the key, as listed.", metavar="NUMBER", min=1)
    ],
    as_json: options.Json = False,
) -> None:
    """End a program's access at once."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        services.clients.revoke(number)
    if as_json:
        show_json({"id": number, "revoked": True})
    else:
        show(f"Key number {number} opens nothing any more.")
