"""The index of many pdqs: segments, the delta, and how the one becomes the other."""

import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog

from node.matching.folder import FORMAT, Folder, Manifest, SegmentFile
from node.matching.index import START, Reached
from node.matching.ring.chunks import chunks_of, pdqs_of
from node.matching.ring.delta import Block
from node.matching.ring.search import Mounted, Search, View, search_many
from node.matching.ring.searching import search_one
from node.matching.ring.segment import build_segment, open_segment
from protocol.errors import UnavailableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = structlog.get_logger("node.matching")

DELTA_ROWS: Final = 16_384
"""Rows of the delta that are worth a segment: to scan them takes as long as to search one."""

_ROOM: Final = 32_768
_RATIO: Final = 4  # a segment joins a merge of more than this part of its rows
_MOST_DEAD: Final = 8  # nor does it wait for one once this part of it is dead
_TRIES: Final = 5


class RingIndex:
    """Segments and a delta; safe for any number of threads.

    Args:
        folder: where segments are kept; None to keep them in memory only.
        threads: how many build a segment.
    """

    def __init__(self, folder: Folder | None, *, threads: int) -> None:
        self._folder = folder
        self._threads = threads
        self._lock = threading.Lock()  # of whoever changes `_view`
        self._merging = threading.Lock()  # of whoever changes the segments; taken before `_lock`
        self._view = View((), (Block(_ROOM),))
        self._removed: list[int] = []  # while a merge is under way
        self._generation = 0
        self._covered = START  # what the segments hold all of, but for what was removed
        self.reached = START

    def query(self, pdq: bytes, most: int, limit: int | None) -> list[tuple[int, int]]:
        """See PdqEngine.query."""
        view = self._view
        try:
            search = view.idle.pop()
        except IndexError:
            search = Search(view)
        search.asked[:] = pdq
        if search.most != most or limit is not None:
            search.look_for(most, limit)
        count = search_one(search.address)
        found = search.results(count) if count else []
        view.idle.append(search)
        return found

    def lines(self, pdq: bytes) -> int:
        """See PdqEngine.lines."""
        search = Search(self._view)
        search.asked[:] = pdq
        search_one(search.address)
        return search.lines()

    def query_arrays(
        self, pdqs: "NDArray[np.uint8]", most: int, pool: Executor | None
    ) -> "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]":
        """See PdqEngine.query_arrays."""
        return search_many(self._view, _chunks(pdqs), most, pool, self._threads)

    def __len__(self) -> int:
        view = self._view
        return sum(one.alive for one in view.mounted) + sum(one.alive for one in view.blocks)

    def memory_bytes(self) -> int:
        """Size of the segments and the delta."""
        view = self._view
        return sum(one.bytes for one in view.mounted) + sum(one.bytes for one in view.blocks)

    def add(
        self, keys: "NDArray[np.int64]", pdqs: "NDArray[np.uint8]", reached: Reached = START
    ) -> None:
        """Adds entries to the delta: int64 [n], uint8 [n, 32]."""
        with self._lock:
            block = self._view.blocks[-1]
            if len(keys) > block.room:
                block = Block(max(_ROOM, len(keys)))
                self._view = View(self._view.mounted, (*self._view.blocks, block))
            block.append(pdqs.view(np.uint16), keys)
            self.reached = max(self.reached, reached)

    def remove(self, keys: Sequence[int]) -> None:
        """Masks entries, wherever they are."""
        gone = np.unique(np.asarray(keys, np.int64))
        with self._lock:
            view = self._view
            self._removed += gone.tolist()
            for block in view.blocks:
                block.remove(gone)
            if sum(one.remove(gone) for one in view.mounted):
                self._view = View(view.mounted, view.blocks)

    def is_due(self) -> bool:
        """Says whether a merge is worth its while."""
        view = self._view
        return sum(map(len, view.blocks)) >= DELTA_ROWS or any(map(_is_wasteful, view.mounted))

    def build(self, keys: "NDArray[np.int64]", pdqs: "NDArray[np.uint8]", reached: Reached) -> bool:
        """Adds entries as one segment; returns False where another process is merging."""
        with self._merging, _holding(self._folder) as held:
            if not held:
                return False
            self._take_up()
            fresh = self._new_segment(_chunks(pdqs), keys)
            with self._lock:
                self.reached = max(self.reached, reached)
                # What is in the delta is not in the segments: their manifest must not say so.
                delta = any(map(len, self._view.blocks))
                covered = self._covered if delta else self.reached
            self._publish((*self._view.mounted, fresh), covered)
            with self._lock:
                self._view = View(_sorted((*self._view.mounted, fresh)), self._view.blocks)
        return True

    def merge(self, *, whole: bool = False) -> bool:
        """Makes a segment of the delta and of what is not much greater.

        Queries go on meanwhile with what there was, adds and removals with a new block.

        Args:
            whole: take in all segments.

        Returns:
            Whether it was done; not while another process of the node is at it.
        """
        with self._merging, _holding(self._folder) as held:
            if not held:
                return False
            self._take_up()
            with self._lock:
                frozen = self._view.blocks
                reached = self.reached
                self._removed = []
                self._view = View(self._view.mounted, (*frozen, Block(_ROOM)))
            chosen = self._chosen(sum(map(len, frozen)), whole=whole)
            if (
                not any(map(len, frozen))
                and len(chosen) <= 1
                and not any(self._is_unsettled(one) or one.gone for one in chosen)
            ):
                self._finish((), frozen, ())
                return True
            living = _living(chosen, frozen)
            words = np.concatenate([some for some, _ in living])
            keys = np.concatenate([some for _, some in living])
            del living
            fresh = (self._new_segment(words, keys),) if len(keys) else ()
            kept = tuple(one for one in self._view.mounted if one not in chosen)
            self._publish((*kept, *fresh), reached)
            self._finish(chosen, frozen, fresh)
            return True

    def refresh(self) -> bool:
        """Takes up the segments that another process has published; returns whether there were any.

        Raises:
            UnavailableError: one of them is damaged; nothing has changed.
        """
        if self._folder is None or not self._folder.has_changed():
            return False
        with self._merging:
            return self._take_up()

    def verify(self) -> None:
        """Compares each segment's file with its SHA-256.

        Raises:
            UnavailableError: one is not what was written.
        """
        for one in self._view.mounted:
            if one.name:
                one.segment.verify()

    def entries(self) -> "tuple[NDArray[np.int64], NDArray[np.uint8]]":
        """Copies of all that can be found: keys, ascending, and pdqs, uint8 [n, 32]."""
        with self._lock:
            view = self._view
            living = _living(view.mounted, view.blocks)
        keys = np.concatenate([some for _, some in living])
        order = np.argsort(keys, kind="stable")
        words = np.concatenate([some for some, _ in living])[order]
        pdqs = np.empty((len(keys), 32), np.uint8)
        pdqs_of(words.view(np.uint16), pdqs.view(np.uint16))
        return keys[order], pdqs

    def replace(
        self, keys: "NDArray[np.int64]", pdqs: "NDArray[np.uint8]", reached: Reached
    ) -> bool:
        """There is nothing but these entries; returns False where another process is merging.

        At no moment is there less on disk: the new segment takes the place of all others.
        """
        with self._merging, _holding(self._folder) as held:
            if not held:
                return False
            if self._folder is not None:
                self._generation = max(self._generation, self._folder.read().generation)
            fresh = (self._new_segment(_chunks(pdqs), keys),) if len(keys) else ()
            with self._lock:
                self.reached = reached
                self._view = View(fresh, (Block(_ROOM),))
            self._publish(fresh, reached)
        return True

    def _chosen(self, rows: int, *, whole: bool) -> tuple[Mounted, ...]:
        """The segments that go into a merge with so many new rows, the smallest first."""
        chosen: list[Mounted] = []
        for one in reversed(self._view.mounted):
            if whole or self._is_unsettled(one) or one.alive < _RATIO * rows:
                chosen.append(one)
                rows += one.alive
        return tuple(chosen)

    def _is_unsettled(self, one: Mounted) -> bool:
        """Says whether a segment is half dead, or has no file where it should have one."""
        return _is_wasteful(one) or (
            self._folder is not None and not (one.name and self._folder.file(one.name).exists())
        )

    def _new_segment(self, words: "NDArray[np.uint64]", keys: "NDArray[np.int64]") -> Mounted:
        segment = build_segment(words, keys, threads=self._threads)
        if self._folder is None:
            return Mounted(segment)
        path = self._folder.new_file()
        try:
            segment.write(path)
        except OSError as error:
            # Matching goes on from memory; the next merge tries again.
            _log.warning("index_not_written", error=type(error).__name__)
            return Mounted(segment)
        return Mounted(open_segment(path), path.name)

    def _publish(self, mounted: tuple[Mounted, ...], covered: Reached) -> None:
        """The manifest names these segments, unless one of them is in memory only."""
        self._covered = covered
        if self._folder is None or not all(one.name for one in mounted):
            return
        files = tuple(
            SegmentFile(one.name, len(one.segment), one.segment.digest.hex())
            for one in _sorted(mounted)
        )
        self._generation += 1
        self._folder.publish(Manifest(FORMAT, self._generation, *covered, files))

    def _finish(
        self, chosen: tuple[Mounted, ...], frozen: tuple[Block, ...], fresh: tuple[Mounted, ...]
    ) -> None:
        """Queries see what was made in place of what it was made of."""
        with self._lock:
            if self._removed:
                gone = np.unique(np.asarray(self._removed, np.int64))
                for one in fresh:
                    one.remove(gone)
            self._removed = []
            kept = tuple(one for one in self._view.mounted if one not in chosen)
            self._view = View(_sorted((*kept, *fresh)), self._view.blocks[len(frozen) :])

    def _take_up(self) -> bool:
        """Mounts what the manifest names, where another process wrote it; holds `_merging`."""
        if self._folder is None or not self._folder.has_changed():
            return False
        known = {one.name: one for one in self._view.mounted if one.name}
        manifest, mounted = self._mount(known)
        if manifest.upto < self._covered.upto:
            return False  # somebody began anew; this process has more, and will say so
        self._generation = manifest.generation
        self._covered = Reached(manifest.upto, manifest.mark)
        with self._lock:
            view = self._view
            gone = {key for one in view.mounted for key in one.gone}
            gone |= {key for block in view.blocks for key in block.gone if key < manifest.upto}
            if gone:
                for one in mounted:
                    if one.name not in known:
                        one.remove(np.fromiter(gone, np.int64, len(gone)))
            self._view = View(mounted, _from_key(view.blocks, manifest.upto))
            self.reached = max(self.reached, self._covered)
        return True

    def _mount(self, known: dict[str, Mounted]) -> tuple[Manifest, tuple[Mounted, ...]]:
        assert self._folder is not None
        for _ in range(_TRIES):
            manifest = self._folder.read()
            try:
                return manifest, _sorted(
                    tuple(
                        known.get(one.file)
                        or Mounted(open_segment(self._folder.file(one.file)), one.file)
                        for one in manifest.segments
                    )
                )
            except FileNotFoundError:
                continue  # replaced since the manifest was read
        raise UnavailableError("A segment of the index is missing.")


