"""Real nodes for the tests of the whole: made, introduced, started as processes, killed, searched.

A `Node` is a directory and the process that serves it. Tests speak to it over HTTP as platforms,
flaggers and peers do, and look into its database beside the running process, as an operator could.
Every wait has a deadline (`wait_for`), and every refusal that a node gave is kept in `REFUSALS`.
"""

import asyncio
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx

from federation.client import PeerClient, connect
from federation.descriptors import PinnedNode, open_descriptor, pin
from node.app import Services, open_services
from node.demo.cast import CHEAP, HOTLINE
from node.demo.ports import free_port
from node.services.clients import Clients
from node.services.keys import key_file
from node.setup import NewNode, init_node
from node.storage.engine import Store
from protocol.encoding import format_time
from protocol.statements import Basis, MediaFlag, MediaItem, Statement
from signing.envelopes import new_nonce, sign_statement
from signing.keys import KeyUse, SigningKey
from signing.keystore import load_key
from waiting import WITHIN_S, wait_for

T = TypeVar("T")

ANNA = f"{HOTLINE}/anna"
CIRCLE = "hotline.example/minors-1"
LOOPBACK = "127.0.0.1"
DAY_S = 86_400
TOLD_WITHIN_S = WITHIN_S
"""Deadline for what takes a fraction of a second on an idle machine; as every other wait has."""

REFUSALS: list[bytes] = []
"""Bodies of every refusal that any node gave in this test process."""

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates takes longer than a call
_PATIENT = {
    "SCHUTZNETZ_HASH_WORKERS": "1",
    "SCHUTZNETZ_PEER_TIMEOUT_S": "60",
    "SCHUTZNETZ_ACCOUNT_CHECK_DEADLINE_S": "60",
    "SCHUTZNETZ_HASH_TIMEOUT_S": "60",
}
"""What a test does not set otherwise: on a busy machine a node gives nobody up too early."""

_PROGRAM = "from node.cli.main import run; run()"


@dataclass
class Node:
    """One node: where it lives, where it answers, and its process while it runs.

    Attributes:
        made: what `node init` made.
        port: where the process listens.
        environ: settings of the process, by variable.
        database_url: of its database.
        log_name: of the file that holds everything the process wrote.
        address: where the process listens.
        prefix: what the process is started with, such as a namespace.
    """

    made: NewNode
    directory: Path
    port: int
    database_url: str
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    log_name: str = "log.jsonl"
    address: str = LOOPBACK
    prefix: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.made.name

    @property
    def local(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def log(self) -> Path:
        return self.directory / self.log_name

    @property
    def pinned(self) -> PinnedNode:
        data = self.made.descriptor_file.read_bytes()
        return pin(*open_descriptor(data, now=int(time.time())), authority=False)

    def key(self, use: KeyUse) -> SigningKey:
        passphrase = (self.directory / "secrets" / "passphrase").read_bytes().strip()
        return load_key(key_file(self.directory, use), passphrase, use=use)

    def start(self) -> None:
        """Begins to serve; `wait_until_ready` says when it does."""
        environ = {one: value for one, value in os.environ.items() if "SCHUTZNETZ" not in one}
        environ |= _PATIENT | {"SCHUTZNETZ_PORT": str(self.port)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *self.prefix,
                    sys.executable,
                    "-c",
                    _PROGRAM,
                    "node",
                    "serve",
                    str(self.directory),
                ],
                env=environ | self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-2_000:]
            try:
                found = httpx.get(f"{self.local}/readyz", trust_env=False, verify=_NO_TLS)
            except httpx.TransportError:
                return False
            return found.is_success

        wait_for(is_ready, f"{self.name} answers")

    def stop(self) -> None:
        """Ends it as an operator does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def kill(self) -> None:
        """Ends it as a failure of power does, but for what the kernel holds."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def call(
        self, method: str, path: str, *, token: str | None = None, **arguments: Any
    ) -> httpx.Response:
        """Calls it as the platform's own program does; returns whatever it answers."""
        answer = httpx.request(
            method,
            self.local + path,
            headers={
                "Authorization": f"Bearer {token or self.made.api_key}",
                **arguments.pop("headers", {}),
            },
            timeout=WITHIN_S,
            trust_env=False,
            verify=_NO_TLS,
            **arguments,
        )
        if answer.is_error:
            REFUSALS.append(answer.content)
        return answer

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """As `call`, for what must succeed; returns the JSON."""
        answer = self.call(method, path, **arguments)
        assert answer.is_success, f"{self.name} {path}: {answer.status_code} {answer.text}"
        return cast("Any", answer.json()) if answer.content else None

    def administer(self, method: str, path: str, **arguments: Any) -> Any:
        """As `ask`, with the operator's key."""
        key = self.directory / "operator-key"
        return self.ask(method, path, token=key.read_text(), **arguments)

    def talk(self, speak: Callable[[PeerClient], Awaitable[T]], key: SigningKey) -> T:
        """Has one signed conversation with it, at its public address."""

        async def run() -> T:
            async with connect() as http:
                return await speak(
                    PeerClient(
                        http,
                        url=self.made.url,
                        key=key,
                        clock=time.time,
                        deadline_s=WITHIN_S,
                        allow_insecure_http=True,
                    )
                )

        return asyncio.run(run())

    def submit(self, statement: Statement, key: SigningKey) -> str:
        """Signs a statement and hands it over; returns its id."""
        envelope = sign_statement(statement, key)
        return self.talk(lambda client: client.submit(envelope), key).id

    def state(self, statement: str) -> str | None:
        """What became of a statement here; None while it is not known."""
        answer = self.call("GET", f"/v1/statements/{statement}")
        return str(answer.json()["state"]) if answer.is_success else None

    def acknowledged_by(self, statement: str) -> set[str]:
        """Names of the peers that have said that they took a statement over."""
        status = self.ask("GET", f"/v1/statements/{statement}")
        return {one["node"] for one in status["peers"] if one["state"] == "acknowledged"}

    def decision(self, **hashes: Any) -> str:
        """What it decides about one upload to a public place."""
        return str(self.match(**hashes)["decision"])

    def match(self, **hashes: Any) -> Any:
        asked = {"surface": "public", "items": [hashes]}
        return self.ask("POST", "/v1/media/match", json=asked)["results"][0]

    def pin(self, other: "Node", *, authority: bool = False) -> None:
        self.pin_descriptor(
            other.made.descriptor_file.read_bytes(), other.made.fingerprint, authority=authority
        )

    def pin_descriptor(
        self, descriptor: bytes, fingerprint: str, *, authority: bool = False
    ) -> None:
        asked = {
            "descriptor": descriptor.decode(),
            "fingerprint": fingerprint,
            "authority": authority,
        }
        self.administer("POST", "/v1/admin/peers", json=asked)

    def peer(self, name: str) -> Any:
        """How it stands with one peer."""
        found = self.administer("GET", "/v1/admin/peers")["peers"]
        return next(one for one in found if one["name"] == name)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Its database, beside the process."""
        store = Store(self.database_url)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def services(self) -> Iterator[Services]:
        """Its services in this process, as the operator's command has them."""
        with open_services(self.directory, environ=_PATIENT) as services:
            yield services

    def files_hold(self, part: bytes) -> bool:
        """Whether these bytes stand anywhere in the database's files."""
        return any(part in path.read_bytes() for path in self.directory.glob("node.db*"))


