"""Whether a key may say what it has signed: in its time, within its scope, before its revocation.

What it is: step 2 of docs/protocol.md section 5.3, for a key whose signature holds. What it is not:
the search for the key, or what the kind of statement asks for: `federation.trust`.
"""

from collections.abc import Callable, Sequence

from federation.descriptors import PinnedNode
from protocol.encoding import from_base64url, parse_time
from protocol.errors import RevokedError
from protocol.statements import (
    AccountBan,
    Accredit,
    Erase,
    MediaFlag,
    Resolve,
    Retract,
    Revocation,
    Statement,
)
from signing.keys import KeyUse, PublicKey

TARGET_KINDS = frozenset({MediaFlag.KIND, AccountBan.KIND})
"""What a retract, erase, dispute, resolve, feedback, remedied or erased may point at."""

FLAGGER_KINDS = TARGET_KINDS | {Retract.KIND, Erase.KIND, Resolve.KIND}
"""What a flagger may sign; everything else speaks for an organisation, and is signed by a node."""

Stood = Callable[[Revocation | None], bool]
"""Says whether a statement is known to stand in its node's log before a revocation."""


def flagger_key(accredit: Accredit) -> PublicKey:
    """Returns the key that an accreditation is for; raises `MalformedError` where it is none."""
    return PublicKey(KeyUse.FLAGGER, from_base64url(accredit.key, where="key"))


def is_valid(
    node: PinnedNode, statement: Statement, keyid: str, stood: Stood = lambda _mark: False
) -> bool:
    """Whether a statement key of a node was valid when a statement was issued.

    Args:
        node: whose key it is.
        statement: that it has signed.
        keyid: of the key.
        stood: says whether the statement stood in the node's log before a revocation.
    """
    issued = parse_time(statement.issued)
    return any(
        one.not_before <= issued <= one.not_after and (one.revoked is None or stood(one.revoked))
        for one in node.statement_keys
        if one.key.kid == keyid
    )


def check_node_key(node: PinnedNode, statement: Statement, keyid: str, stood: Stood) -> None:
    """Returns if a node may say this under this key.

    Raises:
        RevokedError: the key was not valid then, or is revoked since.
    """
    if not is_valid(node, statement, keyid, stood):
        raise RevokedError(
            "The node's key was not valid when the statement was issued, or is revoked since."
        )


def check_flagger(
    accreditations: Sequence[Accredit], statement: Statement, keyid: str, stood: Stood
) -> None:
    """Returns if a flagger may say this under this key.

    Raises:
        RevokedError: the accreditation of the key does not allow it, or no longer.
    """
    accredit = next(one for one in accreditations if flagger_key(one).kid == keyid)
    if accredit.status != "active" and not stood(accredit.revoked):
        raise RevokedError(f"The flagger's accreditation is {accredit.status}.")
    # All times have one length and sort as the instants do.
    if not accredit.not_before <= statement.issued <= accredit.not_after:
        raise RevokedError("The flagger's accreditation was not valid when this was issued.")
    if statement.KIND not in FLAGGER_KINDS:
        raise RevokedError("This kind of statement is for nodes, not for flaggers.")
    if isinstance(statement, MediaFlag | AccountBan) and not any(
        _covers(pattern, statement.category) for pattern in accredit.categories
    ):
        raise RevokedError("The category is outside the scope of the flagger's accreditation.")


def _covers(pattern: str, category: str) -> bool:
    """Returns whether a category lies within a pattern; a branch does not contain its own name."""
    if pattern.endswith("*"):
        return category.startswith(pattern[:-1])
    return category == pattern