def _holding(folder: Folder | None) -> AbstractContextManager[bool]:
    """The folder's lock; gives whether this process holds it, or needs none."""
    return nullcontext(enter_result=True) if folder is None else folder.locked()


def _living(
    mounted: tuple[Mounted, ...], blocks: tuple[Block, ...]
) -> "list[tuple[NDArray[np.uint64], NDArray[np.int64]]]":
    return [one.living() for one in mounted] + [one.living() for one in blocks]


def _is_wasteful(one: Mounted) -> bool:
    return one.alive * _MOST_DEAD < len(one.segment) * (_MOST_DEAD - 1)


def _sorted(mounted: tuple[Mounted, ...]) -> tuple[Mounted, ...]:
    return tuple(sorted(mounted, key=lambda one: len(one.segment), reverse=True))


def _from_key(blocks: tuple[Block, ...], key: int) -> tuple[Block, ...]:
    """The living rows of the blocks from a key on, in one new block."""
    living = [block.living() for block in blocks]
    words = np.concatenate([some for some, _ in living])
    keys = np.concatenate([some for _, some in living])
    rows = keys >= key
    fresh = Block(max(_ROOM, int(rows.sum())))
    fresh.take(words[rows], keys[rows])
    return (fresh,)


def _chunks(pdqs: "NDArray[np.uint8]") -> "NDArray[np.uint64]":
    """The chunks of pdqs, uint8 [n, 32], as uint64 [n, 4]."""
    chunks = np.empty((len(pdqs), 16), np.uint16)
    chunks_of(pdqs.view(np.uint16), chunks)
    return chunks.view(np.uint64)
