"""`retract`, `erase`, `dispute`, `resolve`, `feedback` and `status`: what became of a statement.

With ``--key`` a flagger acts, whose own key signs. Otherwise the platform acts through its node,
with an API key. Disputes, their answers and feedback are acts of a node, so they need the latter.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from node.cli import options
from node.cli.output import show, show_json, show_table

if TYPE_CHECKING:
    from protocol.statements import Erase, Retract

Items = Annotated[
    list[int] | None,
    typer.Option(
        "--item", help="Only this item of it; may be repeated.", metavar="N", min=0, max=999
    ),
]
RetractReason = Literal["wrong", "expired", "appeal-upheld", "duplicate", "other"]
EraseReason = Literal["subject-request", "court-order", "retention", "other"]
DisputeReason = Literal[
    "not-illegal", "wrong-person", "wrong-category", "not-a-match", "lawful-use", "other"
]


def register(app: options.Group) -> None:
    """Adds the verbs to the command."""
    for name, verb in (
        ("status", status),
        ("retract", retract),
        ("erase", erase),
        ("dispute", dispute),
        ("resolve", resolve),
        ("feedback", feedback),
    ):
        app.command(name)(verb)


def retract(
    *,
    statement: options.StatementId,
    reason: Annotated[RetractReason, typer.Option(help="Why.")],
    item: Items = None,
    node: options.NodeUrl = None,
    key: options.KeyFile = None,
    passphrase_file: options.PassphraseFile = None,
    api_key_file: options.ApiKeyFile = None,
    audience: options.Audience = options.PEERS,
    as_json: options.Json = False,
) -> None:
    """Take a statement of your own back."""
    options.check_who(key, api_key_file)
    if key is None:
        body = {"reason": reason, "items": item or []}
        _show_receipt(_post(statement, "retract", body, node, api_key_file), as_json=as_json)
        return
    from protocol.statements import Retract

    said = {"target": statement, "reason": reason, "items": tuple(item or ())}
    _show_receipt(
        _sign(Retract, said, key, node, passphrase_file, audience=audience), as_json=as_json
    )


def erase(
    *,
    statement: options.StatementId,
    reason: Annotated[EraseReason, typer.Option(help="Why.")],
    node: options.NodeUrl = None,
    key: options.KeyFile = None,
    passphrase_file: options.PassphraseFile = None,
    api_key_file: options.ApiKeyFile = None,
    audience: options.Audience = options.PEERS,
    as_json: options.Json = False,
) -> None:
    """Have your statement deleted everywhere.

    Only its id stays in the logs, which says nothing.
    """
    options.check_who(key, api_key_file)
    if key is None:
        receipt = _post(statement, "erase", {"reason": reason}, node, api_key_file)
        _show_receipt(receipt, as_json=as_json)
        return
    from protocol.statements import Erase

    said = {"target": statement, "reason": reason}
    _show_receipt(
        _sign(Erase, said, key, node, passphrase_file, audience=audience), as_json=as_json
    )


def dispute(
    *,
    statement: options.StatementId,
    reason: Annotated[DisputeReason, typer.Option(help="Why.")],
    item: Items = None,
    node: options.NodeUrl = None,
    api_key_file: options.ApiKeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Contest somebody's statement.

    Everyone who has the statement sees it, until the issuer has answered.
    """
    body = {"reason": reason, "items": item or []}
    _show_receipt(_post(statement, "dispute", body, node, api_key_file), as_json=as_json)


