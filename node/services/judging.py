"""What the policy makes of the entries that an upload resembles, and what is shown of them.

Whoever looks something up (`node.services.lookups`) finds entries; here they become evidence, the
policy decides, and what was acted on is counted, so that it can be undone.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from node.matching.variant_names import PLAIN
from node.policy.evaluation import Policy
from node.policy.model import MediaEvidence, Operator
from node.services import restoring
from node.services.films import FilmHit, Span
from node.storage.media import MediaHash
from node.storage.remedies import Deed
from node.storage.statements import DisputeRecord, Scope, StatementRecord
from node.storage.transaction import Transaction
from protocol.categories import Vocabulary
from protocol.encoding import format_time
from protocol.fields import organisation_of
from protocol.limits import PDQ_MATCH_DISTANCE

MOST_MATCHES = 200
"""Entries that one item's answer shows at the most, nearest first."""

MOST_PER_VOICE = 50
"""Entries of one organisation and category that one item's decision looks at, nearest first."""


NOBODY = 0
"""In place of a client's number, where the node looks something up by itself."""


@dataclass(frozen=True, repr=False)
class Hit:
    """One entry that an upload resembles.

    Attributes:
        entry: the media hash that was met.
        distance: Hamming distance in bits; 0 for exact digests.
        is_sure: whether it says enough to act on.
        film: set exactly if a film or stream was compared frame by frame.
        variant: of the upload that met it.
    """

    entry: MediaHash
    distance: int
    is_sure: bool
    film: FilmHit | None = None
    variant: str = PLAIN

    @classmethod
    def of_film(cls, film: FilmHit) -> "Hit":
        """Returns the hit that a film or stream is; what rests on one frame is not sure."""
        query, target = len(film.overlap.query), len(film.overlap.target)
        is_sure = query > 1 and (target > 1 or film.entry.kind == "pdq")
        return cls(film.entry, film.distance, is_sure, film, film.variant)

    @property
    def kind(self) -> str:
        """What was met, in the words of an answer."""
        return "film" if self.film is not None and self.entry.kind == "frame" else self.entry.kind


@dataclass(frozen=True)
class FilmMatch:
    """How much of a film or stream and of what was flagged is the same.

    Attributes:
        query_share: per cent of the upload's different frames; None for a stream.
        target_share: per cent of the flagged film's different frames.
        frames: different frames of the upload that match.
        query: where they stand.
        target: where the flagged film's stand; None for a flagged picture.
    """

    query_share: int | None
    target_share: int
    frames: int
    query: Span
    target: Span | None


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
    at_ms: int | None = None
    film: FilmMatch | None = None
    variant: str = PLAIN


@dataclass(frozen=True)
class MediaResult:
    """What one upload resembles, and the decision."""

    decision: str
    rule: str | None
    why: tuple[str, ...]
    matches: tuple[MediaMatch, ...]


@dataclass(frozen=True)
class Acted:
    """One item that led to a decision; `slot` is where one of its media hashes stands."""

    log_index: int
    item: int
    slot: int
    decision: str
    rule: str = ""


class Known:
    """Everything about the statements behind a set of hits, read at once."""

    def __init__(self, transaction: Transaction, indices: set[int], *, now: int) -> None:
        self._now = now
        self._records: Mapping[int, StatementRecord] = {}
        self._disputes: dict[int, list[DisputeRecord]] = {}
        self._believed: set[str] = set()
        self._authorities: set[str] = set()
        if indices:
            self._read(transaction, indices)

    def _read(self, transaction: Transaction, indices: set[int]) -> None:
        self._records = transaction.statements.by_indices(indices)
        for dispute in transaction.statements.open_disputes(sorted(indices)):
            self._disputes.setdefault(dispute.target_index, []).append(dispute)
        peers = transaction.peers.all()
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


