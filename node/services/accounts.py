"""Sign-ups: fingerprints of identifiers, compared with this node's own copy of the bans.

The identifiers are normalised and blinded here and are stored nowhere. What leaves the node is
uniformly random to everyone (`federation.circle`); the look-up itself is local.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.policy.file import PolicyFile
from node.policy.model import AccountEvidence, Operator
from node.services import effects
from node.services.audit import Audit
from node.services.authoring import Author
from node.services.clients import Client
from node.services.epochs import current_keys, newest_key
from node.services.equality import Fingerprints
from node.storage.accounts import FingerprintRecord
from node.storage.engine import Store
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.categories import Vocabulary
from protocol.circles import CircleDescriptor, Epoch
from protocol.encoding import format_time, to_base64url
from protocol.errors import InvalidError, MalformedError, UnavailableError
from protocol.fields import organisation_of
from protocol.identifiers import NormalisedIdentifier, lookalike, normalise
from protocol.limits import MAX_FINGERPRINTS
from protocol.messages import Receipt
from protocol.statements import AccountBan, Basis, Fingerprint

MOST_LEADS: Final = 8
"""Bans that one answer shows; the policy looks at all of them."""

_SECONDS_PER_DAY = 86_400
_USERNAME = "username"
_NOWHERE = -1  # stands in no log: a question is the same whether or not there is anything to ask


class AskCircles(Protocol):
    """Has circles evaluate identifiers; given by `node.asking`."""

    def __call__(
        self,
        keys: Sequence[tuple[CircleDescriptor, Epoch]],
        identifiers: Sequence[NormalisedIdentifier],
    ) -> list[list[bytes]]:
        """Returns for each key the 32-byte fingerprint of each identifier.

        Raises:
            RateLimitedError: too few holders have budget left for this node.
            UnavailableError: fewer holders answered in time than the threshold asks for.
        """


@dataclass(frozen=True)
class Lead:
    """One account-ban that a sign-up resembles: a reason to look, never a verdict.

    Attributes:
        statement: id of the ban.
        kinds: of identifiers that fit.
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
class CheckAnswer:
    """What the policy makes of a sign-up.

    Attributes:
        decision: of the policy.
        rule: whose action this is.
        why: sentences for a person.
        leads: bans that fit, those of most kinds first, `MOST_LEADS` at the most.
        unavailable: True where nothing was checked, and the operator lets such a sign-up pass.
    """

    decision: str
    rule: str | None
    why: tuple[str, ...]
    leads: tuple[Lead, ...]
    unavailable: bool = False


@dataclass(frozen=True)
class _Found:
    """One ban that was hit, and what it says to the policy."""

    record: StatementRecord
    evidence: AccountEvidence
    name_looks_alike: bool


_Mark = tuple[str, str, int, str, bytes]
"""A fingerprint with all that it is one of: kind, circle, epoch, scheme, value."""


