"""Matching of media: what an upload resembles, who says so, and what the policy makes of it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from node.policy.evaluation import Policy
from node.policy.file import PolicyFile
from node.policy.model import MediaEvidence, Operator
from node.services import effects
from node.services.audit import Audit
from node.services.catalogue import Catalogue
from node.services.clients import Client
from node.storage.engine import Store
from node.storage.media import EXACT_KINDS, MediaHash
from node.storage.peers import PeerRecord
from node.storage.statements import DisputeRecord, StatementRecord
from node.storage.transaction import Transaction
from protocol.categories import Vocabulary
from protocol.encoding import format_time
from protocol.fields import organisation_of
from protocol.limits import PDQ_MIN_QUALITY

MOST_MATCHES = 200
"""Entries that one item's answer shows at the most, nearest first."""

MOST_PER_VOICE = 50
"""Entries of one organisation and category that one item's decision looks at, nearest first."""

_RECOUNT_EVERY_S = 10

_LOW_QUALITY = f"The pdq's quality is below {PDQ_MIN_QUALITY}: only exact digests were compared."
_UNKNOWN_QUALITY = "The pdq came without its quality: its matches lead to review at most."


@dataclass(frozen=True, repr=False)
class MediaQuery:
    """The media hashes of one uploaded picture; raw bytes of digests in hexadecimal."""

    pdq: str | None = None
    quality: int | None = None
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None


@dataclass(frozen=True)
class MediaMatch:
    """One flagged item that an upload resembles."""

    statement: str
    item: int
    kind: str
    distance: int
    category: str
    issuer_code: str | None
    flags: tuple[str, ...]
    issuers: tuple[str, ...]
    accredited: bool
    disputed: bool
    issued: str


@dataclass(frozen=True)
class MediaResult:
    """What one upload resembles, and the decision."""

    decision: str
    rule: str | None
    why: tuple[str, ...]
    matches: tuple[MediaMatch, ...]


@dataclass(frozen=True)
class ListState:
    """What was compared with: active media hashes, size of the log, and age of the oldest sync.

    `age_s` is how many seconds ago the node last heard from the peer that it has not heard from
    longest; None where no peer is pinned or one was never reached.
    """

    entries: int
    size: int
    age_s: int | None


@dataclass(frozen=True)
class MatchAnswer:
    """Results in the order asked."""

    results: tuple[MediaResult, ...]
    list: ListState


