"""Statements that this node makes itself: signed with its key, taken in like any other."""

from collections.abc import Callable
from typing import Any

from node.services.ingest import Also, Ingest
from node.services.keys import NodeKeys
from protocol.encoding import format_time
from protocol.kinds import parse_statement
from protocol.messages import Receipt
from protocol.statements import Statement, encode_statement
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
        self,
        kind: type[Statement],
        *,
        also: Also,
        audience: tuple[str, ...] = ("peers",),
        **fields: Any,
    ) -> Receipt:
        """Makes, signs and takes in one statement of this node.

        Args:
            kind: of statement.
            also: written in the same transaction: the line of the audit that says who wanted it.
            audience: who may read it.
            fields: everything but issuer, nonce, issued and audience.

        Raises:
            ProtocolError: the fields are not what the protocol allows.
            SigningError, InvalidError, NotAllowedError: as `Ingest.submit`.
        """
        envelope = sign_statement(
            self._make(kind, audience=audience, **fields), self._keys.statement
        )
        return self._ingest.submit(envelope, caller=self._name, also=also)

    def check(self, kind: type[Statement], *, audience: tuple[str, ...], **fields: Any) -> None:
        """Returns if the protocol allows such a statement; says it to nobody.

        For those who must do something that lasts before they issue it. Raises as `issue`.
        """
        made = self._make(kind, audience=audience, **fields)
        parse_statement(made.KIND, encode_statement(made))

    def _make(
        self, kind: type[Statement], *, audience: tuple[str, ...], **fields: Any
    ) -> Statement:
        return kind(
            issuer=self._name,
            nonce=new_nonce(),
            issued=format_time(int(self._clock())),
            audience=audience,
            **fields,
        )
