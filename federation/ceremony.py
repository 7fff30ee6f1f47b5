"""What counts in a ceremony: whose words are believed, and what follows from them.

Everything that a participant says is signed with the statement key of its node, and is checked
against the descriptors that the reader has pinned. So nobody who passes it on can put a word of its
own in its place; it can only keep one back. Both sides use this: the participants, and the
coordinator, who wants to know whose fault it was. It stores nothing and sends nothing.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from federation.descriptors import PinnedNode
from protocol.ceremonies import (
    STEPS,
    Certificate,
    Commitment,
    Confirmation,
    Plan,
    finished_epoch,
)
from protocol.circles import Epoch
from protocol.encoding import from_base64url, parse_time
from protocol.errors import CeremonyError, KeygenError, ProtocolError, SigningError
from protocol.fields import StatementId
from protocol.statements import Statement
from signing.dkg.rounds import witness
from signing.dkg.sessions import Session, open_session
from signing.envelopes import Verified, verify_envelope
from signing.keys import PublicKey

FindNode = Callable[[str], PinnedNode | None]
"""Returns the pinned node of a name, or this node itself."""

S = TypeVar("S", bound=Statement)


@dataclass(frozen=True, repr=False)
class Roll:
    """Who has confirmed, and the session that follows from it.

    Attributes:
        confirmed: names of the nodes.
        session: of the key generation; None where no key is to be generated.
        holders: names of the holders, in the order of their indices.
    """

    confirmed: frozenset[str]
    session: Session | None
    holders: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Round:
    """Round 1 as a reader was shown it.

    Attributes:
        ids: statement ids of the commitments, in the holders' order.
        messages: msg1 of each.
        envelopes: as they came: the evidence.
    """

    ids: tuple[StatementId, ...]
    messages: tuple[bytes, ...]
    envelopes: tuple[bytes, ...]

    @property
    def extension(self) -> bytes:
        """What all certify beside the transcript: every commitment with all its ciphertexts."""
        return hashlib.sha512("".join(self.ids).encode("ascii")).digest()


def holders_of(plan: Plan) -> tuple[str, ...]:
    """Returns the holders of the key that is to be generated, in the order of their indices."""
    return () if plan.generate is None else tuple(one.node for one in plan.generate.holders)


def participants_of(plan: Plan, admins_before: Sequence[str]) -> tuple[str, ...]:
    """Returns who is asked: holders first, then admins, then those of the version before."""
    return tuple(dict.fromkeys((*holders_of(plan), *plan.admins, *admins_before)))


def read_confirmations(
    plan: Plan, ceremony: str, envelopes: Sequence[bytes], find_node: FindNode
) -> Roll:
    """Returns who has confirmed, once every holder has, each with a key of its own.

    1. Each envelope is a confirmation of this very plan, under a statement key of a pinned node.
    2. No node confirms twice, and every holder is there with a key.
    3. The session id of the key generation is the ceremony's id, then the statement ids of the
       holders' confirmations in their order: another plan, order or key is another session.

    Raises:
        CeremonyError: a step fails; the culprit is the node whose confirmation it is.
    """
    said: dict[str, Verified] = {}
    keys: dict[str, bytes] = {}
    for envelope in envelopes:
        # 1
        verified, statement = _open(Confirmation, ceremony, envelope, find_node)
        name = statement.issuer
        # 2
        if name in said:
            # One envelope passed on twice is not the doing of who signed it.
            twice = verified.id != said[name].id
            raise CeremonyError(
                f"{name} confirmed twice." if twice else f"A word of {name} was passed on twice.",
                culprit=name if twice else plan.coordinator,
                evidence=envelope if twice else b"",
            )
        said[name] = verified
        if statement.key is not None:
            keys[name] = from_base64url(statement.key)
    holders = holders_of(plan)
    for name in holders:
        if name not in keys:
            raise CeremonyError(f"{name} has not confirmed with a key.", culprit=plan.coordinator)
    if plan.generate is None:
        return Roll(frozenset(said), None, ())
    # 3
    session_id = b"".join(bytes.fromhex(one) for one in (ceremony, *(said[n].id for n in holders)))
    with_keys = [keys[name] for name in holders]
    if len(set(with_keys)) < len(with_keys):
        # Who copied from whom cannot be told.
        raise CeremonyError("Two holders have confirmed with one key.")
    try:
        session = open_session(session_id, plan.generate.threshold, with_keys)
    except KeygenError as error:
        raise blamed(error, plan, [said[name].envelope for name in holders]) from error
    return Roll(frozenset(said), session, holders)


def read_commitments(
    plan: Plan, ceremony: str, envelopes: Sequence[bytes], find_node: FindNode, *, roll: Roll
) -> Round:
    """Returns round 1, if there is one signed commitment of every holder, in their order.

    Raises:
        CeremonyError: there is not; names the node whose commitment, or place, it is. Or one was
            made in another session than `roll` gives: then a holder has confirmed twice, or the
            author lies, and nobody is named.
    """
    found = _row(Commitment, plan, ceremony, envelopes, find_node)
    session = "" if roll.session is None else roll.session.context.hex()
    messages = []
    for verified, statement in found:
        if statement.session != session:
            raise CeremonyError(
                f"{statement.issuer} committed after other confirmations than were shown here: "
                f"a holder confirmed twice, or {statement.issuer} says what is not so."
            )
        try:
            messages.append(from_base64url(statement.message, where="message"))
        except ProtocolError as error:
            raise CeremonyError(
                f"{statement.issuer}: {error}",
                culprit=statement.issuer,
                evidence=verified.envelope,
            ) from None
    ids = tuple(verified.id for verified, _ in found)
    return Round(ids, tuple(messages), tuple(envelopes))


def read_certificates(
    plan: Plan,
    ceremony: str,
    envelopes: Sequence[bytes],
    find_node: FindNode,
    *,
    shown: Round,
) -> tuple[bytes, ...]:
    """Returns every holder's signature over the transcript, in their order, not verified yet.

    Raises:
        CeremonyError: a certificate is missing, or its signer was shown another commitment than
            this reader. Then the commitment's author has signed two, or the signer lies.
    """
    found = _row(Certificate, plan, ceremony, envelopes, find_node)
    holders = holders_of(plan)
    for verified, statement in found:
        if len(statement.seen) != len(shown.ids):
            raise CeremonyError(
                f"{statement.issuer} certified another number of commitments than there are.",
                culprit=statement.issuer,
                evidence=verified.envelope,
            )
        if statement.seen != shown.ids:
            authors = ", ".join(
                name
                for name, theirs, ours in zip(holders, statement.seen, shown.ids, strict=True)
                if theirs != ours
            )
            # Nobody is named as culprit: either of them could have brought the other into this.
            raise CeremonyError(
                f"{statement.issuer} certified another commitment of {authors} than "
                f"was shown here: that was made twice, or {statement.issuer} says what is not so."
            )
    return tuple(from_base64url(statement.signature) for _, statement in found)


def witnessed_epoch(plan: Plan, roll: Roll, shown: Round, signatures: Sequence[bytes]) -> Epoch:
    """Returns the epoch that a key generation came to, for a reader who holds no share of it.

    Raises:
        CeremonyError: a proof or a signature does not hold; names the node whose it is.
    """
    if plan.generate is None or roll.session is None:
        raise RuntimeError("No key is generated in this ceremony.")
    try:
        seen = witness(roll.session, shown.messages, signatures, extension=shown.extension)
    except KeygenError as error:
        raise blamed(error, plan, shown.envelopes) from error
    return finished_epoch(plan.generate, seen.commitments, seen.transcript_digest)


def blamed(error: KeygenError, plan: Plan, envelopes: Sequence[bytes]) -> CeremonyError:
    """Returns what a failed key generation means among nodes: indices become names.

    Args:
        error: of `signing.dkg`.
        plan: of the ceremony.
        envelopes: what each holder said that may show the fault, in their order.
    """
    if error.culprit is None:
        return CeremonyError(str(error))
    if error.culprit == 0:
        return CeremonyError(str(error), culprit=plan.coordinator)
    name = holders_of(plan)[error.culprit - 1]
    return CeremonyError(f"{name}: {error}", culprit=name, evidence=envelopes[error.culprit - 1])


def _row(
    kind: type[S],
    plan: Plan,
    ceremony: str,
    envelopes: Sequence[bytes],
    find_node: FindNode,
) -> list[tuple[Verified, S]]:
    """Returns one step of every holder, in their order."""
    holders = holders_of(plan)
    if len(envelopes) != len(holders):
        raise CeremonyError("Not every holder's message was passed on.", culprit=plan.coordinator)
    found = []
    for name, envelope in zip(holders, envelopes, strict=True):
        verified, statement = _open(kind, ceremony, envelope, find_node)
        if statement.issuer != name:
            raise CeremonyError(
                f"A message of {statement.issuer} was passed on in the place of {name}.",
                culprit=plan.coordinator,
                evidence=envelope,
            )
        found.append((verified, statement))
    return found


def _open(kind: type[S], ceremony: str, envelope: bytes, find_node: FindNode) -> tuple[Verified, S]:
    """Returns one step that its node has signed for this ceremony.

    Whose fault a bad one is cannot be told from it: the coordinator may have made it up.
    """

    def find_key(statement: Statement, keyid: str) -> PublicKey | None:
        node = find_node(statement.issuer)
        if node is None or node.state != "active":
            return None
        issued = parse_time(statement.issued)
        return next(
            (
                one.key
                for one in node.statement_keys
                if one.key.kid == keyid and one.not_before <= issued <= one.not_after
            ),
            None,
        )

    try:
        verified = verify_envelope(envelope, find_key, kinds=STEPS)
    except (ProtocolError, SigningError) as error:
        raise CeremonyError(f"Something was passed on that cannot be believed: {error}") from error
    statement = verified.statement
    if not isinstance(statement, kind):
        raise CeremonyError(
            f"A message of {statement.issuer} was passed on as one of another round.",
            evidence=envelope,
        )
    if getattr(statement, "ceremony", None) != ceremony:
        raise CeremonyError(
            f"A message of {statement.issuer} is of another ceremony.", evidence=envelope
        )
    return verified, statement
