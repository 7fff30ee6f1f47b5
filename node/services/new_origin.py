"""A new origin for this node's log, where the old one can never again be what was signed.

The entries stay, and begin a log of another name; the old one is signed no more. Peers take the new
log over from its first entry, once they have heard of the descriptor that names it: what they know
already is not fetched again.
"""

import re
from typing import Final

import msgspec

from node.services.rotation import Rotation, encode_proposal, parse_proposal
from node.services.standing import Standing
from protocol.errors import ConflictError

_NUMBER: Final = re.compile(r"(.*/log/)([1-9][0-9]{0,5})")


def propose_new_origin(rotation: Rotation, standing: Standing) -> bytes:
    """Returns what the root key is to sign; nothing changes by it.

    Raises:
        ConflictError: the log is where it was, so there is no reason.
    """
    if standing.state().state == "fine":
        raise ConflictError(
            "The log is where it was when it was signed last: it needs no new origin."
        )
    envelope, current, following = parse_proposal(rotation.propose([]))
    origin = next_origin(current.log_origin)
    return encode_proposal(envelope, msgspec.structs.replace(following, log_origin=origin))


def next_origin(origin: str) -> str:
    """Returns the name of the log that comes after one: ``/log/2`` after ``/log/1``."""
    found = _NUMBER.fullmatch(origin)
    return f"{origin}/log/2" if found is None else f"{found[1]}{int(found[2]) + 1}"
