"""What can be shown of a node with nothing but files: its descriptor, statements, a receipt.

What it is: the same decisions that a node makes, over what somebody holds in hand. No network, no
database, no pin: the reader vouches for the descriptors by handing them over, and compares their
fingerprints. What it is not: a word on today. A descriptor that has expired, or that a later one
has replaced, still shows what it showed then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from federation.chains import open_chain
from federation.descriptors import PinnedNode, StatementKey, pin
from federation.trust import Target, Trusted, verify_statement
from protocol.checkpoint import parse_checkpoint, parse_note
from protocol.circles import CircleDescriptor
from protocol.descriptors import NodeDescriptor
from protocol.encoding import parse_time
from protocol.envelope import parse_envelope
from protocol.errors import (
    MalformedError,
    QuorumError,
    RevokedError,
    UnknownKeyError,
    UnknownTargetError,
)
from protocol.fields import StatementId, organisation_of
from protocol.statements import (
    AccountBan,
    Accredit,
    Dispute,
    Erased,
    MediaFlag,
    Revocation,
    Statement,
    parse_as,
)
from protocol.witness_policy import WitnessPolicy
from signing.cosignatures import verify_cosignatures, witness_note_key
from signing.envelopes import Verified, verify_envelope
from signing.keys import PublicKey
from signing.receipts import Logged
from signing.receipts import verify_receipt as verify_receipt_of


@dataclass(frozen=True)
class FileNode:
    """A node as descriptors in files say.

    Attributes:
        node: its keys, as if it were pinned.
        version: of the latest descriptor.
        expires: of that descriptor, Unix time in seconds.
    """

    node: PinnedNode
    version: int
    expires: int

    @property
    def log_keys(self) -> tuple[PublicKey, ...]:
        """The keys under which its checkpoints are believed, those of earlier versions too."""
        return tuple(one.key for one in self.node.log_keys)


def read_nodes(envelopes: Iterable[bytes]) -> dict[str, FileNode]:
    """Returns the nodes that descriptors describe, by name.

    Of a node, all versions from the first to the latest are needed; each is verified as it was when
    it was issued, so none has expired.

    Args:
        envelopes: untrusted bytes, in any order.

    Raises:
        ProtocolError: not a descriptor, a version is missing, or it is there twice.
        SigningError: a descriptor is not signed as it should be.
    """
    by_name: dict[str, dict[int, tuple[NodeDescriptor, bytes]]] = {}
    for data in envelopes:
        # Only to put them in order: nothing here is believed.
        hint = parse_as(NodeDescriptor, parse_envelope(data).payload)
        versions = by_name.setdefault(hint.issuer, {})
        if hint.version in versions:
            raise MalformedError("One version of a descriptor is there twice.", where="version")
        versions[hint.version] = hint, data
    return {name: _read_node(versions) for name, versions in by_name.items()}


def _read_node(versions: dict[int, tuple[NodeDescriptor, bytes]]) -> FileNode:
    ordered = [versions[number] for number in sorted(versions)]
    found = open_chain([data for _, data in ordered], now=parse_time(ordered[-1][0].issued))
    nodes = [pin(one.descriptor, found[0].id, authority=False) for one in found]
    # What was signed before stays signed: by keys that the latest version names no longer.
    node = replace(
        nodes[-1],
        request_keys=_last_word(one.request_keys for one in nodes),
        log_keys=_last_word(one.log_keys for one in nodes),
        witness_keys=_last_word(one.witness_keys for one in nodes),
    )
    latest = found[-1].descriptor
    return FileNode(node, latest.version, parse_time(latest.expires))


def _last_word(versions: Iterable[Sequence[StatementKey]]) -> tuple[StatementKey, ...]:
    """Returns every key that a version names, as the latest of these says."""
    found = {one.key.kid: one for keys in versions for one in keys}
    return tuple(found.values())


@dataclass(frozen=True)
class FileDirectory:
    """Looks up nodes, and statements that were verified before (`federation.trust.Directory`).

    Attributes:
        nodes: by name, from `read_nodes`.
        known: statements that were verified, by id.
    """

    nodes: dict[str, FileNode]
    known: dict[StatementId, Statement] = field(default_factory=dict)

    def node(self, name: str) -> PinnedNode | None:
        """Returns the node of that name, if its descriptor was handed over."""
        found = self.nodes.get(name)
        return None if found is None else found.node

    def accreditations(self, flagger: str) -> Sequence[Accredit]:
        """Returns the accreditation with the latest `issued` of each of the flagger's keys."""
        latest: dict[str, Accredit] = {}
        for one in self.known.values():
            if isinstance(one, Accredit) and one.flagger == flagger:
                before = latest.get(one.key)
                if before is None or before.issued < one.issued:
                    latest[one.key] = one
        return list(latest.values())

    def target(self, statement: StatementId) -> Target | None:
        """Returns what is known of a statement."""
        found = self.known.get(statement)
        if found is None:
            return None
        items = len(found.items) if isinstance(found, MediaFlag) else isinstance(found, AccountBan)
        return Target(found.issuer, found.KIND, int(items))

    def stands_before(self, _statement: StatementId, _node: str, _mark: Revocation) -> bool:
        """Returns False: files do not say when a statement came, so it is not believed."""
        return False

    def may_read(self, reader: str, statement: StatementId) -> bool:
        """Returns whether a node is named by a statement; of circles nothing is known here."""
        found = self.known.get(statement)
        if found is None:
            return False
        names = ("peers", f"node:{reader}")
        return reader == organisation_of(found.issuer) or any(n in found.audience for n in names)

    def dispute_target(self, dispute: StatementId) -> str | None:
        """Returns the target of a dispute that is known."""
        found = self.known.get(dispute)
        return found.target if isinstance(found, Dispute) else None

    def circle_version(
        self, name: str, version: int
    ) -> tuple[StatementId, CircleDescriptor] | None:
        """Returns one version of a circle that is known, with its statement id."""
        for known_id, one in self.known.items():
            if isinstance(one, CircleDescriptor) and (one.circle, one.version) == (name, version):
                return known_id, one
        return None

    def learn(self, envelopes: Iterable[bytes], *, now: int) -> None:
        """Verifies statements on which others rest, in whatever order makes that possible.

        Raises:
            ProtocolError, SigningError: one of them is not believed.
        """
        waiting = list(envelopes)
        while waiting:
            left: list[bytes] = []
            errors: list[UnknownKeyError | UnknownTargetError] = []
            for data in waiting:
                try:
                    verified = verify_statement(data, self, now=now).verified
                except (UnknownKeyError, UnknownTargetError) as error:
                    # It may rest on one that comes later.
                    left.append(data)
                    errors.append(error)
                else:
                    self.known[verified.id] = verified.statement
            if len(left) == len(waiting):
                raise errors[0]
            waiting = left


