"""Looking for what is flagged among the uploads of yesterday.

Two cursors in the database say how far it has come: in the log, and in the registered uploads. A
statement is compared with all uploads that are registered when its turn comes, a new upload with
all that is flagged then; so of any two, the one whose turn comes later meets the other. A crash
leaves a cursor where it was: the work is done again, and what was found already is not stored
twice, since an upload and an item make one match.

What an upload resembles is judged by `node.services.lookups`, as if it were looked up now. So the
decision rests on everything that is said of it, not only on what was said last. Where the policy
asks for turned and mirrored uploads, new statements are turned instead: no upload is stored twice.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from node.matching.turned import in_all_forms
from node.policy.file import PolicyFile
from node.policy.model import SURFACES
from node.services.clients import Client
from node.services.lookups import Lookups, MediaQuery
from node.services.upload_index import UploadIndex
from node.storage.engine import Store
from node.storage.media import EXACT_KINDS, MediaHash
from node.storage.retro import RetroMatchRecord
from node.storage.uploads import UploadRecord
from protocol.encoding import format_time
from protocol.errors import NotFoundError

MATCHED: Final = "retro.matched"
"""Kind of the message that tells of new matches."""

_UPLOADS = "uploads"
_STATEMENTS = "statements"
_HASHES_AT_ONCE = 2_000
_UPLOADS_AT_ONCE = 500
_MYSELF = Client(0, "retro", frozenset())


@dataclass(frozen=True, repr=False)
class RetroMatch:
    """A registered upload that turned out to match.

    Attributes:
        id: number of the match.
        change: what to ask after for later changes.
        upload: what the client calls the upload.
        statement: id of the statement that says so.
        item: place of the entry in the statement.
        state: ``open``, ``done`` or ``withdrawn``.
    """

    id: int
    change: int
    upload: str
    statement: str
    item: int
    kind: str
    distance: int
    decision: str
    rule: str | None
    found: str
    state: str


class Retro:
    """Finds, lists and closes matches of registered uploads."""

    def __init__(
        self,
        store: Store,
        index: UploadIndex,
        lookups: Lookups,
        policy: PolicyFile,
        *,
        origin: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._index = index
        self._lookups = lookups
        self._policy = policy
        self._origin = origin
        self._clock = clock
        self._idle_at: int | None = None

    def is_behind(self) -> bool:
        """Whether there is something that `step` would do; quick where nothing has changed."""
        version = self._store.version()
        if version is not None and version == self._idle_at:
            return False
        with self._store.read() as transaction:
            seen = transaction.retro.cursor(_UPLOADS)
            behind = transaction.uploads.last() > seen or (
                seen > 0
                and transaction.logs.size(self._origin) > transaction.retro.cursor(_STATEMENTS)
            )
        self._idle_at = None if behind else version
        return behind

    def step(self) -> bool:
        """Compares some more; returns False if there was nothing left to compare.

        One caller at a time, in one process: two would do the same work.
        """
        return self._compare_uploads() or self._compare_statements()

    def tidy(self) -> int:
        """Uploads that were deleted are no more in the index, nor in its files."""
        with self._store.read() as transaction:
            if not transaction.retro.cursor(_UPLOADS):
                return 0
            return self._index.tidy(transaction)

    def matches(self, client: Client, *, after: int, limit: int) -> list[RetroMatch]:
        """Returns a client's matches that changed after `after`, in the order of the changes."""
        with self._store.read() as transaction:
            found = transaction.retro.of_client(client.id, after=after, limit=limit)
            records = transaction.statements.by_indices({one.log_index for one in found})
        return [to_answer(one, records[one.log_index].id) for one in found]

    def done(self, number: int, *, client: Client) -> None:
        """Notes that a match was dealt with.

        Raises:
            NotFoundError: no such match of the client is open.
        """
        now = int(self._clock())
        with self._store.write() as transaction:
            if not transaction.retro.finish(number, client=client.id):
                raise NotFoundError("No match of this number is open.")
            transaction.journal.audit(
                client.name, "retro.done", at=now, subject=str(number), detail=None
            )

    def _compare_uploads(self) -> bool:
        """Compares new uploads with everything that is flagged."""
        with self._store.read() as transaction:
            seen = transaction.retro.cursor(_UPLOADS)
            uploads = transaction.uploads.after(seen, limit=_UPLOADS_AT_ONCE)
            size = transaction.logs.size(self._origin)
        if not uploads:
            return False
        matches = self._judge(uploads, None)
        with self._store.write() as transaction:
            new = transaction.retro.add(matches)
            transaction.webhooks.announce(new, MATCHED, now=int(self._clock()))
            transaction.retro.set_cursor(_UPLOADS, uploads[-1].number or 0)
            if not seen:
                # Before the first upload there was nothing that the log could have met.
                transaction.retro.set_cursor(_STATEMENTS, size)
        return True

    def _compare_statements(self) -> bool:
        """Compares new statements with all uploads."""
        with self._store.read() as transaction:
            start = transaction.retro.cursor(_STATEMENTS)
            size = transaction.logs.size(self._origin)
            if start >= size or not transaction.retro.cursor(_UPLOADS):
                return False
            near = transaction.media.pdqs_from(start, limit=_HASHES_AT_ONCE)
            digests = transaction.media.digests_from(start, limit=_HASHES_AT_ONCE)
            until = min(_last(near, size - 1), _last(digests, size - 1))
            self._index.refresh(transaction)
            policy = self._policy.current()
            families = frozenset[str]().union(*map(policy.variants, SURFACES))
            met = self._index.near(
                in_all_forms([one.value for one in near if one.log_index <= until], families),
                max_distance=policy.max_distance(),
            )
            met |= transaction.uploads.with_digests(
                {
                    kind: {
                        one.value for one in digests if one.kind == kind and one.log_index <= until
                    }
                    for kind in EXACT_KINDS
                }
            )
        numbers, places = sorted(met), range(start, until + 1)
        for at in range(0, len(numbers), _UPLOADS_AT_ONCE):
            self._compare_met(numbers[at : at + _UPLOADS_AT_ONCE], places)
        # A crash before this leaves matches that are stored, and not found again.
        with self._store.write() as transaction:
            transaction.retro.set_cursor(_STATEMENTS, until + 1)
        return True

    def _compare_met(self, numbers: Sequence[int], places: range) -> None:
        with self._store.read() as transaction:
            uploads = transaction.uploads.at(numbers)
        self._index.remove(set(numbers) - uploads.keys())
        matches = self._judge(list(uploads.values()), places)
        if matches:
            with self._store.write() as transaction:
                new = transaction.retro.add(matches)
                transaction.webhooks.announce(new, MATCHED, now=int(self._clock()))

    def _judge(
        self, uploads: Sequence[UploadRecord], places: range | None
    ) -> list[RetroMatchRecord]:
        """Returns what uploads match by the policy.

        Args:
            uploads: that may match something.
            places: in the log, of the statements that matter; None for all of them.
        """
        now = int(self._clock())
        by_surface: dict[str, list[UploadRecord]] = {}
        for upload in uploads:
            by_surface.setdefault(upload.surface, []).append(upload)
        found: list[RetroMatchRecord] = []
        for surface, of_it in by_surface.items():
            answer = self._lookups.match(
                [_query(one) for one in of_it],
                surface=surface,
                client=_MYSELF,
                action="retro.match",
            )
            met = [
                (upload, result, match)
                for upload, result in zip(of_it, answer.results, strict=True)
                if result.decision != "none"
                for match in result.matches
            ]
            at = self._places(match.statement for _, _, match in met)
            found += [
                RetroMatchRecord(
                    upload=upload.number or 0,
                    client=upload.client,
                    upload_id=upload.id,
                    log_index=at[match.statement],
                    item=match.item,
                    kind=match.kind,
                    distance=match.distance,
                    decision=result.decision,
                    rule=result.rule,
                    found=now,
                )
                for upload, result, match in met
                if places is None or at[match.statement] in places
            ]
        return found

    def _places(self, statements: Iterable[str]) -> dict[str, int]:
        with self._store.read() as transaction:
            records = transaction.statements.by_ids(set(statements))
        return {str(one): record.log_index for one, record in records.items()}


def to_answer(one: RetroMatchRecord, statement: str) -> RetroMatch:
    """Returns a match as its client sees it; `statement` is the id of the statement."""
    return RetroMatch(
        id=one.number,
        change=one.change,
        upload=one.upload_id,
        statement=statement,
        item=one.item,
        kind=one.kind,
        distance=one.distance,
        decision=one.decision,
        rule=one.rule,
        found=format_time(one.found),
        state=one.state,
    )


def _last(hashes: Sequence[MediaHash], otherwise: int) -> int:
    """The last place in the log that a page of media hashes covers."""
    return hashes[-1].log_index if len(hashes) >= _HASHES_AT_ONCE else otherwise


def _query(one: UploadRecord) -> MediaQuery:
    return MediaQuery(
        pdq=_hex(one.pdq),
        quality=one.quality,
        sha256=_hex(one.sha256),
        sha1=_hex(one.sha1),
        md5=_hex(one.md5),
    )


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