def resolve(
    *,
    statement: options.StatementId,
    dispute: Annotated[
        str,
        typer.Option(help="Id of the dispute.", metavar="ID", callback=options.check_statement_id),
    ],
    outcome: Annotated[
        Literal["upheld", "rejected"], typer.Option(help="Whether the dispute was right.")
    ],
    node: options.NodeUrl = None,
    api_key_file: options.ApiKeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Answer a dispute about your statement.

    Upheld, the statement is taken back everywhere, and whoever acted on it is told to restore.
    """
    body = {"dispute": dispute, "outcome": outcome}
    _show_receipt(_post(statement, "resolve", body, node, api_key_file), as_json=as_json)


def feedback(
    *,
    statement: options.StatementId,
    day: Annotated[
        datetime, typer.Option(help="Day in UTC.", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD")
    ],
    item: Annotated[int, typer.Option(help="Which item of it.", metavar="N", min=0, max=999)] = 0,
    confirmed: Annotated[
        int, typer.Option(help="Matches that were right.", metavar="N", min=0, max=10**9)
    ] = 0,
    refuted: Annotated[
        int, typer.Option(help="Matches that were wrong.", metavar="N", min=0, max=10**9)
    ] = 0,
    unreviewed: Annotated[
        int, typer.Option(help="Matches that nobody looked at.", metavar="N", min=0, max=10**9)
    ] = 0,
    node: options.NodeUrl = None,
    api_key_file: options.ApiKeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Tell an issuer how a statement did.

    Counts of one day go to the issuer, never anything about a person.
    """
    counts = {"confirmed": confirmed, "refuted": refuted, "unreviewed": unreviewed}
    if not any(counts.values()):
        raise typer.BadParameter("say how many there were", param_hint="--confirmed")
    body = {"day": f"{day:%Y-%m-%d}", "rows": [{"item": item, **counts}]}
    _show_receipt(_post(statement, "feedback", body, node, api_key_file), as_json=as_json)


def status(
    *,
    statement: Annotated[
        str | None,
        typer.Argument(
            help="Id of the statement; a flagger may leave it out, for all of them.",
            metavar="[ID]",
            callback=options.check_statement_id,
            show_default=False,
        ),
    ] = None,
    node: options.NodeUrl = None,
    key: options.KeyFile = None,
    passphrase_file: options.PassphraseFile = None,
    api_key_file: options.ApiKeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Show who has taken a statement up.

    With its matches, and what was said about them.
    """
    options.check_who(key, api_key_file)
    if key is not None:
        found = _of_flagger(key, node, passphrase_file, statement)
    elif statement is None:
        raise typer.BadParameter("name the statement", param_hint="ID")
    else:
        found = [_platform(node, api_key_file).get(f"/v1/statements/{statement}")]
    if as_json:
        show_json({"statements": found})
    elif statement is None:
        _show_list(found)
    else:
        _show_one(found[0])


def _platform(node: str | None, api_key_file: Path | None) -> Any:
    from node.cli.own_node import Platform
    from node.cli.passphrases import read_api_key

    return Platform(node or options.OWN_NODE, read_api_key(api_key_file))


def _post(
    statement: str, verb: str, body: object, node: str | None, api_key_file: Path | None
) -> dict[str, Any]:
    receipt = _platform(node, api_key_file).post(f"/v1/statements/{statement}/{verb}", body)
    assert isinstance(receipt, dict)
    return receipt


def _sign(
    kind: "type[Retract | Erase]",
    said: dict[str, Any],
    key: Path,
    node: str | None,
    passphrase_file: Path | None,
    *,
    audience: list[str],
) -> dict[str, Any]:
    import time

    from node.cli.conversation import open_flagger, submit
    from protocol.encoding import format_time
    from signing.envelopes import new_nonce, sign_statement

    flagger = open_flagger(key, node, passphrase_file)
    statement = kind(
        issuer=flagger.name,
        nonce=new_nonce(),
        issued=format_time(int(time.time())),
        audience=tuple(audience),
        **said,
    )
    (receipt,) = submit(flagger, [sign_statement(statement, flagger.key)])
    return {"id": receipt.id, "index": receipt.index}


def _of_flagger(
    key: Path, node: str | None, passphrase_file: Path | None, statement: str | None
) -> list[dict[str, Any]]:
    import msgspec

    from node.cli.conversation import open_flagger, statements_of
    from protocol.errors import NotFoundError

    statuses = statements_of(open_flagger(key, node, passphrase_file))
    found = [one for one in statuses if statement in (None, one.id)]
    if statement is not None and not found:
        raise NotFoundError("None of your statements at this node has this id.")
    return [msgspec.to_builtins(one) for one in found]


def _show_receipt(receipt: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(receipt)
    else:
        show(f"statement {receipt['id']}")
        show(f"  it is entry {receipt['index']} of the node's log, and on its way to all peers")


def _show_list(found: list[dict[str, Any]]) -> None:
    if not found:
        show("You have no statements at this node.")
        return
    rows = [
        (
            one["id"],
            one["kind"],
            one["state"],
            f"{_taken(one)} of {len(one.get('peers', ()))}",
            one.get("matches", 0),
            f"{one.get('confirmed', 0)}/{one.get('refuted', 0)}/{one.get('unreviewed', 0)}",
        )
        for one in found
    ]
    header = ("statement", "kind", "state", "taken up by", "matches", "right/wrong/open")
    show_table(header, rows)


def _show_one(one: dict[str, Any]) -> None:
    show(f"statement {one['id']}")
    show(f"  {one['kind']}, {one['state']}, entry {one['index']} of the node's log")
    show(f"  {_published(one)}")
    show(f"  taken up by {_taken(one)} of {len(one.get('peers', ()))} peers")
    for peer in one.get("peers", ()):
        reason = f": {peer['reason']}" if peer.get("reason") else ""
        show(f"    {peer['node']}  {peer['state']}{reason}")
        if peer.get("withdrawal"):
            show(f"      taken back: {_taken_back(peer)}")
    show(
        f"  {one.get('matches', 0)} matches: {one.get('confirmed', 0)} right, "
        f"{one.get('refuted', 0)} wrong, {one.get('unreviewed', 0)} not looked at"
    )


def _published(one: dict[str, Any]) -> str:
    missing = one.get("missing", 0)
    return {
        "published": "published: the node's witnesses have cosigned it",
        "pending": f"not published yet: {missing} cosignatures of witnesses are missing",
    }.get(one.get("published", "not-asked"), "published: not asked for, the node has no witnesses")


def _taken_back(peer: dict[str, Any]) -> str:
    """Returns how far it is at one peer that a statement was taken back, in words."""
    said = [peer["withdrawal"]]
    if peer.get("outcome"):
        said.append(f"{peer['outcome']} on {peer['outcome_at']}")
    if peer.get("erased"):
        said.append(f"erased on {peer['erased']}, proved")
    if peer.get("late_since"):
        said.append(f"late since {peer['late_since']}")
    return ", ".join(said)


def _taken(one: dict[str, Any]) -> int:
    return sum(1 for peer in one.get("peers", ()) if peer["state"] == "acknowledged")
