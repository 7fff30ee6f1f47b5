"""The keys of this node; nothing else in the node touches a key file.

They are opened once at start, but for shares of circles' keys: these may come while the node runs,
from a ceremony that another process of the same node took part in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from protocol.errors import KeystoreError
from signing.keys import KeyUse, PublicKey, SigningKey
from signing.keystore import INTERACTIVE, Cost, load_key, load_secret, save_key, save_secret

OPERATIONAL = (KeyUse.REQUEST, KeyUse.LOG, KeyUse.WITNESS, KeyUse.STATEMENT)
"""Keys that a running node needs. The root key is opened only to sign a descriptor."""

_SHARE = "oprf-"
_SLASH = "_"  # stands in no name of a node or a circle


@dataclass(repr=False)
class NodeKeys:
    """A node's operational keys, and its shares of circles' keys by (circle, epoch).

    These are the keys in use: while the node runs, `node.services.key_use` puts a new one in the
    place of an old one. So who signs asks for the key each time.

    Attributes:
        request: signs requests to other nodes.
        log: signs checkpoints, together with `other_logs`.
        witness: cosigns checkpoints of other logs, together with `other_witnesses`.
        statement: signs the node's own statements.
        shares: 32-byte scalars, as `signing.oprf` takes them.
        other_logs: sign checkpoints as well, while one key of the log takes another's place.
        other_witnesses: cosign as well, likewise: the policies of others may name the old key.
    """

    request: SigningKey
    log: SigningKey
    witness: SigningKey
    statement: SigningKey
    shares: Mapping[tuple[str, int], bytes] = field(default_factory=dict)
    other_logs: tuple[SigningKey, ...] = ()
    other_witnesses: tuple[SigningKey, ...] = ()


class Shares(Mapping[tuple[str, int], bytes]):
    """The shares in a node's directory by (circle, epoch), each opened when it is first asked for.

    A file that was replaced is opened again: that is a ceremony that was held anew.
    """

    def __init__(self, directory: Path, passphrase: bytes) -> None:
        self._directory = directory
        self._passphrase = passphrase
        self._opened: dict[tuple[str, int], tuple[tuple[int, int], bytes]] = {}

    def __getitem__(self, key: tuple[str, int]) -> bytes:
        path = share_file(self._directory, *key)
        try:
            found = path.stat()
        except FileNotFoundError:
            raise KeyError(key) from None
        version = (found.st_ino, found.st_mtime_ns)
        known = self._opened.get(key)
        if known is None or known[0] != version:
            known = (version, load_secret(path, path.stem, self._passphrase))
            self._opened[key] = known
        return known[1]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for path in sorted((self._directory / "keys").glob(f"{_SHARE}*.key")):
            circle, _, epoch = path.stem.removeprefix(_SHARE).rpartition("-")
            if not circle or not epoch.isdecimal():
                raise KeystoreError(f"{path.name} in the folder of keys has no name of a share.")
            yield circle.replace(_SLASH, "/"), int(epoch)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Shares({len(self)}, hidden)"


def key_file(directory: Path, use: KeyUse) -> Path:
    """Returns where the first key for one use lies in a node's directory."""
    return directory / "keys" / f"{use}.key"


def later_key_file(directory: Path, key: PublicKey) -> Path:
    """Returns where a later key for a use lies: a file is never written over another."""
    return directory / "keys" / f"{key.use}-{key.kid}.key"


def find_key(directory: Path, key: PublicKey, passphrase: bytes) -> SigningKey | None:
    """Returns the secret half of one of the node's keys; None where it is not here.

    Raises:
        KeystoreError: its file does not open.
    """
    for path in (later_key_file(directory, key), key_file(directory, key.use)):
        if path.exists():
            found = load_key(path, passphrase, use=key.use)
            if found.kid == key.kid:
                return found
    return None


def share_file(directory: Path, circle: str, epoch: int) -> Path:
    """Returns where the share of one epoch of a circle's key lies."""
    return directory / "keys" / f"{_purpose(circle, epoch)}.key"


