"""What an attacker can list of a circle's fingerprints, in numbers.

Two ways lead to the fingerprint of an identifier that somebody guessed. One asks the holders, and
is bounded by budgets: elements a day at *each* holder, so that whoever spreads the questions over
all of them gets more than one budget. The other needs as many shares as the threshold, asks nobody,
and is bounded by what a guess costs to compute. The sums are those of docs/threat-model.md; what
they say of a circle is true as long as its holders enforce the budgets.
"""

from dataclasses import dataclass
from typing import Final

from protocol.circles import CircleDescriptor, Epoch

GERMAN_MOBILE_NUMBERS: Final = 10**9
"""German mobile numbers, rounded up to a power of ten.

libphonenumber's pattern for them (phonenumbers 9.0.43, metadata of DE) admits 803 million in 015
and 130 million of ten digits in 016 and 017; eleven digits there, of which few blocks are
assigned, would make it 2.2 * 10^9.
"""

EMAIL_ADDRESSES: Final = 10**9
"""A list of e-mail addresses as it can be had: the greatest leaks have about so many."""

GUESS_S: Final = 57e-6
"""Seconds of one core for one guess by whoever has the key, in this project's Python; native code
needs less (libsodium, one core of an AMD EPYC)."""

YEAR_DAYS: Final = 365.25

_DAY_S: Final = 86_400


@dataclass(frozen=True)
class Attack:
    """Somebody who guesses, and how fast.

    Attributes:
        who: in words.
        budget: elements a day at each holder, of all parties that work together.
        shares: that they hold themselves.
        per_day: evaluations a day; None where they need not ask anybody.
    """

    who: str
    budget: int
    shares: int
    per_day: int | None


def evaluations_per_day(
    budget: int, holders: int, threshold: int, *, shares: int = 0
) -> int | None:
    """Returns how many evaluations a day an attacker gets out of a circle.

    One takes an answer of each of `threshold - shares` others, and each of the `holders - shares`
    others gives `budget` answers: ``budget * (n - c) / (t - c)``, rounded down. Spread evenly, all
    of that can be had (docs/protocol.md section 8.12).

    Args:
        budget: elements a day at each holder, of everybody who works together.
        holders: n, how many hold a share.
        threshold: t, how many must answer, 1 to n.
        shares: c, how many of the shares are the attacker's own.

    Returns:
        A number, or None: whoever has `threshold` shares has the key, and asks nobody.

    Raises:
        ValueError: the numbers are those of no circle.
    """
    if not (1 <= threshold <= holders and 0 <= shares <= holders and budget >= 0):
        raise ValueError("There is no such circle.")
    if shares >= threshold:
        return None
    return budget * (holders - shares) // (threshold - shares)


def days_to_list(count: int, per_day: int) -> float:
    """Returns the days that so many identifiers take within budgets; infinity without any."""
    return count / per_day if per_day else float("inf")


def core_days_to_list(count: int, *, stretch_s: float = 0.0) -> float:
    """Returns the days of one core that so many identifiers take whoever has the key.

    Args:
        count: of identifiers.
        stretch_s: seconds of the stretch of each; 0 where there is none.
    """
    return count * (GUESS_S + stretch_s) / _DAY_S


def attacks_on(circle: CircleDescriptor, epoch: Epoch) -> list[Attack]:
    """Returns what can be listed through an epoch of a circle, the weakest attacker first.

    Counted are the descriptor's budgets; a holder whose operator allows less gives less. Of several
    parties of one kind those with the most shares, then the greatest budgets, are taken.
    """
    budgets = {one.node: one.budget_per_day for one in circle.members}
    party_of = {one.node: one.party or one.node for one in circle.members}
    parties = dict.fromkeys(party_of.values(), 0)
    strangers = 0
    for holder in epoch.holders:
        if holder.node in party_of:
            parties[party_of[holder.node]] += 1
        else:
            strangers += 1  # a holder that is no member asks nothing, but may lend its share
    n, t = len(epoch.holders), epoch.threshold

    def attack(who: str, budget: int, shares: int) -> Attack:
        return Attack(who, budget, shares, evaluations_per_day(budget, n, t, shares=shares))

    found = [attack("an outsider with one member's key", max(budgets[one] for one in parties), 0)]
    plain = [one for one, shares in parties.items() if not shares]
    if len(plain) > 1:
        total = sum(budgets[one] for one in plain)
        found.append(attack(f"all {len(plain)} members without a share together", total, 0))
    bad = [one for one, shares in parties.items() if shares]
    bad.sort(key=lambda one: (parties[one], budgets[one]), reverse=True)
    budget = shares = 0
    for number, one in enumerate(bad, 1):
        budget, shares = budget + budgets[one], shares + parties[one]
        who = "one member that holds a share" if number == 1 else f"{number} such members together"
        found.append(attack(who, budget, shares))
        if shares >= t:
            break
    return found
