"""The fields of the settings, by what they are about: the node itself, media, other nodes.

What is checked of them together, and where their values come from, stands in `node.settings`.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic.config import JsonDict
from pydantic_settings import BaseSettings, SettingsConfigDict

from protocol.limits import BURST_PER_MINUTE, MAX_PEER_REQUEST_BYTES, MAX_URL_CHARS


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


class OwnSettings(BaseSettings):
    """The node itself: its name, where it listens, its files, how it runs.

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
    witness_policy_file: Path = _setting(
        Path("witness-policy.txt"),
        "Which witnesses have to cosign this node's log (C2SP tlog-policy; docs/operating.md). "
        "Read at start. Where there is no such file, nobody is asked.",
        shown="`witness-policy.txt` in the node's directory",
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
    processes: int = _setting(
        1, "Processes that answer requests, over one database.", unit="processes", ge=1, le=64
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


class MediaSettings(BaseSettings):
    """Uploads, films, streams and past uploads."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
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
    newcomer_days: int = _setting(
        14,
        "How long what a node says waits that has joined with an invite, unless members vote.",
        unit="days",
        ge=0,
        le=365,
    )
    webhook_timeout_s: float = _setting(
        10.0, "Longest time for one attempt to call a webhook.", unit="seconds", ge=0.1, le=60
    )
    webhook_private_hosts: bool = _setting(
        False,
        "Lets webhooks lead to this machine, then also by `http`, and to private networks. Whoever "
        "has a key with the scope `uploads` can then have this node call what stands there.",
    )


class NetworkSettings(BaseSettings):
    """Peers, and the circles in which fingerprints are made."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    poll_interval_s: float = _setting(
        60.0,
        "Time between two looks at every peer's log. Pokes make it faster, this makes it certain.",
        unit="seconds",
        ge=0.1,
        le=86_400,
    )
    require_witnessed: bool = _setting(
        False,
        "Takes over of a peer's log only what enough of the witnesses in `witness_policy_file` "
        "have cosigned. Peers then have to be asking those witnesses.",
    )
    peer_timeout_s: float = _setting(
        10.0, "Longest wait for an answer of a peer.", unit="seconds", ge=0.1, le=300
    )
    peer_private_networks: str = _setting(
        "",
        "Private networks in which peers and witnesses may be called, such as "
        "`10.20.0.0/16 fd00:20::/32`. Without it an address of a peer that leads into one, or to "
        "this machine, is refused. This machine is allowed where `url` is on it, and everything "
        "with `allow_insecure_http`.",
        max_length=1_024,
    )
    peer_requests_per_minute: int = _setting(
        6_000,
        "Requests that one peer or flagger may make in a minute, at all processes together. Beyond "
        "it the answer is 429, and says when to come back.",
        unit="requests",
        ge=60,
        le=1_000_000,
    )
    remedy_says: Literal["acted", "settled", "nothing"] = _setting(
        "settled",
        "What the issuer of a statement that was taken back learns of this node. `acted`: whether "
        "it was acted on here, and when all was restored. `settled`: when nothing is left to "
        "restore. `nothing`: nothing. Of an account-ban never more than `settled`.",
    )
    remedy_due_days: int = _setting(
        7,
        "A peer that has not answered so long after a statement of this node was taken back, or "
        "erased, is shown as late.",
        unit="days",
        ge=1,
        le=365,
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
