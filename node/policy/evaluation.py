"""What a policy makes of evidence: pure functions of the rules and the evidence.

Three properties hold for every policy, and are property-tested:

* no rule, no action;
* further evidence never weakens a decision, because every rule only ever asks for *enough*;
* evidence that is disputed, or of a review-only category, never leads to more than review.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.policy.gates import Gates
from node.policy.model import (
    EXACT_KINDS,
    SURFACES,
    AccountEvidence,
    Decision,
    Evidence,
    MediaEvidence,
    Operator,
    Overlap,
    Rule,
    fits,
    strength,
)


@dataclass(frozen=True)
class Policy:
    """One policy file, read and checked; immutable, so any thread may ask it.

    Attributes:
        operator: the ``[operator]`` table.
        rules: in the order of the file.
        decision_on_accounts: the operator's sentence that lets account rules block or hold.
        digest: SHA-256 of the file's text in hexadecimal, to record which policy decided.
        gates: what it says of whole lists.
    """

    operator: Operator
    rules: tuple[Rule, ...]
    decision_on_accounts: str | None
    digest: str
    gates: Gates = field(default_factory=Gates)

    def decide_media(self, evidence: Sequence[MediaEvidence], *, surface: str) -> Decision:
        """Returns the decision about one upload.

        Args:
            evidence: everything the upload matched, at any distance up to `max_distance`.
            surface: where the upload was met; one of `SURFACES`.

        Raises:
            RuntimeError: the surface is none of `SURFACES`; the caller checks requests first.
        """
        if surface not in SURFACES:
            raise RuntimeError("decide_media was asked about a surface that does not exist")
        if surface == "private" and not self.operator.match_private_messages:
            return Decision(
                "none", None, ("private messages are not matched: match_private_messages is false",)
            )
        # Nothing is said of what is limited to other countries, not even how much there is.
        lawful = [e for e in evidence if self._is_lawful(e)]
        applied = [e for e in lawful if not e.surfaces or surface in e.surfaces]
        aside = _left_aside(len(lawful) - len(applied))
        return self._strongest("media", aside, lambda rule: _judge_media(rule, applied, surface))

    def decide_account(self, evidence: Sequence[AccountEvidence]) -> Decision:
        """Returns the decision about one sign-up.

        Args:
            evidence: every account statement of which at least one identifier matched.
        """
        lawful = [e for e in evidence if self._is_lawful(e)]
        return self._strongest("account", (), lambda rule: _judge_account(rule, lawful))

    def max_distance(self) -> int:
        """Returns the greatest pdq distance that any rule takes, in bits; 0 without media rules."""
        return max((r.max_distance for r in self.rules if r.applies_to == "media"), default=0)

    def variants(self, surface: str) -> frozenset[str]:
        """Returns the families of variants that any rule asks for at a surface."""
        rules = [r for r in self.rules if r.applies_to == "media" and surface in r.surfaces]
        return frozenset(family for rule in rules for family in rule.variants)

    def takes(self, overlap: Overlap) -> bool:
        """Says whether so much in common is a match at all: whether any rule would take it."""
        rules = [rule for rule in self.rules if rule.applies_to == "media"]
        return any(rule.takes(overlap) for rule in rules or (_NO_RULE,))

    def _is_lawful(self, entry: Evidence) -> bool:
        """Says whether a statement's own jurisdictions include one of the operator's."""
        limit = entry.jurisdictions
        return not limit or not set(limit).isdisjoint(self.operator.jurisdictions)

    def _strongest(
        self, applies_to: str, aside: Sequence[str], judge: Callable[[Rule], "_Finding"]
    ) -> Decision:
        """Asks every rule; the strongest action wins, and of equals the first in the file."""
        rules = [rule for rule in self.rules if rule.applies_to == applies_to]
        action, name, why = "none", None, list(aside)
        for rule in rules:
            finding = judge(rule)
            why.append(f"{rule.name}: {finding.sentence}")
            if strength(finding.action) > strength(action):
                action, name = finding.action, rule.name
        if not rules:
            why.append(f"the policy has no rule that applies to {applies_to}")
        return Decision(action, name, tuple(why))


_NO_RULE: Final = Rule("", "media", "note", ("*",), max_distance=0)
"""What is shown, although nothing follows, where the policy says nothing of media."""


@dataclass(frozen=True)
class _Finding:
    """What one rule makes of the evidence: an action, and the sentence behind the rule's name."""

    action: str
    sentence: str


