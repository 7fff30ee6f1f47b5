"""What a certificate of TLS says to who calls: why it is not believed, and for how long it is.

OpenSSL has verified it against the operating system's authorities by the time that anything here is
asked (RFC 8446 section 4.4.2.4, RFC 5280 section 6). What stands here is only what it does not do:
say so in a sentence for an operator, and look at the clock again while a connection is kept open.
"""

import ssl
from collections.abc import Mapping
from typing import Final

_UNKNOWN_ISSUER: Final = "comes from no authority that this machine trusts"
_OTHER_NAME: Final = "is for another name than the peer's address has"
_REASONS: Final = {  # X509_V_ERR_* of OpenSSL
    7: _UNKNOWN_ISSUER,
    9: "is not valid yet, by this machine's clock",
    10: "has expired, by this machine's clock",
    18: _UNKNOWN_ISSUER,
    19: _UNKNOWN_ISSUER,
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    23: "was revoked",
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}


def why_refused(error: Exception) -> str | None:
    """Returns a sentence for the operator; None where the error is not about a certificate.

    Nothing in it was written by the peer.
    """
    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    reason = _REASONS.get(error.verify_code, "does not hold")
    return f"The peer's TLS certificate {reason}: nothing was asked."


def seconds_left(certificate: Mapping[str, object], now: float) -> float:
    """Returns for how long a verified certificate may still be believed.

    Args:
        certificate: as `ssl.SSLSocket.getpeercert` gives it.
        now: Unix time in seconds.
    """
    return ssl.cert_time_to_seconds(str(certificate["notAfter"])) - now
