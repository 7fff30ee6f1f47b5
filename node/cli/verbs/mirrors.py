"""`node mirror`: serving the logs of other nodes, and reading them by way of nodes that do."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import options
from node.cli.output import ago, show, show_json, show_table

if TYPE_CHECKING:
    from node.services.mirror_sources import Freshness, SourceState
    from node.services.mirroring import MirroredState


def _check_by(text: str | None) -> str | None:
    return None if text is None else options.check_node_name(text)


By = Annotated[
    str | None,
    typer.Option(
        "--by",
        help="Read that node's log by way of this one, where it does not answer itself.",
        metavar="NAME",
        callback=_check_by,
    ),
]


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("Logs of other nodes: served here, or read by way of others.")
    verbs.command("add")(add)
    verbs.command("list")(list_mirrors)
    verbs.command("remove")(remove)
    app.add_typer(verbs, name="mirror")


def add(
    directory: options.NodeFolder,
    name: options.NodeName,
    by: By = None,
    as_json: options.Json = False,
) -> None:
    """Serve the log of a peer to other nodes or, with --by, read it by way of another peer.

    What is served is the peer's own, under its own signature: nobody need believe a mirror. Said
    again of a mirror that has lied, it is asked again.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        if by is not None:
            source = services.mirror_sources.add(name, by)
        else:
            state = services.mirroring.add(name)
    if as_json:
        show_json(asdict(state) if by is None else asdict(source))
    elif by is None:
        show(f"This node serves the log of {name}: {_told(state)}.")
    else:
        show(f"Where {name} does not answer, its log is read by way of {by}.")


def list_mirrors(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List whose logs this node serves, and by way of whom it reads others'."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        mirrored = services.mirroring.list()
        sources, fresh = services.mirror_sources.list(), services.mirror_sources.freshness()
        now = int(services.clock())
    if as_json:
        served = [asdict(one) for one in mirrored]
        show_json({"mirrored": served, **sources_json(sources, fresh, now)})
        return
    for one in mirrored:
        show(f"{one.node}  {_told(one)}")
    show_sources(sources, fresh, now)
    if not mirrored and not sources:
        show("No log is served or read here: schutznetz node mirror add DIR NAME [--by NAME]")


def remove(
    directory: options.NodeFolder,
    name: options.NodeName,
    by: By = None,
    as_json: options.Json = False,
) -> None:
    """Serve the log of a peer no more or, with --by, read it no more by way of another.

    What was taken over stays.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        if by is not None:
            services.mirror_sources.remove(name, by)
        else:
            services.mirroring.remove(name)
    if as_json:
        show_json({"node": name, "mirror": by, "state": "removed"})
    elif by is None:
        show(f"This node does not serve the log of {name} any more.")
    else:
        show(f"The log of {name} is not read by way of {by} any more.")


def sources_json(
    sources: "Sequence[SourceState]", fresh: "Sequence[Freshness]", now: int
) -> dict[str, Any]:
    """Returns by way of whom logs are read, and how new what is known is, as JSON has it."""
    return {
        "mirrors": [asdict(one) for one in sources],
        "read_by_mirrors": [
            {
                **asdict(one),
                "age_s": None if one.newest is None else max(0, now - one.newest),
            }
            for one in fresh
        ],
    }


def show_sources(sources: "Sequence[SourceState]", fresh: "Sequence[Freshness]", now: int) -> None:
    """Prints by way of whom logs are read, how new what is known is, and who has lied."""
    if not sources:
        return
    rows = [
        (one.node, one.mirror, one.state, one.size, ago(one.heard, now), one.lacked)
        for one in sources
    ]
    show_table(("log of", "mirror", "state", "it has", "heard", "lacked"), rows)
    for one in sources:
        if one.lie is not None:
            show(
                f"{one.mirror} has lied as a mirror of {one.node} ({one.lie}), {ago(one.lied, now)}"
                ", and is not asked any more: see schutznetz node evidence list."
            )
        elif one.problem:
            show(f"{one.mirror}, as a mirror of {one.node}: {one.problem}")
    for known in fresh:
        lacking = f", {known.lacking} of them without a body" if known.lacking else ""
        newest = "nothing says how new that is"
        if known.newest is not None:
            newest = f"the newest checkpoint is known to be from {ago(known.newest, now)}"
        show(f"{known.node}: {known.size} entries{lacking}; {newest}.")


def _told(state: "MirroredState") -> str:
    if state.state == "serving":
        return f"serving {state.size} statements"
    if state.state == "waiting":
        return "waiting until all of it is here"
    return "stopped, because that node is frozen, or not pinned as it was"