def _judge_media(rule: Rule, evidence: Sequence[MediaEvidence], surface: str) -> _Finding:
    if surface not in rule.surfaces:
        return _not_fired(f"the rule is not for the surface {surface}")
    fitting = [e for e in evidence if _fits_any(rule, e)]
    if not fitting:
        return _not_fired("no match in its categories")
    admitted = [e for e in fitting if rule.admits(e.variant)]
    if not admitted:
        names = ", ".join(sorted({e.variant for e in fitting}))
        return _not_fired(f"matched only as a variant that the rule does not ask for ({names})")
    near = [e for e in admitted if e.kind in EXACT_KINDS or e.distance <= rule.max_distance]
    if near and not (enough := [e for e in near if e.overlap is None or rule.takes(e.overlap)]):
        return _not_fired(_too_little(rule, [e.overlap for e in near if e.overlap]))
    if not near:
        nearest = min(e.distance for e in admitted)
        return _not_fired(
            f"the nearest match is at distance {nearest}, "
            f"the rule wants {rule.max_distance} or less"
        )
    return _weigh(rule, enough)


def _too_little(rule: Rule, overlaps: Sequence[Overlap]) -> str:
    """Returns the sentence about films and streams of which too few frames matched."""
    if streams := [one for one in overlaps if one.is_stream]:
        most = max(one.within(rule.max_distance)[0] for one in streams)
        return (
            f"{_count(most, 'frame', 'frames')} of the stream matched within the window, "
            f"the rule wants {rule.min_stream_frames}"
        )
    query, target = max((one.shares(rule.max_distance) for one in overlaps), key=sum)
    return (
        f"{query} % of the upload's frames and {target} % of the flagged film's match, "
        f"the rule wants {rule.min_query_share} % and {rule.min_target_share} %"
    )


def _judge_account(rule: Rule, evidence: Sequence[AccountEvidence]) -> _Finding:
    fitting = [e for e in evidence if _fits_any(rule, e)]
    if not fitting:
        return _not_fired("no match in its categories")
    # Counted per statement, never across statements: a phone listed in one and a device listed
    # in another need not belong to the same person.
    whole = [e for e in fitting if set(rule.kinds_all) <= set(e.kinds)]
    if not whole:
        return _not_fired(f"no match of {' and '.join(rule.kinds_all)} together")
    matched = [len(set(e.kinds) & set(rule.kinds)) for e in whole]
    near = [e for e, kinds in zip(whole, matched, strict=True) if kinds >= rule.min_kinds]
    if not near:
        best = _count(max(matched), "kind", "kinds")
        return _not_fired(
            f"{best} of identifier that the rule counts matched, the rule wants {rule.min_kinds}"
        )
    return _weigh(rule, near)


def _weigh(rule: Rule, matches: Sequence[Evidence]) -> _Finding:
    """Counts who says so, and caps at review what may not go further."""
    counted = [e for e in matches if not (rule.not_disputed and e.disputed)]
    disputed = len(matches) - len(counted)
    if not counted:
        return _not_fired("every match is disputed")
    missing = _missing(rule, counted)
    if missing:
        left_out = f", {_count(disputed, 'disputed match', 'disputed matches')} left out"
        return _not_fired(missing + (left_out if disputed else ""))
    if rule.goes_beyond_review:
        full = [e for e in counted if not (e.disputed or e.review_only)]
        missing = _missing(rule, full)
        if missing:
            return _Finding(
                "review",
                f"fired as review instead of {rule.action}, "
                f"without disputed and review-only matches {missing}",
            )
        counted = full
    accredited = {e.organisation for e in counted if e.accredited}
    return _Finding(
        rule.action, f"fired, {_issuers(counted)}, {len(accredited) or 'none'} accredited"
    )


def _missing(rule: Rule, matches: Sequence[Evidence]) -> str:
    """Returns what the matches lack for the rule, or an empty string."""
    lacks = []
    if len({e.organisation for e in matches}) < rule.min_issuers:
        lacks.append(f"{_issuers(matches)}, the rule wants {rule.min_issuers}")
    if rule.accredited and not any(e.accredited for e in matches):
        lacks.append("no accredited issuer, the rule wants one")
    return "; ".join(lacks)


def _fits_any(rule: Rule, entry: Evidence) -> bool:
    return any(fits(pattern, entry.category) for pattern in rule.categories)


def _not_fired(reason: str) -> _Finding:
    return _Finding("none", f"not fired, {reason}")


def _left_aside(count: int) -> list[str]:
    if not count:
        return []
    return [f"{_count(count, 'match', 'matches')} not applied: limited to other surfaces"]


def _issuers(matches: Sequence[Evidence]) -> str:
    organisations = len({e.organisation for e in matches})
    return _count(organisations, "independent issuer", "independent issuers")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
