"""A flagger's conversation with a node: who signs, and what is asked (RFC 9421 requests).

Nothing here needs a node on this machine: no database, no server, no settings.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import typer

from federation.client import PeerClient, connect
from node.cli.cards import card_beside, read_card
from node.cli.passphrases import read_passphrase
from protocol.envelope import parse_envelope
from protocol.errors import (
    InvalidError,
    PeerMisbehavedError,
    PeerRefusedError,
    PeerUnreachableError,
)
from protocol.fields import StatementId
from protocol.messages import Receipt, StatementStatus
from signing.keys import KeyUse, SigningKey
from signing.keystore import load_key

MOST_STATEMENTS: Final = 10_000
"""How many of a flagger's statements are listed."""

_UNAUTHORISED: Final = 401

T = TypeVar("T")


@dataclass(frozen=True)
class Flagger:
    """Somebody who signs statements, and the node that they submit to.

    Attributes:
        name: such as ``hotline.example/anna``.
        key: for the use ``flagger``.
        node: address of the node.
    """

    name: str
    key: SigningKey
    node: str


def open_flagger(key_file: Path, node: str | None, passphrase_file: Path | None) -> Flagger:
    """Returns the flagger whose key file this is; the name stands on the card beside it.

    Raises:
        typer.BadParameter: no address was given, and none is on the card.
        InvalidError: there is no card, or it is another key's.
        KeystoreError: the key file cannot be opened.
    """
    card_file = card_beside(key_file)
    card = read_card(card_file)
    url = node or card.node
    if url is None:
        raise typer.BadParameter(
            "the address of the node is not on the card: say it", param_hint="--node"
        )
    key = load_key(key_file, read_passphrase(passphrase_file), use=KeyUse.FLAGGER)
    if key.public != card.key:
        raise InvalidError(f"{card_file}: the card beside the key file is that of another key")
    return Flagger(card.name, key, url)


def submit(flagger: Flagger, envelopes: Sequence[bytes]) -> Iterator[Receipt]:
    """Hands signed statements over one by one, and gives the node's receipts.

    A request of which no answer came is made once more: the same envelope again is no second
    statement.

    Raises:
        FederationError: as `PeerClient`; those after it were not sent.
    """
    for envelope in envelopes:
        yield _talk(flagger, partial(_submit, envelope))


async def _submit(envelope: bytes, client: PeerClient) -> Receipt:
    try:
        return await client.submit(envelope)
    except PeerUnreachableError:
        pass
    try:
        return await client.submit(envelope)
    except PeerUnreachableError as error:
        name = parse_envelope(envelope).statement_id
        raise PeerUnreachableError(
            f"{error} Whether it has the statement is not known; later, ask for the status of "
            f"{name} before you send it again."
        ) from None


def statements_of(flagger: Flagger) -> list[StatementStatus]:
    """Returns what became of a flagger's statements, newest first.

    Raises:
        FederationError: as `PeerClient`.
    """
    return _talk(flagger, _statements)


async def _statements(client: PeerClient) -> list[StatementStatus]:
    found: list[StatementStatus] = []
    after: int | None = None
    while len(found) < MOST_STATEMENTS:
        page = await client.my_statements(after)
        found.extend(page.statements)
        if page.next is None:
            break
        if after is not None and page.next >= after:
            raise PeerMisbehavedError("The node's list of statements does not end.", evidence=b"")
        after = page.next
    return found


def receipt_of(flagger: Flagger, statement_id: StatementId) -> bytes:
    """Returns the receipt of one of a flagger's statements, unverified.

    Raises:
        FederationError: as `PeerClient`.
    """
    return _talk(flagger, lambda client: client.receipt(statement_id))


def _talk(flagger: Flagger, say: Callable[[PeerClient], Awaitable[T]]) -> T:
    async def talk() -> T:
        async with connect() as http:
            client = PeerClient(http, url=flagger.node, key=flagger.key, clock=time.time)
            return await say(client)

    try:
        return asyncio.run(talk())
    except PeerRefusedError as error:
        if error.status != _UNAUTHORISED:
            raise
        raise PeerRefusedError(
            f"{str(error).rstrip('.')}. Has the operator added your card? It is shown by: "
            "schutznetz flagger card",
            status=error.status,
        ) from None
