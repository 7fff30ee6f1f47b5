"""What stands between a hit and the policy: allow list, quarantine, and lists on trial.

The tables are few rows, kept in memory, and read again when their version has changed. That is
asked only where something was found: most look-ups pay nothing for any of this.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from node.policy.evaluation import Policy
from node.policy.gates import ALL
from node.services.allowed import AllowIndex
from node.services.films import QueryFrame
from node.services.judging import Hit, Known, applies
from node.services.tally import Tally
from node.storage.engine import Store
from node.storage.gates import Place
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.fields import organisation_of

ALLOW_RULE: Final = "allow-list"
"""Stands in an answer where a rule's name would."""

ALLOWED: Final = "The operator's allow list lets this pass; nothing that lists say of it counts."
_IN_QUARANTINE: Final = (
    "Entries that matched suspiciously often here lead to review at most until the operator has "
    "looked at them."
)
_PARTS: Final = 1 << 32


@dataclass(frozen=True)
class _Standing:
    """What the operator said, at one version."""

    version: int
    allowed: AllowIndex
    states: dict[Place, str]


class Gates:
    """Decides which hits count, and counts them all."""

    def __init__(self, store: Store, tally: Tally, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._tally = tally
        self._clock = clock
        self._standing: _Standing | None = None
        self._salt: bytes | None = None
        self._lock = threading.Lock()

    def looked_up(self, count: int) -> None:
        """Counts look-ups, whatever they found."""
        self._tally.looked_up(count)

    def allows(self, transaction: Transaction, *, pdq: bytes | None, sha256: bytes | None) -> bool:
        """Whether the operator's allow list lets a file pass, whatever lists say of it."""
        allowed = self._current(transaction).allowed
        if not allowed:
            return False
        now = int(self._clock())
        if sha256 is not None and allowed.has_digest(sha256, now=now):
            return True
        return pdq is not None and allowed.has_pdqs([pdq], now=now)[0]

    def without_allowed(
        self, transaction: Transaction, frames: Sequence[QueryFrame]
    ) -> list[QueryFrame]:
        """Returns the frames of a film or stream that no allowed ball holds: the rest is compared.

        So a title or a test card that is allowed makes no film a match.
        """
        allowed = self._current(transaction).allowed
        if not allowed:
            return list(frames)
        inside = self.has_allowed(transaction, [bytes.fromhex(one.pdq) for one in frames])
        return [one for one, is_in in zip(frames, inside, strict=True) if not is_in]

    def has_allowed(self, transaction: Transaction, pdqs: Sequence[bytes]) -> list[bool]:
        """Returns of each pdq whether an allowed ball holds it."""
        allowed = self._current(transaction).allowed
        if not allowed:
            return [False] * len(pdqs)
        return list(allowed.has_pdqs(pdqs, now=int(self._clock())))

    def sift(
        self,
        transaction: Transaction,
        known: Known,
        policy: Policy,
        hits: Sequence[Hit],
        surface: str,
        *,
        times: int = 1,
    ) -> tuple[list[Hit], tuple[str, ...]]:
        """Returns the hits that the policy is asked about, and what is to be said of it.

        What is rejected here, or not enabled, is left out and counted; what is in quarantine stays,
        not sure enough to act on.

        Args:
            transaction: in which what the operator said is read.
            known: about the statements behind the hits.
            policy: in force.
            hits: that an upload had.
            surface: where it was met.
            times: how often the same upload was asked about at once.
        """
        states = self._current(transaction).states if hits else {}
        passed: list[Hit] = []
        met: dict[Place, str] = {}
        over: dict[Place, str] = {}
        watched = False
        for hit in hits:
            place = (hit.entry.log_index, hit.entry.item)
            record = known.active(hit.entry.log_index)
            if record is None or not applies(record, surface, policy.operator):
                passed.append(hit)  # the policy says so itself
                continue
            organisation = organisation_of(record.issuer)
            state = states.get(place)
            if state == "rejected" or not self.acts(record, place[1], policy):
                over[place] = organisation
                continue
            met[place] = organisation
            watched = watched or state == "quarantined"
            passed.append(replace(hit, is_sure=False) if state == "quarantined" else hit)
        for place, organisation in met.items():
            self._tally.met(place, organisation, times=times)
        for place, organisation in over.items():
            self._tally.passed_over(place, organisation, times=times)
        return passed, (_IN_QUARANTINE,) if watched else ()

    def acts(self, record: StatementRecord, item: int, policy: Policy) -> bool:
        """Whether an entry is among those that its organisation's share enables here."""
        source = policy.gates.sources.get(organisation_of(record.issuer))
        if source is None or source.enabled_share >= ALL:
            return True
        if not source.enabled_share:
            return False
        # By the entry and not by the upload: whoever tries twice is answered alike. Keyed, so that
        # no issuer can pick nonces until all of its entries are among the enabled ones.
        named = bytes.fromhex(record.id) + item.to_bytes(8)
        digest = hashlib.blake2b(named, key=self._drawn_by(), digest_size=4).digest()
        return int.from_bytes(digest) * ALL < source.enabled_share * _PARTS

    def count_lead(self, record: StatementRecord, policy: Policy) -> bool:
        """Counts that an account-ban was met, in memory; says whether it acts."""
        acts = self.acts(record, 0, policy)
        count = self._tally.met_ban if acts else self._tally.passed_over
        count((record.log_index, 0), organisation_of(record.issuer))
        return acts

    def _current(self, transaction: Transaction) -> _Standing:
        version = transaction.gates.version()
        standing = self._standing
        if standing is None or standing.version != version:
            found = transaction.gates.quarantined(("quarantined", "rejected"))
            standing = self._standing = _Standing(
                version,
                AllowIndex(transaction.gates.allowed()),
                {(one.log_index, one.item): one.state for one in found},
            )
        return standing

    def _drawn_by(self) -> bytes:
        if self._salt is None:
            with self._lock, self._store.write() as transaction:
                self._salt = transaction.gates.salt(make=True)
        assert self._salt is not None  # made, if it was not there
        return self._salt
