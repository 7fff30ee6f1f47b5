"""`node circle`: who shares a fingerprint key, and with how many questions a day."""

from dataclasses import asdict
from typing import Annotated, Final

import typer

from node.cli import options
from node.cli.output import note, show, show_json
from node.cli.verbs import budgets

BUDGET: Final = 5_000
"""Identifiers a day that a member may have evaluated, unless it is said otherwise."""

_MAX_BUDGET: Final = 10**7

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
        list[str],
        typer.Option(
            help=f"Name of a node, and how many identifiers a day it may ask about ({BUDGET} "
            "unless said); may be repeated.",
            metavar="NODE[=BUDGET]",
        ),
    ],
    days: Annotated[
        int, typer.Option(help="How long the key lasts.", metavar="DAYS", min=1, max=731)
    ] = 365,
    *,
    stretch_ms: StretchMs = 40.0,
    as_json: options.Json = False,
) -> None:
    """Make a circle; this node holds its key."""
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from node.services.circles import ONE_HOLDER_WARNING
    from signing.oprf.stretch import choose_stretch

    members = dict(_parse_member(text) for text in member)
    if len(members) != len(member):
        raise typer.BadParameter("a member is named twice", param_hint="--member")
    with open_services(directory, environ=node_environment()) as services:
        stretch = choose_stretch(stretch_ms) if stretch_ms else None
        receipt = services.circles.create(label, members, days, stretch=stretch)
        name = f"{services.settings.name}/{label}"
    note(ONE_HOLDER_WARNING)
    if as_json:
        show_json({"name": name, "members": members, "days": days, "statement": receipt.id})
        return
    show(f"The circle {name} is made, for {days} days.")
    for node, budget in members.items():
        show(f"  {node}  {budget} identifiers a day")
    show("If this node is running, start it anew: only then does it answer the circle.")
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


def _parse_member(text: str) -> tuple[str, int]:
    """Returns a member and its budget.

    Raises:
        typer.BadParameter: not of the form NODE or NODE=BUDGET.
    """
    node, equals, budget = text.partition("=")
    if equals and not (budget.isascii() and budget.isdecimal() and int(budget) <= _MAX_BUDGET):
        raise typer.BadParameter(
            f"the budget of a member is a number up to {_MAX_BUDGET}", param_hint="--member"
        )
    return options.check_node_name(node), int(budget) if equals else BUDGET
