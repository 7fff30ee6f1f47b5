"""What goes into the OPRF for an account identifier, and what of its output is kept."""

from typing import Final

from protocol.errors import MalformedError
from signing.oprf.elements import check_bytes
from signing.oprf.framing import length_prefixed
from signing.oprf.voprf import OUTPUT_BYTES

FINGERPRINT_BYTES: Final = 32
"""Length of a fingerprint: the first half of an output."""

_DOMAIN: Final = b"acct/v1"


def fingerprint_input(kind: str, scheme: str, normalised: str) -> bytes:
    """Return the OPRF input for an identifier.

    ``lp("acct/v1") || lp(kind) || lp(scheme) || lp(normalised)``, each text as UTF-8 after its
    length in two octets, big-endian. Two different triples never give the same bytes. The result
    is as secret as the identifier.

    Args:
        kind: what the identifier is, such as ``phone``.
        scheme: name and version of the rule that normalised it. Another rule means another
            fingerprint, silently.
        normalised: the identifier in that rule's one spelling.

    Raises:
        MalformedError: a part is empty or has no UTF-8 form (lone surrogates).
        LimitError: a part is longer than 65535 bytes.
    """
    if not (kind and scheme and normalised):
        raise MalformedError("A fingerprint needs a kind, a scheme and an identifier.")
    try:
        parts = [part.encode() for part in (kind, scheme, normalised)]
    except UnicodeEncodeError:
        # `from None`: the original error quotes the identifier.
        raise MalformedError("An identifier is not valid Unicode text.") from None
    return b"".join(map(length_prefixed, (_DOMAIN, *parts)))


def fingerprint_from_output(output: bytes) -> bytes:
    """Return the fingerprint, the first `FINGERPRINT_BYTES` of an OPRF output.

    Raises:
        MalformedError: the output has not `signing.oprf.voprf.OUTPUT_BYTES`.
    """
    return check_bytes(output, OUTPUT_BYTES)[:FINGERPRINT_BYTES]
