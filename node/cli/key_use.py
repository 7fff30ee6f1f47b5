"""Root keys on the command line: where they lie, how they open, and what they are asked to sign."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.output import ask, is_at_terminal, note

if TYPE_CHECKING:
    from node.services.rotation import Difference
    from node.settings import Settings
    from signing.keys import SigningKey


class KeyChoice(StrEnum):
    """What a key is for, as a choice of the command line."""

    REQUEST = "request"
    LOG = "log"
    WITNESS = "witness"
    STATEMENT = "statement"
    ROOT = "root"


RootKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--root-key",
        help="File of the root key; without it DIR/keys/root.key, and where that is not there "
        "either, you are asked for it.",
        metavar="FILE",
    ),
]
RootPassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--root-passphrase-file",
        help="File with the passphrase of the root key; else SCHUTZNETZ_PASSPHRASE, the node's, or "
        "you are asked.",
        metavar="FILE",
    ),
]


def load_root(
    file: Path | None,
    passphrase_file: Path | None,
    *,
    new_file: Path | None = None,
    directory: Path | None = None,
    settings: "Settings | None" = None,
) -> tuple["SigningKey", "SigningKey | None"]:
    """Returns the root key, and the one that is to take its place.

    Args:
        file: of the root key; None to look for it, and to ask.
        passphrase_file: with its passphrase.
        new_file: of the other root key; made under the same passphrase where there is none.
        directory: of the node, where there is one.
        settings: of that node, whose passphrase opens the root key that still lies beside it.

    Raises:
        KeystoreError: a file is missing or does not open.
    """
    from node.app import passphrase_of
    from node.cli.passphrases import read_passphrase
    from signing.keys import KeyUse, SigningKey
    from signing.keystore import MODERATE, load_key, save_key

    beside = None if directory is None else directory / "keys" / "root.key"
    if file is None and beside is not None and beside.exists():
        file = beside
    if file is None:
        file = Path(ask("File of the root key:"))
    if passphrase_file is None and settings is not None and file == beside:
        passphrase = passphrase_of(settings)
    else:
        passphrase = read_passphrase(passphrase_file)
    root = load_key(file, passphrase, use=KeyUse.ROOT)
    if new_file is None:
        return root, None
    if not new_file.exists():
        save_key(new_file, SigningKey.generate(KeyUse.ROOT), passphrase, cost=MODERATE)
    return root, load_key(new_file, passphrase, use=KeyUse.ROOT)


def show_difference(found: "Difference") -> None:
    """Tells the person who is to sign what a proposal changes."""
    note(f"{found.name} asks for version {found.version} of its descriptor:")
    note(f"  it answers at {found.url}{', ANOTHER ADDRESS than before' * found.moved}")
    for use, kid in found.new:
        note(f"  a new {use} key {kid}")
    for use, kid, end in found.shortened:
        note(f"  the {use} key {kid} ends {end}")
    for kid, size in found.revoked:
        note(f"  the statement key {kid} IS REVOKED as of size {size} of the log")
    for use, kid in found.dropped:
        note(f"  the {use} key {kid} is named no longer")
    if found.new_root is not None:
        note(f"  ANOTHER ROOT KEY {found.new_root}, which signs from then on")
    if found.log_origin is not None:
        note(f"  ANOTHER LOG, {found.log_origin}: the one before is signed no more")
    note(f"  and it ends {found.expires}")
    if is_at_terminal():
        note("Have the operator of the node read the ids of the new keys to you.")
