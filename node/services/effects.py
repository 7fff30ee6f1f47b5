"""What an accepted statement does to the database, kind by kind.

Called inside the transaction that appends the statement to the log, after `federation.trust` has
said that it may be acted on. A crash leaves either the statement with all its effects or neither.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import cast

from node.services import forgetting, restoring
from node.services.directory import log_name, pinned
from node.services.voiding import REASON, void_after
from node.storage.accounts import FingerprintRecord
from node.storage.joining import MembershipRecord
from node.storage.media import EXACT_KINDS, MediaHash
from node.storage.remedies import ErasureProof, RemedyAnswer
from node.storage.statements import DisputeRecord, StatementRecord
from node.storage.transaction import Transaction
from protocol.circles import CircleDescriptor
from protocol.encoding import from_base64url, parse_time
from protocol.fields import organisation_of
from protocol.memberships import Membership
from protocol.pdq import PDQ_BYTES
from protocol.statements import (
    AccountBan,
    Accredit,
    Dispute,
    Erase,
    Erased,
    Feedback,
    MediaFlag,
    MediaItem,
    Remedied,
    Resolve,
    Retract,
    Statement,
)
from signing.keys import KeyUse, PublicKey


def end_of(statement: Statement) -> int | None:
    """Returns when a statement stops to count (Unix time), if it does by itself."""
    if isinstance(statement, MediaFlag):
        return parse_time(statement.review_by)
    if isinstance(statement, AccountBan):
        return parse_time(statement.expires)
    return None


def item_count(statement: Statement) -> int:
    """Returns how many items a statement has to point at."""
    if isinstance(statement, MediaFlag):
        return len(statement.items)
    return 1 if isinstance(statement, AccountBan) else 0


def apply(
    transaction: Transaction, record: StatementRecord, statement: Statement, *, now: int
) -> None:
    """Carries out what a statement says. `record` is its row, which is in the log already."""
    effect = _EFFECTS[type(statement)]
    effect(transaction, record, statement, now)


def _media_flag(
    transaction: Transaction, record: StatementRecord, statement: Statement, _now: int
) -> None:
    place = record.log_index
    items = cast("MediaFlag", statement).items
    kinds = [kind for kind in EXACT_KINDS if any(map(attrgetter(kind), items))]
    texts = [item.pdq for item in items if item.pdq is not None]
    if len(texts) == len(items) and not kinds and not any(map(attrgetter("frames"), items)):
        # What most lists are made of: for them no value is made that is not stored.
        transaction.media.add_pictures(place, _values(texts))
        return
    transaction.media.add(media_hashes(place, items, kinds))


def media_hashes(
    place: int, items: Sequence[MediaItem], kinds: Sequence[str] = EXACT_KINDS
) -> list[MediaHash]:
    """Returns all media hashes of a media-flag's items, as they are stored.

    Args:
        place: of the statement in the log.
        items: of the statement.
        kinds: kinds of exact digest that any of the items has.
    """
    found: list[MediaHash] = []
    for number, item in enumerate(items):
        if item.pdq is not None:
            found.append(MediaHash(place, len(found), number, "pdq", bytes.fromhex(item.pdq)))
        for kind in kinds:
            if value := getattr(item, kind):
                found.append(MediaHash(place, len(found), number, kind, bytes.fromhex(value)))
        for frame in item.frames:
            value = bytes.fromhex(frame.pdq)
            found.append(MediaHash(place, len(found), number, "frame", value, frame.at_ms))
    return found


def _values(pdqs: Sequence[str]) -> list[bytes]:
    whole = bytes.fromhex("".join(pdqs))
    return [whole[at : at + PDQ_BYTES] for at in range(0, len(whole), PDQ_BYTES)]


def _account_ban(
    transaction: Transaction, record: StatementRecord, statement: Statement, _now: int
) -> None:
    ban = cast("AccountBan", statement)
    if ban.avatar is not None:
        transaction.accounts.add_avatar(record.log_index, bytes.fromhex(ban.avatar.pdq))
    transaction.accounts.add(
        [
            FingerprintRecord(
                record.log_index,
                slot,
                one.kind,
                one.circle,
                one.epoch,
                one.scheme,
                from_base64url(one.value),
            )
            for slot, one in enumerate(ban.fingerprints)
        ]
    )


def _retract(
    transaction: Transaction, record: StatementRecord, statement: Statement, now: int
) -> None:
    retract = cast("Retract", statement)
    withdraw(transaction, _target(record), retract.items, reason=retract.reason, now=now)


def _erase(
    transaction: Transaction, record: StatementRecord, statement: Statement, now: int
) -> None:
    target, reason = _target(record), cast("Erase", statement).reason
    # Only data that has served its time says nothing against what was done with it.
    if reason != "retention":
        restoring.ask_remedy(transaction, target, reason=f"erased: {reason}", now=now)
    _take_back(transaction, target, (), now=now)
    forgetting.forget(transaction, [target], "erased")


def _dispute(
    transaction: Transaction, record: StatementRecord, statement: Statement, _now: int
) -> None:
    """Opens a dispute; of one organisation's disputes of one target, only the latest is open."""
    target, state = _target(record), "open"
    waiting = [one.log_index for one in transaction.statements.open_disputes([target])]
    for earlier in transaction.statements.by_indices(waiting).values():
        if earlier.issuer != record.issuer:
            continue
        if earlier.issued <= record.issued:
            transaction.statements.set_dispute_state(earlier.log_index, "replaced")
        else:
            state = "replaced"
    items = cast("Dispute", statement).items
    transaction.statements.add_dispute(DisputeRecord(record.log_index, target, items, state))


