"""`node doctor`: what is wrong with a node, on one screen."""

import time
from dataclasses import asdict
from typing import Final

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import show, show_json, show_table

_WORDS: Final = {"ok": "ok", "warning": "look", "wrong": "WRONG"}


def register(app: options.Group) -> None:
    """Adds the verb to the group."""
    app.command("doctor")(doctor)


def doctor(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """Look for what is wrong, on one screen.

    Keys, files, database, disk, clock, hashing, policy, circles and peers.
    """
    from node.cli.checkup import examine
    from node.cli.passphrases import node_environment

    findings = list(examine(directory, environ=node_environment(), clock=time.time))
    wrong = sum(1 for one in findings if one.state == "wrong")
    if as_json:
        show_json({"ok": not wrong, "findings": [asdict(one) for one in findings]})
    else:
        show_table(
            ("", "about", ""),
            [(_WORDS[one.state], one.about, one.sentence) for one in findings],
        )
        show()
        show("All is well." if not wrong else f"{wrong} of {len(findings)} things are wrong.")
    if wrong:
        raise typer.Exit(ExitCode.FAILED)
