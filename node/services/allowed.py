"""The allow list as it is asked: a few balls around pdqs and a few digests, in memory."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from node.storage.gates import Allowed
from protocol.pdq import PDQ_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class AllowIndex:
    """What is allowed at one version of the allow list; never changed, so any thread may ask.

    All balls are looked at for each question: there are few, and exact is simple.
    """

    def __init__(self, entries: Iterable[Allowed] = ()) -> None:
        known = list(entries)
        self._digests = {
            one.value: one.ends for one in sorted(known, key=_end) if one.kind == "sha256"
        }
        balls = [one for one in known if one.kind == "pdq"]
        joined = b"".join(one.value for one in balls)
        self._pdqs: NDArray[np.uint8] = np.frombuffer(joined, np.uint8).reshape(-1, PDQ_BYTES)
        self._radii = np.array([one.radius for one in balls], np.int64)
        self._ends = np.array([one.ends for one in balls], np.int64)

    def __bool__(self) -> bool:
        return bool(self._digests) or len(self._radii) > 0

    def has_digest(self, sha256: bytes, *, now: int) -> bool:
        """Whether a file with this digest is allowed."""
        return self._digests.get(sha256, now) > now

    def has_pdqs(self, pdqs: Sequence[bytes], *, now: int) -> list[bool]:
        """Whether each of these pdqs lies in an allowed ball."""
        if not len(self._radii):
            return [False] * len(pdqs)
        return [self._has_pdq(np.frombuffer(one, np.uint8), now) for one in pdqs]

    def _has_pdq(self, pdq: "NDArray[np.uint8]", now: int) -> bool:
        distances = np.unpackbits(self._pdqs ^ pdq, axis=1).sum(axis=1)
        return bool(((distances <= self._radii) & (self._ends > now)).any())


def _end(one: Allowed) -> int:
    return one.ends
