"""Every error of the project, in one tree.

::

    SchutznetzError
    ├── ProtocolError          bytes or values that the protocol does not allow
    │   ├── MalformedError     not of the form that docs/protocol.md gives
    │   ├── LimitError         of the right form, but longer, deeper or more than allowed
    │   ├── ProofError         a Merkle proof or a root does not hold
    │   └── VersionError       a version, or a critical extension, that this code does not know
    ├── SigningError           a key or a signature that must not be believed
    │   ├── UnknownKeyError    signed with a key that nobody here vouches for
    │   ├── BadSignatureError  the signature does not fit the bytes
    │   ├── RevokedError       the key was valid once, or will be, but not for this
    │   │   └── NewcomerError      the node behind it is new here, and its time has not come
    │   ├── UnknownTargetError points at a statement that is not known here
    │   ├── QuorumError        fewer good signatures than the rule asks for
    │   ├── EquivocationError  signed as it should be, and contradicts what was signed before
    │   ├── ChainError         a node's descriptor that does not follow from the one that is pinned
    │   ├── KeygenError        a key generation that must be given up; names whose fault it was
    │   └── KeystoreError      a key file that cannot be read, opened or written
    ├── FederationError        a conversation with another organisation failed
    │   ├── PeerUnreachableError   no answer within the limits of time and size
    │   │   └── PeerOutOfReachError  the address must not be called
    │   ├── PeerRefusedError       the peer answered, and said no
    │   ├── PeerMisbehavedError    the peer's answer breaks the protocol; carries the evidence
    │   └── CeremonyError          a ceremony that must be given up; names the node at fault
    └── NodeError              this node cannot do what it was asked
        ├── InvalidError       the request is understood but cannot be taken as it is
        ├── NotFoundError      there is no such thing
        ├── ConflictError      it contradicts what is already there
        ├── RateLimitedError   too much in too short a time
        ├── NotAllowedError    the caller may not do this
        │   └── ReplayedError  this very request was made before
        ├── UnavailableError   something the answer needs is down; nothing was decided
        └── SettingsError      the settings do not allow a start

A parser given *any* bytes raises `ProtocolError` and nothing else. A programming mistake raises
`RuntimeError`. Messages are one sentence for a person, and never hold an identifier, a pdq, a
fingerprint, a key or a statement body (docs/threat-model.md, rule 10).
"""

from collections.abc import Mapping


class SchutznetzError(Exception):
    """Base of every error that the project raises on purpose."""


class ProtocolError(SchutznetzError):
    """Bytes or values that docs/protocol.md does not allow.

    Attributes:
        where: the place in the document, as a path such as ``items[3].pdq``; empty if unknown.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.where = where


class MalformedError(ProtocolError):
    """Not of the form that the protocol gives."""


class LimitError(ProtocolError):
    """Of the right form, but longer, deeper or more than `protocol.limits` allows."""


class ProofError(ProtocolError):
    """A Merkle proof, or a root recomputed from entries, does not hold."""


class VersionError(ProtocolError):
    """A version, or an extension named in ``crit``, that this code does not know."""


class SigningError(SchutznetzError):
    """A key or a signature that must not be believed."""


class UnknownKeyError(SigningError):
    """Signed with a key that nobody here vouches for."""


class BadSignatureError(SigningError):
    """The signature does not fit the bytes."""


class RevokedError(SigningError):
    """The key is outside its validity or its scope, or was withdrawn."""


class NewcomerError(RevokedError):
    """The node behind a statement has joined lately: what it says counts later."""


class UnknownTargetError(SigningError):
    """Points at a statement that is not known here, or not yet."""


class QuorumError(SigningError):
    """Fewer good signatures than the rule asks for."""


class EquivocationError(SigningError):
    """Signed by as many as the rule asks for, and contradicts what as many have signed before.

    Attributes:
        circle: whose signers have said two things.
        known: statement id of what they said before.
    """

    def __init__(self, message: str, *, circle: str, known: str) -> None:
        super().__init__(message)
        self.circle = circle
        self.known = known


class ChainError(SigningError):
    """A descriptor of a node that does not follow from the one that is pinned.

    Attributes:
        evidence: the bytes that show it.
        proven: the holder of a root key that was pinned has signed what contradicts it. Otherwise
            anybody may have made it.
    """

    def __init__(self, message: str, *, evidence: bytes, proven: bool) -> None:
        super().__init__(message)
        self.evidence = evidence
        self.proven = proven


class KeygenError(SigningError):
    """A key generation without a dealer that must be given up (C2SP COCKTAIL-DKG).

    Attributes:
        culprit: the participant at fault, by its index from 1; 0 for whoever passed the messages
            on; None where nobody can be named.
    """

    def __init__(self, message: str, *, culprit: int | None = None) -> None:
        super().__init__(message)
        self.culprit = culprit


class KeystoreError(SigningError):
    """A key file that cannot be read, opened or written."""


class FederationError(SchutznetzError):
    """A conversation with another organisation failed."""


class PeerUnreachableError(FederationError):
    """No answer from the peer within the limits of time and size."""


class PeerOutOfReachError(PeerUnreachableError):
    """An address that the operator has not allowed to be called; nobody was."""


class PeerRefusedError(FederationError):
    """The peer answered, and said no.

    Attributes:
        status: the HTTP status of the refusal.
        retry_after_s: seconds to wait before asking again, where the peer said so.
        budget: what it says is left of this node's budget there, as `RateLimitedError` has it.
        size: of the log, as a witness cosigned it last, where it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        retry_after_s: int | None = None,
        budget: Mapping[str, int] | None = None,
        size: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.budget = budget
        self.size = size


class PeerMisbehavedError(FederationError):
    """The peer's answer breaks the protocol.

    Attributes:
        evidence: the bytes that show it, kept by the caller.
    """

    def __init__(self, message: str, *, evidence: bytes) -> None:
        super().__init__(message)
        self.evidence = evidence


class CeremonyError(FederationError):
    """A ceremony of several nodes that must be given up.

    Attributes:
        culprit: name of the node at fault; None where nobody can be named.
        evidence: the bytes that show it, if there are any.
    """

    def __init__(self, message: str, *, culprit: str | None = None, evidence: bytes = b"") -> None:
        super().__init__(message)
        self.culprit = culprit
        self.evidence = evidence


class NodeError(SchutznetzError):
    """This node cannot do what it was asked."""


class InvalidError(NodeError):
    """The request is understood but cannot be taken as it is.

    Attributes:
        where: the field at fault, as a path such as ``items[3].pdq``; empty if unknown.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.where = where


class NotFoundError(NodeError):
    """There is no such thing."""


class ConflictError(NodeError):
    """It contradicts what is already there."""


class RateLimitedError(NodeError):
    """Too much in too short a time.

    Attributes:
        retry_after_s: seconds until it makes sense to ask again.
        budget: what is left, as `protocol.messages.BudgetLeft` has it; None where it is not a
            budget of a circle that was used up.
    """

    def __init__(
        self, message: str, *, retry_after_s: int, budget: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.budget = budget


class NotAllowedError(NodeError):
    """The caller may not do this."""


class ReplayedError(NotAllowedError):
    """This very request was made before: a signed one is good for once."""


class UnavailableError(NodeError):
    """Something that the answer needs is down; nothing was decided.

    Attributes:
        retry_after_s: seconds until it makes sense to ask again; None where nobody knows.
    """

    def __init__(self, message: str = "", *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SettingsError(NodeError):
    """The settings do not allow a start."""
