"""`node key`: new keys for the node, signed by a root key that need not be on its machine."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from node.cli import options
from node.cli.key_use import KeyChoice, RootKeyFile, RootPassphraseFile, load_root, show_difference
from node.cli.output import show, show_fields, show_json, show_table
from node.cli.verbs import revocation

if TYPE_CHECKING:
    from node.app import Services
    from protocol.descriptors import NodeDescriptor

_OVERLAP_DAYS: Final = 14
_ROOT: Final = KeyChoice.ROOT

Overlap = Annotated[
    int,
    typer.Option(
        help="How long the old keys may still be used beside the new ones.",
        metavar="DAYS",
        min=2,
        max=180,
    ),
]
NewRootKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--new-root-key",
        help="File of the root key that takes the old one's place; made where there is none.",
        metavar="FILE",
    ),
]
ProposalFile = Annotated[
    Path, typer.Argument(help="What `key request` wrote.", metavar="PROPOSAL", dir_okay=False)
]


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("The keys of this node.")
    verbs.command("list")(list_keys)
    verbs.command("rotate")(rotate)
    verbs.command("renew")(renew)
    verbs.command("request")(request)
    verbs.command("sign")(sign)
    verbs.command("install")(install)
    revocation.register(verbs)
    app.add_typer(verbs, name="key")


def list_keys(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """Show the node's keys, which are in use, and which peers have not heard of the newest."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        document = _state(services)
    if as_json:
        show_json(document)
        return
    show_fields(
        [
            ("version", f"{document['version']}, in use: {document['in_use']}"),
            ("ends", document["expires"]),
            ("not heard", ", ".join(document["waiting_for"]) or "nobody: every peer knows it"),
        ]
    )
    show()
    rows = [
        (
            one["use"],
            one["key_id"],
            one["from"],
            one["until"],
            "signs" if one["signs"] else "accepted",
        )
        for one in document["keys"]
    ]
    show_table(("use", "key id", "from", "until", ""), rows)


