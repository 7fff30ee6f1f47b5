"""A node from nothing: directory, keys, descriptor, database, policy, and a first key for callers.

A setup that is interrupted leaves a directory that does not start; it is deleted and made again.
"""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from federation.descriptors import open_descriptor, pin
from node.policy.file import default_policy
from node.services.clients import SCOPES, Clients
from node.services.keys import create_keys, key_file, open_keys
from node.settings import Settings, load_settings
from node.settings_sources import TOML_NAME
from node.storage.engine import Store
from node.storage.peers import PeerRecord
from protocol.descriptors import NodeDescriptor, NodeKey
from protocol.encoding import format_time, to_base64url
from protocol.errors import ConflictError, SettingsError
from signing.envelopes import new_nonce, sign_statement
from signing.keys import KeyUse, SigningKey
from signing.keystore import INTERACTIVE, Cost, load_key

DESCRIPTOR_FILE = "descriptor.json"
API_KEY_FILE = "platform.key"

_KEY_DAYS = 365
_DESCRIPTOR_DAYS = 731
_SECONDS_PER_DAY = 86_400
_PLATFORM_SCOPES = tuple(scope for scope in SCOPES if scope != "admin")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, repr=False)
class NewNode:
    """What `node init` made, for showing once."""

    name: str
    url: str
    fingerprint: str
    descriptor_file: Path
    api_key: str
    api_key_file: Path


def init_node(
    directory: Path,
    *,
    name: str,
    url: str,
    passphrase: bytes | None,
    clock: Callable[[], float],
    database_url: str | None = None,
    cost: Cost = INTERACTIVE,
    allow_insecure_http: bool = False,
) -> NewNode:
    """Makes a node in a directory that is new or empty.

    Args:
        directory: where it lives from now on.
        name: as in a host name, such as ``hotline.example``; it cannot be changed later.
        url: where other nodes reach it.
        passphrase: opens the key files; None makes a random one, kept in ``secrets/passphrase``.
        clock: Unix time in seconds.
        database_url: an empty database on PostgreSQL, kept in ``secrets/database_url``; None makes
            one on SQLite in the directory.
        cost: of opening the key files.
        allow_insecure_http: kept as a setting: `url` may be ``http`` on other machines too, in a
            closed test network.

    Raises:
        ConflictError: there is something in the directory, or in the database, already.
        SettingsError: the name, the URL or the passphrase is not allowed, or the directory cannot
            be made. Nothing is left behind.
    """
    text = _settings_text(name, url, allow_insecure_http=allow_insecure_http)
    _check(text, passphrase, database_url)
    _prepare(directory)
    if database_url is not None:
        _write_secret(directory / "secrets" / "database_url", database_url.encode())
    if passphrase is None:
        passphrase = secrets.token_urlsafe(32).encode()
        _write_secret(directory / "secrets" / "passphrase", passphrase)
    _write(directory / TOML_NAME, text)
    _write(directory / "policy.toml", default_policy())
    # A variable of another node in the environment must not decide what this one becomes.
    settings = load_settings(directory, {"SCHUTZNETZ_PASSPHRASE": passphrase.decode()})
    create_keys(directory, passphrase, cost=cost)
    keys = open_keys(directory, passphrase)
    root = load_key(key_file(directory, KeyUse.ROOT), passphrase, use=KeyUse.ROOT)
    now = int(clock())
    envelope = _descriptor(
        name, url, root, (keys.request, keys.log, keys.witness, keys.statement), now
    )
    _write(directory / DESCRIPTOR_FILE, envelope.decode())
    descriptor, statement_id = open_descriptor(envelope, now=now)
    node = pin(descriptor, statement_id, authority=True)
    store = Store(settings.database_url.get_secret_value())
    try:
        store.migrate()
        _client, api_key = Clients(store, clock=clock).create("platform", _PLATFORM_SCOPES)
        _write_secret(directory / API_KEY_FILE, api_key.encode())
        # Last: without its own descriptor in the database no node starts.
        with store.write() as transaction:
            transaction.peers.put(
                PeerRecord(
                    name=name,
                    descriptor=envelope,
                    descriptor_id=statement_id,
                    fingerprint=node.fingerprint,
                    request_keyid=node.request_key.kid,
                    authority=True,
                    state="active",
                    added=now,
                )
            )
    finally:
        store.close()
    return NewNode(
        name, url, node.fingerprint, directory / DESCRIPTOR_FILE, api_key, directory / API_KEY_FILE
    )


def _check(text: str, passphrase: bytes | None, database_url: str | None) -> None:
    """Reads the settings as the node will, in a place of their own, before anything is made."""
    try:
        given = {} if passphrase is None else {"SCHUTZNETZ_PASSPHRASE": passphrase.decode()}
        if database_url is not None:
            given["SCHUTZNETZ_DATABASE_URL"] = database_url
    except UnicodeDecodeError:
        raise SettingsError("The passphrase is not UTF-8 text.") from None
    with TemporaryDirectory() as scratch:
        _write(Path(scratch) / TOML_NAME, text)
        settings = load_settings(Path(scratch), given)
        if database_url is not None:
            _check_empty(settings)


def _check_empty(settings: Settings) -> None:
    store = Store(settings.database_url.get_secret_value())
    try:
        store.migrate()
        with store.read() as transaction:
            if transaction.peers.all():
                raise ConflictError("A node lives in that database already: give an empty one.")
    finally:
        store.close()


def _prepare(directory: Path) -> None:
    try:
        if directory.exists() and any(directory.iterdir()):
            raise ConflictError(
                "There is something in that directory already: choose a new or an empty one."
            )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        (directory / "secrets").mkdir(mode=0o700)
        (directory / "keys").mkdir(mode=0o700)
    except OSError as error:
        raise SettingsError(f"The directory cannot be made: {error.strerror}.") from None


def _descriptor(
    name: str, url: str, root: SigningKey, keys: tuple[SigningKey, ...], now: int
) -> bytes:
    until = format_time(now + _KEY_DAYS * _SECONDS_PER_DAY)
    return sign_statement(
        NodeDescriptor(
            issuer=name,
            nonce=new_nonce(),
            issued=format_time(now),
            audience=("peers",),
            version=1,
            url=url,
            root=to_base64url(root.public.raw),
            keys=tuple(
                NodeKey(
                    use=key.use.value,  # type: ignore[arg-type]  # OPERATIONAL has just these uses
                    key=to_base64url(key.public.raw),
                    not_before=format_time(now),
                    not_after=until,
                )
                for key in keys
            ),
            log_origin=f"{name}/log/1",
            expires=format_time(now + _DESCRIPTOR_DAYS * _SECONDS_PER_DAY),
        ),
        root,
    )


def _settings_text(name: str, url: str, *, allow_insecure_http: bool) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingsError("url: has to be scheme, host and port, with nothing behind") from None
    lines = [
        "# Settings of this node: docs/settings.md has them all. An unknown key stops the start.",
        f"name = {json.dumps(name)}",
        f"url = {json.dumps(url)}",
    ]
    if parts.hostname in _LOOPBACK and port:
        lines.append(f"port = {port}")
    if allow_insecure_http:
        lines.append("allow_insecure_http = true")
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _write_secret(path: Path, secret: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret + b"\n")
        file.flush()
        os.fsync(file.fileno())
