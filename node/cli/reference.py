"""The reference of the command, docs/cli.md, as the command itself gives it.

``python -m node.cli.reference > docs/cli.md`` writes it anew; a test compares the two.
"""

from collections.abc import Iterator
from typing import Any, Final

import typer

from node.cli.main import build

WIDTH: Final = 100

_HEAD: Final = """\
# The command `schutznetz`

What every verb takes, as its `--help` says it. This page is written by the command itself:
`python -m node.cli.reference > docs/cli.md`.

Every verb ends with 0 when everything was done, 1 when it was refused or failed, in part too, 2
when it was called wrongly, 3 when the rest can be gone on with later, and 130 when it was
interrupted. What went wrong is one sentence on
standard error. Results go to standard output, everything else to standard error; progress bars
show at a terminal only. With `--json`, standard output is one JSON document.

Secrets are never arguments: they would stand in the shell's history. A passphrase comes from
`--passphrase-file`, else the variable `SCHUTZNETZ_PASSPHRASE`, else it is asked for. A platform's
key comes from `--api-key-file`, else `SCHUTZNETZ_API_KEY`. Identifiers of accounts can be read from
standard input: `--email -`.
"""


def reference() -> str:
    """Returns the page in Markdown."""
    command = typer.main.get_command(build())
    parts = [
        f"## {path}\n\n```text\n{text}\n```\n" for path, text in _walk(command, "schutznetz", None)
    ]
    return "\n".join([_HEAD, *parts])


def _walk(command: Any, path: str, parent: Any) -> Iterator[tuple[str, str]]:
    """Gives each verb's name and help, groups before what is in them."""
    name = path.rpartition(" ")[2]
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield path, text
    for verb, inner in getattr(command, "commands", {}).items():
        yield from _walk(inner, f"{path} {verb}", context)


if __name__ == "__main__":
    typer.echo(reference(), nl=False)
