"""`node proofs` and `verify erasure`: that what was erased is gone, by every node's own word."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import options
from node.cli.output import show, show_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.services.erasures import Erasure


def register(app: options.Group) -> None:
    """Adds the verb to the group."""
    app.command("proofs")(proofs)


def proofs(
    directory: options.NodeFolder,
    statement: options.StatementId,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write each proof to, beside the descriptor of its node; it is made.",
            metavar="FOLDER",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List who has proved that an erased statement is gone, and who has not.

    Each proof can be checked anywhere, with files alone: `schutznetz verify erasure`.
    """
    from dataclasses import asdict

    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = services.erasures.get(statement)
        descriptors = services.peers.descriptors()
    if out is not None:
        _write(found, descriptors, out)
    if as_json:
        show_json(asdict(found))
        return
    for one in found.proofs:
        show(f"{one.node}  erased on {one.erased}")
    for name in found.missing:
        show(f"{name}  has given no proof")
    if not found.proofs and not found.missing:
        show("Nobody was asked to erase it.")
    if out is not None and found.proofs:
        show("Check one: schutznetz verify erasure NODE.proof.json --node NODE.descriptor.json")


def _write(found: "Erasure", descriptors: "Mapping[str, bytes]", out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for one in found.proofs:
        (out / f"{one.node}.proof.json").write_text(one.envelope, encoding="utf-8")
        # Of a node that was unpinned since, whoever has its descriptor can still verify the proof.
        if one.node in descriptors:
            (out / f"{one.node}.descriptor.json").write_bytes(descriptors[one.node])


def erasure(
    proof: Annotated[
        Path, typer.Argument(help="The proof, as the envelope that was signed.", metavar="FILE")
    ],
    node: Annotated[
        list[Path],
        typer.Option(
            "--node",
            help="Descriptor of the node that proves; of several versions, each.",
            metavar="FILE",
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Check a node's proof that it has erased a statement.

    Compare the fingerprint that is printed. It proves who said so and when; that it is true, no
    signature can prove.
    """
    from federation.offline import verify_erasure
    from node.cli.key_files import read_file, read_nodes
    from protocol.limits import MAX_ENVELOPE_BYTES

    nodes = read_nodes(node)
    if len(nodes) != 1:
        raise typer.BadParameter("the descriptor of one node", param_hint="--node")
    (known,) = nodes.values()
    said = verify_erasure(read_file(proof, MAX_ENVELOPE_BYTES), known)
    facts: dict[str, Any] = {
        "node": said.issuer,
        "fingerprint": known.node.fingerprint,
        "statement": said.target,
        "erase": said.cause,
        "erased": said.erased,
        "places": list(said.places),
        "issued": said.issued,
    }
    if as_json:
        show_json(facts)
        return
    show(f"statement {said.target}")
    show(f"  {said.issuer} has erased it, and says so on {said.issued}")
    show(f"  gone since {said.erased} from: {', '.join(said.places)}")
    show(f"  fingerprint of the node: {known.node.fingerprint}")
