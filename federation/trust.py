"""Who may say what: the decision to believe a statement.

What it is: the only way from the bytes of an envelope to a statement that this node may act on. It
looks up through `Directory` and decides; it stores nothing, so the same statement may be judged
again at any time. What it is not: a policy. That a statement is believed does not say what is done
about it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from federation.descriptors import PinnedNode
from federation.validity import (
    TARGET_KINDS,
    check_flagger,
    check_node_key,
    flagger_key,
    is_valid,
)
from protocol import limits
from protocol.circles import CircleDescriptor
from protocol.encoding import parse_time
from protocol.errors import (
    EquivocationError,
    LimitError,
    MalformedError,
    QuorumError,
    RevokedError,
    UnknownKeyError,
    UnknownTargetError,
)
from protocol.fields import StatementId, organisation_of
from protocol.kinds import KINDS
from protocol.statements import (
    Accredit,
    Dispute,
    Erase,
    Erased,
    Feedback,
    Remedied,
    Resolve,
    Retract,
    Revocation,
    Statement,
)
from protocol.succession import check_succession, check_thresholds
from signing.envelopes import Verified, verify_envelope
from signing.keys import PublicKey

CONFIDENTIAL_KINDS = frozenset({Remedied.KIND, Erased.KIND})
"""What is said about a statement to its issuer alone, and not to everybody who may read it."""

_Pointer = Retract | Erase | Dispute | Resolve | Feedback | Remedied | Erased

_FindVersion = Callable[[str, int], tuple[StatementId, CircleDescriptor] | None]


@dataclass(frozen=True)
class Target:
    """What is known of a statement that another one points at, also after its body was erased.

    Attributes:
        issuer: who said it.
        kind: of the statement.
        items: how many there are to point at: pictures or films of a media-flag, 1 for an
            account-ban.
    """

    issuer: str
    kind: str
    items: int


@dataclass(frozen=True)
class Trusted:
    """A statement that this node may act on.

    Attributes:
        verified: the statement, its id and its exact bytes.
        organisation: the node that stands behind it.
        accredited: that node is an authority to the operator.
        keyid: of the issuer's own key.
        signers: key id of every node that has signed it as it should, by name; of a circle
            descriptor that may be several.
    """

    verified: Verified
    organisation: str
    accredited: bool
    keyid: str
    signers: Mapping[str, str]


class Directory(Protocol):
    """What this node knows, for looking up only."""

    def node(self, name: str) -> PinnedNode | None:
        """Returns the pinned node of that name, or this node itself."""

    def accreditations(self, flagger: str) -> Sequence[Accredit]:
        """Returns the accreditation with the latest `issued` of each of the flagger's keys."""

    def target(self, statement: StatementId) -> Target | None:
        """Returns what is known of a statement, of any kind, erased ones included."""

    def may_read(self, reader: str, statement: StatementId) -> bool:
        """Returns whether a node, by its name, is in the audience of a statement that is known."""

    def stands_before(self, statement: StatementId, node: str, mark: Revocation) -> bool:
        """Returns whether a statement is known to stand in a node's log before a revocation."""

    def dispute_target(self, dispute: StatementId) -> str | None:
        """Returns the target of a dispute that is known here."""

    def circle_version(
        self, name: str, version: int
    ) -> tuple[StatementId, CircleDescriptor] | None:
        """Returns one version of a circle that is known here, with its statement id."""