class Judge:
    """Lets the policy decide about hits."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._of_nothing: tuple[Policy, dict[str, MediaResult]] | None = None

    def judge(
        self,
        known: Known,
        policy: Policy,
        hits: Sequence[Hit],
        surface: str,
        remarks: Sequence[str] = (),
    ) -> tuple[MediaResult, list[Acted]]:
        """Returns what is answered about one upload, and which items led to it.

        Args:
            known: about the statements behind the hits.
            policy: that decides.
            hits: everything the upload resembles.
            surface: where it was met.
            remarks: sentences to stand before the policy's own.
        """
        if not hits and not remarks:
            return self.nothing(policy, surface), []
        evidence, matches = [], []
        touched: dict[tuple[int, int], int] = {}
        heard: Counter[tuple[object, ...]] = Counter()
        voices: dict[tuple[int, bool, bool], tuple[object, ...]] = {}
        for hit in sorted(hits, key=lambda one: one.distance):
            log_index, item = hit.entry.log_index, hit.entry.item
            record = known.active(log_index)
            if record is None:
                continue
            # Whoever says the same thing of a picture a thousand times is heard fifty times, and
            # drowns out nobody else; nor is the rest of it worth more than this look.
            alike = (log_index, known.is_disputed(log_index, item), hit.is_sure)
            voice = voices.get(alike)
            if voice is not None and heard[voice] >= MOST_PER_VOICE:
                continue
            one = self._evidence(known, record, hit)
            is_applied = applies(record, surface, policy.operator)
            voice = voices.setdefault(alike, (*self._voice(one), is_applied))
            heard[voice] += 1
            if heard[voice] > MOST_PER_VOICE:
                continue
            evidence.append(one)
            # The policy leaves aside what its issuer limited to other surfaces or countries;
            # nobody is to see more of it, or to act on it.
            if is_applied:
                matches.append(_match(record, one, hit))
                touched.setdefault((log_index, item), hit.entry.slot)
        decision = policy.decide_media(evidence, surface=surface)
        why = (*remarks, *decision.why)
        result = MediaResult(decision.action, decision.rule, why, tuple(matches[:MOST_MATCHES]))
        if decision.action == "none":
            return result, []
        return result, [
            Acted(index, item, slot, decision.action, decision.rule or "")
            for (index, item), slot in sorted(touched.items())
        ]

    def voice_of(self, scope: Scope, surface: str, operator: Operator) -> tuple[object, ...]:
        """Returns what makes two statements one voice, before it is known what became of them."""
        category = self._vocabulary.get(scope.category or "")
        said = category.id if category.known else None
        return (organisation_of(scope.issuer), said, applies(scope, surface, operator))

    def nothing(self, policy: Policy, surface: str) -> MediaResult:
        """Returns what a policy says where nothing was found: most uploads, and always the same."""
        known = self._of_nothing
        if known is None or known[0] is not policy:
            known = self._of_nothing = (policy, {})
        results = known[1]
        if surface not in results:
            decision = policy.decide_media([], surface=surface)
            results[surface] = MediaResult(decision.action, decision.rule, decision.why, ())
        return results[surface]

    def _voice(self, one: MediaEvidence) -> tuple[object, ...]:
        """What makes two entries the same to a policy, apart from distance and scope."""
        category = self._vocabulary.get(one.category)
        said = category.id if category.known else None
        return (one.organisation, said, one.disputed, one.review_only)

    def _evidence(self, known: Known, record: StatementRecord, hit: Hit) -> MediaEvidence:
        organisation = organisation_of(record.issuer)
        category = record.category or ""
        # Whoever was frozen or removed since gave no reason to forget, nor any to act alone.
        full = hit.is_sure and known.is_believed(organisation)
        return MediaEvidence(
            statement=record.id,
            item=hit.entry.item,
            kind=hit.kind,
            distance=hit.distance,
            category=category,
            review_only=self._vocabulary.get(category).review_only or not full,
            issuer=record.issuer,
            organisation=organisation,
            accredited=known.is_authority(organisation),
            disputed=known.is_disputed(hit.entry.log_index, hit.entry.item),
            surfaces=record.surfaces,
            jurisdictions=record.jurisdictions,
            overlap=hit.film.overlap if hit.film is not None else None,
            variant=hit.variant,
        )


def count_acted(
    transaction: Transaction,
    acted: Mapping[Acted, Collection[str]],
    *,
    client: int,
    now: int,
) -> None:
    """Counts what led to a decision, and asks for remedy where it was taken back meanwhile.

    Args:
        transaction: to write in.
        acted: with what the client calls the uploads concerned; one each, empty without a name.
        client: number of the client that was answered; `NOBODY` for the node itself.
        now: Unix time in seconds.
    """
    deeds: Counter[Deed] = Counter()
    for one, references in acted.items():
        times = len(references)
        transaction.journal.count_match(one.log_index, one.item, one.decision, at=now, times=times)
        if client != NOBODY and one.decision in restoring.ACTED_DECISIONS:
            place = (one.log_index, one.item, client, one.decision, one.rule)
            deeds.update(Deed(*place, reference) for reference in references)
    if deeds:
        restoring.note_deeds(transaction, deeds, now=now)
    # What was taken back since it was read has asked nobody to restore these uploads.
    active = transaction.media.at_slots(sorted({(one.log_index, one.slot) for one in acted}))
    late: dict[str, set[tuple[int, int]]] = {}
    for one in acted:
        if (one.log_index, one.slot) not in active:
            late.setdefault(one.decision, set()).add((one.log_index, one.item))
    for decision, items in late.items():
        restoring.ask_late_remedy(transaction, items, decision=decision, now=now)


def applies(record: StatementRecord | Scope, surface: str, operator: Operator) -> bool:
    """Whether a statement's own limits let it be applied at a surface, for this operator."""
    return (not record.surfaces or surface in record.surfaces) and (
        not record.jurisdictions or not set(record.jurisdictions).isdisjoint(operator.jurisdictions)
    )


def _match(record: StatementRecord, evidence: MediaEvidence, hit: Hit) -> MediaMatch:
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
        at_ms=hit.entry.at_ms if hit.kind == "frame" else None,
        film=None if hit.film is None else _film_match(hit.film),
        variant=hit.variant,
    )


def _film_match(film: FilmHit) -> FilmMatch:
    query_share, target_share = film.overlap.shares(PDQ_MATCH_DISTANCE)
    return FilmMatch(
        None if film.overlap.is_stream else query_share,
        target_share,
        len(film.overlap.query),
        film.query,
        film.target,
    )