def rotate(
    *,
    directory: options.NodeFolder,
    use: Annotated[
        list[KeyChoice],
        typer.Option(help="What the new key is for; may be repeated.", show_default=False),
    ],
    overlap_days: Overlap = _OVERLAP_DAYS,
    root_key: RootKeyFile = None,
    root_passphrase_file: RootPassphraseFile = None,
    new_root_key: NewRootKeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Put new keys in the place of old ones, with the root key at hand.

    The running node begins to sign with them once every peer has heard of them. Where the root key
    is on another machine, use: key request, key sign, key install.
    """
    if (_ROOT in use) != (new_root_key is not None):
        raise typer.BadParameter(
            "for another root key, say --use root and --new-root-key FILE", param_hint="--use"
        )
    _rotate(
        directory,
        [one for one in use if one is not _ROOT],
        overlap_days,
        root_key=root_key,
        root_passphrase_file=root_passphrase_file,
        new_root_key=new_root_key,
        as_json=as_json,
    )


def renew(
    *,
    directory: options.NodeFolder,
    root_key: RootKeyFile = None,
    root_passphrase_file: RootPassphraseFile = None,
    as_json: options.Json = False,
) -> None:
    """Renew the descriptor: the same keys, a later end, and the address that the settings say."""
    _rotate(
        directory,
        [],
        _OVERLAP_DAYS,
        root_key=root_key,
        root_passphrase_file=root_passphrase_file,
        new_root_key=None,
        as_json=as_json,
    )


def _rotate(
    directory: Path,
    uses: list[KeyChoice],
    overlap_days: int,
    *,
    root_key: Path | None,
    root_passphrase_file: Path | None,
    new_root_key: Path | None,
    as_json: bool,
) -> None:
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from node.services.rotation import sign_proposal
    from signing.keys import KeyUse

    with open_services(directory, environ=node_environment()) as services:
        # Before anything is made: who has no root key at hand leaves no key files behind.
        root, new_root = load_root(
            root_key,
            root_passphrase_file,
            new_file=new_root_key,
            directory=directory,
            settings=services.settings,
        )
        proposal = services.rotation.propose(
            [KeyUse(one.value) for one in uses], overlap_days=overlap_days
        )
        signed = sign_proposal(proposal, root, new_root=new_root, now=int(services.clock()))
        _install(services, directory, signed)
        services.key_use.refresh()
        document = _state(services)
    _show_installed(document, directory, as_json=as_json)


def request(
    directory: options.NodeFolder,
    output: Annotated[
        Path, typer.Option("--output", help="File to write.", metavar="FILE", dir_okay=False)
    ],
    use: Annotated[
        list[KeyChoice] | None,
        typer.Option(
            help="What a new key is for; may be repeated. None renews the descriptor, or is for "
            "another root key.",
            show_default=False,
        ),
    ] = None,
    overlap_days: Overlap = _OVERLAP_DAYS,
    as_json: options.Json = False,
) -> None:
    """Write what the root key is to sign, for the machine where that key is.

    Nothing changes before `key install`.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from signing.keys import KeyUse

    uses = use or []
    if _ROOT in uses:
        raise typer.BadParameter(
            "another root key is made where the old one is: key sign --new-root-key FILE",
            param_hint="--use",
        )
    with open_services(directory, environ=node_environment()) as services:
        proposal = services.rotation.propose(
            [KeyUse(one.value) for one in uses], overlap_days=overlap_days
        )
    output.write_bytes(proposal)
    if as_json:
        show_json({"proposal": str(output), "uses": [one.value for one in uses]})
        return
    show(f"{output} is what the root key is to sign. Carry it to the machine where that key is:")
    show(f"    schutznetz node key sign {output} --root-key FILE --output SIGNED")
    show("and what comes out back here:")
    show(f"    schutznetz node key install {directory} SIGNED")


def sign(
    proposal: ProposalFile,
    output: Annotated[
        Path, typer.Option("--output", help="File to write.", metavar="FILE", dir_okay=False)
    ],
    *,
    root_key: RootKeyFile = None,
    root_passphrase_file: RootPassphraseFile = None,
    new_root_key: NewRootKeyFile = None,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Sign what a node asks for, on the machine where its root key is.

    It needs no node and no network. Sign each proposal once: two descriptors of one version have
    every peer freeze the node.
    """
    from node.services.rotation import difference, sign_proposal

    data = proposal.read_bytes()
    root, new_root = load_root(root_key, root_passphrase_file, new_file=new_root_key)
    found = difference(data, None if new_root is None else new_root.public)
    show_difference(found)
    if not yes:
        typer.confirm("Sign this?", abort=True, err=True)
    signed = sign_proposal(data, root, new_root=new_root, now=int(time.time()))
    output.write_bytes(signed)
    if as_json:
        show_json({"signed": str(output), "name": found.name, "version": found.version})
    else:
        show(f"{output} holds version {found.version} of the descriptor of {found.name}, signed.")


def install(
    directory: options.NodeFolder,
    signed: Annotated[Path, typer.Argument(help="What `key sign` wrote.", metavar="SIGNED")],
    as_json: options.Json = False,
) -> None:
    """Take a signed descriptor into use; the running node tells the peers."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    data = signed.read_bytes()
    with open_services(directory, environ=node_environment()) as services:
        _install(services, directory, data)
        services.key_use.refresh()
        document = _state(services)
    _show_installed(document, directory, as_json=as_json)


def _install(services: "Services", directory: Path, data: bytes) -> "NodeDescriptor":
    new = services.rotation.install(data)
    (directory / f"descriptor-{new.version}.json").write_bytes(data)
    return new


def _state(services: "Services") -> dict[str, Any]:
    from protocol.encoding import from_base64url
    from signing.keys import KeyUse, PublicKey

    own = services.peers.own()
    keys = services.key_use.signing()
    return {
        "version": own.version,
        "in_use": services.key_use.in_use(),
        "expires": own.expires,
        "waiting_for": services.key_use.waiting_for(),
        "keys": [
            {
                "use": one.use,
                "key_id": (kid := PublicKey(KeyUse(one.use), from_base64url(one.key)).kid),
                "from": one.not_before,
                "until": one.not_after,
                "signs": kid in keys,
            }
            for one in own.keys
        ],
    }


def _show_installed(document: dict[str, Any], directory: Path, *, as_json: bool) -> None:
    if as_json:
        show_json(document)
        return
    show(f"Version {document['version']} of the node's descriptor is installed.")
    if document["in_use"] == document["version"]:
        show("Its keys sign from now on.")
        return
    show("The running node tells its peers; the new keys sign once all of them have heard, or a")
    show(f"day before the old ones end: schutznetz node key list {directory}")