def verify_statement(data: bytes, directory: Directory, *, now: int) -> Trusted:
    """Returns the statement in `data` once it may be acted on (docs/protocol.md section 5.3).

    1. The envelope has the form of section 5.2, and one of its signatures holds under a key that
       belongs to the issuer: without a slash, a statement key of the pinned node of that name; with
       a slash, a key for which the pinned node before the slash has published an accreditation of
       that flagger. No such key: unknown. Nothing else is believed before this step is done.
    2. The issuer may speak. The pinned node is not frozen. A node's key is valid at `issued`, and
       so is its descriptor. A flagger's latest accreditation for that key is active, `issued` lies
       within it, the kind is one that flaggers sign (media-flag, account-ban, retract, erase,
       resolve), and the category of a media-flag or account-ban is within its scope: equal to one
       of its categories, below a branch such as ``csam.*``, or anything under ``*``.
       A key that is revoked as of a size still counts for what is known to stand before it.
    3. `issued` lies at most `limits.MAX_FUTURE_S` ahead of the reader's clock.
    4. accredit: the issuer is a node, the flagger's name begins with that node's name and a slash,
       and the key is one that may be used.
    5. retract, erase, dispute, resolve, feedback, remedied and erased: the target is known, and is
       a media-flag or an account-ban; every item number is below the number of its items.
       a. retract, erase and resolve: the issuer is the target's issuer, or the node behind it.
       b. resolve: the dispute is known, and points at the same target.
       c. dispute, feedback, remedied and erased: the issuer is in the target's audience; ids alone
          are for everyone. (All four are for nodes only: step 2.)
       d. remedied and erased: they are addressed to the organisation of the target's issuer alone.
    6. circle-descriptor: a signature counts for an admin if it holds under a statement key of that
       pinned node, which is not frozen, and whose key and descriptor are valid at `issued`.
       a. Version 1: the issuer is the node that the circle's name begins with, and among its own
          members; `admin_threshold` of its admins have signed.
       b. Every later version: the one before is known and named as `previous`; the issuer is one of
          its admins; `admin_threshold` of the admins of each of the two have signed, and the new
          one may follow the other (`protocol.succession`).
       c. No other statement was believed as this version. Two contradict each other if as many of
          the admins of the one that is known have signed both; else it is refused like the rest.

    Args:
        data: untrusted bytes.
        directory: what this node knows.
        now: Unix time in seconds.

    Raises:
        ProtocolError: not a statement, or one that contradicts itself or its target.
        UnknownKeyError: step 1, nobody vouches for the key.
        BadSignatureError: step 1, the signature does not fit.
        RevokedError: steps 2, 4, 5a, 5c, 6: the issuer is known, but may not say this, or not now.
        UnknownTargetError: steps 5 and 6: it points at what is not known here, or not yet.
        QuorumError: step 6, too few admins have signed; in 6c, of the version that is known.
        EquivocationError: step 6c, the circle's admins have signed two versions of one number.
    """
    keys = _Keys(directory)
    # 1. Form, key, signature. The key may be valid or not: that is asked once the signature holds.
    verified = verify_envelope(data, keys.find, kinds=KINDS)
    statement = verified.statement
    own = keys.own(verified)
    organisation = organisation_of(statement.issuer)
    node = keys.node(organisation)
    assert node is not None
    # 2. Allowed to speak.
    if node.state != "active":
        raise RevokedError("The node behind the statement is frozen here.")

    def stood(mark: Revocation | None) -> bool:
        return (
            mark is not None
            and mark.log == node.log_origin
            and directory.stands_before(verified.id, organisation, mark)
        )

    if statement.issuer == organisation:
        check_node_key(node, statement, own, stood)
    else:
        check_flagger(keys.accreditations(statement.issuer), statement, own, stood)
    # 3. The clock.
    if parse_time(statement.issued) > now + limits.MAX_FUTURE_S:
        raise LimitError("The statement is dated ahead of this node's clock.", where="issued")
    # 4. to 6. What this kind asks for.
    match statement:
        case Accredit():
            _check_accredit(statement)
        case Retract() | Erase() | Dispute() | Resolve() | Feedback() | Remedied() | Erased():
            _check_pointer(statement, directory)
        case CircleDescriptor():
            signers = keys.signers(verified)
            _check_circle(statement, verified.id, signers.keys(), keys.version)
            return Trusted(verified, organisation, node.authority, own, signers)
    return Trusted(verified, organisation, node.authority, own, {statement.issuer: own})


class _Keys:
    """Who may sign a statement, and whose keys did.

    Everything is looked up once, so that all steps see the same even if the directory changes.
    """

    def __init__(self, directory: Directory) -> None:
        self.node = cache(directory.node)
        self.accreditations = cache(directory.accreditations)
        self.version = cache(directory.circle_version)
        self._owners: dict[str, str] = {}

    def find(self, statement: Statement, keyid: str) -> PublicKey | None:
        for name in _speakers(statement, self.version):
            for key in self._of(name):
                if key.kid == keyid:
                    self._owners[keyid] = name
                    return key
        return None

    def _of(self, name: str) -> list[PublicKey]:
        node = self.node(organisation_of(name))
        if node is None:
            return []
        if name == node.name:
            return [one.key for one in node.statement_keys]
        return [flagger_key(one) for one in self.accreditations(name)]

    def own(self, verified: Verified) -> str:
        """Returns the id of a key of the issuer's own; others may have signed before it."""
        for keyid in verified.keyids:
            if self._owners[keyid] == verified.statement.issuer:
                return keyid
        raise UnknownKeyError("The statement is signed with no key that may speak for its issuer.")

    def signers(self, verified: Verified) -> dict[str, str]:
        """Returns the nodes whose signatures count for a circle: key id by name."""
        found = {}
        for keyid in verified.keyids:
            node = self.node(self._owners[keyid])
            if (
                node is not None
                and node.state == "active"
                and is_valid(node, verified.statement, keyid)
            ):
                found[node.name] = keyid
        return found


