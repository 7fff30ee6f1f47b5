"""What `bench match` times: our index, and the tools of today, each called as it is meant.

A contender gets its questions in its own form before the clock starts, so that no tool pays for
another's input. Its answers are brought into one form after the clock has stopped.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from node.matching.engine import PdqEngine
from protocol.errors import UnavailableError
from protocol.limits import PDQ_MATCH_DISTANCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from node.bench.corpus import Pdqs

Matches = frozenset[tuple[int, int]]
"""(row of the corpus, distance) of each match of one question."""

_WITHIN: Final = PDQ_MATCH_DISTANCE + 1
"""faiss asks for distances below a radius, not up to it."""

_MAX_RESULTS: Final = 1_000
_CHUNK: Final = 2_500_000


class Contender(Protocol):
    """An index that is asked one question at a time, or many at once."""

    name: str
    bytes_per_pdq: int
    """Memory for each entry while it is built, from measurements; an upper bound."""

    def build(self, pdqs: "Pdqs") -> None:
        """Every row of `pdqs`, uint8 [count, 32], is found under its number."""

    def questions(self, pdqs: "Pdqs") -> list[Any]:
        """The rows in the form that `ask` takes."""

    def ask(self, question: Any) -> Any:
        """Everything within 31 bits, in the tool's own form. This call is timed."""

    def matches(self, answer: Any) -> Matches:
        """An answer of `ask` in the common form."""


class Ours:
    """The node's index, in memory, through the call that the node makes."""

    name = "ours"
    bytes_per_pdq = 220

    def __init__(self) -> None:
        # Without the thread that merges: what is timed is on one thread, as it is with the others.
        self.index = PdqEngine(None, threads=1, small_rows=0, background=False)
        self.ask = self.index.query

    def build(self, pdqs: "Pdqs") -> None:
        """See Contender."""
        self.index.build(np.arange(len(pdqs)), pdqs)

    def questions(self, pdqs: "Pdqs") -> list[bytes]:
        """See Contender."""
        return [row.tobytes() for row in pdqs]

    def matches(self, answer: list[tuple[int, int]]) -> Matches:
        """See Contender."""
        return frozenset(answer)


class Faiss:
    """An index of faiss-cpu: the scan, or multi-index hashing."""

    def __init__(self, name: str, bytes_per_pdq: int, index: Any) -> None:
        self.name = name
        self.bytes_per_pdq = bytes_per_pdq
        self.index = index

    def build(self, pdqs: "Pdqs") -> None:
        """See Contender."""
        self.index.add(pdqs)

    def questions(self, pdqs: "Pdqs") -> list["Pdqs"]:
        """See Contender."""
        return [pdqs[at : at + 1].copy() for at in range(len(pdqs))]

    def ask(self, question: "Pdqs") -> Any:
        """See Contender."""
        return self.index.range_search(question, _WITHIN)

    def matches(self, answer: Any) -> Matches:
        """See Contender."""
        _limits, distances, rows = answer
        return _pairs(rows, distances)


class Pynear:
    """pynear's MIHBinaryIndex of 16 chunks; it gives at most 1,000 answers to a question."""

    name = "pynear"
    bytes_per_pdq = 310

    def __init__(self) -> None:
        self.index = _load("pynear").MIHBinaryIndex(16)

    def build(self, pdqs: "Pdqs") -> None:
        """See Contender."""
        self.index.set(pdqs)

    def questions(self, pdqs: "Pdqs") -> list["Pdqs"]:
        """See Contender."""
        return [pdqs[at : at + 1].copy() for at in range(len(pdqs))]

    def ask(self, question: "Pdqs") -> Any:
        """See Contender."""
        return self.index.searchKNN(question, _MAX_RESULTS, PDQ_MATCH_DISTANCE)

    def matches(self, answer: Any) -> Matches:
        """See Contender."""
        rows, distances = answer
        # It tells some farther entries that it met on the way as well.
        return frozenset(
            pair for pair in _pairs(rows[0], distances[0]) if pair[1] <= PDQ_MATCH_DISTANCE
        )


class ThreatExchange:
    """python-threatexchange's PDQIndex, which its hasher-matcher-actioner uses."""

    name = "threatexchange"
    bytes_per_pdq = 730

    def __init__(self) -> None:
        self.index = _load("threatexchange.signal_type.pdq.pdq_index").PDQIndex()

    def build(self, pdqs: "Pdqs") -> None:
        """See Contender. In parts: it makes a Python object of each entry on the way."""
        for start in range(0, len(pdqs), _CHUNK):
            part = pdqs[start : start + _CHUNK]
            self.index.add_all(
                (text, row) for row, text in enumerate(self.questions(part), start=start)
            )

    def questions(self, pdqs: "Pdqs") -> list[str]:
        """See Contender."""
        return [row.tobytes().hex() for row in pdqs]

    def ask(self, question: str) -> Any:
        """See Contender."""
        return self.index.query(question)

    def matches(self, answer: Any) -> Matches:
        """See Contender."""
        return frozenset((one.metadata, one.similarity_info.distance) for one in answer)


def flat() -> Faiss:
    """Returns faiss's scan of everything, which is exact: the reference of every ratio."""
    return Faiss("faiss_flat", 64, _load("faiss").IndexBinaryFlat(256))


def multi_hash() -> Faiss:
    """Returns faiss's multi-index hashing in the exact setting: 16 chunks, one flipped bit each."""
    index = _load("faiss").IndexBinaryMultiHash(256, 16, 16)
    index.nflip = 1
    return Faiss("faiss_multihash", 300, index)


def use_threads(count: int) -> None:
    """From now on faiss computes with so many threads."""
    _load("faiss").omp_set_num_threads(count)


def check_installed() -> None:
    """Refuses to begin where a rival is missing.

    Raises:
        UnavailableError: the extra `bench` is not installed, or not whole.
    """
    for module in ("faiss", "pynear", "threatexchange.signal_type.pdq.pdq_index"):
        _load(module)


def _pairs(rows: "Sequence[int] | NDArray[Any]", distances: Any) -> Matches:
    numbers = np.asarray(rows).tolist(), np.asarray(distances).astype(int).tolist()
    return frozenset(zip(*numbers, strict=True))


def _load(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UnavailableError(
            "what the bench measures against is not installed; install the extra: "
            "pip install 'schutznetz[bench]'"
        ) from error
