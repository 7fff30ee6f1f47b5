"""`node key revoke`, `review` and `retract`: what is to be done after a key was stolen."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import options
from node.cli.key_use import RootKeyFile, RootPassphraseFile, load_root
from node.cli.output import show, show_json, show_table

if TYPE_CHECKING:
    from node.app import Services
    from node.services.revocations import Said


class ReasonChoice(StrEnum):
    """Why a key is revoked, as a choice of the command line."""

    COMPROMISED = "compromised"
    LOST = "lost"
    MISUSED = "misused"
    OTHER = "other"


Since = Annotated[
    datetime | None,
    typer.Option(
        help="When the thief may have had it, in UTC: 2026-11-22T10:00:00. What was in the log by "
        "then stays. Now, unless said.",
        formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"],
        show_default=False,
    ),
]
From = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        help="Only what was taken in from then on, in UTC: 2026-11-22T10:00:00 or 2026-11-22.",
        formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"],
        show_default=False,
    ),
]
KeyId = Annotated[
    str | None, typer.Option(help="Id of one key; all of them unless said.", metavar="ID")
]
Issuer = Annotated[
    str,
    typer.Argument(help="Name of a flagger of this node, or of the node itself.", metavar="NAME"),
]


def register(verbs: options.Group) -> None:
    """Adds the verbs to `node key`."""
    verbs.command("revoke")(revoke)
    verbs.command("review")(review)
    verbs.command("retract")(retract)


def revoke(
    *,
    directory: options.NodeFolder,
    name: Issuer,
    reason: Annotated[ReasonChoice, typer.Option(help="Why.", show_default=False)],
    since: Since = None,
    key_id: KeyId = None,
    root_key: RootKeyFile = None,
    root_passphrase_file: RootPassphraseFile = None,
    as_json: options.Json = False,
) -> None:
    """End a key as of a time: what it said before stays, what it says later counts nowhere.

    Of a flagger, all keys unless one is named. Of the node itself, the key has to be named; the
    root key signs, and a new key for the same use takes its place.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from protocol.messages import Receipt

    with open_services(directory, environ=node_environment()) as services:
        mark = services.revocations.mark(reason.value, since=_seconds(since))
        receipts: list[Receipt] = []
        if name == services.settings.name:
            if key_id is None:
                raise typer.BadParameter(
                    "say which of the node's keys: schutznetz node key list DIR",
                    param_hint="--key-id",
                )
            root, _ = load_root(
                root_key, root_passphrase_file, directory=directory, settings=services.settings
            )
            services.rotation.revoke(key_id, mark, root)
            services.key_use.refresh()
        else:
            receipts = services.revocations.revoke_flagger(name, mark, keyid=key_id)
    if as_json:
        show_json(
            {
                "name": name,
                "at": mark.at,
                "log": mark.log,
                "size": mark.size,
                "statements": [one.id for one in receipts],
            }
        )
        return
    show(f"What {name} has said stays where it is among the first {mark.size} entries of the log.")
    show("Everything later counts no more, here and at every peer that hears of it.")
    show(f"See what there is: schutznetz node key review {directory} {name}")


def review(
    directory: options.NodeFolder,
    name: Issuer,
    since: From = None,
    key_id: KeyId = None,
    as_json: options.Json = False,
) -> None:
    """List what a key has said, and what of it still counts."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = _all(services, name, since, key_id)
    if as_json:
        show_json({"name": name, "statements": [_json(one) for one in found]})
        return
    if not found:
        show(f"{name} has said nothing since then.")
        return
    rows = [
        (
            one.statement.log_index,
            _time(one.statement.received),
            one.statement.kind,
            "void" if one.void else one.statement.state,
            one.statement.category or "",
            one.statement.items,
            one.statement.id,
        )
        for one in found
    ]
    show_table(("place", "taken in", "kind", "state", "category", "items", "statement"), rows)
    count = sum(one.can_be_retracted for one in found)
    show(f"{count} of them can be taken back: schutznetz node key retract {directory} {name}")


def retract(
    directory: options.NodeFolder,
    name: Issuer,
    since: From = None,
    key_id: KeyId = None,
    *,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Take back everything that a key has said and that still counts.

    It may be interrupted and begun again: what was taken back is passed over.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        count = sum(one.can_be_retracted for one in _all(services, name, since, key_id))
        if count and not yes:
            typer.confirm(f"Take back {count} statements of {name}?", abort=True, err=True)
        start = _seconds(since) or 0
        done = [one.id for one in services.revocations.retract(name, keyid=key_id, since=start)]
    if as_json:
        show_json({"name": name, "retracted": len(done), "statements": done})
    else:
        show(f"{len(done)} statements of {name} are taken back.")


def _all(
    services: "Services", name: str, since: datetime | None, key_id: str | None
) -> "list[Said]":
    found: list[Said] = []
    while page := services.revocations.review(
        name,
        keyid=key_id,
        since=_seconds(since) or 0,
        after=found[-1].statement.log_index if found else -1,
    ):
        found += page
    return found


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.replace(tzinfo=UTC).timestamp())


def _time(seconds: int) -> str:
    from protocol.encoding import format_time

    return format_time(seconds)


def _json(one: "Said") -> dict[str, object]:
    said = one.statement
    return {
        "statement": said.id,
        "place": said.log_index,
        "taken_in": _time(said.received),
        "kind": said.kind,
        "state": said.state,
        "category": said.category,
        "items": said.items,
        "void": one.void,
        "can_be_retracted": one.can_be_retracted,
    }
