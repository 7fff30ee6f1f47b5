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
from typing import Any, Final, Literal, Self

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

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
from protocol.limits import BURST_PER_MINUTE, MAX_PEER_REQUEST_BYTES, MAX_URL_CHARS

_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = "postgresql+psycopg://"


def _setting(
    default: Any, description: str, *, unit: str = "", shown: str = "", **constraints: Any
) -> Any:
    """Returns a field with what the table says about it.

    Args:
        default: the value when nothing is said; ``...`` if something has to be.
        description: one or two sentences for the operator.
        unit: of the value.
        shown: what the table shows as default where the value itself says little.
        constraints: as pydantic's `Field` takes them.
    """
    extra: JsonDict = {"unit": unit, "shown": shown}
    return Field(default, description=description, json_schema_extra=extra, **constraints)


class Settings(BaseSettings):
    """Everything a node is told at start; frozen, and complete once it exists.

    Built by `load_settings`; a test may build it directly, and then nothing is read from anywhere.

    Attributes:
        directory: the node's directory, absolute. Every relative path is seen from here.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    directory: Path
    name: str = _setting(
        ...,
        "Name of the node in the network, lower-case labels as in a host name, such as "
        "`hotline.example`. It cannot be changed later.",
    )
    url: str = _setting(
        ...,
        "Address under which other nodes reach this one: scheme, host and port. `https`, or `http` "
        "on this machine.",
        max_length=MAX_URL_CHARS,
    )
    allow_insecure_http: bool = _setting(
        False,
        "Lets `url` be `http` on other machines too. For a closed test network only: look-ups and "
        "statements then cross it in clear.",
    )
    host: str = _setting(
        "127.0.0.1",
        "Address the node listens on. It speaks plain HTTP: what comes from other machines belongs "
        "behind a proxy that speaks TLS.",
        min_length=1,
        max_length=253,
    )
    port: int = _setting(8440, "Port the node listens on.", ge=1, le=65535)
    allow_remote_admin: bool = _setting(
        False,
        "Lets `/v1/admin` answer callers on other machines. Behind a proxy on this machine every "
        "caller looks local: there the proxy has to refuse that path.",
    )
    database_url: SecretStr = _setting(
        ...,
        "The database: `sqlite:////absolute/path` or `postgresql+psycopg://…`. With a password in "
        "it, it belongs in a secret file.",
        shown="`node.db` in the node's directory",
    )
    passphrase: SecretStr | None = _setting(
        None,
        "Opens the node's key files. Refused in `schutznetz.toml`: it belongs in a secret file.",
        min_length=1,
    )
    passphrase_file: Path | None = _setting(
        None, "File that holds the passphrase, in place of `passphrase`."
    )
    policy_file: Path = _setting(
        Path("policy.toml"),
        "The policy (docs/policy.md).",
        shown="`policy.toml` in the node's directory",
    )
    default_region: str | None = _setting(
        None,
        "Country (ISO 3166-1, such as `DE`) that a phone number without country code belongs to. "
        "Without it such numbers are refused.",
        pattern=r"^[A-Z]{2}$",
    )
    username_scope: str = _setting(
        ...,
        "Domain name of the platform whose user names are checked here, as in its web address: the "
        "same user name elsewhere is another person.",
        shown="the node's `name`",
    )
    max_body_bytes: int = _setting(
        MAX_PEER_REQUEST_BYTES,
        "Largest request that is no file. Other nodes may send as much as the default, so it "
        "cannot be less.",
        unit="bytes",
        ge=MAX_PEER_REQUEST_BYTES,
        le=64 << 20,
    )
    max_upload_bytes: int = _setting(
        32 << 20, "Largest file to hash.", unit="bytes", ge=1 << 10, le=1 << 30
    )
    max_pixels: int = _setting(
        64_000_000,
        "Largest picture to decode, width times height. The memory of a hash worker grows with it.",
        unit="pixels",
        ge=1 << 16,
        le=1_000_000_000,
    )
    processes: int = _setting(
        1, "Processes that answer requests, over one database.", unit="processes", ge=1, le=64
    )
    hash_workers: int = _setting(
        2, "Processes that hash files; `processes` share them.", unit="processes", ge=1, le=64
    )
    lookup_draft: bool = _setting(
        False,
        "Whether large JPEG files that are only looked up are decoded in a smaller size: two "
        "fifths of the time, for up to 12 of the 31 bits within which pictures match.",
    )
    hash_timeout_s: float = _setting(
        10.0, "Longest time for one file.", unit="seconds", ge=0.1, le=600
    )
    film_interval_ms: int = _setting(
        1_000,
        "Time from one frame of an uploaded film that is looked at to the next.",
        unit="milliseconds",
        ge=100,
        le=60_000,
    )
    film_timeout_s: float = _setting(
        60.0, "Longest time for one film.", unit="seconds", ge=0.1, le=3_600
    )
    stream_window_s: float = _setting(
        30.0,
        "How far back the frames of a stream count together; the policy says how many it wants.",
        unit="seconds",
        ge=1,
        le=3_600,
    )
    stream_idle_s: int = _setting(
        60,
        "A stream that has sent no frame for so long is over.",
        unit="seconds",
        ge=5,
        le=86_400,
    )
    max_streams: int = _setting(
        2_000, "Streams that are watched at the same time.", unit="streams", ge=1, le=100_000
    )
    max_streams_per_client: int = _setting(
        1_000, "The same for one client.", unit="streams", ge=1, le=100_000
    )
    uploads_kept_days: int = _setting(
        90,
        "Longest time for which uploads that a platform registers, and matches of them, are kept.",
        unit="days",
        ge=1,
        le=3_650,
    )
    webhook_timeout_s: float = _setting(
        10.0, "Longest time for one attempt to call a webhook.", unit="seconds", ge=0.1, le=60
    )
    webhook_private_hosts: bool = _setting(
        False,
        "Lets webhooks lead to this machine, then also by `http`, and to private networks. Whoever "
        "has a key with the scope `uploads` can then have this node call what stands there.",
    )
    poll_interval_s: float = _setting(
        60.0,
        "Time between two looks at every peer's log. Pokes make it faster, this makes it certain.",
        unit="seconds",
        ge=0.1,
        le=86_400,
    )
    peer_timeout_s: float = _setting(
        10.0, "Longest wait for an answer of a peer.", unit="seconds", ge=0.1, le=300
    )
    oprf_budget_per_day: int = _setting(
        5_000,
        "Identifiers that one member organisation may have evaluated here in a day. This number "
        "is what keeps a member from guessing its way through all phone numbers.",
        unit="evaluations",
        ge=0,
        le=100_000,
    )
    oprf_burst_per_minute: int = _setting(
        BURST_PER_MINUTE,
        "How many of these in any one minute. A batch of a check counts 1, 8 or 64.",
        unit="evaluations",
        ge=1,
        le=100_000,
    )
    stretches_at_once: int = _setting(
        2,
        "Identifiers that are stretched at one time (docs/protocol.md section 8.14). Each takes a "
        "core, and the memory that the circle's epoch asks for, mostly 19 to 64 MiB.",
        unit="identifiers",
        ge=1,
        le=64,
    )
    account_check_deadline_s: float = _setting(
        3.0,
        "Longest time for asking circles about one sign-up. After it, the check is `unavailable`.",
        unit="seconds",
        ge=0.1,
        le=60,
    )
    check_fail_mode: Literal["closed", "open"] = _setting(
        "closed",
        "What becomes of an upload or a sign-up that could not be checked. `closed`: the answer is "
        "a refusal, and the platform keeps it back. `open`: the refusal about an upload says to "
        "let it pass, a sign-up is answered with `none` and `unavailable`, and both are checked "
        "later.",
    )
    expire_interval_s: float = _setting(
        300.0,
        "Time between two runs of the job that deletes what has expired or was erased.",
        unit="seconds",
        ge=0.1,
        le=86_400,
    )
    metrics_enabled: bool = _setting(
        False, "Whether `/metrics` answers. It shows counts and times, never a value."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "Least important lines that are logged."
    )

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
        filled = {"database_url": _SQLITE + path, "policy_file": Path("policy.toml")}
        if "name" in values:
            filled["username_scope"] = values["name"]
        filled |= values
        filled["directory"] = directory
        return filled

    @field_validator("policy_file", "passphrase_file")
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
