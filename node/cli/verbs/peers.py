"""`node peer`: pinning other nodes. Trust begins with a fingerprint that a person typed."""

from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import options
from node.cli.output import ask, note, show, show_json

if TYPE_CHECKING:
    from protocol.descriptors import NodeDescriptor

Fingerprint = Annotated[
    str | None,
    typer.Option(
        help="The node's fingerprint, as its operator read it to you over the telephone; "
        "without it you are asked for it.",
        metavar="TEXT",
    ),
]


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("The other nodes that this one knows.")
    for verb, name in (
        (add, "add"),
        (list_peers, "list"),
        (verify, "verify"),
        (freeze, "freeze"),
        (thaw, "thaw"),
        (remove, "remove"),
    ):
        verbs.command(name)(verb)
    app.add_typer(verbs, name="peer")


def add(
    directory: options.NodeFolder,
    url: options.RequiredUrl,
    fingerprint: Fingerprint = None,
    authority: Annotated[
        bool,
        typer.Option("--authority", help="What it says, or vouches for, counts as accredited."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Pin a node, by its fingerprint.

    The fingerprint is the one that its operator reads to you over the telephone.
    """
    from node.app import open_services
    from node.cli.introductions import fetch_descriptors
    from node.cli.passphrases import node_environment
    from node.cli.verbs.operate import peer_command

    with open_services(directory, environ=node_environment()) as services:
        chain = fetch_descriptors(
            url, insecure=services.settings.allow_insecure_http, now=int(services.clock())
        )
        found = chain[-1].descriptor
        if fingerprint is None:
            _introduce(found, url)
        peer = services.peers.add(
            chain[0].envelope,
            fingerprint or _ask_for_fingerprint(found.issuer),
            authority=authority,
            later=[one.envelope for one in chain[1:]],
        )
        own = services.peers.node(services.settings.name)
    if as_json:
        show_json(
            {
                "name": peer.name,
                "url": peer.url,
                "fingerprint": peer.fingerprint,
                "authority": peer.authority,
                "state": peer.state,
            }
        )
        return
    show(f"{peer.name} at {peer.url} is a peer of this node{' and an authority' * authority}.")
    show("If this node is not yet a peer of theirs, they run, with the folder of their node:")
    show(f"    {peer_command(own.url)}")


def list_peers(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List the peers and their fingerprints."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        peers = services.peers.list()
    if as_json:
        show_json(
            {
                "peers": [
                    {
                        "name": one.name,
                        "url": one.url,
                        "fingerprint": one.fingerprint,
                        "authority": one.authority,
                        "state": one.state,
                    }
                    for one in peers
                ]
            }
        )
        return
    for one in peers:
        show(f"{one.name}  {one.url}  {one.state}{'  authority' * one.authority}")
        show(f"  {one.fingerprint}")
    if not peers:
        show("No peer is pinned: schutznetz node peer add DIR --url URL")


def verify(
    directory: options.NodeFolder,
    name: options.NodeName,
    fingerprint: Fingerprint = None,
    as_json: options.Json = False,
) -> None:
    """Compare a fingerprint once more."""
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from protocol.descriptors import parse_fingerprint
    from protocol.errors import ConflictError

    with open_services(directory, environ=node_environment()) as services:
        peer = services.peers.get(name)
        typed = parse_fingerprint(fingerprint or _ask_for_fingerprint(name))
        if typed != peer.fingerprint:
            raise ConflictError(
                f"That is not the fingerprint under which {name} is pinned here. Read it once "
                f"more; if it differs again, run: schutznetz node peer freeze {directory} {name}"
            )
        services.audit.record("operator", "peer.verify", subject=name)
    if as_json:
        show_json({"name": name, "verified": True})
    else:
        show(f"That is the fingerprint under which {name} is pinned here.")


def freeze(
    directory: options.NodeFolder, name: options.NodeName, as_json: options.Json = False
) -> None:
    """Believe nothing new of a peer; what was accepted stays."""
    _change(directory, name, "freeze", "frozen", as_json=as_json)


def thaw(
    directory: options.NodeFolder, name: options.NodeName, as_json: options.Json = False
) -> None:
    """Believe a frozen peer again."""
    _change(directory, name, "thaw", "active", as_json=as_json)


def remove(
    directory: options.NodeFolder, name: options.NodeName, as_json: options.Json = False
) -> None:
    """Unpin a peer; what was accepted of it stays."""
    _change(directory, name, "remove", "removed", as_json=as_json)


def _change(
    directory: options.NodeFolder, name: str, verb: str, state: str, *, as_json: bool
) -> None:
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        getattr(services.peers, verb)(name)
    if as_json:
        show_json({"name": name, "state": state})
    else:
        show(f"{name} is {state}.")


def _introduce(found: "NodeDescriptor", url: str) -> None:
    note(f"At {url} answers a node that calls itself {found.issuer}.")
    if found.url != url:
        note(f"It says that it is reached at {found.url}, which is what will be used.")
    note("Call its operator, on a number that you know from elsewhere, and have the fingerprint")
    note("read to you. It is not shown here, so that nobody can confirm it without looking.")


def _ask_for_fingerprint(name: str) -> str:
    return ask(f"Fingerprint of {name}:")
