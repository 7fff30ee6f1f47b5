"""Which bans a sign-up resembles: reasons to look, and what each of them says to the policy.

What is asked of the database does not depend on whether anything is found: what a check costs tells
nothing of its result.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from federation.descriptors import PinnedNode
from node.policy.model import AVATAR, AccountEvidence, Operator
from node.services.avatars import Avatars
from node.services.equality import Fingerprints
from node.storage.accounts import FingerprintRecord
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.categories import Vocabulary
from protocol.encoding import format_time
from protocol.fields import organisation_of
from protocol.identifiers import lookalike
from protocol.statements import Avatar

MOST_LEADS: Final = 8
"""Bans that one answer shows; the policy looks at all of them."""

NOWHERE: Final = -1
"""Stands in no log: a question is the same whether or not there is anything to ask."""

Mark = tuple[str, str, int, str, bytes]
"""A fingerprint with all that it is one of: kind, circle, epoch, scheme, value."""

_USERNAME: Final = "username"


@dataclass(frozen=True)
class Lead:
    """One account-ban that a sign-up resembles: a reason to look, never a verdict.

    Attributes:
        statement: id of the ban.
        kinds: of identifiers that fit, and ``avatar`` where that does as well.
        category: of the ban.
        issuers: who signed it.
        independent: organisations with a ban, this one's among them, that at least these kinds fit.
        expires: when it ends.
        disputed: whether a dispute about it is open.
        name_looks_alike: a user name looks like the banned one; a hint, which no rule counts.
    """

    statement: str
    kinds: tuple[str, ...]
    category: str
    issuers: tuple[str, ...]
    independent: int
    expires: str
    disputed: bool
    name_looks_alike: bool


@dataclass(frozen=True)
class Found:
    """One ban that was hit, and what it says to the policy."""

    record: StatementRecord
    evidence: AccountEvidence
    name_looks_alike: bool


class Leads:
    """Finds the bans that fingerprints belong to."""

    def __init__(self, origin: str, vocabulary: Vocabulary) -> None:
        """Begins with nothing; `origin` names the node's own log."""
        self._fingerprints = Fingerprints(origin)
        self._avatars = Avatars(origin)
        self._vocabulary = vocabulary

    def find(
        self,
        transaction: Transaction,
        asked: Sequence[Collection[Mark]],
        avatars: Sequence[Avatar | None],
        active: Mapping[str, PinnedNode],
        *,
        now: int,
    ) -> list[list[Found]]:
        """Returns for each account the active bans that its fingerprints hit, in the log's order.

        Args:
            transaction: in which all is read.
            asked: the fingerprints of each account.
            avatars: of each account, if it has one; it adds a kind to a ban that was hit.
            active: pinned nodes that are neither frozen nor removed.
            now: Unix time in seconds.
        """
        values = dict.fromkeys(value for marks in asked for *_, value in marks)
        met = self._fingerprints.with_values(transaction, list(values))
        records = transaction.statements.by_indices([NOWHERE, *(hit.log_index for hit in met)])
        disputes = transaction.statements.open_disputes([NOWHERE, *records])
        disputed = {one.target_index for one in disputes}
        believed = {name: node.authority for name, node in active.items()}
        valid = {
            index: record
            for index, record in records.items()
            if record.state == "active" and record.ends is not None and record.ends > now
        }
        met = [hit for hit in met if hit.log_index in valid]
        # An issuer that calls one identifier by several kinds must not gain weight by it.
        hits = [[hit for hit in met if _mark(hit) in marks] for marks in asked]
        bans = [{hit.log_index for hit in each} for each in hits]
        near = self._avatars.near(transaction, avatars, bans)
        return [
            self._of_one(valid, *each, disputed, believed) for each in zip(hits, near, strict=True)
        ]

    def _of_one(
        self,
        records: Mapping[int, StatementRecord],
        hits: Sequence[FingerprintRecord],
        near: Collection[int],
        disputed: Collection[int],
        believed: Mapping[str, bool],
    ) -> list[Found]:
        kinds: dict[int, set[str]] = {}
        alike: set[int] = set()
        for hit in hits:
            if hit.scheme == lookalike.SCHEME:
                alike.add(hit.log_index)  # never a lead by itself
            else:
                kinds.setdefault(hit.log_index, set()).add(hit.kind)
        for index in kinds.keys() & near:
            kinds[index].add(AVATAR)  # never alone: an identifier has hit the ban as well
        return [
            Found(
                records[index],
                self._evidence(
                    records[index], kinds[index], disputed=index in disputed, believed=believed
                ),
                name_looks_alike=index in alike and _USERNAME not in kinds[index],
            )
            for index in sorted(kinds)
        ]

    def _evidence(
        self,
        record: StatementRecord,
        kinds: set[str],
        *,
        disputed: bool,
        believed: Mapping[str, bool],
    ) -> AccountEvidence:
        """What a ban says; `believed` has the nodes that are, and whether they are authorities."""
        organisation = organisation_of(record.issuer)
        category = self._vocabulary.get(record.category or "")
        return AccountEvidence(
            statement=record.id,
            kinds=tuple(sorted(kinds)),
            category=category.id,
            # A category that is no reason for a ban never goes beyond review either, nor does
            # the word of an organisation that was frozen or removed since.
            review_only=(
                category.review_only or not category.ban_reason or organisation not in believed
            ),
            issuer=record.issuer,
            organisation=organisation,
            accredited=believed.get(organisation, False),
            disputed=disputed,
            jurisdictions=record.jurisdictions,
        )


def applying(found: Sequence[Found], operator: Operator) -> list[Found]:
    """Returns the bans that the operator may know of.

    What its issuer limited to other countries is not even counted: to say that there is such a ban
    would tell of a person what this node has no right to know.
    """
    return [
        one
        for one in found
        if not (limit := one.record.jurisdictions)
        or not set(limit).isdisjoint(operator.jurisdictions)
    ]


def strongest(found: Sequence[Found]) -> tuple[Lead, ...]:
    """Returns what is shown of the bans: those of most kinds first, `MOST_LEADS` at the most."""
    chosen = sorted(found, key=lambda one: -len(one.evidence.kinds))[:MOST_LEADS]
    return tuple(_lead(one, found) for one in chosen)


def _mark(hit: FingerprintRecord) -> Mark:
    return hit.kind, hit.circle, hit.epoch, hit.scheme, hit.value


def _lead(found: Found, among: Sequence[Found]) -> Lead:
    kinds = set(found.evidence.kinds)
    return Lead(
        statement=found.record.id,
        kinds=found.evidence.kinds,
        category=found.evidence.category,
        issuers=(found.record.issuer,),
        independent=len(
            {one.evidence.organisation for one in among if kinds <= set(one.evidence.kinds)}
        ),
        expires=format_time(found.record.ends or 0),
        disputed=found.evidence.disputed,
        name_looks_alike=found.name_looks_alike,
    )
