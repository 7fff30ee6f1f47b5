"""`node log`: the log of a node as files that anyone can keep and check, and a statement of it."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli import options
from node.cli.key_use import RootKeyFile, RootPassphraseFile
from node.cli.output import progress, show, show_json


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("The node's log.")
    verbs.command("export")(export)
    verbs.command("envelope")(envelope)
    verbs.command("new-origin")(new_origin)
    app.add_typer(verbs, name="log")


def export(
    directory: options.NodeFolder,
    out: Annotated[
        Path,
        typer.Argument(help="Folder for the files; what is there already is kept.", metavar="OUT"),
    ],
    as_json: options.Json = False,
) -> None:
    """Write the log as files, to be kept or checked elsewhere.

    The checkpoint, all tiles and all entries, as C2SP tlog-tiles names them; ids only, no
    statement. Beside the running node; a second time only what is new is written.
    """
    from federation.log_files import CHECKPOINT_FILE
    from node.app import open_services
    from node.cli.log_folder import LogFolder
    from node.cli.passphrases import node_environment
    from protocol.checkpoint import parse_checkpoint, parse_note
    from protocol.merkle import HASH_BYTES
    from protocol.tiles import levels_of, tiles_of

    folder = LogFolder(out)
    written = 0
    with open_services(directory, environ=node_environment()) as services:
        note = services.log.newest_note(0)
        checkpoint = parse_checkpoint(parse_note(note).text)
        with progress("Writing the log", checkpoint.size >> 8) as step:
            for level in levels_of(checkpoint.size):
                for tile in tiles_of(checkpoint.size, level):
                    # A tile never changes: one of the right length is from an earlier export.
                    if folder.size(tile.path()) != HASH_BYTES * tile.width:
                        folder.write(tile.path(), services.log.tile(tile))
                        written += 1
                    if level:
                        continue
                    step()
                    if folder.size(tile.bundle_path()) != (2 + HASH_BYTES) * tile.width:
                        folder.write(tile.bundle_path(), services.log.bundle(tile))
                        written += 1
        # Last: what it covers is there by now.
        folder.write(CHECKPOINT_FILE, note)
    if as_json:
        facts = {"origin": checkpoint.origin, "size": checkpoint.size, "files": written + 1}
        show_json(facts | {"directory": str(out)})
        return
    show(f"{checkpoint.size} entries of {checkpoint.origin}, {written + 1} new files in {out}.")
    show("Whoever has the node's descriptor checks them with")
    show(f"    schutznetz verify log {out} --node DESCRIPTOR")


def envelope(
    directory: options.NodeFolder,
    statement: options.StatementId,
    out: Annotated[Path, typer.Argument(help="The new file.", metavar="FILE")],
    as_json: options.Json = False,
) -> None:
    """Write one statement as it was signed, to be checked elsewhere.

    It may name what is confidential: whom you give it to should be in its audience.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from protocol.errors import InvalidError, NotFoundError

    with open_services(directory, environ=node_environment()) as services:
        (found,) = services.serving.envelopes([statement], reader=services.settings.name).envelopes
    if found.envelope is None:
        raise NotFoundError(f"This node does not have the statement: it is {found.state} here.")
    try:
        with out.open("xb") as file:
            file.write(found.envelope.encode())
    except OSError as error:
        raise InvalidError(f"{out}: the file cannot be written: {error.strerror}") from None
    if as_json:
        show_json({"id": statement, "file": str(out)})
        return
    show(f"The statement {statement} is in {out}. Whoever has the node's descriptor checks it with")
    show(f"    schutznetz verify statement {out} --node DESCRIPTOR")


def new_origin(
    directory: options.NodeFolder,
    root_key: RootKeyFile = None,
    root_passphrase_file: RootPassphraseFile = None,
    as_json: options.Json = False,
) -> None:
    """Begin a new log, where the old one cannot be what was signed any more.

    Only for a node that was restored from an old copy, and says that its log is behind or has
    forked. Start it anew afterwards; its peers have to thaw it if they have frozen it.
    """
    from node.app import open_services
    from node.cli.key_use import load_root
    from node.cli.passphrases import node_environment
    from node.services.new_origin import propose_new_origin
    from node.services.rotation import sign_proposal

    with open_services(directory, environ=node_environment()) as services:
        proposal = propose_new_origin(services.rotation, services.standing)
        root, _ = load_root(
            root_key, root_passphrase_file, directory=directory, settings=services.settings
        )
        signed = sign_proposal(proposal, root, now=int(services.clock()))
        installed = services.rotation.install(signed)
    if as_json:
        show_json({"origin": installed.log_origin, "version": installed.version})
        return
    show(f"The log is {installed.log_origin} from now on. Start the node anew.")
