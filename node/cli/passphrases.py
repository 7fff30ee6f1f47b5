"""Passphrases and API keys, from a file, the environment or a person; never from an argument.

An argument would stand in the shell's history and in the list of processes.
"""

import os
import re
from pathlib import Path
from typing import Final

import typer

from node.cli.output import is_at_terminal
from protocol.errors import InvalidError

PASSPHRASE_VARIABLE: Final = "SCHUTZNETZ_PASSPHRASE"  # noqa: S105  # names it, is none
"""Holds the passphrase of a flagger's key, or of a node's keys."""

API_KEY_VARIABLE: Final = "SCHUTZNETZ_API_KEY"
"""Holds the key with which a platform calls its own node."""

_API_KEY: Final = re.compile(r"snk_[A-Za-z0-9_-]{43}")


def read_passphrase(file: Path | None, *, new: bool = False) -> bytes:
    """Returns the passphrase of a key file.

    Args:
        file: named by the user; counts before the environment, and that before asking.
        new: it is being chosen, so that it is asked for twice.

    Raises:
        KeystoreError: there is none, or it cannot be used.
    """
    from signing import keystore

    def ask() -> str:
        # The question goes to standard error: what is on the other may be read by a program.
        text = "Choose a passphrase for the key" if new else "Passphrase of the key"
        answer = typer.prompt(text, hide_input=True, confirmation_prompt=new, err=True)
        return str(answer)

    return keystore.read_passphrase(
        file=file, env=PASSPHRASE_VARIABLE, prompt=ask if is_at_terminal() else None
    )


def node_environment() -> dict[str, str]:
    """Returns the environment as a node reads it, without what is said to the command alone.

    A node refuses to start with a variable of its prefix that it does not know.
    """
    return {name: value for name, value in os.environ.items() if name != API_KEY_VARIABLE}


def read_secret(file: Path) -> str:
    """Returns the one line of text in a file that nobody but its owner may read.

    Raises:
        KeystoreError: the file cannot be read, or others may read it too.
    """
    from signing import keystore

    return keystore.read_passphrase(file=file, env=None, prompt=None).decode("utf-8", "replace")


def read_api_key(file: Path | None) -> str:
    """Returns the key with which a platform calls its own node.

    Raises:
        typer.BadParameter: nobody said where it is.
        KeystoreError: the file cannot be read, or others may read it too.
        InvalidError: what is there is no API key.
    """
    from signing import keystore

    if file is None and API_KEY_VARIABLE not in os.environ:
        raise typer.BadParameter(
            f"name who you are: --key FILE for a flagger, or for a platform --api-key-file FILE "
            f"or the variable {API_KEY_VARIABLE}",
            param_hint="--api-key-file",
        )
    data = keystore.read_passphrase(file=file, env=API_KEY_VARIABLE, prompt=None)
    text = data.decode("ascii", "replace").strip()
    if not _API_KEY.fullmatch(text):
        place = str(file) if file is not None else API_KEY_VARIABLE
        raise InvalidError(f"{place}: this is not an API key; one begins with snk_")
    return text
