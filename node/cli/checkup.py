"""What `node doctor` looks at, each thing by itself, so that one fault does not hide another."""

import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from node.app import open_services, passphrase_of
from node.cli.reach import Reached, reach
from node.matching.media import check_pdqhash
from node.policy.file import PolicyFile
from node.services.keys import open_keys
from node.settings import Settings, load_settings
from protocol.errors import FederationError, SchutznetzError, SettingsError
from protocol.limits import REQUEST_SKEW_S
from signing.oprf.group import default_group

if TYPE_CHECKING:
    from node.app import Services

LOW_DISK_BYTES: Final = 1 << 30
"""Free space from which on the operator is warned."""

NO_DISK_BYTES: Final = 64 << 20
"""Free space with which nothing can be promised any more."""

State = Literal["ok", "warning", "wrong"]
Reach = Callable[[str], Reached]

_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022


@dataclass(frozen=True)
class Finding:
    """What was found about one thing.

    Attributes:
        about: two or three words.
        state: ``wrong`` is what the node cannot work with.
        sentence: what it is, and what to do.
    """

    about: str
    state: State
    sentence: str


def examine(
    directory: Path, *, environ: Mapping[str, str], clock: Callable[[], float], ask: Reach = reach
) -> Iterator[Finding]:
    """Gives findings about a node, whether or not it is running.

    Args:
        directory: of the node.
        environ: the environment, as the node would read it.
        clock: Unix time in seconds.
        ask: how a peer is asked whether it is there.
    """
    yield from _files(directory)
    yield _disk(directory)
    yield from _machine()
    try:
        settings = load_settings(directory, environ)
    except SettingsError as error:
        yield Finding("settings", "wrong", str(error))
        return
    yield Finding("settings", "ok", f"{settings.name} at {settings.url}")
    keys = _keys(settings)
    policy = _policy(settings, clock)
    yield keys
    yield policy
    if "wrong" in {keys.state, policy.state}:
        return
    with ExitStack() as stack:
        try:
            services = stack.enter_context(open_services(directory, environ=environ, clock=clock))
        except SchutznetzError as error:
            yield Finding("database", "wrong", str(error))
            return
        yield from _services(services, ask)


def _files(directory: Path) -> Iterator[Finding]:
    """Looks at who else on this machine may read or replace the node's secrets."""
    secret = [*_inside(directory / "keys"), *_inside(directory / "secrets")]
    secret += [path for path in (directory / "platform.key",) if path.exists()]
    open_files = [path for path in secret if path.stat().st_mode & _OTHERS]
    folders = [
        path
        for path in (directory, directory / "keys", directory / "secrets")
        if path.is_dir() and stat.S_IMODE(path.stat().st_mode) & _OTHERS_WRITE
    ]
    for path in open_files:
        yield Finding("file modes", "wrong", f"others may read {path}; run: chmod 600 {path}")
    for path in folders:
        yield Finding("file modes", "wrong", f"others may write to {path}; run: chmod go-w {path}")
    if not open_files and not folders:
        yield Finding("file modes", "ok", "keys and secrets are their owner's alone")


def _inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_file())


def _disk(directory: Path) -> Finding:
    free = shutil.disk_usage(directory).free
    sentence = f"{free / (1 << 30):.1f} GiB free"
    if free < NO_DISK_BYTES:
        return Finding("disk", "wrong", f"{sentence}: make room, the node can promise nothing")
    return Finding("disk", "warning" if free < LOW_DISK_BYTES else "ok", sentence)


def _machine() -> Iterator[Finding]:
    try:
        check_pdqhash()
        yield Finding("pdq", "ok", "pictures hash to the reference values")
    except SchutznetzError as error:
        yield Finding("pdq", "wrong", str(error))
    if type(default_group()).__name__.startswith("PyNaCl"):
        yield Finding(
            "fingerprints",
            "warning",
            "computed in Python, three to ten times slower: install libsodium (libsodium23)",
        )
    else:
        yield Finding("fingerprints", "ok", "computed by the system's libsodium")


def _keys(settings: Settings) -> Finding:
    try:
        open_keys(settings.directory, passphrase_of(settings))
    except SchutznetzError as error:
        return Finding("keys", "wrong", str(error))
    return Finding("keys", "ok", "every key file opens with the passphrase")


def _policy(settings: Settings, clock: Callable[[], float]) -> Finding:
    try:
        PolicyFile(settings.policy_file, clock)
    except SchutznetzError as error:
        return Finding("policy", "wrong", str(error))
    return Finding("policy", "ok", f"{settings.policy_file.name} is understood")


def _services(services: "Services", ask: Reach) -> Iterator[Finding]:
    yield Finding("database", "ok", f"{services.store.dialect}, with this version's tables")
    reasons = services.health.reasons()
    yield from (Finding("health", "wrong", reason) for reason in reasons)
    warnings = services.health.warnings()
    yield from (Finding("health", "warning", one) for one in warnings)
    if not reasons and not warnings:
        yield Finding("health", "ok", "descriptor and keys are valid")
    now = int(services.clock())
    offsets = []
    for peer in services.peers.list():
        about = f"peer {peer.name}"
        if peer.state != "active":
            yield Finding(about, "warning", f"it is {peer.state}: nothing new of it is believed")
            continue
        try:
            found = ask(peer.url)
        except FederationError as error:
            yield Finding(about, "wrong", f"{peer.url} does not answer: {error}")
            continue
        if found.name != peer.name:
            yield Finding(about, "wrong", f"at {peer.url} answers {found.name} instead")
            continue
        if found.time is not None:
            offsets.append(found.time - now)
        yield Finding(about, "warning" if peer.problem else "ok", peer.problem or "answers")
    yield _clock(offsets)
    yield from _circles(services)


def _clock(offsets: list[int]) -> Finding:
    """Judges by the middle one of the peers' clocks: one wrong peer proves nothing."""
    if not offsets:
        return Finding("clock", "warning", "no peer answers to compare it with")
    middle = sorted(offsets)[len(offsets) // 2]
    if abs(middle) > REQUEST_SKEW_S:
        word = "behind" if middle > 0 else "ahead of"
        return Finding(
            "clock",
            "wrong",
            f"{abs(middle)} s {word} the peers', who refuse requests from {REQUEST_SKEW_S} s on: "
            "set it by NTP",
        )
    return Finding("clock", "ok", "agrees with the peers'")


def _circles(services: "Services") -> Iterator[Finding]:
    for circle in services.circles.list():
        about = f"circle {circle.name}"
        if circle.warning:
            yield Finding(about, "warning", circle.warning)
        else:
            yield Finding(about, "ok", f"{circle.threshold} of {len(circle.holders)} holders")
    for one in services.budgets.alarms():
        sentence = f"{one.party} has used {one.alarm} % or more of today's budget in {one.circle}"
        yield Finding("budget", "warning", sentence)
