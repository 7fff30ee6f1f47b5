"""Matching of media: what an upload resembles, who says so, and what the policy makes of it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from node.matching.variant_names import PLAIN
from node.policy.evaluation import Policy
from node.policy.file import PolicyFile
from node.services.audit import Audit
from node.services.catalogue import Catalogue, Found
from node.services.clients import Client
from node.services.equality import Digests
from node.services.films import QueryFrame, find_in_all_forms, fit_frames
from node.services.gates import ALLOW_RULE, ALLOWED, Gates
from node.services.hearing import Hearing, Scopes
from node.services.judging import Acted, Hit, Judge, Known, MediaResult, count_acted
from node.services.variants import Compared, QueryVariant, compared, resembling
from node.storage.engine import Store
from node.storage.media import EXACT_KINDS
from node.storage.transaction import Transaction
from protocol.categories import Vocabulary
from protocol.limits import PDQ_MIN_QUALITY

_RECOUNT_EVERY_S = 10

_LOW_QUALITY = f"The pdq's quality is below {PDQ_MIN_QUALITY}: it was not compared."
_NO_FRAME = f"No frame has a quality of {PDQ_MIN_QUALITY} or more: none was compared."
_UNKNOWN_QUALITY = "The pdq came without its quality: its matches lead to review at most."


@dataclass(frozen=True, repr=False)
class MediaQuery:
    """The media hashes of one uploaded picture or film; raw bytes of digests in hexadecimal."""

    pdq: str | None = None
    quality: int | None = None
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None
    frames: tuple[QueryFrame, ...] = ()
    variants: tuple[QueryVariant, ...] = ()


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
        gates: Gates,
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
        self._gates = gates
        self._name = name
        self._origin = origin
        self._digests = Digests(origin)
        self._scopes = Scopes()
        self._judge = Judge(vocabulary)
        self._clock = clock
        self._counted: _Counted | None = None
        self._stood: _Stood | None = None

    def match(
        self,
        items: Sequence[MediaQuery],
        *,
        surface: str,
        client: Client,
        action: str = "media.match",
        references: Sequence[str] = (),
    ) -> MatchAnswer:
        """Returns what each of `items` resembles. The values asked for are kept nowhere.

        Args:
            items: media hashes of uploads.
            surface: ``public``, ``hosted`` or ``private``.
            client: who asks.
            action: what the audit calls it.
            references: what the client calls each upload, where it says so. It is kept only of
                what was acted on, so that it can be restored.
        """
        now = int(self._clock())
        policy = self._policy.current()
        # What must not be matched is not even looked for.
        is_looked_for = surface != "private" or policy.operator.match_private_messages
        version = self._store.version()
        self._catalogue.refresh(version)
        # The same picture asked for twice is looked for once.
        distinct = list(dict.fromkeys(items))
        with self._store.read() as transaction:
            looked_for = distinct if is_looked_for else []
            hearing = Hearing(
                self._scopes,
                lambda scope: self._judge.voice_of(scope, surface, policy.operator),
                now=now,
            )
            found = self._find(transaction, looked_for, policy, surface, hearing)
            found += [[] for _ in distinct[len(found) :]]
            remarks = [_remarks(item) for item in distinct]
            for number, item in enumerate(looked_for):
                if item.frames:
                    hits, remark = self._find_films(transaction, item, policy, surface)
                    found[number] += hits
                    remarks[number] += remark
            indices = {hit.entry.log_index for hits in found for hit in hits}
            known = Known(transaction, indices, now=now)
            asked = Counter(items)
            judged = {
                item: self._decide(
                    transaction,
                    known,
                    policy,
                    item,
                    hits,
                    surface=surface,
                    remarks=remark,
                    times=asked[item],
                )
                for item, hits, remark in zip(distinct, found, remarks, strict=True)
            }
            state = self._state(transaction, now, version)
        self._gates.looked_up(len(items) if is_looked_for else 0)
        results = [judged[item][0] for item in items]
        acted: dict[Acted, list[str]] = {}
        for number, item in enumerate(items):
            for one in judged[item][1]:
                acted.setdefault(one, []).append(references[number] if references else "")
        if acted:
            with self._store.write() as transaction:
                count_acted(transaction, acted, client=client.id, now=now)
        self._note(client, action, surface, results)
        return MatchAnswer(tuple(results), state)

    def match_at_once(
        self, item: MediaQuery, *, surface: str, client: Client
    ) -> MatchAnswer | None:
        """Returns what `match` would of a picture that resembles nothing, waiting for nobody.

        Nothing is asked of the database, nor of the disk but whether the policy has changed; what
        takes the processor is one search, where no search takes longer than a few milliseconds.

        Returns:
            None where more has to be looked at: `match` is to be asked, and nothing was counted.
        """
        version, stood = self._store.version(), self._stood
        if (
            stood is None
            or stood.version != version
            or not self._catalogue.is_current(version)
            or not self._catalogue.is_quick()
            or not _is_plain(item)
        ):
            return None
        policy = self._policy.current()
        is_looked_for = surface != "private" or policy.operator.match_private_messages
        if is_looked_for:
            families = policy.variants(surface)
            rows = compared(0, item.pdq, item.quality, item.variants, families)
            pdqs = [row.pdq for row in rows]
            if any(self._catalogue.found(pdqs, max_distance=policy.max_distance())):
                return None
        self._gates.looked_up(1 if is_looked_for else 0)
        result = self._judge.nothing(policy, surface)
        self._note(client, "media.match", surface, [result])
        return MatchAnswer((result,), stood.at(int(self._clock())))

    def _note(
        self, client: Client, action: str, surface: str, results: Sequence[MediaResult]
    ) -> None:
        decisions = sorted({result.decision for result in results})
        self._audit.note(
            client.name,
            action,
            subject=surface,
            detail=f"items={len(results)} decisions={','.join(decisions)}",
        )

    def _decide(
        self,
        transaction: Transaction,
        known: Known,
        policy: Policy,
        item: MediaQuery,
        hits: Sequence[Hit],
        *,
        surface: str,
        remarks: Sequence[str],
        times: int,
    ) -> tuple[MediaResult, list[Acted]]:
        """Returns what is answered about one upload, once the operator's gates were asked."""
        if not hits:
            return self._judge.judge(known, policy, hits, surface, remarks)
        pdq = bytes.fromhex(item.pdq) if item.pdq is not None and _has_good_pdq(item) else None
        sha256 = bytes.fromhex(item.sha256) if item.sha256 is not None else None
        if self._gates.allows(transaction, pdq=pdq, sha256=sha256):
            return MediaResult("none", ALLOW_RULE, (*remarks, ALLOWED), ()), []
        passed, said = self._gates.sift(transaction, known, policy, hits, surface, times=times)
        return self._judge.judge(known, policy, passed, surface, (*remarks, *said))

    def families(self, surface: str) -> frozenset[str]:
        """Returns the families of variants that uploads are compared by at a surface."""
        policy = self._policy.current()
        if surface == "private" and not policy.operator.match_private_messages:
            return frozenset()
        return policy.variants(surface)

    def list_state(self) -> ListState:
        """Returns what uploads are compared with at this instant."""
        version = self._store.version()
        with self._store.read() as transaction:
            return self._state(transaction, int(self._clock()), version)

    def _find(
        self,
        transaction: Transaction,
        items: Sequence[MediaQuery],
        policy: Policy,
        surface: str,
        hearing: Hearing,
    ) -> list[list[Hit]]:
        found: list[list[Hit]] = [[] for _ in items]
        asked: dict[tuple[str, bytes], list[int]] = {}
        for number, item in enumerate(items):
            for kind in EXACT_KINDS:
                if value := getattr(item, kind):
                    asked.setdefault((kind, bytes.fromhex(value)), []).append(number)
        if asked:
            equal = self._digests.equal_to(transaction, [value for _, value in asked])
            for believed in hearing.hear(transaction, equal, equal.found):
                for hit, _distance in believed:
                    for number in asked.get((hit.kind, hit.value), ()):
                        found[number].append(Hit(hit, 0, is_sure=True))
        families = policy.variants(surface)
        rows = [
            row
            for number, item in enumerate(items)
            for row in compared(number, item.pdq, item.quality, item.variants, families)
        ]
        raw = self._catalogue.found([row.pdq for row in rows], max_distance=policy.max_distance())
        uploads = resembling(rows, self._without_allowed(transaction, rows, raw))
        near = hearing.hear(transaction, self._catalogue, [one.nearest() for one in uploads])
        for upload, believed in zip(uploads, near, strict=True):
            found[upload.number] += upload.hits(believed)
        return found

    def _without_allowed(
        self, transaction: Transaction, rows: Sequence[Compared], raw: Sequence[Found]
    ) -> list[Found]:
        """Returns what was found, without what only an allowed picture inside an upload met.

        An upload that is allowed passes as a whole; that part of it is allowed excuses no more
        than this part.
        """
        places = [
            place
            for place, (row, found) in enumerate(zip(rows, raw, strict=True))
            if found and row.variant != PLAIN
        ]
        left = list(raw)
        if places:
            inside = self._gates.has_allowed(transaction, [rows[place].pdq for place in places])
            for place, is_inside in zip(places, inside, strict=True):
                if is_inside:
                    left[place] = []
        return left

    def _find_films(
        self, transaction: Transaction, item: MediaQuery, policy: Policy, surface: str
    ) -> tuple[list[Hit], tuple[str, ...]]:
        """Returns the flagged films and pictures that a film has enough in common with."""
        found = find_in_all_forms(
            self._catalogue,
            transaction,
            fit_frames(item.frames),
            policy.variants(surface),
            max_distance=policy.max_distance(),
            sieve=partial(self._gates.without_allowed, transaction),
        )
        hits = [Hit.of_film(one) for one in found.hits if policy.takes(one.overlap)]
        if not found.frames:
            return hits, (_NO_FRAME,)
        if found.looked_at < found.frames:
            return hits, (f"Only {found.looked_at} of {found.frames} frames were compared.",)
        return hits, ()

    def _state(self, transaction: Transaction, now: int, version: int | None) -> ListState:
        stood = self._stood
        if stood is None or stood.version is None or stood.version != version:
            stood = self._stood = self._stand(transaction, now, version)
        return stood.at(now)

    def _stand(self, transaction: Transaction, now: int, version: int | None) -> "_Stood":
        size = transaction.logs.size(self._origin)
        counted = self._counted
        if counted is None or (counted.size != size and now - counted.at >= _RECOUNT_EVERY_S):
            counted = self._counted = _Counted(transaction.media.count(), size, now)
        heard = [peer.synced for peer in transaction.peers.all() if peer.name != self._name]
        times = [at for at in heard if at is not None]
        oldest = min(times) if times and len(times) == len(heard) else None
        # A count that is overdue is not kept for a database in which nothing happens any more.
        return _Stood(version if counted.size == size else None, counted.entries, size, oldest)


@dataclass(frozen=True)
class _Counted:
    """How many media hashes there were at a size of the log; counting all of them takes a scan."""

    entries: int
    size: int
    at: int


@dataclass(frozen=True)
class _Stood:
    """What the list was at one version of the database; `heard` is of its oldest sync."""

    version: int | None
    entries: int
    size: int
    heard: int | None

    def at(self, now: int) -> ListState:
        """What is told of it at an instant."""
        age_s = None if self.heard is None else max(0, now - self.heard)
        return ListState(self.entries, self.size, age_s)


def _has_good_pdq(item: MediaQuery) -> bool:
    return item.pdq is not None and (item.quality is None or item.quality >= PDQ_MIN_QUALITY)


def _is_plain(item: MediaQuery) -> bool:
    """Whether all there is to compare of an upload is a good pdq of known quality."""
    return (
        item.quality is not None
        and _has_good_pdq(item)
        and not item.frames
        and not any(getattr(item, kind) for kind in EXACT_KINDS)
    )


def _remarks(item: MediaQuery) -> tuple[str, ...]:
    if item.pdq is None:
        return ()
    if item.quality is None:
        return (_UNKNOWN_QUALITY,)
    return () if _has_good_pdq(item) else (_LOW_QUALITY,)
