"""Streams: frames looked at as they come, and a decision as soon as enough of them match.

What is kept of a stream lies in the database, so that any process answers for any stream: one row,
and a row for each frame that resembled something, with the frame's time and nothing of the frame.
A frame that resembles nothing, which is nearly every one, is not kept, and nothing is written for
it but, now and then, that the stream goes on.

The frames within the window before the newest count together. A crash between the commit of frames
and the answer loses the answer; the next frame's answer holds it again. Only what a decision was
acted upon is waited for until it is on the disk: of a stream itself, a failure of power may lose
the last moments, and then the platform begins a new one.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.policy.evaluation import Policy
from node.policy.file import PolicyFile
from node.policy.model import strength
from node.services.audit import Audit
from node.services.catalogue import Catalogue
from node.services.clients import Client
from node.services.films import QueryFrame, fit_frames, meet
from node.services.gates import Gates
from node.services.judging import Acted, Hit, Judge, Known, MediaResult, count_acted
from node.settings import Settings
from node.storage.engine import Store
from node.storage.streams import StreamHit, StreamRecord
from node.storage.transaction import Transaction
from protocol.categories import Vocabulary
from protocol.errors import NotFoundError, RateLimitedError, UnavailableError

MOST_PER_FRAME: Final = 50
"""Entries that one frame is kept to resemble, nearest first."""

_ID_BYTES: Final = 16
_MS_PER_S: Final = 1_000
_TOUCHES: Final = 4  # a stream's row is written so often while it could fall idle, and no more
_NOTHING: Final = MediaResult("none", None, (), ())


@dataclass(frozen=True)
class OpenedStream:
    """A stream that is watched from now on.

    Attributes:
        id: by which the client names it; nobody else can.
        window_ms: how far back frames count together.
        idle_s: after how long without a frame it is over.
    """

    id: str
    window_ms: int
    idle_s: int


class Streams:
    """Watches streams."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        policy: PolicyFile,
        audit: Audit,
        gates: Gates,
        *,
        settings: Settings,
        vocabulary: Vocabulary,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._policy = policy
        self._audit = audit
        self._gates = gates
        self._judge = Judge(vocabulary)
        self._clock = clock
        self._window_ms = round(settings.stream_window_s * _MS_PER_S)
        self._idle_s = settings.stream_idle_s
        self._touch_s = max(1, settings.stream_idle_s // _TOUCHES)
        # `seen` may be older than the last frame by as much
        self._over_s = settings.stream_idle_s + self._touch_s
        self._most = settings.max_streams
        self._most_per_client = settings.max_streams_per_client

    def open(self, *, surface: str, client: Client) -> OpenedStream:
        """Begins to watch a stream.

        Args:
            surface: where it is shown.
            client: whose it is.

        Raises:
            RateLimitedError: the client has as many as it may.
            UnavailableError: the node has as many as it may.
        """
        now = int(self._clock())
        made = StreamRecord(secrets.token_bytes(_ID_BYTES), client.id, surface, now, now)
        with self._store.write(durable=False) as transaction:
            # what fell idle makes room at once; the job comes by now and then
            transaction.streams.forget(before=now - self._over_s)
            every, own = transaction.streams.count(client=client.id)
            if own >= self._most_per_client:
                raise RateLimitedError(
                    f"A client may have {self._most_per_client} streams at once: end one.",
                    retry_after_s=self._idle_s,
                )
            if every >= self._most:
                raise UnavailableError(
                    "As many streams are watched as may be.", retry_after_s=self._idle_s
                )
            transaction.streams.add(made)
        self._gates.looked_up(1)
        self._audit.note(client.name, "stream.open", subject=surface)
        return OpenedStream(made.id.hex(), self._window_ms, self._idle_s)

    def look(self, stream_id: str, frames: Sequence[QueryFrame], *, client: Client) -> MediaResult:
        """Returns what the policy makes of a stream, up to the newest of these frames.

        Args:
            stream_id: as `open` gave it.
            frames: that came since the last time, one at least; they are kept nowhere.
            client: who asks.

        Raises:
            NotFoundError: the client has no such stream, or it is over.
        """
        now = int(self._clock())
        policy = self._policy.current()
        self._catalogue.refresh()
        with self._store.read() as transaction:
            stream = self._own(transaction, stream_id, client, now)
            may_look = stream.surface != "private" or policy.operator.match_private_messages
            new = self._find(transaction, frames, policy) if may_look else []
        if not new and (not stream.hits or not may_look):
            self._touch(stream, now)
            return _NOTHING
        newest = max(one.at_ms for one in frames)
        since = max(0, newest - self._window_ms)
        if new:
            with self._store.write(durable=False) as transaction:
                if transaction.streams.get(stream.id) is None:
                    raise NotFoundError("There is no such stream, or it is over.")
                transaction.streams.add_hits(stream.id, new, seen=now, keep_from_ms=since)
        else:
            self._touch(stream, now)
        # Read after the commit: of two that send at once, the later one sees the frames of both.
        with self._store.read() as transaction:
            hits = transaction.streams.hits(stream.id, from_ms=since, to_ms=newest)
            result, acted = self._decide(transaction, stream, hits, policy, now)
        if strength(result.decision) > strength(stream.decision):
            self._keep_decision(stream, result, acted, client, now)
        return result

    def close(self, stream_id: str, *, client: Client) -> None:
        """Ends a stream and forgets what was kept of it.

        Raises:
            NotFoundError: the client has no such stream, or it is over.
        """
        now = int(self._clock())
        with self._store.write(durable=False) as transaction:
            stream = self._own(transaction, stream_id, client, now)
            transaction.streams.remove(stream.id)
        self._audit.note(
            client.name, "stream.close", subject=stream.surface, detail=stream.decision
        )

    def _own(
        self, transaction: Transaction, stream_id: str, client: Client, now: int
    ) -> StreamRecord:
        found = transaction.streams.get(bytes.fromhex(stream_id))
        if found is None or found.client != client.id or found.seen < now - self._over_s:
            raise NotFoundError("There is no such stream, or it is over.")
        return found

    def _touch(self, stream: StreamRecord, now: int) -> None:
        if now - stream.seen >= self._touch_s:
            with self._store.write(durable=False) as transaction:
                transaction.streams.touch(stream.id, seen=now)

    def _find(
        self, transaction: Transaction, frames: Sequence[QueryFrame], policy: Policy
    ) -> list[StreamHit]:
        fit = self._gates.without_allowed(transaction, fit_frames(frames))
        near = self._catalogue.near(
            transaction,
            [bytes.fromhex(one.pdq) for one in fit],
            max_distance=policy.max_distance(),
        )
        return [
            StreamHit(one.at_ms, entry.log_index, entry.slot, distance)
            for one, found in zip(fit, near, strict=True)
            for entry, distance in found[:MOST_PER_FRAME]
        ]

    def _decide(
        self,
        transaction: Transaction,
        stream: StreamRecord,
        hits: Sequence[StreamHit],
        policy: Policy,
        now: int,
    ) -> tuple[MediaResult, list[Acted]]:
        places = sorted({(hit.log_index, hit.slot) for hit in hits})
        entries = transaction.media.at_slots(places)
        met = [
            (hit.at_ms, hit.at_ms, entry, hit.distance)
            for hit in hits
            if (entry := entries.get((hit.log_index, hit.slot))) is not None
        ]
        films = meet(
            transaction, met, query_frames=len({hit.at_ms for hit in hits}), is_stream=True
        )
        found = [Hit.of_film(film) for film in films if policy.takes(film.overlap)]
        known = Known(transaction, {hit.entry.log_index for hit in found}, now=now)
        passed, said = self._gates.sift(
            transaction,
            known,
            policy,
            found,
            stream.surface,
            # The frames within the window are met again and again; the stream counts once.
            times=1 if stream.decision == "none" else 0,
        )
        return self._judge.judge(known, policy, passed, stream.surface, said)

    def _keep_decision(
        self,
        stream: StreamRecord,
        result: MediaResult,
        acted: Sequence[Acted],
        client: Client,
        now: int,
    ) -> None:
        """Counts what led to a decision: once for each stream and stronger decision."""
        with self._store.write() as transaction:
            reference = f"stream:{stream.id.hex()}"
            count_acted(transaction, dict.fromkeys(acted, (reference,)), client=client.id, now=now)
            transaction.streams.set_decision(stream.id, result.decision)
        self._audit.note(
            client.name, "stream.decision", subject=stream.surface, detail=result.decision
        )
