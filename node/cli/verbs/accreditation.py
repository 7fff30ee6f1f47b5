"""`node flagger`: the people whose keys this node vouches for."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from node.cli import options
from node.cli.output import ask, note, show, show_json, show_table


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("Flaggers that this node vouches for.")
    verbs.command("add")(add)
    verbs.command("list")(list_flaggers)
    verbs.command("suspend")(suspend)
    verbs.command("restore")(restore)
    verbs.command("revoke")(revoke)
    app.add_typer(verbs, name="flagger")


def add(
    *,
    directory: options.NodeFolder,
    card: Annotated[Path, typer.Argument(help="The flagger's card.", metavar="CARD")],
    categories: Annotated[
        str,
        typer.Option(
            help="What they may flag, such as csam.act.prepub or csam.*; with commas.",
            metavar="LIST",
        ),
    ],
    days: Annotated[
        int, typer.Option(help="For how many days.", metavar="DAYS", min=1, max=3_650)
    ] = 365,
    key_id: Annotated[
        str | None,
        typer.Option(
            help="The key id, as the flagger read it to you over the telephone; without it you "
            "are asked for it.",
            metavar="TEXT",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Vouch for a flagger's key.

    The key id is the one that the flagger reads to you over the telephone.
    """
    from node.app import open_services
    from node.cli.cards import read_card, unspoken
    from node.cli.passphrases import node_environment
    from protocol.errors import InvalidError

    found = read_card(card)
    chosen = [one.strip() for one in categories.split(",") if one.strip()]
    with open_services(directory, environ=node_environment()) as services:
        if key_id is None:
            note(f"This is the card of {found.name}. Call them, and have the key id read to you.")
            key_id = ask(f"Key id of {found.name}:")
        if unspoken(key_id) != found.key.kid:
            raise InvalidError(
                "That is not the id of the key on this card. Read it once more; if it differs "
                "again, have the card sent another way, and do not add this one."
            )
        receipt = services.flaggers.add(found.key.to_text(), found.name, chosen, days)
    if as_json:
        show_json(
            {
                "name": found.name,
                "key_id": found.key.kid,
                "categories": chosen,
                "days": days,
                "statement": receipt.id,
            }
        )
        return
    show(f"This node vouches for {found.name}, for {', '.join(chosen)}, for {days} days.")
    show(f"  statement {receipt.id}")


def list_flaggers(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List the flaggers of this node, with every key."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = services.flaggers.list()
    if as_json:
        show_json({"flaggers": [asdict(one) for one in found]})
        return
    if not found:
        show("This node vouches for nobody yet: schutznetz node flagger add DIR CARD")
        return
    rows = [
        (one.name, one.status, ",".join(one.categories), one.not_after, one.keyid) for one in found
    ]
    show_table(("flagger", "status", "categories", "until", "key id"), rows)


def suspend(
    directory: options.NodeFolder, name: options.FlaggerName, as_json: options.Json = False
) -> None:
    """Accept nothing new of a flagger for now."""
    _set(directory, name, "suspended", as_json=as_json)


def restore(
    directory: options.NodeFolder, name: options.FlaggerName, as_json: options.Json = False
) -> None:
    """Accept a suspended flagger again."""
    _set(directory, name, "active", as_json=as_json)


def revoke(
    directory: options.NodeFolder, name: options.FlaggerName, as_json: options.Json = False
) -> None:
    """End a flagger's keys, such as a lost one."""
    _set(directory, name, "revoked", as_json=as_json)


def _set(directory: Path, name: str, status: str, *, as_json: bool) -> None:
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        receipts = services.flaggers.set_status(name, status)
    if as_json:
        statements = [one.id for one in receipts]
        show_json({"name": name, "status": status, "statements": statements})
    else:
        show(f"{name} is {status}.")
