"""How the list of each organisation does here: what it holds, what it met, what became of that."""

from collections import Counter
from dataclasses import dataclass

from node.policy.file import PolicyFile
from node.policy.gates import ALL
from node.services.tally import ACTED, SHADOW
from node.storage.engine import Store
from protocol.fields import organisation_of


@dataclass(frozen=True)
class SourceState:
    """One organisation's list.

    Attributes:
        organisation: whose.
        enabled_share: per cent of its entries that act here.
        entries: items in force.
        matches: how often one was met and the policy asked about it.
        shadow_matches: how often one was met that does not act here.
        confirmed, refuted: what all organisations reported of it.
    """

    organisation: str
    enabled_share: int
    entries: int
    matches: int
    shadow_matches: int
    confirmed: int
    refuted: int


class Sources:
    """Reads the statistics."""

    def __init__(self, store: Store, policy: PolicyFile) -> None:
        self._store = store
        self._policy = policy

    def list(self) -> list[SourceState]:
        """Returns every organisation that has entries, or that the policy speaks of, by name."""
        shares = {
            name: one.enabled_share for name, one in self._policy.current().gates.sources.items()
        }
        with self._store.read() as transaction:
            by_issuer = transaction.gates.entries_by_issuer()
            counts = transaction.gates.source_counts()
            reported = transaction.gates.feedback_by_issuer()
        entries: Counter[str] = Counter()
        confirmed: Counter[str] = Counter()
        refuted: Counter[str] = Counter()
        for issuer, count in by_issuer.items():
            entries[organisation_of(issuer)] += count
        for issuer, (good, bad) in reported.items():
            confirmed[organisation_of(issuer)] += good
            refuted[organisation_of(issuer)] += bad
        names = {*entries, *shares, *(name for name, _ in counts)}
        return [
            SourceState(
                name,
                shares.get(name, ALL),
                entries[name],
                counts.get((name, ACTED), 0),
                counts.get((name, SHADOW), 0),
                confirmed[name],
                refuted[name],
            )
            for name in sorted(names)
        ]

    def matches(self) -> dict[tuple[str, str], int]:
        """Returns matches by (organisation, outcome), for a monitoring system."""
        with self._store.read() as transaction:
            return transaction.gates.source_counts()
