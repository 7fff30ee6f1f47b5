"""`node fsck`: whether what a node keeps agrees with itself."""

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import note, show, show_json

if TYPE_CHECKING:
    from node.services.fsck import Finding

_SAY_EVERY_S: Final = 5.0


def register(app: options.Group) -> None:
    """Adds the verb to the group."""
    app.command("fsck")(fsck)


def fsck(
    directory: options.NodeFolder,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make anew what can be made from the database.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Compare all that the node has stored with itself.

    The log with its root and its tree, every statement with its id and its signature, media hashes
    and fingerprints with the statements, and the indices with the database. Works beside the
    running node, which goes over to what was made anew by itself.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from protocol.errors import UnavailableError

    with open_services(directory, environ=node_environment()) as services:
        findings = services.fsck.run(rebuild=rebuild, progress=_Watch())
    wrong = [one for one in findings if not one.ok]
    if as_json:
        show_json({"ok": not wrong, "findings": [asdict(one) for one in findings]})
        if wrong:
            raise typer.Exit(ExitCode.FAILED)
        return
    for one in findings:
        if one.ok:
            show(one.sentence)
    if wrong:
        raise UnavailableError(" ".join(one.sentence for one in wrong) + _remedy(wrong))


def _remedy(wrong: "list[Finding]") -> str:
    mendable = [one.check for one in wrong if one.mendable]
    if len(mendable) == len(wrong):
        return " Mend it with --rebuild."
    backup = " Restore a backup, as docs/operating.md says."
    return f" Mend {', '.join(mendable)} with --rebuild.{backup}" if mendable else backup


class _Watch:
    """Tells whoever waits at a terminal, every few seconds, how far it is."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, check: str, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self._last >= _SAY_EVERY_S and sys.stderr.isatty():
            self._last = now
            note(f"{check}: {done:,} of {of:,}")
