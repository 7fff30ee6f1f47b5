"""`node init`, `node serve` and `node status`."""

import os
import shlex
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import options
from node.cli.output import ago, show, show_fields, show_json, show_table
from node.cli.verbs.budgets import show_usage, usage_json
from node.cli.verbs.mirrors import show_sources, sources_json
from node.cli.verbs.witnesses import publication_json, publication_text

if TYPE_CHECKING:
    from node.services.erasures import Late
    from node.services.peers import PeerState
    from node.setup import NewNode


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    app.command("init")(init)
    app.command("serve")(serve)
    app.command("status")(status)


def init(  # noqa: PLR0917  # Typer calls it by keyword
    directory: Annotated[Path, typer.Argument(help="New folder of the node.", metavar="DIR")],
    name: options.NewNodeName,
    url: options.RequiredUrl,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the passphrase of the node's keys; without it a random one is made "
            "and kept in DIR/secrets.",
            metavar="FILE",
        ),
    ] = None,
    database_url_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the address of an empty database on PostgreSQL, "
            "postgresql+psycopg://...; without it the database is SQLite, in DIR.",
            metavar="FILE",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a new node.

    Keys, database, settings and a policy, in a new folder.
    """
    from node.cli.own_node import is_loopback
    from node.cli.passphrases import read_secret
    from node.setup import init_node

    # Said before anything is made: a folder that was begun is in the way of the second try.
    if url.startswith("http:") and not is_loopback(url):
        raise typer.BadParameter(
            "the address has to be https, or http on this machine", param_hint="--url"
        )
    passphrase, variables = _chosen_passphrase(passphrase_file)
    made = init_node(
        directory,
        name=name,
        url=url,
        passphrase=passphrase,
        clock=time.time,
        database_url=None if database_url_file is None else read_secret(database_url_file),
    )
    if as_json:
        show_json(
            {
                "name": made.name,
                "url": made.url,
                "fingerprint": made.fingerprint,
                "directory": str(directory),
                "descriptor_file": str(made.descriptor_file),
                "api_key_file": str(made.api_key_file),
                "serve": _serve_command(directory, variables),
                "peer_add": peer_command(made.url),
            }
        )
        return
    _show_new(made, directory, variables)


def _chosen_passphrase(file: Path | None) -> tuple[bytes | None, str]:
    """Returns the passphrase that somebody chose, if so, and what `node serve` is to be told.

    What the environment says counts when the node starts, so it has to count when it is made.
    """
    from node.cli.passphrases import PASSPHRASE_VARIABLE
    from signing.keystore import read_passphrase

    named = os.environ.get(f"{PASSPHRASE_VARIABLE}_FILE")
    if file is not None:
        variables = f"{PASSPHRASE_VARIABLE}_FILE={shlex.quote(str(file.absolute()))} "
        return read_passphrase(file=file, env=None, prompt=None), variables
    if named is not None:
        return read_passphrase(file=Path(named).absolute(), env=None, prompt=None), ""
    if PASSPHRASE_VARIABLE in os.environ:
        return read_passphrase(file=None, env=PASSPHRASE_VARIABLE, prompt=None), ""
    return None, ""


def _serve_command(directory: Path, variables: str) -> str:
    return f"{variables}schutznetz node serve {shlex.quote(str(directory))}"


def peer_command(url: str) -> str:
    """Returns what the operator of another node types to pin this one.

    Without the fingerprint: whoever could change it on its way would have changed the address too.
    It is read out over the telephone, and typed where the command asks for it.
    """
    return f"schutznetz node peer add OTHER_DIR --url {url}"


def _show_new(made: "NewNode", directory: Path, variables: str) -> None:
    folder = shlex.quote(str(directory))
    show("Your node is made.")
    show()
    show_fields([("name", made.name), ("url", made.url), ("fingerprint", made.fingerprint)])
    show()
    show("1. Start it:")
    show(f"    {_serve_command(directory, variables)}")
    show("2. Read the fingerprint to the operator of the other node over the telephone; there,")
    show("   with the folder of that node in place of OTHER_DIR:")
    show(f"    {peer_command(made.url)}")
    show("3. Do the same with theirs here:")
    show(f"    schutznetz node peer add {folder} --url THEIR_URL")
    show("4. See that all is well:")
    show(f"    schutznetz node doctor {folder}")
    show()
    show(f"Your platform's programs call the node with the key in {made.api_key_file}.")
    show("Keep the folder as you would keep a safe: it holds the node's keys.")


def serve(directory: options.NodeFolder) -> None:
    """Run the node, until Ctrl-C or SIGTERM.

    Its log goes to standard error, one JSON object a line.
    """
    from node.cli.passphrases import node_environment
    from node.serve import serve as run_node
    from protocol.errors import UnavailableError

    # The server answers what is under way, and then raises the signal again for whoever had it
    # before: left to the system, SIGTERM would end the process before its last lines are written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run_node(directory, environ=node_environment())
    except KeyboardInterrupt:
        return
    except SystemExit:
        # How the server ends when it cannot begin; its own line does not say why.
        raise UnavailableError(
            "The node could not begin to serve: is something else using its port, perhaps this "
            "node itself?"
        ) from None


def status(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """Show whether the peers are in step."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        peers = services.peers.list()
        size = services.log.size()
        state = services.lookups.list_state()
        remedies = len(services.remedies.open())
        late = services.erasures.late()
        alarms = services.budgets.alarms()
        quarantined = len(services.quarantines.list(["quarantined"]))
        publication = services.publication.state()
        sources, fresh = services.mirror_sources.list(), services.mirror_sources.freshness()
        standing = services.standing.state().state
        trouble = services.standing.reason()
        warnings = [*services.health.reasons(), *services.health.warnings()]
        now = int(services.clock())
        name, url = services.settings.name, services.settings.url
    if as_json:
        show_json(
            {
                "name": name,
                "url": url,
                "log_size": size,
                "entries": state.entries,
                "warnings": warnings,
                "open_remedies": remedies,
                "late_answers": [vars(one) for one in late],
                "quarantined": quarantined,
                "publication": publication_json(publication),
                "standing": standing,
                "budget_alarms": [usage_json(one) for one in alarms],
                "peers": [_peer(one, size, now) for one in peers],
                **sources_json(sources, fresh, now),
            }
        )
        return
    show_fields(
        [
            ("node", f"{name} at {url}"),
            ("log", f"{size} statements"),
            ("list", f"{state.entries} media hashes to match"),
            ("to restore", f"{remedies} open remedies"),
            ("quarantine", f"{quarantined} entries to confirm or reject"),
            ("published", publication_text(publication)),
        ]
    )
    for warning in [*filter(None, [trouble]), *warnings]:
        show(warning)
    show()
    if alarms:
        show("Budgets of today of which half or more is used:")
        show_usage(alarms)
        show()
    _show_late(late)
    if not peers:
        show("No peer is pinned: schutznetz node peer add DIR --url URL")
        return
    show_peers(peers, size, now)
    show_sources(sources, fresh, now)


