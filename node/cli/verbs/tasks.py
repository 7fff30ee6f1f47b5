"""`node task`: what is to be restored, and that it was."""

from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import options
from node.cli.output import show, show_json, show_table

if TYPE_CHECKING:
    from node.services.remedies import Remedy

_MAX_NOTE_CHARS = 512

TaskId = Annotated[
    int, typer.Argument(help="Number of the task.", metavar="ID", min=1, max=2**53 - 1)
]


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("What is to be restored.")
    verbs.command("list")(list_tasks)
    verbs.command("show")(show_task)
    verbs.command("done")(done)
    app.add_typer(verbs, name="task")


def list_tasks(
    directory: options.NodeFolder,
    everything: Annotated[bool, typer.Option("--all", help="With those that are done.")] = False,
    as_json: options.Json = False,
) -> None:
    """List what rested on statements that were taken back since, oldest first."""
    from dataclasses import asdict

    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = services.remedies.list(open_only=not everything)
    if as_json:
        show_json({"tasks": [asdict(one) for one in found]})
        return
    if not found:
        show("Nothing is to be restored.")
        return
    rows = [(one.id, one.state, one.since, one.kind, one.issuer, one.reason) for one in found]
    show_table(("task", "state", "since", "kind", "issuer", "reason"), rows)
    show()
    show("What is known of one: schutznetz node task show DIR ID")


def show_task(directory: options.NodeFolder, task: TaskId, as_json: options.Json = False) -> None:
    """Show what was done, when, and what your programs call the uploads concerned."""
    from dataclasses import asdict

    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = services.remedies.get(task)
    if as_json:
        show_json(asdict(found))
    else:
        _show_one(found)


def done(
    directory: options.NodeFolder,
    task: TaskId,
    note: Annotated[
        str | None,
        typer.Option(help="How, for whoever asks later; no personal data.", metavar="TEXT"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Say that it was restored.

    With the last task about a statement its issuer is told, as far as `remedy_says` allows.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from node.services.clients import Client

    if note is not None and not (0 < len(note) <= _MAX_NOTE_CHARS and note.isprintable()):
        raise typer.BadParameter(
            f"one line of at most {_MAX_NOTE_CHARS} characters", param_hint="--note"
        )
    with open_services(directory, environ=node_environment()) as services:
        services.remedies.done(task, Client(0, "operator", frozenset()), note)
        left = len(services.remedies.open())
    if as_json:
        show_json({"id": task, "state": "done", "open": left})
    else:
        show(f"Noted. {left} tasks are left.")


def _show_one(task: "Remedy") -> None:
    show(f"task {task.id}, {task.state}, since {task.since}")
    show(f"  {task.kind} {task.statement}")
    show(f"  of {task.issuer}, items {', '.join(map(str, task.items))}: {task.reason}")
    if task.done is not None:
        show(f"  done on {task.done} by {task.done_by}{f': {task.note}' if task.note else ''}")
    if not task.deeds:
        show("  Which uploads these were is not kept any more: look in your own records.")
        return
    rows = [
        (
            one.client or "?",
            one.decision,
            one.rule or "-",
            one.reference or "(no name given)",
            one.item,
            one.count,
            one.first,
            one.last,
        )
        for one in task.deeds
    ]
    header = ("program", "told", "rule", "upload", "item", "times", "first", "last")
    show_table(header, rows)