def create_keys(directory: Path, passphrase: bytes, *, cost: Cost = INTERACTIVE) -> None:
    """Makes and stores a root key and every operational key."""
    for use in (KeyUse.ROOT, *OPERATIONAL):
        save_key(key_file(directory, use), SigningKey.generate(use), passphrase, cost=cost)


def open_keys(directory: Path, passphrase: bytes) -> NodeKeys:
    """Returns the node's operational keys and shares.

    A node that was made before there were witnesses has no key for that use: it gets one here. Two
    processes that start at once agree on it, since no key file is written over another.

    Raises:
        KeystoreError: a file is missing, readable by others, or does not open.
    """
    _complete(directory, passphrase)
    request, log, witness, statement = (
        load_key(_first_file(directory, use), passphrase, use=use) for use in OPERATIONAL
    )
    shares = Shares(directory, passphrase)
    for one in shares:
        shares[one]  # a node whose share does not open says so when it starts
    return NodeKeys(request=request, log=log, witness=witness, statement=statement, shares=shares)


def _first_file(directory: Path, use: KeyUse) -> Path:
    """Returns the first key of a use, or where that was deleted after a theft, a later one."""
    first = key_file(directory, use)
    later = sorted((directory / "keys").glob(f"{use}-*.key"))
    return first if first.exists() or not later else later[0]


def _complete(directory: Path, passphrase: bytes) -> None:
    path = _first_file(directory, KeyUse.WITNESS)
    if path.exists() or not key_file(directory, KeyUse.REQUEST).exists():
        return
    # A passphrase that opens no other key must not become that of a new one.
    load_key(key_file(directory, KeyUse.REQUEST), passphrase, use=KeyUse.REQUEST)
    try:
        save_key(path, SigningKey.generate(KeyUse.WITNESS), passphrase)
    except KeystoreError:
        if not path.exists():
            raise


def save_share(
    directory: Path,
    circle: str,
    epoch: int,
    share: bytes,
    passphrase: bytes,
    *,
    cost: Cost = INTERACTIVE,
) -> None:
    """Stores a share of a circle's key."""
    path = share_file(directory, circle, epoch)
    save_secret(path, _purpose(circle, epoch), share, passphrase, cost=cost)


def put_share(directory: Path, circle: str, epoch: int, share: bytes, passphrase: bytes) -> None:
    """Stores a share that a ceremony gave, where one of an earlier attempt may lie.

    The caller has seen that no descriptor promises the earlier one. A crash between the two steps
    leaves none, and the ceremony gives it again.
    """
    path = share_file(directory, circle, epoch)
    if path.exists():
        if load_secret(path, path.stem, passphrase) == share:
            return
        path.unlink()
    save_share(directory, circle, epoch, share, passphrase)


def save_ceremony_key(directory: Path, ceremony: str, private: bytes, passphrase: bytes) -> None:
    """Stores the static key of one ceremony, for as long as that lasts."""
    purpose = _ceremony_purpose(ceremony)
    save_secret(directory / "keys" / f"{purpose}.key", purpose, private, passphrase)


def load_ceremony_key(directory: Path, ceremony: str, passphrase: bytes) -> bytes | None:
    """Returns the static key of one ceremony; None where there is none."""
    purpose = _ceremony_purpose(ceremony)
    path = directory / "keys" / f"{purpose}.key"
    return load_secret(path, purpose, passphrase) if path.exists() else None


def forget_ceremony_key(directory: Path, ceremony: str) -> None:
    """The static key of a ceremony is gone: with it and what was sent, its share could be had."""
    (directory / "keys" / f"{_ceremony_purpose(ceremony)}.key").unlink(missing_ok=True)


def _ceremony_purpose(ceremony: str) -> str:
    return f"ceremony-{ceremony}"


def _purpose(circle: str, epoch: int) -> str:
    """The purpose sealed with a share: circle and epoch, in letters that a file name may have."""
    return f"{_SHARE}{circle.replace('/', _SLASH)}-{epoch}"
