"""Deleting bodies: everything that was taken from them, and copies that were kept for a reason.

The entry in the log stays. Copies of a body stand in two places besides: among what was set aside,
and in what was kept as evidence against a peer that served it in a bad answer. What this is not: a
search for whatever a peer may have made of a body. A body is looked for as it is written in an
envelope, and its media hashes and fingerprints as they are written in statements.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from node.services import waiting
from node.storage.transaction import Transaction
from protocol.envelope import parse_envelope
from protocol.errors import ProtocolError
from protocol.fields import StatementId, organisation_of
from protocol.kinds import parse_statement
from protocol.statements import AccountBan, Erase, MediaFlag, Statement

_LEAST_CHARS: Final = 32
"""An MD5 in hexadecimal, the shortest that is looked for; whatever is shorter says little."""

_RUN: Final = re.compile(rb"[A-Za-z0-9+/=_-]{%d,}" % _LEAST_CHARS)
# A flag can say that any 16 or 32 bytes are somebody's digest: also the id of a key or an entry in
# the very evidence that is to disappear. What is named as such is not looked at.
_NAMES: Final = re.compile(
    rb'\b(?:(?:keyid|entry|id)"?\s*[:=]\s*"[^"]*"|(?:entries|proof)"\s*:\s*\[[^\]]*\])'
)
_ESCAPED: Final = re.compile(rb"\\+u00([0-7][0-9a-fA-F])")
ERASED: Final = "Its issuer has erased it."
"""Why a body that was set aside is not kept."""


def forget(transaction: Transaction, log_indices: Sequence[int], state: str) -> None:
    """Deletes the bodies of statements, all that was taken from them and every copy.

    Args:
        transaction: to write in.
        log_indices: places of the statements.
        state: what has become of them, ``erased`` or ``expired``.
    """
    bodies = transaction.statements.envelopes(log_indices)
    clear_evidence(transaction, bodies.values())
    for log_index in log_indices:
        transaction.media.forget(log_index)
        transaction.accounts.forget(log_index)
        transaction.statements.forget(log_index, state)


def clear_evidence(transaction: Transaction, envelopes: Iterable[bytes]) -> None:
    """Replaces evidence that holds one of these bodies, or a value of one, by its digest."""
    traces = _Traces(envelopes)
    if not traces:
        return
    for number in transaction.evidence.numbers():
        body = transaction.evidence.at(number)
        if traces.are_in(body):
            digest = hashlib.sha256(body).hexdigest()
            note = f"Erased, for it held what an issuer has erased. SHA-256 of it: {digest}"
            transaction.evidence.clear(number, note.encode())


class _Traces:
    """What shows that a text holds one of some bodies, or a piece of it."""

    def __init__(self, envelopes: Iterable[bytes]) -> None:
        self._values: set[bytes] = set()
        self._payloads: dict[bytes, list[bytes]] = {}
        for envelope in envelopes:
            parsed = parse_envelope(envelope)
            payload = base64.b64encode(parsed.payload)
            self._payloads.setdefault(payload[:_LEAST_CHARS], []).append(payload)
            self._values |= _values(parse_statement(parsed.kind, parsed.payload))

    def __bool__(self) -> bool:
        return bool(self._payloads)

    def are_in(self, text: bytes) -> bool:
        """Whether a text holds a trace, also where it was escaped or cut off."""
        plain = text
        if b"\\" in text:
            plain = _ESCAPED.sub(lambda one: bytes([int(one[1], 16)]), text).replace(b"\\", b"")
        return self._is_in(plain) and self._is_in(_NAMES.sub(b" ", plain))

    def _is_in(self, plain: bytes) -> bool:
        return any(self._is_trace(run) for run in _RUN.findall(plain))

    def _is_trace(self, run: bytes) -> bool:
        if run in self._values or run.lower() in self._values:
            return True
        near = self._payloads.get(run[:_LEAST_CHARS], ())
        return any(one.startswith(run) or run.startswith(one) for one in near)


def _values(statement: Statement) -> set[bytes]:
    found: list[str | None] = []
    if isinstance(statement, MediaFlag):
        for item in statement.items:
            found += [item.pdq, item.sha256, item.sha1, item.md5]
            found += [frame.pdq for frame in item.frames]
    if isinstance(statement, AccountBan):
        found += [one.value for one in statement.fingerprints]
        found += [None if statement.avatar is None else statement.avatar.pdq]
    return {one.encode() for one in found if one is not None}


def clear_set_aside(transaction: Transaction, envelope: bytes) -> bool:
    """Deletes the bodies that were set aside and that a statement erases; returns whether any were.

    Args:
        transaction: to write in.
        envelope: of a statement that is believed but for its target, which is not known here: so
            its issuer is who it says. It erases what claims to be of that issuer, or of a flagger
            of that node; whether the claim is true, could not be verified either.
    """
    erase = waiting.statement_in(envelope)
    if not isinstance(erase, Erase):
        return False
    cleared = False
    for record in transaction.peers.set_aside_with(erase.target):
        if record.envelope is not None and _may_erase(erase, record.envelope):
            clear_evidence(transaction, [record.envelope])
            transaction.peers.drop_body(record.id, record.origin, ERASED)
            cleared = True
    return cleared


def _may_erase(erase: Erase, envelope: bytes) -> bool:
    try:
        claimed = waiting.statement_in(envelope).issuer
    except ProtocolError:
        return False
    return erase.issuer in (claimed, organisation_of(claimed))


def erases_waiting_for(
    transaction: Transaction, statement_id: StatementId, envelope: bytes, *, limit: int
) -> list[bytes]:
    """Returns statements that were set aside and would erase this one; each is to be verified."""
    return [
        one.envelope
        for one in transaction.peers.waiting_for(f"statement:{statement_id}", limit=limit)
        if one.envelope is not None
        and isinstance(erase := waiting.statement_in(one.envelope), Erase)
        and _may_erase(erase, envelope)
    ]
