"""The three places that settings are read from, before anything is known about their meaning.

Each reader refuses a name that it does not know: pydantic-settings passes over mistyped
environment variables and secret files in silence, and does not say where a wrong value came from.
No message repeats a value, because any of them may be a secret.
"""

import difflib
import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from protocol.errors import SettingsError

PREFIX: Final = "SCHUTZNETZ_"
"""Every environment variable that begins like this has to be a known one."""

TOML_NAME: Final = "schutznetz.toml"
"""The settings file in a node's directory."""

SECRETS_NAME: Final = "secrets"
"""The directory of secret files in a node's directory."""

SECRETS_VARIABLE: Final = PREFIX + "SECRETS_DIR"

OTHER_VARIABLES: Final[Mapping[str, str]] = {
    SECRETS_VARIABLE: "Directory of the secret files, in place of `secrets/`.",
}
"""Environment variables with the prefix that are no settings of a node."""

MAX_FILE_BYTES: Final = 64 << 10
"""Greatest size of the settings file and of a secret file."""

_TOML_WORDS: Final[Mapping[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}


class Said(NamedTuple):
    """A value, and where it was said."""

    value: Any
    origin: str

    def __repr__(self) -> str:
        """Returns the origin only: the value may be a secret."""
        return f"Said({self.origin})"


def from_environment(environ: Mapping[str, str], names: Collection[str]) -> dict[str, Said]:
    """Returns what the environment says.

    Raises:
        SettingsError: a variable with the prefix is not known.
    """
    known = {PREFIX + name.upper(): name for name in names}
    said: dict[str, Said] = {}
    for variable, value in environ.items():
        if not variable.upper().startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        if variable not in known:
            near = _nearest(variable.upper(), [*known, *OTHER_VARIABLES])
            raise SettingsError(f"unknown environment variable {variable}{near}")
        said[known[variable]] = Said(value, variable)
    return said


def from_secrets(
    usual: Path, environ: Mapping[str, str], names: Collection[str]
) -> dict[str, Said]:
    """Returns what the secret files say: each is named like its setting and holds its value.

    Args:
        usual: the directory, which need not exist, unless the environment names another.
        environ: the environment.
        names: the known names.

    Raises:
        SettingsError: a file is not known or cannot be read, or the directory that the
            environment names does not exist.
    """
    named = environ.get(SECRETS_VARIABLE)
    secrets = usual if named is None else usual.parent / named
    if not secrets.is_dir():
        if named is None:
            return {}
        raise SettingsError(f"{SECRETS_VARIABLE}: there is no such directory")
    said: dict[str, Said] = {}
    for path in sorted(secrets.iterdir()):
        # Kubernetes keeps its own "..data" beside the files of a mounted secret
        if path.name.startswith("."):
            continue
        if path.name not in names:
            raise SettingsError(f"unknown secret file {path.name}{_nearest(path.name, names)}")
        origin = f"secret file {path.name}"
        said[path.name] = Said(read_text(path, origin).rstrip("\r\n"), origin)
    return said


def from_toml(path: Path, types: Mapping[str, type]) -> dict[str, Said]:
    """Returns what the settings file says; nothing if there is none.

    Args:
        path: the file.
        types: the type that each known setting has in TOML.

    Raises:
        SettingsError: the file cannot be read, a name is not known, or a value is of another type.
    """
    if not path.exists():
        return {}
    try:
        values = tomllib.loads(read_text(path, TOML_NAME))
    except RecursionError:
        raise SettingsError(f"{TOML_NAME}: nested too deeply") from None
    except ValueError as error:
        raise SettingsError(f"{TOML_NAME}: not valid TOML: {error}") from None
    for name, value in values.items():
        if name not in types:
            raise SettingsError(f"{TOML_NAME}: unknown setting {name}{_nearest(name, types)}")
        if name == "passphrase":
            raise SettingsError(f"{TOML_NAME}: passphrase belongs in a secret file, not here")
        # Only where nothing but text can be written is text read as a number. And a bool is an
        # int in Python, but no number of anything.
        fitting = {types[name], int} if types[name] is float else {types[name]}
        if type(value) not in fitting:
            raise SettingsError(f"{TOML_NAME}: {name} has to be {_TOML_WORDS[types[name]]}")
    return {name: Said(value, f"{TOML_NAME}: {name}") for name, value in values.items()}


def read_text(path: Path, what: str) -> str:
    """Returns the text of a small file.

    Args:
        path: the file.
        what: how an error calls it.

    Raises:
        SettingsError: the file cannot be read, is too large, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{what}: {os.strerror(error.errno or 0)}") from None
    if len(data) > MAX_FILE_BYTES:
        raise SettingsError(f"{what}: larger than {MAX_FILE_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SettingsError(f"{what}: not UTF-8 text") from None


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else ""