class Lookups:
    """Compares uploads with what is flagged."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        policy: PolicyFile,
        audit: Audit,
        *,
        name: str,
        origin: str,
        vocabulary: Vocabulary,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._policy = policy
        self._audit = audit
        self._name = name
        self._origin = origin
        self._vocabulary = vocabulary
        self._clock = clock
        self._counted: _Counted | None = None

    def match(self, items: Sequence[MediaQuery], *, surface: str, client: Client) -> MatchAnswer:
        """Returns what each of `items` resembles. The values asked for are kept nowhere.

        Args:
            items: media hashes of uploads.
            surface: ``public``, ``hosted`` or ``private``.
            client: who asks.
        """
        now = int(self._clock())
        policy = self._policy.current()
        # What must not be matched is not even looked for.
        is_looked_for = surface != "private" or policy.operator.match_private_messages
        self._catalogue.refresh()
        # The same picture asked for twice is looked for once.
        distinct = list(dict.fromkeys(items))
        with self._store.read() as transaction:
            looked_for = distinct if is_looked_for else []
            found = self._find(transaction, looked_for, policy.max_distance())
            found += [[] for _ in distinct[len(found) :]]
            known = _Known(transaction, [hit for hits in found for hit, _ in hits], now=now)
            judged = {
                item: self._judge(known, policy, item, hits, surface)
                for item, hits in zip(distinct, found, strict=True)
            }
            state = self._state(transaction, now)
        results = [judged[item][0] for item in items]
        acted = Counter(one for item in items for one in judged[item][1])
        if acted:
            self._count(acted, now)
        decisions = sorted({result.decision for result in results})
        self._audit.note(
            client.name,
            "media.match",
            subject=surface,
            detail=f"items={len(items)} decisions={','.join(decisions)}",
        )
        return MatchAnswer(tuple(results), state)

    def list_state(self) -> ListState:
        """Returns what uploads are compared with at this instant."""
        with self._store.read() as transaction:
            return self._state(transaction, int(self._clock()))

    def _find(
        self, transaction: Transaction, items: Sequence[MediaQuery], max_distance: int
    ) -> list[list[tuple[MediaHash, int]]]:
        found: list[list[tuple[MediaHash, int]]] = [[] for _ in items]
        asked: dict[tuple[str, bytes], list[int]] = {}
        for number, item in enumerate(items):
            for kind in EXACT_KINDS:
                if value := getattr(item, kind):
                    asked.setdefault((kind, bytes.fromhex(value)), []).append(number)
        if asked:
            for hit in transaction.media.with_values([value for _, value in asked]):
                for number in asked.get((hit.kind, hit.value), ()):
                    found[number].append((hit, 0))
        comparable = [number for number, item in enumerate(items) if _has_good_pdq(item)]
        near = self._catalogue.near(
            transaction,
            [bytes.fromhex(items[number].pdq or "") for number in comparable],
            max_distance=max_distance,
        )
        for number, hits in zip(comparable, near, strict=True):
            found[number] += hits
        return found

    def _judge(
        self,
        known: "_Known",
        policy: Policy,
        item: MediaQuery,
        hits: Sequence[tuple[MediaHash, int]],
        surface: str,
    ) -> tuple[MediaResult, list["_Acted"]]:
        evidence, matches = [], []
        touched: dict[tuple[int, int], int] = {}
        heard: Counter[tuple[object, ...]] = Counter()
        voices: dict[tuple[int, bool, bool], tuple[object, ...]] = {}
        for hit, distance in sorted(hits, key=lambda one: one[1]):
            record = known.active(hit.log_index)
            if record is None:
                continue
            # Whoever says the same thing of a picture a thousand times is heard fifty times, and
            # drowns out nobody else; nor is the rest of it worth more than this look.
            is_sure = _is_sure(item, hit)
            alike = (hit.log_index, known.is_disputed(hit.log_index, hit.item), is_sure)
            voice = voices.get(alike)
            if voice is not None and heard[voice] >= MOST_PER_VOICE:
                continue
            one = self._evidence(known, record, hit, distance, is_sure=is_sure)
            applies = _applies(record, surface, policy.operator)
            voice = voices.setdefault(alike, (*self._voice(one), applies))
            heard[voice] += 1
            if heard[voice] > MOST_PER_VOICE:
                continue
            evidence.append(one)
            # The policy leaves aside what its issuer limited to other surfaces or countries;
            # nobody is to see more of it, or to act on it.
            if applies:
                matches.append(_match(record, one))
                touched.setdefault((hit.log_index, hit.item), hit.slot)
        decision = policy.decide_media(evidence, surface=surface)
        why = (*_remarks(item), *decision.why)
        result = MediaResult(decision.action, decision.rule, why, tuple(matches[:MOST_MATCHES]))
        if decision.action == "none":
            return result, []
        return result, [
            _Acted(index, item, slot, decision.action)
            for (index, item), slot in sorted(touched.items())
        ]

    def _voice(self, one: MediaEvidence) -> tuple[object, ...]:
        """What makes two entries the same to a policy, apart from distance and scope."""
        category = self._vocabulary.get(one.category)
        said = category.id if category.known else None
        return (one.organisation, said, one.disputed, one.review_only)

    def _evidence(
        self,
        known: "_Known",
        record: StatementRecord,
        hit: MediaHash,
        distance: int,
        *,
        is_sure: bool,
    ) -> MediaEvidence:
        organisation = organisation_of(record.issuer)
        category = record.category or ""
        # Whoever was frozen or removed since gave no reason to forget, nor any to act alone.
        full = is_sure and known.is_believed(organisation)
        return MediaEvidence(
            statement=record.id,
            item=hit.item,
            kind=hit.kind,
            distance=distance,
            category=category,
            review_only=self._vocabulary.get(category).review_only or not full,
            issuer=record.issuer,
            organisation=organisation,
            accredited=known.is_authority(organisation),
            disputed=known.is_disputed(hit.log_index, hit.item),
            surfaces=record.surfaces,
            jurisdictions=record.jurisdictions,
        )

    def _count(self, acted: Mapping["_Acted", int], now: int) -> None:
        with self._store.write() as transaction:
            for one, times in acted.items():
                transaction.journal.count_match(
                    one.log_index, one.item, one.decision, at=now, times=times
                )
            # What was taken back since it was read has asked nobody to restore these uploads.
            active = transaction.media.at_slots(
                sorted({(one.log_index, one.slot) for one in acted})
            )
            late: dict[str, set[tuple[int, int]]] = {}
            for one in acted:
                if (one.log_index, one.slot) not in active:
                    late.setdefault(one.decision, set()).add((one.log_index, one.item))
            for decision, items in late.items():
                effects.ask_late_remedy(transaction, items, decision=decision, now=now)

    def _state(self, transaction: Transaction, now: int) -> ListState:
        size = transaction.logs.size(self._origin)
        counted = self._counted
        if counted is None or (counted.size != size and now - counted.at >= _RECOUNT_EVERY_S):
            counted = self._counted = _Counted(transaction.media.count(), size, now)
        heard = [peer.synced for peer in transaction.peers.all() if peer.name != self._name]
        times = [at for at in heard if at is not None]
        return ListState(
            entries=counted.entries,
            size=size,
            age_s=max(0, now - min(times)) if times and len(times) == len(heard) else None,
        )


@dataclass(frozen=True)
class _Counted:
    """How many media hashes there were at a size of the log; counting all of them takes a scan."""

    entries: int
    size: int
    at: int


@dataclass(frozen=True)
class _Acted:
    """One item that led to a decision; `slot` is where one of its media hashes stands."""

    log_index: int
    item: int
    slot: int
    decision: str


class _Known:
    """Everything about the statements behind a set of hits, read at once."""

    def __init__(self, transaction: Transaction, hits: Sequence[MediaHash], *, now: int) -> None:
        indices = {hit.log_index for hit in hits}
        self._now = now
        self._records = transaction.statements.by_indices(indices)
        self._disputes: dict[int, list[DisputeRecord]] = {}
        for dispute in transaction.statements.open_disputes(sorted(indices)):
            self._disputes.setdefault(dispute.target_index, []).append(dispute)
        peers: Sequence[PeerRecord] = transaction.peers.all() if hits else ()
        self._believed = {peer.name for peer in peers if peer.state == "active"}
        self._authorities = {peer.name for peer in peers if peer.authority} & self._believed

    def active(self, log_index: int) -> StatementRecord | None:
        """The statement, if it still counts at this instant."""
        record = self._records.get(log_index)
        if record is None or record.state != "active":
            return None
        # The job that expires statements runs now and then; the matcher does not wait for it.
        return None if record.ends is not None and record.ends <= self._now else record

    def is_authority(self, organisation: str) -> bool:
        """Whether the operator holds the organisation for an authority, at this instant."""
        return organisation in self._authorities

    def is_believed(self, organisation: str) -> bool:
        """Whether the organisation is pinned and not frozen, at this instant."""
        return organisation in self._believed

    def is_disputed(self, log_index: int, item: int) -> bool:
        """Whether a dispute about the item is open."""
        return any(one.covers(item) for one in self._disputes.get(log_index, ()))


def _applies(record: StatementRecord, surface: str, operator: Operator) -> bool:
    return (not record.surfaces or surface in record.surfaces) and (
        not record.jurisdictions or not set(record.jurisdictions).isdisjoint(operator.jurisdictions)
    )


def _has_good_pdq(item: MediaQuery) -> bool:
    return item.pdq is not None and (item.quality is None or item.quality >= PDQ_MIN_QUALITY)


def _is_sure(item: MediaQuery, hit: MediaHash) -> bool:
    """Whether the hit says enough to act on; a pdq of unknown quality may be that of anything."""
    return hit.kind in EXACT_KINDS or item.quality is not None


def _remarks(item: MediaQuery) -> tuple[str, ...]:
    if item.pdq is None:
        return ()
    if item.quality is None:
        return (_UNKNOWN_QUALITY,)
    return () if _has_good_pdq(item) else (_LOW_QUALITY,)


def _match(record: StatementRecord, evidence: MediaEvidence) -> MediaMatch:
    return MediaMatch(
        statement=record.id,
        item=evidence.item,
        kind=evidence.kind,
        distance=evidence.distance,
        category=evidence.category,
        issuer_code=record.issuer_code,
        flags=record.flags,
        issuers=(record.issuer,),
        accredited=evidence.accredited,
        disputed=evidence.disputed,
        issued=format_time(record.issued),
    )
