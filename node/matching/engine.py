"""The pdq index of a process: a scan while there is little, the ring once there is much.

It opens its folder when it is first asked something, and has one thread of its own, which makes
segments of what is new and takes up those that other processes of the node have made.
"""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import structlog

from node.matching.index import START, Keys, Pdqs, Reached
from node.matching.kernels import load_ring, warm_up
from node.matching.scan import ScanIndex
from protocol.errors import UnavailableError
from protocol.limits import PDQ_MATCH_DISTANCE
from protocol.pdq import PDQ_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from node.matching.folder import Folder
    from node.matching.ring.index import RingIndex

SMALL_ROWS: Final = 30_000
"""Up to so many entries a scan is as quick as anything."""

_LOOK_EVERY_S: Final = 5.0
_QUICK_ROWS: Final = 2_000_000
_WORTH_SHARING: Final = 64  # questions
_Scalar = TypeVar("_Scalar", bound=np.generic)
_log = structlog.get_logger("node.matching")


class PdqEngine:
    """A PdqIndex for 0 to some 10^7 entries; see node.matching.index for what its methods promise.

    What was added is found by the next query. Entries are taken up into segments in the background,
    from `SMALL_ROWS` on; with a folder these are files, which the processes of a node share and
    which a new process opens at once. `reached` says which they hold: the others have to be
    added again, as `node.services.catalogue` does from the database.

    Args:
        directory: of the segments, made when needed; None to keep everything in memory.
        threads: that a batch and a merge may use; by default as many as there are processors.
        small_rows: entries that are only scanned; 0 to load the compiled kernels at once.
        background: False to leave merges and the other processes' segments to tend().
    """

    def __init__(
        self,
        directory: Path | None,
        *,
        threads: int | None = None,
        small_rows: int = SMALL_ROWS,
        background: bool = True,
    ) -> None:
        self._directory = directory
        self._threads = threads or len(os.sched_getaffinity(0))
        self._small_rows = small_rows
        self._background = background
        self._lock = threading.RLock()  # of opening, and of the change from the scan to the ring
        self._ring: RingIndex | None = None
        self._scan: ScanIndex | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._keeper: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = False

    def is_quick(self) -> bool:
        """Whether no query takes longer than a few milliseconds, whatever is asked for.

        The tables are there, and so few entries that scanning all, which is what hostile ones or a
        great distance come to, is done in two of them; or there are few enough for the plain scan.
        """
        if (ring := self._ring) is not None:
            return len(ring) <= _QUICK_ROWS
        scan = self._scan
        return scan is not None and scan.is_quick()

    def query(
        self, pdq: bytes, max_distance: int = PDQ_MATCH_DISTANCE, limit: int | None = None
    ) -> list[tuple[int, int]]:
        """Every (key, distance) with distance ≤ `max_distance`, by distance, then key.

        Args:
            pdq: 32 bytes.
            max_distance: 0 to 255; up to 47 the tables serve, beyond all entries are scanned.
            limit: at most so many, which need not be the nearest: the search ends with them.
        """
        ring = self._ring
        if ring is None:
            return self._query_small(pdq, max_distance, limit)
        try:
            return ring.query(pdq, max_distance, limit)
        except ValueError:
            raise RuntimeError("a pdq is 32 bytes") from None

    def lines(self, pdq: bytes) -> int:
        """Cache lines, of 64 bytes, that query() has to read; for the bench.

        Right where everything is in one segment; 0 while entries are scanned.
        """
        return 0 if self._ring is None else self._ring.lines(pdq)

    def query_many(
        self,
        pdqs: Pdqs,
        max_distance: int = PDQ_MATCH_DISTANCE,
    ) -> list[list[tuple[int, int]]]:
        """query() for each of `pdqs`, in their order, at less cost for each."""
        starts, keys, distances = self.query_arrays(pdqs, max_distance)
        results: list[list[tuple[int, int]]] = [[] for _ in range(len(starts) - 1)]
        for number in np.flatnonzero(np.diff(starts)).tolist():
            of_it = slice(starts[number], starts[number + 1])
            results[number] = list(
                zip(keys[of_it].tolist(), distances[of_it].tolist(), strict=True)
            )
        return results

    def query_arrays(
        self,
        pdqs: Pdqs,
        max_distance: int = PDQ_MATCH_DISTANCE,
    ) -> "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]":
        """query_many() without a Python object for each result; releases the GIL.

        Args:
            pdqs: 32 bytes each, or uint8 [n, 32].
            max_distance: 0 to 255.

        Returns:
            `starts`, int64 [n + 1], keys, int64, and distances, uint8: the results of question i
            are those from `starts[i]` to `starts[i + 1]`, by distance, then key.
        """
        questions = _pdq_array(pdqs)
        self._open()
        ring = self._ring
        if ring is not None:
            return ring.query_arrays(questions, max_distance, self._threads_for(len(questions)))
        scan = self._scan
        if scan is None:  # it has become the ring in between
            return self.query_arrays(questions, max_distance)
        found = scan.query_many([row.tobytes() for row in questions], max_distance)
        starts = np.zeros(len(found) + 1, np.int64)
        np.cumsum([len(matches) for matches in found], out=starts[1:])
        flat = np.array([match for matches in found for match in matches], np.int64).reshape(-1, 2)
        return starts, flat[:, 0], flat[:, 1].astype(np.uint8)

    def add(
        self,
        keys: Keys,
        pdqs: Pdqs,
        reached: Reached = START,
    ) -> None:
        """`pdqs[i]` is found under `keys[i]` by every query that starts later.

        Args:
            keys: int64 values.
            pdqs: 32 bytes each, or uint8 [n, 32].
            reached: how far these entries lead; kept with the segments that will hold them.
        """
        if len(keys) != len(pdqs):
            raise RuntimeError("an index needs one key for each pdq")
        numbers, rows = _plain(keys, np.int64), _pdq_array(pdqs)
        ring = self._ring
        if ring is None:
            with self._lock:
                self._open()
                ring = self._ring
                if ring is None:
                    assert self._scan is not None
                    self._scan.add(numbers, rows, reached)
                    if len(self._scan) > self._small_rows:
                        self._wake.set()
                    return
        ring.add(numbers, rows, reached)
        if ring.is_due():
            self._wake.set()

    def build(
        self,
        keys: "NDArray[np.int64]",
        pdqs: "NDArray[np.uint8]",
        reached: Reached = START,
    ) -> None:
        """add() for many at once: they become a segment before this returns.

        Args:
            keys: int64 [n].
            pdqs: uint8 [n, 32].
            reached: see add().
        """
        self._open()
        if len(keys) > self._small_rows:
            self._to_ring()
        ring = self._ring
        if (
            ring is None
            or not len(keys)
            or not ring.build(_plain(keys, np.int64), _pdq_array(pdqs), reached)
        ):
            self.add(keys, pdqs, reached)

    def remove(self, keys: Sequence[int]) -> None:
        """No query that starts later finds anything under `keys`; unknown keys are ignored."""
        with self._lock:
            self._open()
            self._index().remove(keys)
        self._wake.set()

    def __len__(self) -> int:
        """Number of entries that a query can find."""
        self._open()
        with self._lock:
            return len(self._index())

    @property
    def reached(self) -> Reached:
        """How far the entries lead that were given to this index, in this process or before."""
        self._open()
        with self._lock:
            return self._index().reached

    def memory_bytes(self) -> int:
        """Bytes of the segments, mapped ones included, and of what is new."""
        self._open()
        with self._lock:
            return self._index().memory_bytes()

    def tend(self) -> None:
        """Does what is due: the change to the ring, others' segments, a merge."""
        with self._lock:
            grown = self._scan is not None and len(self._scan) > self._small_rows
        if grown:
            self._to_ring()
        ring = self._ring
        if ring is None:
            return
        try:
            ring.refresh()
        except UnavailableError as error:
            _log.warning("index_damaged", reason=str(error))
        if ring.is_due():
            ring.merge()

    def flush(self) -> bool:
        """Makes one segment of everything; returns False while another process is at it."""
        self._open()
        if self._ring is None and len(self) > self._small_rows:
            self._to_ring()
        return self._ring is None or self._ring.merge(whole=True)

    def entries(self) -> "tuple[NDArray[np.int64], NDArray[np.uint8]]":
        """Copies of all that can be found: keys, int64 [n], ascending, and pdqs, uint8 [n, 32]."""
        self._open()
        with self._lock:
            return self._index().entries()

    def verify(self) -> None:
        """Compares the segments with the digests that they were written with.

        Raises:
            UnavailableError: one is not what was written.
        """
        self._open()
        if self._ring is not None:
            self._ring.verify()

    def replace(self, keys: Keys, pdqs: Pdqs, reached: Reached) -> None:
        """There is nothing but these entries, also for the other processes of the node.

        Raises:
            UnavailableError: another process is at work on the index.
        """
        self._open()
        numbers, rows = _plain(keys, np.int64), _pdq_array(pdqs)
        if len(keys) > self._small_rows:
            self._to_ring()
        with self._lock:
            ring = self._ring
            if ring is None:
                self._index().replace(numbers, rows, reached)
                return
        if not ring.replace(numbers, rows, reached):
            raise UnavailableError("Another process is at work on the index; try again.")

    def close(self) -> None:
        """Ends the thread; what was not merged is forgotten."""
        self._closing = True
        self._wake.set()
        if self._keeper is not None:
            self._keeper.join()
        if self._pool is not None:
            self._pool.shutdown()

    def _query_small(
        self, pdq: bytes, max_distance: int, limit: int | None
    ) -> list[tuple[int, int]]:
        self._open()
        scan = self._scan
        if scan is None:
            return self.query(pdq, max_distance, limit)
        return scan.query(pdq, max_distance)[:limit]

    def _index(self) -> "RingIndex | ScanIndex":
        """What holds the entries; the caller holds the lock, and has opened it."""
        if self._ring is not None:  # `or` would ask for its length
            return self._ring
        assert self._scan is not None
        return self._scan

    def _open(self) -> None:
        """The index is there, with the segments that the folder holds."""
        if self._ring is not None or self._scan is not None:
            return
        with self._lock:
            if self._ring is not None or self._scan is not None:
                return
            folder = self._folder()
            if self._small_rows == 0 or (folder is not None and folder.holds_segments()):
                self._ring = self._opened(folder)
            else:
                self._scan = ScanIndex()
            if self._background:
                self._keeper = threading.Thread(target=self._keep, name="pdq-index", daemon=True)
                self._keeper.start()

    def _opened(self, folder: "Folder | None") -> "RingIndex":
        ring = load_ring(self._directory)(folder, threads=self._threads)
        try:
            ring.refresh()
        except UnavailableError as error:
            # The caller finds that nothing was reached, and gives everything again.
            _log.warning("index_damaged", reason=str(error), remedy="rebuilt from the database")
        return ring

    def _folder(self) -> "Folder | None":
        if self._directory is None:
            return None
        from node.matching.folder import Folder  # noqa: PLC0415  # see load_ring

        return Folder(self._directory)

    def _to_ring(self) -> None:
        """What was scanned is in the ring. Compiling, where need be, keeps nobody waiting."""
        warm_up(self._directory)
        ring_class = load_ring(self._directory)
        with self._lock:
            if self._scan is None:
                return
            ring = ring_class(self._folder(), threads=self._threads)
            keys, pdqs = self._scan.entries()
            ring.add(keys, pdqs, self._scan.reached)
            self._ring, self._scan = ring, None
        self._wake.set()

    def _threads_for(self, questions: int) -> ThreadPoolExecutor | None:
        """The threads that share a batch, where it is worth handing it over."""
        if self._threads == 1 or questions < _WORTH_SHARING:
            return None
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, "pdq-batch")
            return self._pool

    def _keep(self) -> None:
        if self._ring is not None:
            warm_up(self._directory)
        while not self._closing:
            self._wake.wait(_LOOK_EVERY_S)
            self._wake.clear()
            if self._closing:
                return
            try:
                self.tend()
            except Exception as error:  # noqa: BLE001  # matching goes on; the next round tries again
                _log.warning("index_not_tended", error=type(error).__name__)


def _pdq_array(pdqs: Pdqs) -> "NDArray[np.uint8]":
    """The pdqs as uint8 [n, 32], without a copy where they are that."""
    if isinstance(pdqs, np.ndarray):
        return _plain(pdqs, np.uint8).reshape(-1, PDQ_BYTES)
    if any(len(pdq) != PDQ_BYTES for pdq in pdqs):
        raise RuntimeError("a pdq is 32 bytes")
    return np.frombuffer(bytearray().join(pdqs), np.uint8).reshape(-1, PDQ_BYTES)


def _plain(array: Any, kind: "type[_Scalar]") -> "NDArray[_Scalar]":
    """A contiguous, writable array: for each other sort numba would compile each kernel anew."""
    return np.require(array, kind, ["C", "W"])
