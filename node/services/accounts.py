"""Sign-ups: fingerprints of identifiers, compared with this node's own copy of the bans.

The identifiers are normalised and blinded here and are stored nowhere. What leaves the node is
uniformly random to everyone (`federation.circle`); the look-up itself is local.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from node.policy.file import PolicyFile
from node.policy.model import Decision
from node.services import fitness, restoring
from node.services.audit import Audit
from node.services.authoring import Author
from node.services.circles import CONTRADICTED
from node.services.clients import Client
from node.services.epochs import Key, Standing, Standings, newest_key
from node.services.evenness import Evenness
from node.services.gates import Gates
from node.services.leads import NOWHERE, Lead, Leads, Mark, applying, strongest
from node.storage.engine import Store
from node.storage.remedies import Deed
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.categories import Vocabulary
from protocol.circles import CircleDescriptor, Epoch
from protocol.encoding import format_time, to_base64url
from protocol.errors import InvalidError, MalformedError, UnavailableError
from protocol.identifiers import NormalisedIdentifier, lookalike, normalise
from protocol.limits import MAX_FINGERPRINTS, MAX_OPRF_ELEMENTS
from protocol.messages import Receipt
from protocol.statements import AccountBan, Avatar, Basis, Fingerprint

_SECONDS_PER_DAY = 86_400
_USERNAME = "username"
_NO_LOOK = ("none", "note")


class AskCircles(Protocol):
    """Has circles evaluate identifiers; given by `node.asking`."""

    def __call__(
        self,
        keys: Sequence[tuple[CircleDescriptor, Epoch]],
        identifiers: Sequence[NormalisedIdentifier],
        *,
        standing: Standing | None = None,
    ) -> list[list[bytes]]:
        """Returns for each key the 32-byte fingerprint of each identifier.

        Args:
            keys: whose holders are asked.
            identifiers: none of which leaves this node.
            standing: what the caller has read already, for who must not read it again.

        Raises:
            RateLimitedError: too few holders have budget left for this node.
            UnavailableError: fewer holders answered in time than the threshold asks for.
        """


@dataclass(frozen=True)
class CheckAnswer:
    """What the policy makes of a sign-up.

    Attributes:
        decision: of the policy.
        rule: whose action this is.
        why: sentences for a person.
        leads: bans that fit, those of most kinds first, `MOST_LEADS` at the most.
        unavailable: True where nothing was checked, and the operator lets such a sign-up pass.
        unavailable_circles: circles that contradict themselves, whose bans were not looked for.
    """

    decision: str
    rule: str | None
    why: tuple[str, ...]
    leads: tuple[Lead, ...]
    unavailable: bool = False
    unavailable_circles: tuple[str, ...] = ()


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
        gates: Gates,
        origin: str,
        vocabulary: Vocabulary,
        default_region: str | None,
        username_scope: str,
        review_unchecked: bool = False,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._standings = Standings(store)
        # By what is asked: a list takes longer than a sign-up.
        self._evenness: defaultdict[str, Evenness] = defaultdict(Evenness)
        self._review_unchecked = review_unchecked
        self._author = author
        self._policy = policy
        self._audit = audit
        self._gates = gates
        self._ask = ask
        self._leads = Leads(origin, vocabulary)
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
        avatar: Avatar | None = None,
    ) -> CheckAnswer:
        """Returns whether a sign-up resembles a banned account.

        Args:
            identifiers: 1 to 8 of (kind, value) as the person typed them.
            client: who asks.
            region: country of telephone numbers without a country code.
            scope: platform whose user names are meant.
            avatar: of the account; of too little detail, it is not compared.

        Raises:
            InvalidError: an identifier is not one of its kind; `where` names it.
            RateLimitedError: this node's budget at the circle is used up; nothing was decided.
            UnavailableError: the circle could not be asked; nothing was decided.
        """
        normalised = with_look_alikes(self.normalised(identifiers, region, scope))
        (answer,) = self._decide(
            [normalised],
            [avatar],
            client=client,
            action="account.check",
            about=f"identifiers={len(identifiers)}",
            result=lambda answers: f"decision={answers[0].decision}",
        )
        return answer

    def check_batch(
        self,
        accounts: Sequence[Sequence[tuple[str, str]]],
        avatars: Sequence[Avatar | None],
        *,
        client: Client,
        region: str | None = None,
        scope: str | None = None,
    ) -> list[CheckAnswer | InvalidError]:
        """Returns for each account what `check` would, or what is wrong with it.

        The circle is asked once about all of them, and once about what several of them share, so
        that the budget goes as far as it can. There are no hints that a user name looks alike:
        each would cost as much as an identifier.

        Args:
            accounts: 1 to 8 of (kind, value) each; `limits.MAX_OPRF_ELEMENTS` altogether.
            avatars: of each of them, if it has one.
            client: who asks.
            region: country of telephone numbers without a country code.
            scope: platform whose user names are meant.

        Raises:
            InvalidError: there is no account, or too many identifiers.
            RateLimitedError: this node's budget at the circle is used up; nothing was decided.
            UnavailableError: the circle could not be asked; nothing was decided.
        """
        asked = sum(map(len, accounts))
        if not 1 <= asked <= MAX_OPRF_ELEMENTS:
            raise InvalidError(
                f"Give 1 to {MAX_OPRF_ELEMENTS} identifiers altogether.", where="accounts"
            )
        refused: dict[int, InvalidError] = {}
        good: dict[int, list[NormalisedIdentifier]] = {}
        for number, identifiers in enumerate(accounts):
            try:
                good[number] = self.normalised(identifiers, region, scope)
            except InvalidError as error:
                refused[number] = InvalidError(
                    str(error), where=f"accounts[{number}].{error.where}"
                )
        answers = self._decide(
            list(good.values()),
            [avatars[number] for number in good],
            client=client,
            action="account.check-batch",
            about=f"accounts={len(accounts)} identifiers={asked} refused={len(refused)}",
            result=_counted,
        )
        decided = dict(zip(good, answers, strict=True))
        return [refused.get(number) or decided[number] for number in range(len(accounts))]

    def _decide(
        self,
        accounts: Sequence[Sequence[NormalisedIdentifier]],
        avatars: Sequence[Avatar | None],
        *,
        client: Client,
        action: str,
        about: str,
        result: Callable[[Sequence[CheckAnswer]], str],
    ) -> list[CheckAnswer]:
        """Returns the answer for each account, and writes one line of the audit for all."""
        now = int(self._clock())
        policy = self._policy.current()
        standing = self._standings.now()
        keys = standing.keys(now)
        try:
            marks = self._ask_about(accounts, keys, standing)
        except UnavailableError:
            # Counted, but not waited for: the database may be what is slow.
            self._audit.note(client.name, action, detail=f"{about} unavailable")
            raise
        evenness = self._evenness[action]
        begun = evenness.begin()
        with self._store.read() as transaction:
            found = self._leads.find(transaction, marks, avatars, standing.nodes, now=now)
        shown = [
            [
                one
                for one in applying(each, policy.operator)
                if self._gates.count_lead(one.record, policy)
            ]
            for each in found
        ]
        answers = []
        # The same writes, whether or not anything was found.
        with self._store.write() as transaction:
            for bans in shown:
                decision = policy.decide_account([one.evidence for one in bans])
                acted = [one.record for one in bans] if decision.action != "none" else []
                self._count(transaction, acted, decision, client=client.id, now=now)
                answer = CheckAnswer(decision.action, decision.rule, decision.why, strongest(bans))
                answers.append(self._without(answer, standing.contradicted))
            detail = f"{about} {result(answers)}"
            if standing.contradicted:
                detail += f" without={','.join(standing.contradicted)}"
            transaction.journal.audit(client.name, action, at=now, subject=None, detail=detail)
        evenness.hold(begun)
        return answers

    def _ask_about(
        self,
        accounts: Sequence[Sequence[NormalisedIdentifier]],
        keys: Sequence[Key],
        standing: Standing,
    ) -> list[set[Mark]]:
        """Returns the fingerprints of each account, under each of these keys."""
        each = list(dict.fromkeys(one for account in accounts for one in account))
        marks: dict[NormalisedIdentifier, set[Mark]] = {one: set() for one in each}
        answers = self._ask(keys, each, standing=standing)
        for (descriptor, epoch), values in zip(keys, answers, strict=True):
            for one, value in zip(each, values, strict=True):
                mark = (one.kind.value, descriptor.circle, epoch.epoch, one.scheme, value)
                marks[one].add(mark)
        return [{mark for one in account for mark in marks[one]} for account in accounts]

    def _without(self, answer: CheckAnswer, circles: tuple[str, ...]) -> CheckAnswer:
        """Returns the answer, saying which circles it was made without.

        Where the operator keeps back what could not be checked, somebody has to look at it.
        """
        if not circles:
            return answer
        look = self._review_unchecked and answer.decision in _NO_LOOK
        return replace(
            answer,
            decision="review" if look else answer.decision,
            rule=None if look else answer.rule,
            why=(*answer.why, *(f"Not looked for in {name}: {CONTRADICTED}" for name in circles)),
            unavailable_circles=circles,
        )

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
        avatar: Avatar | None = None,
    ) -> Receipt:
        """Bans one account under the fingerprints of its identifiers, which are not stored.

        Raises: as `check`; also InvalidError for a category that is no reason for a ban, and for an
            avatar of too little detail.
        """
        fitness.check_avatar(avatar)
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
            avatar=avatar,
        )

    def _count(
        self,
        transaction: Transaction,
        records: Sequence[StatementRecord],
        decision: Decision,
        *,
        client: int,
        now: int,
    ) -> None:
        places = [one.log_index for one in records]
        action, rule = decision.action, decision.rule or ""
        transaction.journal.count_statements(places, action, at=now)
        deeds = {Deed(one, 0, client, action, rule, ""): 1 for one in places}
        transaction.remedies.add_deeds(deeds if action in restoring.ACTED_DECISIONS else {}, at=now)
        # What was taken back since it was read has asked nobody to restore this sign-up.
        current = transaction.statements.by_indices([*places, NOWHERE])
        late = {(index, 0) for index, one in current.items() if one.state != "active"}
        restoring.ask_late_remedy(transaction, late, decision=action, now=now)

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


def _counted(answers: Sequence[CheckAnswer]) -> str:
    """Returns how often each decision was taken, in words."""
    return " ".join(f"{one}={n}" for one, n in sorted(Counter(a.decision for a in answers).items()))


def with_look_alikes(given: Sequence[NormalisedIdentifier]) -> list[NormalisedIdentifier]:
    """Returns the identifiers, and what their user names look like while there is room for it.

    It is a hint beside another kind, so without another kind there is none.
    """
    names = [one for one in given if one.kind.value == _USERNAME]
    if len(names) == len(given):
        return list(given)
    found = dict.fromkeys(lookalike.look_alike(one) for one in names)
    return [*given, *(one for one in found if one is not None)][:MAX_FINGERPRINTS]
