"""The keys of this node, opened once at start; nothing else in the node touches a key file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from protocol.errors import KeystoreError
from signing.keys import KeyUse, SigningKey
from signing.keystore import INTERACTIVE, Cost, load_key, load_secret, save_key, save_secret

OPERATIONAL = (KeyUse.REQUEST, KeyUse.LOG, KeyUse.STATEMENT)
"""Keys that a running node needs. The root key is opened only to sign a descriptor."""

_SHARE = "oprf-"
_SLASH = "_"  # stands in no name of a node or a circle


@dataclass(frozen=True, repr=False)
class NodeKeys:
    """A node's operational keys, and its shares of circles' keys by (circle, epoch).

    Attributes:
        request: signs requests to other nodes.
        log: signs checkpoints.
        statement: signs the node's own statements.
        shares: 32-byte scalars, as `signing.oprf` takes them.
    """

    request: SigningKey
    log: SigningKey
    statement: SigningKey
    shares: Mapping[tuple[str, int], bytes] = field(default_factory=dict)


def key_file(directory: Path, use: KeyUse) -> Path:
    """Returns where the key for one use lies in a node's directory."""
    return directory / "keys" / f"{use}.key"


def share_file(directory: Path, circle: str, epoch: int) -> Path:
    """Returns where the share of one epoch of a circle's key lies."""
    return directory / "keys" / f"{_purpose(circle, epoch)}.key"


def create_keys(directory: Path, passphrase: bytes, *, cost: Cost = INTERACTIVE) -> None:
    """Makes and stores a root key and every operational key."""
    for use in (KeyUse.ROOT, *OPERATIONAL):
        save_key(key_file(directory, use), SigningKey.generate(use), passphrase, cost=cost)


def open_keys(directory: Path, passphrase: bytes) -> NodeKeys:
    """Returns the node's operational keys and shares.

    Raises:
        KeystoreError: a file is missing, readable by others, or does not open.
    """
    opened = {
        use.value: load_key(key_file(directory, use), passphrase, use=use) for use in OPERATIONAL
    }
    return NodeKeys(**opened, shares=_open_shares(directory, passphrase))


def save_share(directory: Path, circle: str, epoch: int, share: bytes, passphrase: bytes) -> None:
    """Stores a share of a circle's key."""
    path = share_file(directory, circle, epoch)
    save_secret(path, _purpose(circle, epoch), share, passphrase)


def _purpose(circle: str, epoch: int) -> str:
    """The purpose sealed with a share: circle and epoch, in letters that a file name may have."""
    return f"{_SHARE}{circle.replace('/', _SLASH)}-{epoch}"


def _open_shares(directory: Path, passphrase: bytes) -> dict[tuple[str, int], bytes]:
    shares = {}
    for path in sorted((directory / "keys").glob(f"{_SHARE}*.key")):
        circle, _, epoch = path.stem.removeprefix(_SHARE).rpartition("-")
        if not circle or not epoch.isdecimal():
            raise KeystoreError(f"{path.name} in the folder of keys has no name of a share.")
        shares[circle.replace(_SLASH, "/"), int(epoch)] = load_secret(path, path.stem, passphrase)
    return shares
