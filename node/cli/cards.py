"""A flagger's card: name and public key on a few lines that can be printed, mailed and read aloud.

A card holds nothing secret, and proves nothing by itself: the operator compares its key id with
the flagger over the telephone before the node vouches for the key.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.errors import InvalidError, ProtocolError
from signing.keys import KeyUse, PublicKey

MAX_CARD_BYTES: Final = 4 << 10
"""Longest card that is read; ours have some 300 bytes."""

TITLE: Final = "Schutznetz flagger card"
"""The first line of every card."""

_GROUP: Final = 4
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,120}/[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Card:
    """What a flagger's card says.

    Attributes:
        name: such as ``hotline.example/anna``.
        key: with which this flagger signs.
        node: address of the node that the flagger submits to; None if it is not on the card.
    """

    name: str
    key: PublicKey
    node: str | None = None

    def to_text(self) -> str:
        """Returns the lines of the card."""
        lines = [TITLE, f"name: {self.name}", f"key: {self.key.to_text()}"]
        lines += [f"key id: {spoken(self.key.kid)}"]
        lines += [f"node: {self.node}"] if self.node else []
        return "\n".join(lines) + "\n"


def parse_card(text: str) -> Card:
    """Returns the card that `Card.to_text` wrote.

    Raises:
        InvalidError: it is no card, or one that does not fit together.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != TITLE:
        raise InvalidError("this is not a flagger's card")
    pairs = [line.partition(":")[::2] for line in lines[1:]]
    fields = {name.strip(): value.strip() for name, value in pairs}
    if len(fields) != len(pairs) or not {"name", "key"} <= fields.keys():
        raise InvalidError("the card has to hold one line 'name:' and one line 'key:'")
    if not _NAME.fullmatch(fields["name"]):
        raise InvalidError("the name on the card is not of the form NODE/FLAGGER")
    try:
        key = PublicKey.from_text(fields["key"])
    except ProtocolError as error:
        raise InvalidError(f"the key on the card cannot be used: {error}") from None
    if key.use is not KeyUse.FLAGGER:
        raise InvalidError("the key on the card is not a flagger's")
    if "key id" in fields and unspoken(fields["key id"]) != key.kid:
        raise InvalidError("the key id on the card is not that of the key on it")
    return Card(fields["name"], key, fields.get("node") or None)


def read_card(path: Path) -> Card:
    """Returns the card in a file.

    Raises:
        InvalidError: the file cannot be read, or holds no card.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CARD_BYTES + 1)
    except OSError as error:
        raise InvalidError(f"{path}: the card cannot be read: {error.strerror}") from None
    # What is longer is cut, and then refused with the same sentence as everything that is no card.
    text = "" if len(data) > MAX_CARD_BYTES else data.decode("utf-8", "replace")
    try:
        return parse_card(text)
    except InvalidError as error:
        raise InvalidError(f"{path}: {error}") from None


def card_beside(key_file: Path) -> Path:
    """Returns where the card of a key file lies: beside it, under the same name."""
    return key_file.with_suffix(".card")


def spoken(kid: str) -> str:
    """Returns a key id in groups of four, for reading over the telephone."""
    return " ".join(kid[at : at + _GROUP] for at in range(0, len(kid), _GROUP))


def unspoken(typed: str) -> str:
    """Returns a typed key id without what does not matter: case, blanks and dashes."""
    return "".join(typed.split()).replace("-", "").lower()


def write_card(path: Path, card: Card, *, key_file: Path) -> None:
    """The card lies at `path`, and nothing was overwritten.

    Args:
        path: the new file; its folder is made, for its owner alone, where it is missing.
        card: what it says.
        key_file: where its key is going to lie; nothing may be there either.

    Raises:
        InvalidError: something is there already, or the disk refused.
    """
    taken = InvalidError(
        f"{path.parent}: there is a key or a card of this name already, and keys are never "
        "overwritten; choose another folder with --out"
    )
    if key_file.exists():
        raise taken
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(card.to_text())
    except FileExistsError:
        raise taken from None
    except OSError as error:
        raise InvalidError(f"{path}: the card cannot be written: {error.strerror}") from None