def _speakers(statement: Statement, find_version: _FindVersion) -> dict[str, None]:
    """Returns who may sign a statement: its issuer, and of a circle the admins of two versions."""
    names = dict.fromkeys([statement.issuer])
    if isinstance(statement, CircleDescriptor):
        before = find_version(statement.circle, statement.version - 1)
        names |= dict.fromkeys(statement.admins)
        names |= dict.fromkeys(() if before is None else before[1].admins)
    return names


def _check_accredit(statement: Accredit) -> None:
    if statement.flagger == statement.issuer or (
        organisation_of(statement.flagger) != statement.issuer
    ):
        raise RevokedError("A node vouches only for flaggers under its own name.")
    flagger_key(statement)


def _check_pointer(statement: _Pointer, directory: Directory) -> None:
    target = directory.target(StatementId(statement.target))
    if target is None:
        raise UnknownTargetError("The statement that this one points at is not known here.")
    if target.kind not in TARGET_KINDS:
        raise MalformedError("Only a media-flag or an account-ban can be pointed at.")
    if any(item >= target.items for item in _items(statement)):
        raise MalformedError("The target has no item with this number.", where="items")
    if isinstance(statement, Retract | Erase | Resolve) and statement.issuer not in (
        target.issuer,
        organisation_of(target.issuer),
    ):
        raise RevokedError("Only the target's issuer, or the node behind it, may say this.")
    if isinstance(statement, Dispute | Feedback | Remedied | Erased) and not directory.may_read(
        statement.issuer, StatementId(statement.target)
    ):
        raise RevokedError("A node may not speak about a statement that is not addressed to it.")
    if isinstance(statement, Remedied | Erased) and statement.audience != (
        f"node:{organisation_of(target.issuer)}",
    ):
        raise MalformedError("This is for the target's issuer and nobody else.", where="audience")
    if isinstance(statement, Resolve):
        disputed = directory.dispute_target(StatementId(statement.dispute))
        if disputed is None:
            raise UnknownTargetError("The dispute that is resolved is not known here.")
        if disputed != statement.target:
            raise MalformedError("The dispute is about another statement.", where="dispute")


def _items(statement: _Pointer) -> Sequence[int]:
    match statement:
        case Retract() | Dispute():
            return statement.items
        case Feedback():
            return [row.item for row in statement.rows]
        case _:
            return ()


def _check_circle(
    new: CircleDescriptor, new_id: StatementId, signers: Collection[str], find: _FindVersion
) -> None:
    """Returns if a version of a circle may be believed; `signers` are nodes that signed it well."""
    if new.version == 1:
        # The name says who founded it, so that nobody can claim another's before it arrives.
        if new.issuer != organisation_of(new.circle):
            raise RevokedError("A circle is founded by the node that its name begins with.")
        if new.issuer not in {member.node for member in new.members}:
            raise RevokedError("A circle is founded by one of its own members.")
        check_thresholds(new.epochs)
    else:
        before = find(new.circle, new.version - 1)
        if before is None:
            raise UnknownTargetError("The version before this one is not known here.")
        old_id, old = before
        if new.issuer not in old.admins:
            raise RevokedError("A version is issued by an admin of the one before.")
        check_succession(old, old_id, new)
        _check_quorum(old, signers, "the version before")
    _check_quorum(new, signers, "this version")
    known = find(new.circle, new.version)
    if known is not None and known[0] != new_id:
        # Else who founded a circle alone, or decided about it once, could stop it at any time: a
        # version with admins of one's own choice says nothing about the word of these.
        _check_quorum(known[1], signers, "the other version of this number that is known here")
        raise EquivocationError(
            f"Two different versions {new.version} of the circle {new.circle} are signed by as "
            "many of its admins as it takes.",
            circle=new.circle,
            known=known[0],
        )


def _check_quorum(circle: CircleDescriptor, signers: Collection[str], whose: str) -> None:
    count = len(set(circle.admins) & set(signers))
    if count < circle.admin_threshold:
        raise QuorumError(
            f"{count} of the admins of {whose} have signed it with a key that is known here, and "
            f"{circle.admin_threshold} must."
        )
