"""Where the nodes of a fault run live: each in a network namespace of its own, or all on loopback.

With namespaces, every node is a host with an address, behind one bridge; a partition is what it is
in a network: packets go out and nobody answers. They are made by the run, named after its process,
hold every address that the run uses, and go with it. On loopback a relay stands before every node;
there a partition leaves everyone alone, since a relay cannot see who is asking.
"""

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from liars import Lines
from node.demo.ports import free_port
from relays import Relay

IN_NAMESPACE = "FAULTS_HUB"
"""Set in a program that runs inside the hub of its run's namespaces: the hub's name."""

_NETWORK = "10.77.0"
_PORT = 8440
_FRONT_PORT = 8443
_DEVICE = "eth0"
_NOBODY = "02:00:00:00:00:01"
"""An address of no device: what is sent to it is lost."""


@dataclass(frozen=True)
class Place:
    """Where one node listens.

    Attributes:
        address: it listens on.
        port: it listens on.
        url: under which others reach it.
        prefix: what its process is started with.
        front: where a proxy that speaks TLS has to listen for others to reach it; None: no proxy.
    """

    address: str
    port: int
    url: str
    prefix: tuple[str, ...] = ()
    front: int | None = None


class Hosts(Protocol):
    """A network of hosts that can be cut."""

    kind: str
    lines_address: str

    def place(self, name: str, *, tls: bool = False) -> Place:
        """Gives a host to a node; with a proxy that speaks TLS before it, if so asked."""

    def part(self, *groups: Iterable[str]) -> None:
        """Lets no message pass from one group of hosts to another."""

    def heal(self) -> None:
        """Lets every message pass again."""

    def disk(self, folder: Path, size_bytes: int) -> bool:
        """Gives a folder a disk of its own; returns False where that cannot be."""

    def close(self) -> None:
        """Takes the disks back."""


@dataclass
class Namespaces:
    """Hosts that are network namespaces; the caller runs in their hub."""

    hub: str
    kind: str = "network namespaces"
    lines_address: str = f"{_NETWORK}.1"
    _names: dict[str, tuple[str, str]] = field(default_factory=dict)
    _cut: set[tuple[str, str]] = field(default_factory=set)
    _disks: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "br0", "type", "bridge")
        _ip("addr", "add", f"{self.lines_address}/24", "dev", "br0")
        _ip("link", "set", "br0", "up")

    def place(self, name: str, *, tls: bool = False) -> Place:
        number = len(self._names) + 2
        space, address = f"{self.hub}-{number}", f"{_NETWORK}.{number}"
        _ip("netns", "add", space)
        self._names[name] = (space, address)
        _ip(
            *("link", "add", f"port{number}", "type", "veth"),
            *("peer", "name", _DEVICE, "netns", space),
        )
        _ip("link", "set", f"port{number}", "master", "br0", "up")
        _ip("-n", space, "addr", "add", f"{address}/24", "dev", _DEVICE)
        _ip("-n", space, "link", "set", _DEVICE, "up")
        _ip("-n", space, "link", "set", "lo", "up")
        prefix = ("ip", "netns", "exec", space)
        if tls:
            return Place(address, _PORT, f"https://{address}:{_FRONT_PORT}", prefix, _FRONT_PORT)
        return Place(address, _PORT, f"http://{address}:{_PORT}", prefix)

    def part(self, *groups: Iterable[str]) -> None:
        for one, other in itertools.combinations([set(group) for group in groups], 2):
            for pair in itertools.product(one, other):
                # One way is enough: what comes in is never answered.
                space, address = self._names[pair[0]][0], self._names[pair[1]][1]
                _ip(
                    *("-n", space, "neigh", "replace", address, "lladdr", _NOBODY),
                    *("dev", _DEVICE, "nud", "permanent"),
                )
                self._cut.add((space, address))

    def heal(self) -> None:
        while self._cut:
            space, address = self._cut.pop()
            _ip("-n", space, "neigh", "del", address, "dev", _DEVICE)

    def disk(self, folder: Path, size_bytes: int) -> bool:
        # In this run's own view of the file systems: gone with its last process.
        folder.mkdir(parents=True)
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=700", "tmpfs", folder],
            check=False,
            capture_output=True,
        )
        self._disks += [folder] if made.returncode == 0 else []
        return made.returncode == 0

    def close(self) -> None:
        for folder in self._disks:
            subprocess.run(["umount", "--lazy", folder], check=False)


@dataclass
class Loopback:
    """Nodes on ports of loopback, each behind a relay."""

    lines: Lines
    kind: str = "loopback ports"
    lines_address: str = "127.0.0.1"
    _relays: list["Silencer"] = field(default_factory=list)

    def place(self, name: str, *, tls: bool = False) -> Place:
        port = free_port()
        front = free_port() if tls else None
        relay = Silencer(front or port)
        self._relays.append(relay)
        url = f"http{'s' if tls else ''}://127.0.0.1:{self.lines.listen(relay.handle)}"
        return Place("127.0.0.1", port, url, front=front)

    def part(self, *groups: Iterable[str]) -> None:
        for relay in self._relays:
            relay.silent = True

    def heal(self) -> None:
        for relay in self._relays:
            relay.silent = False

    def disk(self, folder: Path, size_bytes: int) -> bool:
        return False

    def close(self) -> None:
        pass


class Silencer(Relay):
    """Stands before a node; while it is silent, everything that it is given is lost."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.silent = False

    async def asked(self, data: bytes) -> bytes:
        return b"" if self.silent else data

    async def answered(self, data: bytes) -> bytes:
        return b"" if self.silent else data


def can_make_namespaces() -> bool:
    """Whether this user may make network namespaces and connect them; leaves none behind."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = _name("try")
    try:
        _ip("netns", "add", name)
        _ip("-n", name, "link", "add", "br0", "type", "bridge")
        _ip("-n", name, "link", "add", "port", "type", "veth", "peer", "name", _DEVICE)
    except subprocess.CalledProcessError:
        return False
    finally:
        delete_namespaces(name)
    return True


def run_in_hub(program: list[str], environ: dict[str, str]) -> int:
    """Runs a program in a new namespace; deletes it and the hosts' in the end, whatever happened."""
    hub = _name("hub")
    _ip("netns", "add", hub)
    try:
        with subprocess.Popen(
            ["ip", "netns", "exec", hub, *program], env=environ | {IN_NAMESPACE: hub}
        ) as running:
            try:
                return running.wait()
            except BaseException:
                running.terminate()
                raise
    finally:
        delete_namespaces(hub)


def delete_namespaces(name: str) -> None:
    """Deletes a hub that this run made, and its hosts, with all that still runs in them.

    Devices and addresses go with them.
    """
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    for line in listed.stdout.splitlines():
        one = line.split()[0]
        if one == name or one.startswith(f"{name}-"):
            inside = subprocess.run(["ip", "netns", "pids", one], capture_output=True, check=False)
            for pid in map(int, inside.stdout.split()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", one], check=False, capture_output=True)


def open_hosts(lines: Lines) -> Hosts:
    """Returns the hosts of this run, as the program was started."""
    hub = os.environ.get(IN_NAMESPACE)
    return Namespaces(hub) if hub else Loopback(lines)


def _name(use: str) -> str:
    return f"schutznetz-{use}-{os.getpid()}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
