"""The entry point: from the words that were typed to an exit code.

Nothing but Typer and the verbs' own modules is imported here, and those import what they need when
they are called: `schutznetz --help` takes less than 200 ms (docs/adr/0006).
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from node.cli.failures import ExitCode, complain, sentence_of
from node.cli.options import Group, group
from node.cli.verbs import (
    accounts,
    accreditation,
    accuracy,
    backup,
    bench,
    circles,
    clients,
    demo,
    doctor,
    erasures,
    evidence,
    flag,
    flagger,
    fsck,
    gates,
    keys,
    log,
    match,
    membership,
    mirrors,
    operate,
    peers,
    pictures,
    receipts,
    reissue,
    statements,
    tasks,
    uploads,
    verify,
    witnesses,
)

# Typer keeps click's exceptions to itself; the one it does export is a subclass of the one needed.
_WrongUse: Final[type[Exception]] = typer.BadParameter.__mro__[1]


def build() -> Group:
    """Returns the command with all its verbs."""
    app = group("Share and match what must not come back.", callback=_root)
    for verbs in (demo, flagger, pictures, flag, statements, receipts, match, accounts, reissue):
        verbs.register(app)
    for verbs in (verify, bench):
        verbs.register(app)
    node = group("Run a node.")
    for verbs in (operate, doctor, fsck, backup, log, keys, peers, accreditation, circles, clients):
        verbs.register(node)
    for verbs in (
        membership,
        witnesses,
        mirrors,
        evidence,
        gates,
        uploads,
        tasks,
        erasures,
        accuracy,
    ):
        verbs.register(node)
    app.add_typer(node, name="node")
    return app


def main(argv: Sequence[str]) -> int:
    """Returns the exit code of the command with these arguments; never raises."""
    try:
        code = build()(list(argv), prog_name="schutznetz", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except typer.Abort:
        complain("nothing was done: the question was not answered with yes.")
        return ExitCode.FAILED
    except Exception as error:  # noqa: BLE001  # the last stop: a person never sees a traceback
        wrong_use = isinstance(error, _WrongUse)
        complain(_wrong_use(error) if wrong_use else sentence_of(error))
        return ExitCode.WRONG_USE if wrong_use else ExitCode.FAILED
    return code if isinstance(code, int) else ExitCode.DONE


def run() -> None:
    """Runs the command as it was typed, and ends the process."""
    sys.exit(main(sys.argv[1:]))


def _root(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Share and match what must not come back."""
    if version:
        from importlib import metadata

        typer.echo(f"schutznetz {metadata.version('schutznetz')}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(ExitCode.WRONG_USE)


def _wrong_use(error: Exception) -> str:
    """Returns what is wrong with the call, and where its right form stands."""
    sentence = " ".join(str(getattr(error, "format_message", error.__str__)()).split())
    context = getattr(error, "ctx", None)
    path = "schutznetz" if context is None else context.command_path
    return f"{sentence.rstrip('.')}; see: {path} --help"
