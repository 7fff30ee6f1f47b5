"""`node circle status`, `confirm`, `refuse`, `keygen`: ceremonies, as an operator holds them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import note, show, show_json

if TYPE_CHECKING:
    from federation.conduct import Progress
    from node.app import Services

Ceremony = Annotated[
    str, typer.Argument(help="The ceremony, or as much as tells it apart.", metavar="CEREMONY")
]
MaybeCeremony = Annotated[
    str | None,
    typer.Argument(
        help="The ceremony, or as much as tells it apart; may be left out where there is one.",
        metavar="CEREMONY",
    ),
]

_LASTING = ("unconfirmed", "confirmed", "committed", "certified", "generated", "signed")


def register(verbs: options.Group) -> None:
    """Adds the verbs to the group of circles."""
    verbs.command("status")(status)
    verbs.command("confirm")(confirm)
    verbs.command("refuse")(refuse)
    verbs.command("keygen")(keygen)


def status(
    directory: options.NodeFolder,
    ceremony: MaybeCeremony = None,
    as_json: options.Json = False,
) -> None:
    """Show what was proposed, and how far it is."""
    from node.app import open_services
    from node.cli.ceremony_words import SHORT, ceremony_json, show_ceremony
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        if ceremony is None:
            found = services.ceremonies.list()
        else:
            found = [services.ceremonies.get(ceremony)]
    if as_json:
        show_json({"ceremonies": [ceremony_json(one) for one in found]})
        return
    if ceremony is not None or len(found) == 1:
        show_ceremony(found[0])
        return
    for one in found:
        circle = f"{one.plan.circle}, version {one.plan.version}"
        show(f"{one.id[:SHORT]}  {one.state}  {circle}  by {one.plan.coordinator}")
    if not found:
        show("Nothing has been proposed to this node.")


def confirm(
    directory: options.NodeFolder,
    ceremony: Ceremony,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; you have read the plan before.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Agree to a plan, after reading it whole."""
    from node.app import open_services
    from node.cli.ceremony_words import SHORT, ceremony_json, show_ceremony
    from node.cli.output import ask, is_at_terminal
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = services.ceremonies.get(ceremony)
        if not as_json:
            show_ceremony(found)
        if not yes and is_at_terminal() and ask("Is that what was agreed? [y/N]").lower() != "y":
            note("Nothing was confirmed.")
            raise typer.Exit(ExitCode.FAILED)
        found = services.ceremonies.confirm(found.id)
    if as_json:
        show_json(ceremony_json(found))
    else:
        show(f"Confirmed. {found.plan.coordinator} goes on with {found.id[:SHORT]}.")


def refuse(
    directory: options.NodeFolder,
    ceremony: Ceremony,
    reason: Annotated[
        str | None, typer.Option(help="Why, for whoever proposed it.", metavar="TEXT")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Have no part in a plan."""
    from node.app import open_services
    from node.cli.ceremony_words import SHORT, ceremony_json
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = services.ceremonies.refuse(ceremony, reason)
    if as_json:
        show_json(ceremony_json(found))
    else:
        show(f"Refused: {found.id[:SHORT]}. {found.plan.coordinator} is told when it asks next.")


def keygen(
    directory: options.NodeFolder,
    ceremony: MaybeCeremony = None,
    once: Annotated[
        bool, typer.Option("--once", help="Go as far as it goes, and wait for nobody.")
    ] = False,
    every_s: Annotated[
        float,
        typer.Option(
            "--every", help="Seconds between two attempts.", metavar="SECONDS", min=0.1, max=3_600
        ),
    ] = 5.0,
    as_json: options.Json = False,
) -> None:
    """Conduct a ceremony that this node proposed, to its end.

    It may be broken off at any time; typed again, it goes on where it was.
    """
    from node.app import open_services
    from node.cli.ceremony_words import SHORT, show_progress, time_of
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        chosen = _chosen(services, ceremony)

        def report(progress: "Progress") -> None:
            note(f"{time_of(services.clock())}  {progress.circle}: {progress.state}")
            show_progress(progress)

        try:
            done = services.conductor.conduct(
                chosen, report=report, wait_s=None if once else every_s
            )
        except KeyboardInterrupt:
            note(f"Broken off; go on with: schutznetz node circle keygen {directory}")
            raise typer.Exit(ExitCode.FAILED) from None
    if as_json:
        show_json(
            {
                "ceremony": done.id,
                "circle": done.circle,
                "state": done.state,
                "nodes": done.nodes,
                "reason": done.reason,
                "culprit": done.culprit,
                "statement": done.statement,
            }
        )
    elif done.state == "published":
        show(f"The circle {done.circle} is made: every holder has its share.")
        show("Each member, once the circle has arrived there, with the folder of its node:")
        show(f"    schutznetz node circle join MEMBER_DIR {done.circle}")
    elif done.state == "waiting":
        show(f"{done.id[:SHORT]} waits for others.")
    else:
        note(f"The ceremony failed: {done.reason}")
    if done.state == "failed":
        raise typer.Exit(ExitCode.FAILED)


def show_proposed(services: "Services", directory: Path, ceremony: str, *, as_json: bool) -> None:
    """Shows a plan that this node has just proposed, and what comes next."""
    from node.cli.ceremony_words import SHORT, ceremony_json, show_ceremony

    found = services.ceremonies.get(ceremony)
    if as_json:
        show_json(ceremony_json(found))
        return
    show_ceremony(found)
    show("Now conduct it; it waits until everybody has confirmed:")
    show(f"    schutznetz node circle keygen {directory}")
    show("Each of the others, with the folder of its node, once it has been asked:")
    show(f"    schutznetz node circle confirm NODE_DIR {found.id[:SHORT]}")


def _chosen(services: "Services", ceremony: str | None) -> str:
    """Returns the ceremony that is meant, of those that this node conducts.

    Raises:
        NotFoundError: there is none.
        ConflictError: there are several.
    """
    from protocol.errors import ConflictError, NotFoundError

    if ceremony is not None:
        return services.ceremonies.get(ceremony).id
    own = [
        one.id
        for one in services.ceremonies.list()
        if one.plan.coordinator == services.settings.name and one.state in _LASTING
    ]
    if not own:
        raise NotFoundError("This node conducts no ceremony: begin one with circle create.")
    if len(own) > 1:
        raise ConflictError("This node conducts several ceremonies: name one, see circle status.")
    return own[0]
