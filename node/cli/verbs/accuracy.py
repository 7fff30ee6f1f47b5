"""`node accuracy`: how right flaggers were, for a yearly report."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from node.cli import options
from node.cli.output import show, show_json, show_table


def register(app: options.Group) -> None:
    """Adds the verb to the group."""
    app.command("accuracy")(accuracy)


def accuracy(
    *,
    directory: options.NodeFolder,
    year: Annotated[
        int | None,
        typer.Option(
            help="Year in UTC; this one where absent.", metavar="YEAR", min=2000, max=9999
        ),
    ] = None,
    flagger: Annotated[str | None, typer.Option(help="Only this flagger.", metavar="NAME")] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print a CSV file, always with the same columns.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="With counts where fewer than three organisations reported: not to be published.",
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Show how right flaggers were, by category.

    From the signed feedback of independent organisations on matches that people looked at.
    """
    from dataclasses import asdict

    from node.app import open_services
    from node.cli.passphrases import node_environment
    from node.services.accuracy import FEWEST_REPORTERS, to_csv

    if as_csv and as_json:
        raise typer.BadParameter("one of --csv and --json", param_hint="--csv")
    with open_services(directory, environ=node_environment()) as services:
        chosen = year or datetime.fromtimestamp(services.clock(), UTC).year
        found = services.accuracies.of_year(chosen, flagger=flagger, full=full)
    if as_json:
        show_json({"accuracy": [asdict(one) for one in found]})
        return
    if as_csv:
        typer.echo(to_csv(found), nl=False)
        return
    if not found:
        show(f"Nothing was reported for {chosen}.")
        return
    rows = [
        (
            one.flagger,
            one.category,
            one.statements,
            one.reporters,
            *(
                "-" if value is None else value
                for value in (one.confirmed, one.refuted, one.unreviewed, one.accuracy_percent)
            ),
        )
        for one in found
    ]
    header = ("flagger", "category", "statements", "reporters", "right", "wrong", "open", "% right")
    show_table(header, rows)
    if any(one.confirmed is None for one in found):
        show(f"-: fewer than {FEWEST_REPORTERS} organisations reported (--full shows it).")
