"""`node member`: who joins, who is new, and what members say about one another.

A fingerprint is typed wherever one is asked for: a click compares nothing.
"""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import options
from node.cli.output import ask, note, show, show_json, show_table

if TYPE_CHECKING:
    from node.app import Services
    from protocol.messages import JoinRequest


class HowChoice(StrEnum):
    """How a fingerprint was compared, as a choice of the command line."""

    TELEPHONE = "telephone"
    IN_PERSON = "in-person"
    OTHER = "other"


Fingerprint = Annotated[
    str | None,
    typer.Option(
        help="The fingerprint, as its operator read it to you; without it you are asked for it.",
        metavar="TEXT",
    ),
]
How = Annotated[HowChoice, typer.Option(help="How you compared it.")]


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("Joining a network of nodes, and leaving it.")
    for verb, name in (
        (invite, "invite"),
        (join, "join"),
        (requests, "requests"),
        (accept, "accept"),
        (refuse, "refuse"),
        (verify, "verify"),
        (admit, "admit"),
        (list_members, "list"),
        (expel, "expel"),
        (leave, "leave"),
    ):
        verbs.command(name)(verb)
    app.add_typer(verbs, name="member")


def invite(
    directory: options.NodeFolder,
    output: Annotated[
        Path, typer.Option("--output", help="File to write.", metavar="FILE", dir_okay=False)
    ],
    hours: Annotated[
        int, typer.Option(help="How long it is good for.", metavar="N", min=1, max=72)
    ] = 72,
    circle: Annotated[
        str | None, typer.Option(help="Circle that the newcomer is to join.", metavar="NAME")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write an invite: whoever has the file may apply, once."""
    with _services(directory) as services:
        output.write_bytes(services.joining.invite(circle=circle, for_s=hours * 3_600))
    if as_json:
        show_json({"invite": str(output), "hours": hours, "circle": circle})
        return
    show(f"{output} lets one node apply within {hours} hours. Send it to its operator, who runs")
    show(f"    schutznetz node member join DIR {output.name}")


def join(
    directory: options.NodeFolder,
    invite_file: Annotated[Path, typer.Argument(help="The invite.", metavar="INVITE")],
    fingerprint: Fingerprint = None,
    as_json: options.Json = False,
) -> None:
    """Apply with an invite, once you have compared the fingerprint of who sent it."""
    from node.cli.introductions import fetch_descriptors
    from protocol.envelope import parse_envelope
    from protocol.joining import Invite
    from protocol.statements import parse_as

    data = invite_file.read_bytes()
    hint = parse_as(Invite, parse_envelope(data).payload)
    with _services(directory) as services:
        chain = fetch_descriptors(
            hint.url, insecure=services.settings.allow_insecure_http, now=int(services.clock())
        )
        if fingerprint is None:
            note(
                f"The invite says that it is from {chain[-1].descriptor.issuer}. Call its operator,"
            )
            note("on a number that you know from elsewhere, and have the fingerprint read to you.")
            fingerprint = ask(f"Fingerprint of {chain[-1].descriptor.issuer}:")
        services.peers.add(
            chain[0].envelope,
            fingerprint,
            authority=False,
            later=[one.envelope for one in chain[1:]],
        )
        invited = services.joining.read_invite(data)
        _send(services, invited.url, services.joining.request(invited))
        own = services.peers.node(services.settings.name)
    if as_json:
        show_json({"asked": invited.issuer, "fingerprint": own.fingerprint})
        return
    show(
        f"{invited.issuer} has your request. Its operator and that of another member will call you,"
    )
    show("on a number that they know from elsewhere. Read your fingerprint to them:")
    show(f"    {own.fingerprint}")


def _send(services: "Services", url: str, request: "JoinRequest") -> None:
    from federation.client import PeerClient, connect

    async def send() -> None:
        async with connect() as lines:
            await PeerClient(
                lines,
                url=url,
                key=services.conductor.request_key,
                clock=services.clock,
                deadline_s=services.settings.peer_timeout_s,
                allow_insecure_http=services.settings.allow_insecure_http,
            ).join(request)

    asyncio.run(send())


def requests(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List who has applied and waits for you to call."""
    from protocol.encoding import format_time

    with _services(directory) as services:
        found = services.joining.applicants()
    if as_json:
        rows = [
            {"name": one.name, "url": one.url, "circle": one.circle, "received": one.received}
            for one in found
        ]
        show_json({"requests": rows})
        return
    for one in found:
        show(f"{one.name}  {one.url}  {format_time(one.received)}  {one.circle or ''}".rstrip())
    if not found:
        show("Nobody has applied: schutznetz node member invite DIR --output FILE")


def accept(
    directory: options.NodeFolder,
    name: options.NodeName,
    fingerprint: Fingerprint = None,
    how: How = HowChoice.TELEPHONE,
    as_json: options.Json = False,
) -> None:
    """Pin a node that has applied, by its fingerprint; what it says waits for a time."""
    with _services(directory) as services:
        typed = fingerprint or _ask(name)
        peer = services.joining.accept(name, typed, how.value)
        days = services.settings.newcomer_days
    if as_json:
        show_json({"name": peer.name, "newcomer_days": days})
        return
    show(f"{name} may read and witness from now on. What it says waits {days} days, and until a")
    show("second member has compared its fingerprint. Each other member pins it as well:")
    show(f"    schutznetz node peer add DIR --url {peer.url}")
    show(f"    schutznetz node member verify DIR {name}")


def refuse(
    directory: options.NodeFolder, name: options.NodeName, as_json: options.Json = False
) -> None:
    """Forget a request to join."""
    with _services(directory) as services:
        services.joining.refuse(name)
    _done(name, "refused", as_json=as_json)


def verify(
    directory: options.NodeFolder,
    name: options.NodeName,
    fingerprint: Fingerprint = None,
    how: How = HowChoice.TELEPHONE,
    *,
    newcomer: Annotated[
        bool, typer.Option("--newcomer", help="What it says waits here too, as a newcomer's.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Tell all members that you have compared a member's fingerprint."""
    with _services(directory) as services:
        services.joining.compare(name, fingerprint or _ask(name))
        if newcomer:
            services.joining.begin_as_newcomer(name)
        services.joining.say(name, "verified", how=how.value)
    _done(name, "verified", as_json=as_json)


def admit(
    directory: options.NodeFolder,
    name: options.NodeName,
    fingerprint: Fingerprint = None,
    how: How = HowChoice.TELEPHONE,
    as_json: options.Json = False,
) -> None:
    """Vote that a newcomer's time ends now; two votes end it."""
    with _services(directory) as services:
        services.joining.compare(name, fingerprint or _ask(name))
        services.joining.say(name, "admitted", how=how.value)
    _done(name, "admitted", as_json=as_json)


def list_members(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List the members, who is new, and who has compared whose fingerprint."""
    from protocol.encoding import format_time

    with _services(directory) as services:
        found = services.joining.members()
    if as_json:
        show_json({"members": [_standing(one) for one in found]})
        return
    rows = [
        (
            one.name,
            "newcomer" if one.is_newcomer else "member",
            format_time(one.until) if one.is_newcomer and one.until else "",
            ", ".join(f"{each.issuer}: {each.event}" for each in one.said),
        )
        for one in found
    ]
    show_table(("node", "is", "until", "what members say"), rows)


def expel(
    directory: options.NodeFolder,
    name: options.NodeName,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Believe nothing new of a member, and tell the others that it should go.

    What it said before stays. Each of the others decides for itself.
    """
    if not yes:
        typer.confirm(f"Expel {name}, and tell all members?", abort=True, err=True)
    with _services(directory) as services:
        services.joining.say(name, "expelled")
    _done(name, "expelled", as_json=as_json)


def leave(
    directory: options.NodeFolder, yes: options.Yes = False, as_json: options.Json = False
) -> None:
    """Tell all members that this node leaves: they believe nothing new of it from then on.

    What it said before stays until it ends; take back first what you do not stand behind.
    """
    if not yes:
        typer.confirm("Leave the network?", abort=True, err=True)
    with _services(directory) as services:
        name = services.settings.name
        services.joining.say(name, "left")
    _done(name, "left", as_json=as_json)


def _services(directory: Path) -> Any:
    from node.app import open_services
    from node.cli.passphrases import node_environment

    return open_services(directory, environ=node_environment())


def _ask(name: str) -> str:
    note(f"Call the operator of {name}, on a number that you know from elsewhere. The fingerprint")
    note("is not shown here, so that nobody can confirm it without looking.")
    return ask(f"Fingerprint of {name}:")


def _done(name: str, event: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"name": name, "event": event})
    else:
        show(f"{name}: {event}.")


def _standing(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "is_newcomer": one.is_newcomer,
        "until": one.until,
        "said": [
            {"issuer": each.issuer, "event": each.event, "how": each.how, "at": each.at}
            for each in one.said
        ],
    }