class Accounts:
    """Checks sign-ups and bans accounts."""

    def __init__(
        self,
        store: Store,
        author: Author,
        policy: PolicyFile,
        audit: Audit,
        ask: AskCircles,
        *,
        origin: str,
        vocabulary: Vocabulary,
        default_region: str | None,
        username_scope: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._author = author
        self._policy = policy
        self._audit = audit
        self._ask = ask
        self._fingerprints = Fingerprints(origin)
        self._vocabulary = vocabulary
        self._region = default_region
        self._scope = username_scope
        self._clock = clock

    def check(
        self,
        identifiers: Sequence[tuple[str, str]],
        *,
        client: Client,
        region: str | None = None,
        scope: str | None = None,
    ) -> CheckAnswer:
        """Returns whether a sign-up resembles a banned account.

        Args:
            identifiers: 1 to 8 of (kind, value) as the person typed them.
            client: who asks.
            region: country of telephone numbers without a country code.
            scope: platform whose user names are meant.

        Raises:
            InvalidError: an identifier is not one of its kind; `where` names it.
            RateLimitedError: this node's budget at the circle is used up; nothing was decided.
            UnavailableError: the circle could not be asked; nothing was decided.
        """
        normalised = with_look_alikes(self.normalised(identifiers, region, scope))
        now = int(self._clock())
        policy = self._policy.current()
        asked: dict[_Mark, None] = {}
        keys = current_keys(self._store, now=now)
        try:
            answers = self._ask(keys, normalised)
        except UnavailableError:
            # Counted, but not waited for: the database may be what is slow.
            detail = f"identifiers={len(identifiers)} unavailable"
            self._audit.note(client.name, "account.check", detail=detail)
            raise
        for (descriptor, epoch), found in zip(keys, answers, strict=True):
            for one, value in zip(normalised, found, strict=True):
                asked[one.kind.value, descriptor.circle, epoch.epoch, one.scheme, value] = None
        with self._store.read() as transaction:
            met = self._fingerprints.with_values(transaction, [value for *_, value in asked])
            # An issuer that calls one identifier by several kinds must not gain weight by it.
            hits = [hit for hit in met if _mark(hit) in asked]
            found_bans = self._leads(transaction, hits, now)
        # What its issuer limited to other countries is not even counted: to say that there is
        # such a ban would tell of a person what this node has no right to know.
        shown = [one for one in found_bans if _applies(one.record, policy.operator)]
        decision = policy.decide_account([one.evidence for one in shown])
        # The same writes, whether or not anything was found.
        with self._store.write() as transaction:
            acted = [one.record for one in shown] if decision.action != "none" else []
            self._count(transaction, acted, decision.action, now)
            transaction.journal.audit(
                client.name,
                "account.check",
                at=now,
                subject=None,
                detail=f"identifiers={len(identifiers)} decision={decision.action}",
            )
        strongest = sorted(shown, key=lambda one: -len(one.evidence.kinds))[:MOST_LEADS]
        leads = tuple(_lead(one, shown) for one in strongest)
        return CheckAnswer(decision.action, decision.rule, decision.why, leads)

    def ban(
        self,
        identifiers: Sequence[tuple[str, str]],
        *,
        category: str,
        reviewers: int,
        scope: str,
        purpose: str,
        legal_basis: str,
        expires_days: int,
        audience: Sequence[str] | None,
        client: Client,
        region: str | None = None,
        username_scope: str | None = None,
        jurisdictions: Sequence[str] = (),
    ) -> Receipt:
        """Bans one account under the fingerprints of its identifiers, which are not stored.

        Raises: as `check`; also InvalidError for a category that is no reason for a ban.
        """
        known = self._vocabulary.get(category)
        if known.known and not known.ban_reason:
            raise InvalidError("This category is no reason for a ban.", where="category")
        normalised = with_look_alikes(self.normalised(identifiers, region, username_scope))
        now = int(self._clock())
        descriptor, epoch = newest_key(self._store, now=now)
        (values,) = self._ask([(descriptor, epoch)], normalised)
        return self._author.issue(
            AccountBan,
            also=self._audit.with_statement(client.name, "account.ban"),
            audience=tuple(audience or (f"circle:{descriptor.circle}",)),
            fingerprints=tuple(
                Fingerprint(
                    kind=one.kind.value,
                    circle=descriptor.circle,
                    epoch=epoch.epoch,
                    scheme=one.scheme,
                    value=to_base64url(value),
                )
                for one, value in zip(normalised, values, strict=True)
            ),
            category=category,
            basis=Basis(reviewers=reviewers, reviewed=format_time(now)),
            scope=scope,
            purpose=purpose,
            legal_basis=legal_basis,
            expires=format_time(now + expires_days * _SECONDS_PER_DAY),
            jurisdictions=tuple(jurisdictions),
        )

    def _count(
        self,
        transaction: Transaction,
        records: Sequence[StatementRecord],
        decision: str,
        now: int,
    ) -> None:
        places = [one.log_index for one in records]
        transaction.journal.count_statements(places, decision, at=now)
        # What was taken back since it was read has asked nobody to restore this sign-up.
        current = transaction.statements.by_indices([*places, _NOWHERE])
        late = {(index, 0) for index, one in current.items() if one.state != "active"}
        effects.ask_late_remedy(transaction, late, decision=decision, now=now)

    def normalised(
        self, identifiers: Sequence[tuple[str, str]], region: str | None, scope: str | None
    ) -> list[NormalisedIdentifier]:
        """Returns 1 to 8 identifiers as they are compared; raises as `check`."""
        if not 1 <= len(identifiers) <= MAX_FINGERPRINTS:
            raise InvalidError(f"Give 1 to {MAX_FINGERPRINTS} identifiers.", where="identifiers")
        found = []
        for number, (kind, value) in enumerate(identifiers):
            try:
                found.append(
                    normalise(
                        kind, value, region=region or self._region, scope=scope or self._scope
                    )
                )
            except MalformedError as error:
                where = f"identifiers[{number}].value"
                raise InvalidError(str(error), where=where) from None
        return found

    def _leads(
        self, transaction: Transaction, hits: Sequence[FingerprintRecord], now: int
    ) -> list["_Found"]:
        records = transaction.statements.by_indices([_NOWHERE, *(hit.log_index for hit in hits)])
        disputes = transaction.statements.open_disputes([_NOWHERE, *records])
        disputed = {one.target_index for one in disputes}
        believed = {
            peer.name: peer.authority for peer in transaction.peers.all() if peer.state == "active"
        }
        kinds: dict[int, set[str]] = {}
        alike: set[int] = set()
        for hit in hits:
            record = records[hit.log_index]
            if record.state != "active" or record.ends is None or record.ends <= now:
                continue
            if hit.scheme == lookalike.SCHEME:
                alike.add(hit.log_index)  # never a lead by itself
            else:
                kinds.setdefault(hit.log_index, set()).add(hit.kind)
        return [
            _Found(
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


def _mark(hit: FingerprintRecord) -> _Mark:
    return hit.kind, hit.circle, hit.epoch, hit.scheme, hit.value


def _applies(record: StatementRecord, operator: Operator) -> bool:
    limit = record.jurisdictions
    return not limit or not set(limit).isdisjoint(operator.jurisdictions)


def _lead(found: _Found, among: Sequence[_Found]) -> Lead:
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


def with_look_alikes(given: Sequence[NormalisedIdentifier]) -> list[NormalisedIdentifier]:
    """Returns the identifiers, and what their user names look like while there is room for it.

    It is a hint beside another kind, so without another kind there is none.
    """
    names = [one for one in given if one.kind.value == _USERNAME]
    if len(names) == len(given):
        return list(given)
    found = dict.fromkeys(lookalike.look_alike(one) for one in names)
    return [*given, *(one for one in found if one is not None)][:MAX_FINGERPRINTS]
