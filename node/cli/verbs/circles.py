"""`node circle`: who shares a fingerprint key, and with how many questions a day."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from node.cli import options
from node.cli.members import BUDGET, parse_member
from node.cli.output import note, show, show_json
from node.cli.verbs import budgets, ceremonies, circle_changes

if TYPE_CHECKING:
    from node.app import Services
    from protocol.circles import Stretch

DEALER_WARNING: Final = (
    "This node has made the whole key and dealt it: nobody can check that it forgot it. That is "
    "for demonstrations on one machine."
)

CircleLabel = Annotated[
    str,
    typer.Argument(
        help="Name of the circle, such as de-minors-1; this node's name is put before it.",
        metavar="NAME",
    ),
]
CircleName = Annotated[
    str,
    typer.Argument(
        help="Whole name of the circle, such as hotline.example/de-minors-1.", metavar="NAME"
    ),
]


StretchMs = Annotated[
    float,
    typer.Option(
        help="How long one telephone number is stretched at each check, in milliseconds of this "
        "machine: what every guess costs whoever has the key. 0 stretches nothing.",
        metavar="MS",
        min=0,
        max=10_000,
    ),
]


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("Nodes that share one fingerprint key.")
    verbs.command("create")(create)
    verbs.command("change")(circle_changes.change)
    ceremonies.register(verbs)
    verbs.command("join")(join)
    verbs.command("list")(list_circles)
    verbs.command("thaw")(thaw)
    verbs.command("usage")(budgets.usage)
    verbs.command("budget")(budgets.budget)
    app.add_typer(verbs, name="circle")


def create(
    directory: options.NodeFolder,
    label: CircleLabel,
    member: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Name of a node, and how many identifiers a day it may ask about ({BUDGET} "
            "unless said); may be repeated. With no other node than this one, the circle is for "
            "its own use.",
            metavar="NODE[=BUDGET]",
        ),
    ] = None,
    days: Annotated[
        int, typer.Option(help="How long the key lasts.", metavar="DAYS", min=1, max=731)
    ] = 365,
    *,
    holder: Annotated[
        list[str] | None,
        typer.Option(
            help="Node that gets a share of the key; may be repeated. All members unless said.",
            metavar="NODE",
        ),
    ] = None,
    threshold: Annotated[
        int | None,
        typer.Option(
            help="How many holders must answer; more than half unless said.", metavar="N", min=2
        ),
    ] = None,
    admin: Annotated[
        list[str] | None,
        typer.Option(
            help="Node that decides about later versions; may be repeated. The holders unless "
            "said.",
            metavar="NODE",
        ),
    ] = None,
    admin_threshold: Annotated[
        int | None,
        typer.Option(
            help="How many admins must sign; more than half unless said.", metavar="N", min=1
        ),
    ] = None,
    open_days: Annotated[
        int,
        typer.Option(help="How long the operators have to confirm.", metavar="DAYS", min=1, max=30),
    ] = 14,
    dealer: Annotated[
        list[Path] | None,
        typer.Option(
            help="For demonstrations on one machine: this node makes the key and deals a share to "
            "itself and to the node in this folder; may be repeated. It knows the whole key.",
            metavar="DIR",
        ),
    ] = None,
    stretch_ms: StretchMs = 40.0,
    as_json: options.Json = False,
) -> None:
    """Make a circle: alone for this node's own use, or together with others.

    With other members it begins a ceremony: each of their operators confirms the plan on its own
    node, and no node ever knows the whole key.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from node.services.ceremony_plans import Wish, first_plan
    from signing.oprf.stretch import choose_stretch

    members = dict(parse_member(text) for text in member or ())
    if len(members) != len(member or ()):
        raise typer.BadParameter("a member is named twice", param_hint="--member")
    with open_services(directory, environ=node_environment()) as services:
        own = services.settings.name
        stretch = choose_stretch(stretch_ms) if stretch_ms else None
        if dealer is not None:
            made = _deal(
                services,
                label,
                members=members,
                days=days,
                folders=dealer,
                threshold=threshold,
                stretch=stretch,
            )
        elif set(members) <= {own}:
            receipt = services.circles.create(label, members, days, stretch=stretch)
            made = {"members": members, "days": days, "statement": receipt.id}
        else:
            wish = Wish(
                members=members,
                days=days,
                holders=holder,
                threshold=threshold,
                admins=admin,
                admin_threshold=admin_threshold,
                stretch=stretch,
                open_days=open_days,
            )
            plan = first_plan(label, wish, name=own, now=int(services.clock()))
            ceremony = services.coordination.propose(plan)
            ceremonies.show_proposed(services, directory, ceremony, as_json=as_json)
            return
    _show_made(f"{own}/{label}", made, days, as_json=as_json)


