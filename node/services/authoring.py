"""Statements that this node makes itself: signed with its key, taken in like any other."""

from collections.abc import Callable
from typing import Any

from node.services.ingest import Ingest
from node.services.keys import NodeKeys
from protocol.encoding import format_time
from protocol.messages import Receipt
from protocol.statements import Statement
from signing.envelopes import new_nonce, sign_statement


class Author:
    """Signs in the node's name."""

    def __init__(
        self, ingest: Ingest, keys: NodeKeys, *, name: str, clock: Callable[[], float]
    ) -> None:
        self._ingest = ingest
        self._keys = keys
        self._name = name
        self._clock = clock

    def issue(
        self, kind: type[Statement], *, audience: tuple[str, ...] = ("peers",), **fields: Any
    ) -> Receipt:
        """Makes, signs and takes in one statement of this node.

        Args:
            kind: of statement.
            audience: who may read it.
            fields: everything but issuer, nonce, issued and audience.

        Raises:
            ProtocolError: the fields are not what the protocol allows.
            SigningError, InvalidError, NotAllowedError: as `Ingest.submit`.
        """
        statement = kind(
            issuer=self._name,
            nonce=new_nonce(),
            issued=format_time(int(self._clock())),
            audience=audience,
            **fields,
        )
        envelope = sign_statement(statement, self._keys.statement)
        return self._ingest.submit(envelope, caller=self._name)
