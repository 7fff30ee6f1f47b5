"""`node circle change`: proposing the next version of a circle."""

from typing import Annotated

import typer

from node.cli import options
from node.cli.members import BUDGET, parse_member
from node.cli.verbs.ceremonies import show_proposed


def change(
    directory: options.NodeFolder,
    name: Annotated[
        str,
        typer.Argument(
            help="Whole name of the circle, such as hotline.example/de-minors-1.", metavar="NAME"
        ),
    ],
    member: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Node that joins, or has another budget from now on ({BUDGET} identifiers a day "
            "unless said); may be repeated.",
            metavar="NODE[=BUDGET]",
        ),
    ] = None,
    leave: Annotated[
        list[str] | None,
        typer.Option(help="Node that leaves; may be repeated.", metavar="NODE"),
    ] = None,
    *,
    admin: Annotated[
        list[str] | None,
        typer.Option(
            help="Node that decides from then on; may be repeated. As before unless said.",
            metavar="NODE",
        ),
    ] = None,
    admin_threshold: Annotated[
        int | None,
        typer.Option(help="How many admins must sign from then on.", metavar="N", min=1),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make a new key, used beside the old for a time.")
    ] = False,
    holder: Annotated[
        list[str] | None,
        typer.Option(
            help="Node that gets a share of the new key; may be repeated. As with the last key, "
            "without who leaves, unless said.",
            metavar="NODE",
        ),
    ] = None,
    threshold: Annotated[
        int | None,
        typer.Option(help="How many holders of the new key must answer.", metavar="N", min=2),
    ] = None,
    days: Annotated[
        int, typer.Option(help="How long the new key lasts.", metavar="DAYS", min=1, max=731)
    ] = 365,
    overlap_days: Annotated[
        int,
        typer.Option(
            help="How long the old keys are used beside the new one.",
            metavar="DAYS",
            min=1,
            max=731,
        ),
    ] = 90,
    open_days: Annotated[
        int,
        typer.Option(help="How long the operators have to confirm.", metavar="DAYS", min=1, max=30),
    ] = 14,
    stretch_ms: Annotated[
        float,
        typer.Option(
            help="How long one telephone number is stretched under the new key, in milliseconds "
            "of this machine. 0 stretches nothing.",
            metavar="MS",
            min=0,
            max=10_000,
        ),
    ] = 40.0,
    as_json: options.Json = False,
) -> None:
    """Propose the next version of a circle: members, admins, or a new key.

    It begins a ceremony, as circle create does. Who holds a share and leaves keeps it until its
    key ends: with --new-key that is after the overlap.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from node.services.ceremony_plans import NewKey, next_plan
    from protocol.circles import Member
    from protocol.succession import Change
    from signing.oprf.stretch import choose_stretch

    members = dict(parse_member(text) for text in member or ())
    if not new_key and (holder or threshold):
        raise typer.BadParameter("holders belong to a new key", param_hint="--new-key")
    with open_services(directory, environ=node_environment()) as services:
        key = None
        if new_key:
            key = NewKey(
                days=days,
                overlap_days=overlap_days,
                holders=holder,
                threshold=threshold,
                stretch=choose_stretch(stretch_ms) if stretch_ms else None,
            )
        plan = next_plan(
            services.coordination.latest(name),
            Change(
                members=[
                    Member(node=node, budget_per_day=budget) for node, budget in members.items()
                ],
                leaves=leave or (),
                admins=admin,
                admin_threshold=admin_threshold,
            ),
            key,
            name=services.settings.name,
            now=int(services.clock()),
            open_days=open_days,
        )
        ceremony = services.coordination.propose(plan)
        show_proposed(services, directory, ceremony, as_json=as_json)
