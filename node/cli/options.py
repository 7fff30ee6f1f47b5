"""Options that several verbs share, in the same words, and groups of verbs.

All of them are checked before anything is done, so that wrong use is told at once (exit code 2).
"""

import os
import re
import shlex
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

import typer

from node.cli.failures import ExitCode

Group: TypeAlias = typer.Typer


class SurfaceName(StrEnum):
    """Where a picture is met, as a choice of the command line."""

    PUBLIC = "public"
    HOSTED = "hosted"
    PRIVATE = "private"


PEERS: Final = ["peers"]
"""Who may read a statement unless it is said otherwise."""

OWN_NODE: Final = "http://127.0.0.1:8440"
"""Where a node of one's own answers unless it was told otherwise."""

INTERVAL_MS: Final = 1_000
"""Time from one frame of a film to the next unless it is said otherwise."""

WORKERS: Final = min(os.cpu_count() or 1, 8)
"""Pictures that are read at the same time unless it is said otherwise."""

_ID: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9-]*)?")
_MAX_NAME_CHARS: Final = 128


def group(text: str, *, callback: Callable[..., None] | None = None) -> Group:
    """Returns an empty group of verbs that shows its help when no verb is named."""
    made = typer.Typer(
        help=text,
        add_completion=False,
        # Plain help: drawing boxes would cost half of the 200 ms, and does not paste into a mail.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    made.callback(invoke_without_command=True, help=text)(callback or _ask_for_verb)
    return made


def _ask_for_verb(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(ExitCode.WRONG_USE)


def repeated(node: str, *, key_file: Path | None = None, api_key_file: Path | None = None) -> str:
    """Returns the options that name the same caller and node again, each after a blank."""
    words: list[str] = []
    if key_file is not None:
        words += ["--key", str(key_file)]
    if api_key_file is not None:
        words += ["--api-key-file", str(api_key_file)]
    if key_file is not None or node != OWN_NODE:
        words += ["--node", node]
    return "".join(f" {shlex.quote(word)}" for word in words)


def check_who(key: Path | None, api_key_file: Path | None) -> None:
    """Refuses a call that says both who a flagger is and who a platform is.

    Raises:
        typer.BadParameter: both are named.
    """
    if key is not None and api_key_file is not None:
        raise typer.BadParameter(
            "--key acts as flagger and --api-key-file as platform: choose one", param_hint="--key"
        )


def check_statement_id(text: str | None) -> str | None:
    """Returns a statement id, if there is one."""
    if text is not None and not _ID.fullmatch(text):
        raise typer.BadParameter("a statement id is 64 lower-case hexadecimal digits")
    return text


def _flagger_name(text: str) -> str:
    name = _any_name(text)
    if "/" not in name:
        raise typer.BadParameter("a flagger is named NODE/FLAGGER, such as hotline.example/anna")
    return name


def check_node_name(text: str) -> str:
    """Returns a text that can be the name of a node."""
    name = _any_name(text)
    if "/" in name:
        raise typer.BadParameter("a node is named as a host is, such as hotline.example")
    return name


def _any_name(text: str) -> str:
    if len(text) > _MAX_NAME_CHARS or not _NAME.fullmatch(text):
        raise typer.BadParameter("a name has the characters a-z, 0-9, '-' and '.' only")
    return text


def check_url(text: str | None) -> str | None:
    """Returns an address of a node, without a slash at its end."""
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        # reading the port is what checks it
        proper = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        proper = False
    if not proper or parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise typer.BadParameter("the address of a node is https://HOST, or https://HOST:PORT")
    return text.rstrip("/")


def _folder(text: Path) -> Path:
    if not text.is_dir():
        raise typer.BadParameter("there is no node here: the folder does not exist")
    return text


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Workers = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Pictures to read at the same time; as many as there are processors, 8 at most.",
        min=1,
        max=64,
        show_default=False,
    ),
]
Pictures = Annotated[
    list[Path],
    typer.Argument(
        help="Pictures and films, or folders of them.", metavar="FILES", show_default=False
    ),
]
FrameInterval = Annotated[
    int,
    typer.Option(
        "--interval-ms",
        help="Time from one frame of a film to the next, in milliseconds.",
        metavar="N",
        min=100,
        max=60_000,
    ),
]
StatementId = Annotated[
    str, typer.Argument(help="Id of the statement.", metavar="ID", callback=check_statement_id)
]
NodeUrl = Annotated[
    str | None,
    typer.Option(
        "--node",
        help="Address of the node; without it the one on the card, or with an API key your own at "
        f"{OWN_NODE}.",
        metavar="URL",
        callback=check_url,
    ),
]
OwnNodeUrl = Annotated[
    str,
    typer.Option("--node", help="Address of your node.", metavar="URL", callback=check_url),
]
RequiredUrl = Annotated[
    str, typer.Option("--url", help="Address of the node.", metavar="URL", callback=check_url)
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", help="Act as flagger, with this key file.", metavar="FILE"),
]
ApiKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        help="Act as platform, with the key in this file (else the one in SCHUTZNETZ_API_KEY).",
        metavar="FILE",
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="File that holds the passphrase (else SCHUTZNETZ_PASSPHRASE, else you are asked).",
        metavar="FILE",
    ),
]
NodeFolder = Annotated[
    Path, typer.Argument(help="Folder of the node.", metavar="DIR", callback=_folder)
]
NodeName = Annotated[
    str, typer.Argument(help="Name of the node.", metavar="NAME", callback=check_node_name)
]
NewNodeName = Annotated[
    str,
    typer.Option(
        "--name", help="Name, such as hotline.example.", metavar="NAME", callback=check_node_name
    ),
]
FlaggerName = Annotated[
    str, typer.Argument(help="Name of the flagger.", metavar="NAME", callback=_flagger_name)
]
NewFlaggerName = Annotated[
    str,
    typer.Option(
        "--name",
        help="Your name in the network, such as hotline.example/anna: the node, then yours.",
        metavar="NAME",
        callback=_flagger_name,
    ),
]
Category = Annotated[
    str, typer.Option(help="What it is, such as csam.act.prepub.", metavar="CATEGORY")
]
Reviewers = Annotated[
    int, typer.Option(help="How many people have looked at it.", metavar="N", min=1, max=99)
]
Audience = Annotated[
    list[str],
    typer.Option(
        help="Who may read it: peers, circle:NAME or node:NAME; may be repeated.", metavar="WHO"
    ),
]
