"""`receipt`: the proof that a statement is in the node's log, as a file to keep."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli import options
from node.cli.output import show, show_json


def register(app: options.Group) -> None:
    """Adds the verb to the command."""
    app.command("receipt")(receipt)


def receipt(
    *,
    statement: options.StatementId,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The new file; without it, the id with .tlog-proof behind.", metavar="FILE"
        ),
    ] = None,
    node: options.NodeUrl = None,
    key: options.KeyFile = None,
    passphrase_file: options.PassphraseFile = None,
    api_key_file: options.ApiKeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Get the proof that a statement is in the node's log.

    Keep it beside the statement: anyone can check it with `schutznetz verify receipt`, without the
    node. One that you get later may carry the cosignatures of more witnesses.
    """
    from protocol.errors import InvalidError
    from protocol.receipts import RECEIPT_SUFFIX, parse_log_proof

    options.check_who(key, api_key_file)
    data = _fetch(statement, node, key, passphrase_file, api_key_file)
    proof = parse_log_proof(data)
    file = out or Path(statement + RECEIPT_SUFFIX)
    try:
        file.write_bytes(data)
    except OSError as error:
        raise InvalidError(f"{file}: the file cannot be written: {error.strerror}") from None
    if as_json:
        show_json({"id": statement, "index": proof.index, "file": str(file)})
        return
    show(f"The receipt of {statement} is in {file}.")
    show("Whoever has the node's descriptor checks it with")
    show(f"    schutznetz verify receipt {file} --id {statement} --node DESCRIPTOR")


def _fetch(
    statement: str,
    node: str | None,
    key: Path | None,
    passphrase_file: Path | None,
    api_key_file: Path | None,
) -> bytes:
    from protocol.fields import StatementId

    if key is not None:
        from node.cli.conversation import open_flagger, receipt_of

        return receipt_of(open_flagger(key, node, passphrase_file), StatementId(statement))
    from node.cli.own_node import Platform
    from node.cli.passphrases import read_api_key

    platform = Platform(node or options.OWN_NODE, read_api_key(api_key_file))
    return platform.get_text(f"/v1/statements/{statement}/receipt")
