"""What the node asks of an index of pdqs: a scan (node.matching.scan), or more (engine)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from protocol.limits import PDQ_MATCH_DISTANCE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Keys: TypeAlias = "Sequence[int] | NDArray[np.int64]"
Pdqs: TypeAlias = "Sequence[bytes] | NDArray[np.uint8]"
"""32 bytes each, or uint8 [n, 32]."""


class Reached(NamedTuple):
    """How far an index has followed the sequence that its entries come from.

    Attributes:
        upto: every key below has been given to it, and none of them comes again.
        mark: what the caller knows that place in its sequence by.
    """

    upto: int
    mark: str


START: Final = Reached(0, "")
"""Before the first entry."""


class PdqIndex(Protocol):
    """A multiset of (key, pdq) pairs with exact range search: nothing missed, nothing extra.

    Safe for any number of threads. A query answers from what was there when it began, plus perhaps
    some of what is added meanwhile. Keys are the caller's row numbers; several pdqs may share one
    (the frames of a film), and one pdq may stand under many keys.
    """

    def add(self, keys: Keys, pdqs: Pdqs, reached: Reached = START) -> None:
        """`pdqs[i]` is found under `keys[i]` by every query that starts later.

        An index that outlives its process may know later how far it had come.
        """

    @property
    def reached(self) -> Reached:
        """The farthest that was said with an add, or that another process of the node has said."""

    def remove(self, keys: Sequence[int]) -> None:
        """No query that starts later finds anything under `keys`; unknown keys are ignored."""

    def replace(self, keys: Keys, pdqs: Pdqs, reached: Reached) -> None:
        """There is nothing but these entries, also for the other processes of the node.

        Raises:
            UnavailableError: another process is at work on the index.
        """

    def entries(self) -> "tuple[NDArray[np.int64], NDArray[np.uint8]]":
        """Copies of all that can be found: keys, int64 [n], ascending, and pdqs, uint8 [n, 32]."""

    def is_quick(self) -> bool:
        """Whether no query takes longer than a few milliseconds, whatever is asked for."""

    def query(self, pdq: bytes, max_distance: int = PDQ_MATCH_DISTANCE) -> list[tuple[int, int]]:
        """Every (key, distance) with distance ≤ `max_distance`, by distance, then key."""

    def query_many(
        self, pdqs: Sequence[bytes], max_distance: int = PDQ_MATCH_DISTANCE
    ) -> list[list[tuple[int, int]]]:
        """query() for each of `pdqs`, in their order, at less cost for each."""

    def flush(self) -> bool:
        """Nothing that was removed is kept; returns False while another process is at work."""

    def verify(self) -> None:
        """What is kept on disk is what was written there.

        Raises:
            UnavailableError: it is not.
        """

    def close(self) -> None:
        """Ends what runs by itself."""

    def __len__(self) -> int:
        """Number of pairs."""