def _deal(
    services: "Services",
    label: str,
    *,
    members: dict[str, int],
    days: int,
    folders: list[Path],
    threshold: int | None,
    stretch: "Stretch | None",
) -> dict[str, Any]:
    """Deals a key to this node and to those in folders of this machine."""
    from node.app import passphrase_of
    from node.cli.passphrases import node_environment
    from node.services.keys import save_share
    from node.settings import load_settings

    others = [load_settings(folder, node_environment()) for folder in folders]
    holders = [services.settings.name, *(one.name for one in others)]
    receipt, shares = services.circles.deal(
        label,
        members,
        days,
        holders=holders,
        threshold=threshold or len(holders) // 2 + 1,
        stretch=stretch,
    )
    for one in others:
        name = f"{services.settings.name}/{label}"
        save_share(one.directory, name, 1, shares[one.name], passphrase_of(one))
    note(DEALER_WARNING)
    return {"members": members, "days": days, "holders": holders, "statement": receipt.id}


def _show_made(name: str, made: dict[str, Any], days: int, *, as_json: bool) -> None:
    from node.services.circles import ONE_HOLDER_WARNING

    holders = made.get("holders", ())
    if len(holders) < 2:  # noqa: PLR2004  # one holder is the whole key
        note(ONE_HOLDER_WARNING)
    if as_json:
        show_json({"name": name, **made})
        return
    show(f"The circle {name} is made, for {days} days.")
    for node, budget in made["members"].items():
        show(f"  {node}  {budget} identifiers a day")
    show("Each member, once the circle has arrived there, with the folder of its node:")
    show(f"    schutznetz node circle join MEMBER_DIR {name}")


def join(
    directory: options.NodeFolder,
    name: CircleName,
    despite_contradiction: Annotated[
        bool,
        typer.Option(
            "--despite-contradiction",
            help="Of two versions of one number that the admins have signed, the one that is here "
            "is the right one: you have compared it with the other members.",
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Use a circle for bans and checks."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        state = services.circles.join(name, despite_contradiction=despite_contradiction)
    if state.warning:
        note(state.warning)
    if as_json:
        show_json(asdict(state))
    else:
        show(f"This node checks sign-ups with the circle {name} of {', '.join(state.members)}.")


def list_circles(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List the circles that this node knows."""
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from node.services.circles import CONTRADICTED

    with open_services(directory, environ=node_environment()) as services:
        found = services.circles.list()
    if as_json:
        show_json({"circles": [asdict(one) for one in found]})
        return
    for one in found:
        show(f"{one.name}  version {one.version}  {'joined' if one.joined else 'not joined'}")
        show(f"  members  {', '.join(one.members)}")
        show(f"  key      {one.threshold} of {', '.join(one.holders)}, until {one.not_after}")
        if one.unconfirmed:
            numbers = ", ".join(map(str, one.unconfirmed))
            show(f"  key {numbers} is not confirmed here and not used: run circle join again")
        if one.contradicted:
            show(f"  NOT USED: {CONTRADICTED}")
        for sentence in one.advice:
            show(f"  {sentence}")
        for node in one.frozen:
            show(f"  NOT ASKED: {node} gave a false answer; see the audit, then run circle thaw")
        if one.warning:
            show(f"  {one.warning}")
    if not found:
        show("This node knows no circle.")


def thaw(
    directory: options.NodeFolder,
    name: CircleName,
    holder: Annotated[
        str, typer.Argument(help="Name of the node that holds a share.", metavar="HOLDER")
    ],
    as_json: options.Json = False,
) -> None:
    """Ask a holder again that gave a false answer."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        services.circles.thaw_holder(name, holder)
    if as_json:
        show_json({"circle": name, "holder": holder})
    else:
        show(f"{holder} is asked again.")