def verify_with_directory(data: bytes, directory: FileDirectory, *, now: int) -> Trusted:
    """Returns a statement that the node behind it stands for (docs/protocol.md section 5.3).

    Raises:
        ProtocolError, SigningError: as `federation.trust.verify_statement`.
    """
    return verify_statement(data, directory, now=now)


def verify_with_key(
    data: bytes, *, issuer: str, key: PublicKey, kinds: dict[str, type[Statement]]
) -> Verified:
    """Returns a statement that is signed with a key that the reader takes for the issuer's.

    Whether a node vouches for the key, and for this statement, is not asked.

    Raises:
        ProtocolError, SigningError: as `signing.envelopes.verify_envelope`.
    """

    def find(statement: Statement, keyid: str) -> PublicKey | None:
        return key if (statement.issuer, keyid) == (issuer, key.kid) else None

    return verify_envelope(data, find, kinds=kinds)


def verify_receipt(data: bytes, *, entry: StatementId, node: FileNode) -> Logged:
    """Returns what a receipt shows of a statement (docs/protocol.md section 6.8).

    Raises:
        ProtocolError, SigningError: as `signing.receipts.verify_receipt`.
    """
    origin, keys = node.node.log_origin, node.log_keys
    return verify_receipt_of(data, entry=bytes.fromhex(entry), origin=origin, keys=keys)


def cosigners(note_bytes: bytes, nodes: Iterable[FileNode]) -> dict[str, int]:
    """Returns which nodes have cosigned a checkpoint, and when (Unix time in seconds).

    Args:
        note_bytes: a note whose checkpoint was verified.
        nodes: whose cosignatures count, each while its witness key was valid.

    Raises:
        ProtocolError: the note is not of its form, or has two cosignatures of one key.
        BadSignatureError: one of their cosignatures does not hold.
    """
    keys = {
        witness_note_key(one.node.name, key.key): (one.node.name, key)
        for one in nodes
        for key in one.node.witness_keys
    }
    found = verify_cosignatures(parse_note(note_bytes), keys)
    return {
        keys[key][0]: at
        for key, at in found.items()
        if keys[key][1].not_before <= at <= keys[key][1].not_after
    }


def check_policy(note_bytes: bytes, policy: WitnessPolicy) -> None:
    """Returns if a checkpoint carries the cosignatures that the reader's policy asks for.

    Args:
        note_bytes: a note whose checkpoint was verified.
        policy: of the reader; the logs in it are not looked at.

    Raises:
        ProtocolError: the note is not of its form, or has two cosignatures of one key.
        BadSignatureError: a cosignature of a witness in the policy does not hold.
        QuorumError: there are too few.
    """
    missing = policy.missing(verify_cosignatures(parse_note(note_bytes), policy.keys).keys())
    if missing:
        raise QuorumError(f"The checkpoint lacks {missing} cosignatures that the policy asks for.")


def node_of(note_bytes: bytes, nodes: Iterable[FileNode]) -> FileNode:
    """Returns the node whose log a note says that it is of; nothing is believed by that.

    Raises:
        ProtocolError: no checkpoint.
        UnknownKeyError: of none of these nodes' logs.
    """
    origin = parse_checkpoint(parse_note(note_bytes).text).origin
    for one in nodes:
        if one.node.log_origin == origin:
            return one
    raise UnknownKeyError("It is of a log of none of the nodes whose descriptors were given.")


def verify_erasure(data: bytes, node: FileNode) -> Erased:
    """Returns a proof that a node has deleted a body (docs/protocol.md section 4.12).

    It is signed with a statement key of the node that was valid when it was issued. What it points
    at is not asked for: of what was erased, nobody has more than the id.

    Raises:
        ProtocolError: not a proof of erasure.
        UnknownKeyError: it is not this node's, or its descriptor does not name the key.
        BadSignatureError: the signature does not fit the bytes.
        RevokedError: the key was not valid then.
    """
    keys = {one.key.kid: one for one in node.node.statement_keys}

    def find(statement: Statement, keyid: str) -> PublicKey | None:
        found = keys.get(keyid)
        return None if found is None or statement.issuer != node.node.name else found.key

    verified = verify_envelope(data, find, kinds={Erased.KIND: Erased})
    statement = verified.statement
    assert isinstance(statement, Erased)
    key = keys[verified.keyid]
    if not key.not_before <= parse_time(statement.issued) <= key.not_after:
        raise RevokedError("The node's key was not valid when the proof was issued.")
    return statement
