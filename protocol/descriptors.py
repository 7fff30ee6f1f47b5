"""The descriptor of a node: its name, address and keys, signed by its root key (section 7).

It is no entry of a log: nodes exchange it when they are introduced, and pin it.
"""

import base64
import hashlib
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from protocol import limits
from protocol.encoding import check_order, parse_time
from protocol.errors import MalformedError
from protocol.fields import Bytes32, Digest256, StatementId, Text, TimeField, Url, check_url
from protocol.statements import Revocation, Statement
from protocol.structs import ContradictionError, Hidden

_FINGERPRINT_BYTES = 20
_GROUP = 4
_CHECK_CHARS = 4


class NodeKey(Hidden, frozen=True, kw_only=True, omit_defaults=True):
    """One operational key of a node: what it is for, and from when until when.

    A statement key that was revoked says so: what it signed before still counts. A key for another
    use is just named no longer.
    """

    use: Literal["request", "log", "witness", "statement"]
    key: Bytes32
    not_before: TimeField
    not_after: TimeField
    revoked: Revocation | None = None

    def __post_init__(self) -> None:
        check_order(self.not_before, self.not_after)
        if self.revoked is not None and self.use != "statement":
            raise ContradictionError("Only a statement key is revoked as of a size of the log.")


class NodeDescriptor(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """Who a node is. Version N+1 names version N and is signed by the root keys of both.

    Attributes:
        version: 1, 2, 3 …
        previous: statement id of the version before.
        url: where the node answers.
        root: the root key that signs this descriptor; it stays offline.
        keys: operational keys by use.
        log_origin: name of the node's log, as its checkpoints carry it.
        expires: after this instant the descriptor must not be used.
        contact: for a person, such as an office's telephone number.
    """

    KIND: ClassVar[str] = "node-descriptor"

    version: Annotated[int, Meta(ge=1, le=limits.MAX_DESCRIPTORS)]
    url: Url
    root: Bytes32
    keys: Annotated[tuple[NodeKey, ...], Meta(min_length=1, max_length=limits.MAX_KEYS)]
    log_origin: Text
    expires: TimeField
    previous: Digest256 | None = None
    contact: Text | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_time(self.expires, where="expires")
        if (self.version == 1) != (self.previous is None):
            raise ContradictionError("Version 1 has no previous one, every later version names it.")
        check_url(self.url, where="url")
        # It is also the name of the key that signs checkpoints (C2SP signed-note, "Format").
        if any(char.isspace() or char == "+" for char in self.log_origin):
            raise ContradictionError("The log's origin has neither spaces nor plus signs.")
        if self.log_origin.partition("/")[0] != self.issuer:
            raise ContradictionError("The log's origin begins with the node's name.")


def fingerprint_of(descriptor_v1: StatementId) -> str:
    """Returns the 160-bit fingerprint of a node, for reading over the telephone.

    Eight groups of four base32 characters (RFC 4648 section 6, lower case) and a ninth group that
    checks the others. 160 bits, since the comparison happens after the fact and so needs
    second-preimage strength.

    Args:
        descriptor_v1: statement id of the node's first descriptor.
    """
    head = bytes.fromhex(descriptor_v1)[:_FINGERPRINT_BYTES]
    body = base64.b32encode(head).decode("ascii").lower()
    return "-".join(
        (body + _check(body))[at : at + _GROUP] for at in range(0, len(body) + _CHECK_CHARS, _GROUP)
    )


def parse_fingerprint(typed: str) -> str:
    """Returns a typed fingerprint in its canonical form; case, blanks and dashes do not matter.

    Raises:
        MalformedError: wrong length or characters, or a typing error that the check group shows.
    """
    text = "".join(typed.split()).replace("-", "")
    # Looked at before they are made lower case, which turns some other characters into these.
    is_base32 = set(text) <= _BASE32
    text = text.lower()
    body, check = text[:-_CHECK_CHARS], text[-_CHECK_CHARS:]
    if len(body) != _FINGERPRINT_BYTES * 8 // 5 or not is_base32:
        raise MalformedError("A fingerprint is nine groups of four of the characters a–z and 2–7.")
    if check != _check(body):
        raise MalformedError("The fingerprint has a typing error: its last group does not fit.")
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


_BASE32 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz234567")


def _check(body: str) -> str:
    digest = hashlib.sha256(b"schutznetz/fingerprint/v1\0" + body.encode("ascii")).digest()
    return base64.b32encode(digest).decode("ascii").lower()[:_CHECK_CHARS]
