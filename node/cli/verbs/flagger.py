"""`flagger init` and `flagger card`: a key of one's own, and the card that introduces it."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli import options
from node.cli.output import note, show, show_fields, show_json


def register(app: options.Group) -> None:
    """Adds the verbs to the command."""
    verbs = options.group("Your key as a flagger, and your card.")
    verbs.command("init")(init)
    verbs.command("card")(card)
    app.add_typer(verbs, name="flagger")


def init(
    name: options.NewFlaggerName,
    out: Annotated[Path, typer.Option(help="Folder for the key and the card.", metavar="DIR")] = (
        Path()
    ),
    node: Annotated[
        str | None,
        typer.Option(
            help="Address of the node that you will submit to; it is put on the card.",
            metavar="URL",
            callback=options.check_url,
        ),
    ] = None,
    passphrase_file: options.PassphraseFile = None,
    as_json: options.Json = False,
) -> None:
    """Make your key and your card.

    The key stays on this computer; the card is for the operator of the node.
    """
    from node.cli.cards import Card, card_beside, write_card
    from node.cli.passphrases import read_passphrase
    from signing.keys import KeyUse, SigningKey
    from signing.keystore import MODERATE, save_key

    key_file = out / f"{name.partition('/')[2]}.key"
    key = SigningKey.generate(KeyUse.FLAGGER)
    made = Card(name, key.public, node)
    passphrase = read_passphrase(passphrase_file, new=True)
    card_file = card_beside(key_file)
    write_card(card_file, made, key_file=key_file)
    try:
        save_key(key_file, key, passphrase, cost=MODERATE)
    except BaseException:
        card_file.unlink()
        raise
    if not as_json:
        note(f"Your key is in {key_file}. It stays on this computer; keep its passphrase safe.")
        note(f"Your card is in {card_file}. It holds nothing secret.")
        note()
    _show(made, card_file, key_file=key_file, as_json=as_json)


def card(
    key: Annotated[
        Path, typer.Argument(help="The key file, or the card beside it.", metavar="FILE")
    ],
    as_json: options.Json = False,
) -> None:
    """Print your card.

    And what the operator of the node does with it.
    """
    from node.cli.cards import card_beside, read_card

    card_file = card_beside(key)
    _show(read_card(card_file), card_file, key_file=None, as_json=as_json)


def _show(card: object, card_file: Path, *, key_file: Path | None, as_json: bool) -> None:
    from node.cli.cards import Card, spoken

    assert isinstance(card, Card)
    command = f"schutznetz node flagger add NODE_DIR {card_file.name} --categories 'csam.*'"
    if as_json:
        document = {
            "name": card.name,
            "key": card.key.to_text(),
            "key_id": card.key.kid,
            "node": card.node,
            "card_file": str(card_file),
            "command": command,
        }
        show_json(document | ({"key_file": str(key_file)} if key_file else {}))
        return
    show_fields(
        [
            ("name", card.name),
            ("key", card.key.to_text()),
            ("key id", spoken(card.key.kid)),
            ("node", card.node or "not on the card: say it with --node"),
        ]
    )
    show()
    show("Send the card to the operator of the node. On the node's machine they run")
    show(f"    {command}")
    show("and are asked for the key id: read it to them over the telephone.")
