"""What a platform says about material and about other statements, and what became of statements."""

from collections.abc import Callable, Sequence
from typing import Literal, cast

from node.services import progress
from node.services.audit import Audit
from node.services.authoring import Author
from node.services.clients import Client
from node.services.directory import StoredDirectory
from node.services.publication import NOT_ASKED, Publication, PublicationState
from node.services.serving import audience_of
from node.storage.engine import Store
from node.storage.peers import PeerRecord
from node.storage.statements import GONE, StatementRecord
from node.storage.transaction import Transaction
from protocol.encoding import format_time
from protocol.errors import InvalidError, NotFoundError
from protocol.fields import organisation_of
from protocol.limits import MAX_JSON_INT
from protocol.messages import Receipt, StatementStatus, StatementStatuses
from protocol.statements import (
    Basis,
    Dispute,
    Erase,
    Feedback,
    FeedbackRow,
    MediaFlag,
    MediaItem,
    Resolve,
    Retract,
)

_SECONDS_PER_DAY = 86_400
_PAGE = 100

State = Literal["active", "retracted", "disputed", "erased", "expired"]
"""What has become of a statement, as `StatementStatus` has it."""


class Flags:
    """Makes this node's own statements about media and about statements, and reports on them."""

    def __init__(
        self,
        store: Store,
        author: Author,
        audit: Audit,
        *,
        name: str,
        clock: Callable[[], float],
        due_days: int = 7,
        publication: Publication | None = None,
    ) -> None:
        self._due_s = due_days * _SECONDS_PER_DAY
        self._store = store
        self._publication = publication
        self._author = author
        self._audit = audit
        self._name = name
        self._clock = clock

    def flag_media(
        self,
        items: Sequence[MediaItem],
        *,
        category: str,
        reviewers: int,
        purpose: str,
        legal_basis: str,
        review_days: int,
        issuer_code: str | None,
        flags: Sequence[str],
        surfaces: Sequence[str],
        jurisdictions: Sequence[str],
        audience: Sequence[str],
        client: Client,
    ) -> Receipt:
        """Flags the platform's own confirmed findings under the node's key."""
        now = int(self._clock())
        return self._author.issue(
            MediaFlag,
            also=self._audit.with_statement(client.name, "media.flag"),
            audience=tuple(audience),
            items=tuple(items),
            category=category,
            basis=Basis(reviewers=reviewers, reviewed=format_time(now)),
            purpose=purpose,
            legal_basis=legal_basis,
            review_by=format_time(now + review_days * _SECONDS_PER_DAY),
            issuer_code=issuer_code,
            flags=tuple(flags),
            surfaces=tuple(surfaces),
            jurisdictions=tuple(jurisdictions),
        )

    def retract(
        self, statement_id: str, *, items: Sequence[int], reason: str, client: Client
    ) -> Receipt:
        """Takes a statement of this organisation back, or some of its items."""
        return self._about(
            Retract, "retract", statement_id, client, items=tuple(items), reason=reason
        )

    def erase(self, statement_id: str, *, reason: str, client: Client) -> Receipt:
        """Has a statement of this organisation deleted everywhere."""
        return self._about(Erase, "erase", statement_id, client, reason=reason)

    def dispute(
        self, statement_id: str, *, items: Sequence[int], reason: str, client: Client
    ) -> Receipt:
        """Contests a statement, or some of its items."""
        return self._about(
            Dispute, "dispute", statement_id, client, items=tuple(items), reason=reason
        )

    def resolve(self, statement_id: str, *, dispute: str, outcome: str, client: Client) -> Receipt:
        """Answers a dispute about a statement of this organisation."""
        return self._about(
            Resolve, "resolve", statement_id, client, dispute=dispute, outcome=outcome
        )

    def feedback(
        self, statement_id: str, *, day: str, rows: Sequence[FeedbackRow], client: Client
    ) -> Receipt:
        """Tells the issuer how a statement did on one day."""
        return self._about(Feedback, "feedback", statement_id, client, day=day, rows=tuple(rows))

    def _about(
        self,
        kind: type[Retract | Erase | Dispute | Resolve | Feedback],
        action: str,
        statement_id: str,
        client: Client,
        **fields: object,
    ) -> Receipt:
        with self._store.read() as transaction:
            target = _found(transaction, statement_id)
        if kind in (Retract, Erase, Resolve) and organisation_of(target.issuer) != self._name:
            raise InvalidError(
                "Only the organisation that issued a statement can take it back: dispute it."
            )
        receipt = self._issue(kind, action, target, client, **fields)
        for other in self._same(target):
            # The same ban under another key: nobody takes back or erases one of the two.
            if kind is Erase or (kind is Retract and other.state == "active"):
                self._issue(kind, action, other, client, **fields)
            elif kind is Resolve and fields["outcome"] == "upheld" and other.state == "active":
                reason = "appeal-upheld"
                self._issue(Retract, "retract", other, client, items=(), reason=reason)
        return receipt

    def _same(self, target: StatementRecord) -> list[StatementRecord]:
        """Returns the bans that say the same as one, under other keys, and still have a body."""
        with self._store.read() as transaction:
            linked = transaction.accounts.linked(target.log_index)
            found = transaction.statements.by_indices(linked).values()
        return [one for one in found if one.state not in GONE]

    def _issue(
        self,
        kind: type[Retract | Erase | Dispute | Resolve | Feedback],
        action: str,
        target: StatementRecord,
        client: Client,
        **fields: object,
    ) -> Receipt:
        # Whoever may read the target may read what is said about it: its audience, and no more.
        return self._author.issue(
            kind,
            also=self._audit.with_statement(client.name, f"statement.{action}", subject=target.id),
            audience=target.audience,
            target=target.id,
            **fields,
        )

    def status(self, statement_id: str) -> StatementStatus:
        """Returns what became of one statement.

        Raises:
            NotFoundError: it is not in this node's log.
        """
        with self._store.read() as transaction:
            record = _found(transaction, statement_id)
            said = self._said(transaction)
            return self._status(transaction, record, transaction.peers.all(), said)

    def statuses(self, issuer: str, *, after: int | None = None) -> StatementStatuses:
        """Returns what became of an issuer's statements, newest first.

        Args:
            issuer: name of a node or a flagger.
            after: place in the log of the last one that was read.
        """
        with self._store.read() as transaction:
            found = transaction.statements.by_issuer(issuer, before=after, limit=_PAGE)
            peers = transaction.peers.all()
            said = self._said(transaction)
            shown = tuple(self._status(transaction, one, peers, said) for one in found)
        return StatementStatuses(
            statements=shown, next=found[-1].log_index if len(found) == _PAGE else None
        )

    def _said(self, transaction: Transaction) -> PublicationState:
        asked = self._publication
        return NOT_ASKED if asked is None else asked.state_in(transaction)

    def _status(
        self,
        transaction: Transaction,
        record: StatementRecord,
        peers: Sequence[PeerRecord],
        said: PublicationState,
    ) -> StatementStatus:
        published, missing = said.of(record.log_index)
        totals = transaction.journal.feedback(record.log_index)
        directory = StoredDirectory(transaction)
        audience = audience_of(record, directory)
        return StatementStatus(
            id=record.id,
            kind=record.kind,
            index=record.log_index,
            state=self._state(transaction, record),
            peers=progress.at_peers(
                transaction,
                record,
                # Who may not have the body takes over no more than its id.
                [
                    peer
                    for peer in peers
                    if peer.name != self._name and directory.includes(audience, peer.name)
                ],
                is_own=organisation_of(record.issuer) == self._name,
                due_s=self._due_s,
                now=int(self._clock()),
            ),
            matches=transaction.journal.matches(record.log_index),
            confirmed=min(totals.confirmed, MAX_JSON_INT),
            refuted=min(totals.refuted, MAX_JSON_INT),
            unreviewed=min(totals.unreviewed, MAX_JSON_INT),
            published=published,
            missing=missing,
        )

    def _state(self, transaction: Transaction, record: StatementRecord) -> State:
        if record.state in ("retracted", "erased", "expired"):
            return cast("State", record.state)
        if record.ends is not None and record.ends <= int(self._clock()):
            return "expired"
        disputes = transaction.statements.open_disputes([record.log_index])
        return "disputed" if disputes else "active"


def _found(transaction: Transaction, statement_id: str) -> StatementRecord:
    record = transaction.statements.by_id(statement_id)
    if record is None:
        raise NotFoundError("There is no statement with this id in this node's log.")
    return record