def _show_late(late: "list[Late]") -> None:
    if late:
        show("Late with an answer, or a proof, about what was taken back here:")
        rows = [(one.node, one.statement, one.since) for one in late]
        show_table(("peer", "statement", "since"), rows)
        show()


def show_peers(peers: "list[PeerState]", size: int, now: int) -> None:
    """Prints a line for each peer, and what is wrong with some below."""
    rows = [
        (
            one.name,
            "authority" if one.authority else "peer",
            one.state,
            "yes" if one.acked_size >= size else f"{size - one.acked_size} behind",
            one.seen_size,
            ago(one.synced, now),
            one.set_aside,
        )
        for one in peers
    ]
    show_table(("peer", "role", "state", "has all of ours", "we have", "heard", "set aside"), rows)
    for one in peers:
        if one.problem:
            show(f"{one.name}: {one.problem}")


def is_in_step(peer: "PeerState", size: int) -> bool:
    """Says whether a peer has taken over all of this node's log, and answers."""
    return peer.acked_size >= size and peer.state == "active" and peer.problem is None


def _peer(one: "PeerState", size: int, now: int) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(one),
        "in_step": is_in_step(one, size),
        "behind": max(0, size - one.acked_size),
        "age_s": None if one.synced is None else max(0, now - one.synced),
    }
