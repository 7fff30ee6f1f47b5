"""What the node asks of an index of pdqs. node.matching.scan is the one that serves today."""

from collections.abc import Sequence
from typing import Protocol

from protocol.limits import PDQ_MATCH_DISTANCE


class PdqIndex(Protocol):
    """A multiset of (key, pdq) pairs with exact range search: nothing missed, nothing extra.

    Safe for any number of threads. A query answers from what was there when it began, plus perhaps
    some of what is added meanwhile. Keys are the caller's row numbers; several pdqs may share one
    (the frames of a film), and one pdq may stand under many keys.
    """

    def add(self, keys: Sequence[int], pdqs: Sequence[bytes]) -> None:
        """`pdqs[i]`, 32 bytes, is found under `keys[i]` by every query that starts later."""

    def remove(self, keys: Sequence[int]) -> None:
        """No query that starts later finds anything under `keys`; unknown keys are ignored."""

    def query(self, pdq: bytes, max_distance: int = PDQ_MATCH_DISTANCE) -> list[tuple[int, int]]:
        """Every (key, distance) with distance ≤ `max_distance`, by distance, then key."""

    def query_many(
        self, pdqs: Sequence[bytes], max_distance: int = PDQ_MATCH_DISTANCE
    ) -> list[list[tuple[int, int]]]:
        """query() for each of `pdqs`, in their order, at less cost for each."""

    def __len__(self) -> int:
        """Number of pairs."""
