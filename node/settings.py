"""The settings of one node: what it is told at start, from four places in a fixed order.

The environment (``SCHUTZNETZ_PORT``) counts before secret files (``secrets/port``), these before
``schutznetz.toml`` in the node's directory, and that before the defaults. A name that is not known
stops the start in each of the three: a mistyped limit must not silently be no limit.

The table in docs/settings.md is what `node.settings_table` makes of them. The policy is no setting:
it has its own file (`node.policy`).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import (
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from federation.reach import LOOPBACK, Reach, parse_networks
from node.settings_fields import MediaSettings, NetworkSettings, OwnSettings
from node.settings_forms import check_form, is_loopback
from node.settings_sources import (
    PREFIX,
    SECRETS_NAME,
    TOML_NAME,
    Said,
    from_environment,
    from_secrets,
    from_toml,
    read_text,
)
from protocol.errors import SettingsError
from protocol.fields import NodeName, Url

_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = "postgresql+psycopg://"


class Settings(NetworkSettings, MediaSettings, OwnSettings):
    """Everything a node is told at start; frozen, and complete once it exists.

    Built by `load_settings`; a test may build it directly, and then nothing is read from anywhere.
    """

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # likewise
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # likewise
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leaves reading to `load_settings`.

        pydantic-settings passes over environment variables and secret files that it does not
        know, and does not say from where a wrong value came.
        """
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fills in what follows from the directory and the name."""
        directory = Path(values["directory"]).absolute()
        # SQLAlchemy reads these two characters of a database's path as URL syntax
        path = str(directory / "node.db").replace("%", "%25").replace("?", "%3F")
        filled = {
            "database_url": _SQLITE + path,
            "policy_file": Path("policy.toml"),
            "witness_policy_file": Path("witness-policy.txt"),
        }
        if "name" in values:
            filled["username_scope"] = values["name"]
        filled |= values
        filled["directory"] = directory
        return filled

    @field_validator("policy_file", "witness_policy_file", "passphrase_file")
    @classmethod
    def _see_from_directory(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return None if value is None else Path(info.data["directory"]) / value

    @field_validator("name", "username_scope")
    @classmethod
    def _check_name(cls, value: str) -> str:
        return check_form(value, NodeName, "has to be labels of a-z, 0-9 and -, joined by dots")

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        return check_form(value, Url, "has to be scheme, host and port, with nothing behind")

    @field_validator("peer_private_networks")
    @classmethod
    def _check_networks(cls, value: str) -> str:
        try:
            parse_networks(value)
        except ValueError:
            raise ValueError("has to be networks such as 10.20.0.0/16, divided by blanks") from None
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if not url.startswith((_SQLITE + "/", _POSTGRES)):
            raise ValueError(f"has to begin with {_SQLITE}/ (an absolute path) or {_POSTGRES}")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Checks what more than one setting has a say in."""
        secure = self.url.startswith("https:") or self.allow_insecure_http
        if not secure and not is_loopback(self.url):
            raise ValueError(
                "url has to be https, or http on this machine; "
                "allow_insecure_http lifts this for a closed test network"
            )
        if self.passphrase is not None and self.passphrase_file is not None:
            raise ValueError("passphrase and passphrase_file are both set; which one counts?")
        return self

    @property
    def peer_reach(self) -> Reach:
        """Where peers and witnesses may be called."""
        own = LOOPBACK if is_loopback(self.url) else ()
        return Reach(
            (*parse_networks(self.peer_private_networks), *own),
            everything=self.allow_insecure_http,
        )

    def read_passphrase(self) -> SecretStr | None:
        """Returns the passphrase of the key files, from wherever it is; None if none is set.

        Raises:
            SettingsError: `passphrase_file` cannot be read, or is empty.
        """
        if self.passphrase_file is None:
            return self.passphrase
        text = read_text(self.passphrase_file, "passphrase_file").rstrip("\r\n")
        if not text:
            raise SettingsError("passphrase_file: the file is empty")
        return SecretStr(text)


SETTING_NAMES: Final = tuple(name for name in Settings.model_fields if name != "directory")
"""Every name that may be set, in the order of the table."""


def load_settings(directory: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Returns the settings of the node that lives in a directory.

    Args:
        directory: the node's directory.
        environ: the environment.

    Raises:
        SettingsError: the directory is not there, a name is not known, a value is missing or not
            allowed. One sentence that says where; it never repeats a value.
    """
    if not directory.is_dir():
        raise SettingsError("there is no node here: the directory does not exist")
    directory = directory.absolute()
    said = {
        **from_toml(directory / TOML_NAME, _toml_types()),
        **from_secrets(directory / SECRETS_NAME, environ, SETTING_NAMES),
        **from_environment(environ, SETTING_NAMES),
    }
    try:
        return Settings(directory=directory, **{name: one.value for name, one in said.items()})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise SettingsError(_sentence(first, said)) from None


def _toml_types() -> dict[str, type]:
    """Returns the type that each setting has in TOML: a number, true or false, else a text."""
    plain: Mapping[Any, type] = {bool: bool, int: int, float: float}
    return {name: plain.get(Settings.model_fields[name].annotation, str) for name in SETTING_NAMES}


def _sentence(error: ErrorDetails, said: Mapping[str, Said]) -> str:
    """Returns one sentence about the first thing that is wrong, without the value."""
    name = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "missing":
        return f"the setting {name} is missing: set it in {TOML_NAME} or as {PREFIX}{name.upper()}"
    sentence = error["msg"].removeprefix("Value error, ")
    return f"{said[name].origin}: {sentence}" if name in said else sentence
