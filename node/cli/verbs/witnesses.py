"""`node witness`: what others need to have this node as a witness, and who cosigns its own log."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from node.cli import options
from node.cli.output import show, show_fields, show_json

if TYPE_CHECKING:
    from node.services.publication import PublicationState


def register(app: options.Group) -> None:
    """Adds the verb to the group."""
    app.command("witness")(witness)


def publication_json(state: "PublicationState") -> dict[str, Any]:
    """Returns how far a log is published, as JSON has it."""
    return asdict(state)


def publication_text(state: "PublicationState") -> str:
    """Returns how far a log is published, for a person."""
    if not state.is_asked:
        return "not asked for: there is no witness policy"
    if not state.missing and state.asked_size == state.size:
        return f"{state.size} statements, all that the witnesses were shown"
    return f"{state.size} statements; {state.missing} cosignatures missing for {state.asked_size}"


def witness(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """Show the line that makes this node a witness of others, and who cosigns its own log.

    The line belongs in the witness policies of the nodes whose logs this one is to cosign.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from protocol.checkpoint import format_vkey
    from signing.cosignatures import witness_note_key

    with open_services(directory, environ=node_environment()) as services:
        name, url = services.settings.name, services.settings.url
        key = format_vkey(witness_note_key(name, services.witness.key))
        state = services.publication.state()
        policy = services.publication.policy
    line = f"witness {name} {key} {url}"
    if as_json:
        asked = [] if policy is None else [one.key.name for one in policy.witnesses]
        show_json(
            {"line": line, "vkey": key, "witnesses": asked, "publication": publication_json(state)}
        )
        return
    show("For the witness policies of other nodes:")
    show(f"    {line}")
    show()
    show_fields([("published", publication_text(state))])
    for one in () if policy is None else policy.witnesses:
        show(f"    {one.key.name}")
