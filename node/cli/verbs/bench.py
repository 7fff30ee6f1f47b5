"""`bench`: what the software costs on this machine, beside rivals or floors of the same run.

Another bench is one more function here, registered like `match`: it imports its module of
node.bench in its body, gives it `note` to say what is being done, and ends with ``_deliver``.
Whether goals are met changes nothing about the exit code: figures are judged by who reads them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import options
from node.cli.output import note, show_json

if TYPE_CHECKING:
    from node.bench.report import Report


def register(app: options.Group) -> None:
    """Adds the group to the command."""
    bench = options.group("Measure on this machine, beside rivals or floors of the same run.")
    bench.command("match")(match)
    bench.command("ingest")(ingest)
    bench.command("signup")(signup)
    bench.command("sync")(sync)
    bench.command("retro")(retro)
    bench.command("streams")(streams)
    bench.command("upload")(upload)
    bench.command("variants")(variants)
    app.add_typer(bench, name="bench")


def match(
    hashes: Annotated[
        int, typer.Option(help="Entries of the index.", metavar="N", min=1_000, max=100_000_000)
    ] = 1_000_000,
    as_json: options.Json = False,
) -> None:
    """Measure exact pdq search beside faiss, pynear and threatexchange.

    Takes about four minutes and 2 GiB with 1,000,000 entries, twelve minutes and 12 GiB with
    10,000,000. Needs the extra `bench`; a rival that does not fit into the memory is left out.
    """
    from node.bench.match import measure

    _deliver(measure(hashes, say=note), as_json=as_json)


def signup(as_json: options.Json = False) -> None:
    """Measure the sign-up check with five holders, beside the bare group operations.

    Starts eight nodes on loopback, and eight more without libsodium: about five minutes.
    """
    from node.bench.signup import measure

    _deliver(measure(say=note), as_json=as_json)


def ingest(
    hashes: Annotated[
        int,
        typer.Option(help="Media hashes to take in.", metavar="N", min=1_000, max=10_000_000),
    ] = 1_000_000,
    as_json: options.Json = False,
) -> None:
    """Measure taking in a list, from bytes to matchable, beside the least that it could cost.

    Takes about five minutes with 1,000,000 media hashes, in statements of 1000.
    """
    from node.bench.ingest import measure

    _deliver(measure(hashes, say=note), as_json=as_json)


def sync(
    hashes: Annotated[
        int, typer.Option(help="Media hashes of the list.", metavar="N", min=1_000, max=1_000_000)
    ] = 1_000_000,
    flags: Annotated[
        int, typer.Option(help="Single flags that are timed.", metavar="N", min=0, max=10_000)
    ] = 100,
    as_json: options.Json = False,
) -> None:
    """Measure taking over a peer's list, an idle sync, and how soon a flag matches everywhere.

    Starts nodes on loopback, and a PostgreSQL server where there is one to start: about five
    minutes with 1,000,000 media hashes and 100 flags.
    """
    from node.bench.sync import measure

    _deliver(measure(hashes, flags=flags, say=note), as_json=as_json)


def retro(
    uploads: Annotated[
        int, typer.Option(help="Registered uploads.", metavar="N", min=1_000, max=100_000_000)
    ] = 1_000_000,
    as_json: options.Json = False,
) -> None:
    """Measure how soon 1,000 new hashes are compared with past uploads.

    Takes about two minutes and 1 GiB with 1,000,000 uploads, ten times as much with 10,000,000.
    """
    from node.bench.retro import measure

    _deliver(measure(uploads, say=note), as_json=as_json)


def streams(
    at_once: Annotated[
        int, typer.Option("--streams", help="Streams at once.", metavar="N", min=10, max=2_000)
    ] = 200,
    entries: Annotated[
        int, typer.Option(help="Pictures that are flagged.", metavar="N", min=0, max=1_000_000)
    ] = 20_000,
    seconds: Annotated[int, typer.Option(help="How long.", metavar="N", min=6, max=3_600)] = 20,
    as_json: options.Json = False,
) -> None:
    """Measure how many streams a node watches at one frame a second each.

    Starts a node of its own, with a list of its own, and asks it over loopback: about two minutes.
    """
    from node.bench.streams import measure

    _deliver(measure(at_once, entries=entries, seconds=seconds, say=note), as_json=as_json)


def upload(
    entries: Annotated[
        int, typer.Option(help="Pictures that are flagged.", metavar="N", min=0, max=10_000_000)
    ] = 1_000_000,
    as_json: options.Json = False,
) -> None:
    """Measure the upload check of a node, over loopback.

    Starts a node with a list of its own: one minute with few entries, some three more to flag a
    million.
    """
    from node.bench.upload import measure

    _deliver(measure(entries, say=note), as_json=as_json)


def variants(
    pictures: Annotated[
        Path,
        typer.Option(
            help="Folder of photographs; benchmarks/fetch_pictures.py fetches some.",
            metavar="DIR",
            exists=True,
            file_okay=False,
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Measure which changed pictures are found with variants and without, and what that costs.

    With 233 pictures about six minutes. Nothing of them is kept or sent.
    """
    from node.bench.variants import measure

    _deliver(measure(pictures, say=note), as_json=as_json)


def _deliver(report: "Report", *, as_json: bool) -> None:
    """Prints the report: one JSON document, or a table."""
    document = report.to_json()
    if as_json:
        show_json(document)
        return
    from rich.console import Console
    from rich.table import Table

    from node.bench.report import table_rows

    machine = document["machine"]
    table = Table(
        title=f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, load "
        f"{machine['load_at_start']} to {machine['load_at_end']}",
        box=None,
        title_justify="left",
    )
    for name in ("figure", "value", "must", "goal", "reached"):
        table.add_column(name, justify="left" if name in {"figure", "reached"} else "right")
    for row in table_rows(document["figures"]):
        table.add_row(*row)
    # Rows are never broken where the output is a file or a pipe.
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 120
    console.print(table)
