"""Making a suspicion into a proof: that a log which does not fit has rewritten one of its entries.

What a peer serves is not signed, so entries that do not fit prove nothing to a third party. But if
all that it serves now leads to its new checkpoint, and all that it served before led to an earlier
one, then both are its own word, and the first entry that differs is the proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from federation.run import Run
from protocol import limits
from protocol.checkpoint import Checkpoint
from protocol.errors import FederationError
from protocol.fields import StatementId
from protocol.merkle import Frontier
from protocol.messages import Entries


@dataclass(frozen=True)
class Contradiction:
    """Two signed checkpoints of one log that cannot both be true.

    Attributes:
        notes: the earlier one and the later one, as bytes.
        logs: all entries that each commits to, 32 bytes each; None where the checkpoints have one
            size, and show it by themselves.
    """

    notes: tuple[bytes, bytes]
    logs: tuple[Sequence[bytes], Sequence[bytes]] | None = None


class EntrySource(Protocol):
    """A peer that serves its log."""

    async def entries(self, start: int, limit: int) -> Entries:
        """Returns log entries from index `start` on."""


async def find_rewritten(
    source: EntrySource,
    kept: Sequence[StatementId],
    before: tuple[bytes, Checkpoint],
    after: tuple[bytes, Checkpoint],
    *,
    most: int,
    run: Run,
) -> Contradiction | None:
    """Returns the proof that a log was rewritten, where there is one.

    Args:
        source: the peer.
        kept: entries of its log as they were taken over, from the first on.
        before: the checkpoint that was believed, as bytes and opened.
        after: the one that does not fit.
        most: entries that are fetched at most.
        run: takes work off the event loop.
    """
    old, new = before[1], after[1]
    known = [bytes.fromhex(one) for one in kept[: old.size]]
    if len(known) != old.size or new.size > most:
        return None
    if await run(_root, known) != old.root:
        return None
    served: list[bytes] = []
    try:
        while len(served) < new.size:
            limit = min(new.size - len(served), limits.MAX_ENTRIES_PER_REQUEST)
            page = await source.entries(len(served), limit)
            if page.start != len(served) or not 0 < len(page.entries) <= limit:
                return None
            served += [bytes.fromhex(one) for one in page.entries]
    except FederationError:
        return None
    if await run(_root, served) != new.root:
        return None
    return Contradiction((before[0], after[0]), (known, served))


def _root(entries: Sequence[bytes]) -> bytes:
    return Frontier.EMPTY.append(entries).root()