def make_node(
    directory: Path,
    name: str,
    *,
    port: int | None = None,
    url: str | None = None,
    database_url: str | None = None,
    settings: Mapping[str, object] | None = None,
    clock: Callable[[], float] = time.time,
    address: str = LOOPBACK,
    prefix: tuple[str, ...] = (),
) -> Node:
    """Makes a node that is not started.

    Args:
        directory: new.
        name: of the node.
        port: where it is to listen.
        url: under which others reach it, where something stands between.
        database_url: an empty PostgreSQL database with the schema; else SQLite in the directory.
        settings: that differ from the defaults.
        clock: Unix time in seconds.
        address: where it is to listen; anything but loopback belongs to a network of the test.
        prefix: what its process is started with.
    """
    port = port or free_port()
    url = url or f"http://{address}:{port}"
    made = init_node(
        directory,
        name=name,
        url=url,
        passphrase=None,
        clock=clock,
        database_url=database_url,
        cost=CHEAP,
        allow_insecure_http=address != LOOPBACK,
    )
    environ = {f"SCHUTZNETZ_{one.upper()}": str(value) for one, value in (settings or {}).items()}
    database_url = database_url or f"sqlite:///{directory}/node.db"
    store = Store(database_url)
    _client, token = Clients(store, clock=clock).create("operator", ["admin"])
    store.close()
    (directory / "operator-key").write_text(token)
    if address != LOOPBACK:
        environ |= {"SCHUTZNETZ_HOST": address, "SCHUTZNETZ_ALLOW_REMOTE_ADMIN": "true"}
    return Node(made, directory, port, database_url, environ, address=address, prefix=prefix)


@contextmanager
def serving(*nodes: Node) -> Iterator[None]:
    """Starts nodes, and ends those that still run when the block ends."""
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_until_ready()
        yield
    finally:
        for node in nodes:
            if node.process is not None:
                node.process.send_signal(signal.SIGTERM)
        for node in nodes:
            node.stop()


def introduce(*nodes: Node) -> None:
    """Has nodes that do not run yet pin one another; what the hotline says counts as accredited."""
    for node in nodes:
        with node.services() as services:
            for other in nodes:
                if other is not node:
                    services.peers.add(
                        other.made.descriptor_file.read_bytes(),
                        other.made.fingerprint,
                        authority=other.name == HOTLINE,
                    )


def new_item(seed: int | None = None) -> MediaItem:
    """A picture of which only exact digests are known; another one each time."""
    raw = os.urandom(32) if seed is None else seed.to_bytes(32, "big")
    return MediaItem(sha256=raw.hex(), sha1=raw[:20].hex(), md5=raw[:16].hex())


def header(issuer: str, **changes: Any) -> dict[str, Any]:
    """What every statement carries, now."""
    values = {
        "issuer": issuer,
        "nonce": new_nonce(),
        "issued": format_time(int(time.time())),
        "audience": ("peers",),
    }
    return values | changes


def media_flag(*items: MediaItem, issuer: str = ANNA, **changes: Any) -> MediaFlag:
    now = int(time.time())
    values = {
        **header(issuer),
        "items": items or (new_item(),),
        "category": "csam.act.prepub",
        "basis": Basis(reviewers=2, reviewed=format_time(now)),
        "purpose": "detection",
        "legal_basis": "dsa-22",
        "review_by": format_time(now + 300 * DAY_S),
    }
    return MediaFlag(**(values | changes))