def _resolve(
    transaction: Transaction, record: StatementRecord, statement: Statement, now: int
) -> None:
    resolve = cast("Resolve", statement)
    found = transaction.statements.by_id(resolve.dispute)
    assert found is not None  # federation.trust looked it up in this transaction
    transaction.statements.set_dispute_state(found.log_index, resolve.outcome)
    if resolve.outcome == "upheld":
        target = _target(record)
        items = next(
            one.items
            for one in transaction.statements.disputes([target])
            if one.log_index == found.log_index
        )
        withdraw(transaction, target, items, reason="dispute upheld", now=now)


def withdraw(
    transaction: Transaction, log_index: int, items: Sequence[int], *, reason: str, now: int
) -> None:
    """Takes items (none named: all) out of the matching, and asks for remedy where we acted.

    Also of a statement whose body is gone by now: whoever was blocked because of it is to be
    restored all the same.
    """
    target = transaction.statements.by_indices([log_index])[log_index]
    if target.state == "active" and transaction.media.withdraw(log_index, items) == 0:
        # An account-ban has no media hashes; withdrawing its one item withdraws it whole.
        transaction.statements.set_state(log_index, "retracted")
    restoring.ask_remedy(transaction, log_index, items, reason=reason, now=now)
    _take_back(transaction, log_index, items, now=now)


def make_void(transaction: Transaction, place: int, *, clock: Callable[[], float]) -> None:
    """Withdraws a statement whose key was revoked as of before it."""
    withdraw(transaction, place, (), reason=REASON, now=int(clock()))


def _take_back(transaction: Transaction, log_index: int, items: Sequence[int], *, now: int) -> None:
    """Tells whoever registered uploads that items (none named: all) match them no more."""
    withdrawn = transaction.retro.withdraw(log_index, items)
    transaction.webhooks.announce(withdrawn, "retro.withdrawn", now=now)


def _feedback(
    transaction: Transaction, record: StatementRecord, statement: Statement, _now: int
) -> None:
    feedback = cast("Feedback", statement)
    target = transaction.statements.by_indices([_target(record)])[_target(record)]
    transaction.journal.put_feedback(
        target.log_index,
        organisation_of(feedback.issuer),
        feedback.day,
        [(row.item, row.confirmed, row.refuted, row.unreviewed) for row in feedback.rows],
        category=target.category,
        issued=record.issued,
    )


def _remedied(
    transaction: Transaction, record: StatementRecord, statement: Statement, _now: int
) -> None:
    said = cast("Remedied", statement)
    cause = transaction.statements.by_id(said.cause)
    # Only about what was said here of that statement: else a peer could fill the table.
    if cause is not None and cause.target_index == _target(record):
        answer = RemedyAnswer(
            record.issuer, said.cause, said.outcome, record.issued, record.log_index
        )
        transaction.remedies.put_answer(_target(record), answer)


def _erased(
    transaction: Transaction, record: StatementRecord, statement: Statement, _now: int
) -> None:
    at = parse_time(cast("Erased", statement).erased)
    proof = ErasureProof(record.issuer, at, record.issued, record.log_index)
    transaction.remedies.put_proof(_target(record), proof)


def _accredit(
    transaction: Transaction, record: StatementRecord, statement: Statement, now: int
) -> None:
    accredit = cast("Accredit", statement)
    key = PublicKey(KeyUse.FLAGGER, from_base64url(accredit.key))
    transaction.trust.accredit(
        accredit.flagger, key.kid, log_index=record.log_index, issued=record.issued
    )
    node = transaction.peers.get(organisation_of(accredit.flagger))
    if accredit.revoked is not None and node is not None:
        void_after(
            transaction,
            issuer=accredit.flagger,
            keyid=key.kid,
            log=log_name(pinned(node)),
            mark=accredit.revoked,
            withdraw=lambda place: make_void(transaction, place, clock=lambda: now),
        )


def _membership(
    transaction: Transaction, record: StatementRecord, statement: Statement, now: int
) -> None:
    said = cast("Membership", statement)
    transaction.joining.put_membership(
        MembershipRecord(
            said.node,
            said.issuer,
            said.event,
            said.fingerprint,
            said.how,
            parse_time(said.at),
            record.issued,
        )
    )
    pin_of_it = transaction.peers.get(said.node)
    if said.event != "left" or pin_of_it is None:
        return
    # The node's own log alone is kept under its bare origin: who leaves does not freeze itself.
    if transaction.logs.size(pinned(pin_of_it).log_origin) == 0:
        transaction.peers.set_state(said.node, "frozen")
        transaction.peers.note_sync(said.node, at=None, problem="It has left the network.")
        transaction.journal.audit("node", "peer.left", at=now, subject=said.node, detail=None)


def _circle(
    transaction: Transaction, record: StatementRecord, statement: Statement, _now: int
) -> None:
    descriptor = cast("CircleDescriptor", statement)
    transaction.trust.put_circle(
        descriptor.circle, version=descriptor.version, log_index=record.log_index
    )


def _target(record: StatementRecord) -> int:
    assert record.target_index is not None  # ingest looked it up in this transaction
    return record.target_index


_Effect = Callable[[Transaction, StatementRecord, Statement, int], None]
_EFFECTS: dict[type[Statement], _Effect] = {
    MediaFlag: _media_flag,
    AccountBan: _account_ban,
    Retract: _retract,
    Erase: _erase,
    Dispute: _dispute,
    Resolve: _resolve,
    Feedback: _feedback,
    Remedied: _remedied,
    Erased: _erased,
    Accredit: _accredit,
    Membership: _membership,
    CircleDescriptor: _circle,
}
