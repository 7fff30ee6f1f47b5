"""How right flaggers were, by category, as platforms that reviewed matches reported it.

Made of signed feedback, which every member has for the statements in its audience; so every node
makes the same figures of what it knows. They are shown, and decide nothing: a report costs who
signs it nothing, and no policy may rest on it (docs/adr/0026).

What a platform reviews in a year says something of its uploads. So counts are shown where at least
`FEWEST_REPORTERS` organisations reported; otherwise only that there were some, and how many.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Final

from node.storage.accuracy import ReporterSum
from node.storage.engine import Store

FEWEST_REPORTERS: Final = 3
"""With fewer, whoever knows one report by itself knows the others' from the sum."""

UNKNOWN: Final = "unknown"
"""Category of statements whose body was gone before the first report came."""

_PER_CENT = 100


@dataclass(frozen=True)
class Accuracy:
    """How right one flagger was in one category, in one year.

    Attributes:
        flagger: name of the flagger, or of the node that flagged under its own.
        category: of the statements.
        year: whose days the reports are about, in UTC.
        statements: of which something was reported.
        reporters: independent organisations that reported; the flagger's own does not count.
        confirming: of these, those that confirmed at least as many matches as they refuted; None
            where there were too few reporters.
        confirmed: matches that a person confirmed; likewise.
        refuted: matches that a person refuted; likewise.
        unreviewed: matches that nobody looked at; likewise.
        accuracy_percent: confirmed of confirmed and refuted, rounded down; None where there was
            neither, or too few reporters.
    """

    flagger: str
    category: str
    year: int
    statements: int
    reporters: int
    confirming: int | None
    confirmed: int | None
    refuted: int | None
    unreviewed: int | None
    accuracy_percent: int | None


COLUMNS: Final = tuple(one.name for one in fields(Accuracy))
"""Columns of the CSV file, in this order; later versions add some behind these."""


class Accuracies:
    """Sums feedback up."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of_year(self, year: int, *, flagger: str | None = None, full: bool) -> list[Accuracy]:
        """Returns how right flaggers were, by name and category.

        Args:
            year: in UTC.
            flagger: only this one.
            full: with counts also where few organisations reported. For the operator's own eyes.
        """
        first, last = f"{year:04}-01-01", f"{year:04}-12-31"
        with self._store.read() as transaction:
            sums = transaction.accuracy.sums(first, last, issuer=flagger)
            statements = transaction.accuracy.statements(first, last, issuer=flagger)
            # Who contradicts its own log is believed in nothing until the operator has spoken.
            frozen = {one.name for one in transaction.peers.all() if one.state != "active"}
        by_kind: dict[tuple[str, str | None], list[ReporterSum]] = {}
        for one in sums:
            if one.reporter not in frozen:
                by_kind.setdefault((one.issuer, one.category), []).append(one)
        found = [
            _summed(key, reports, year, statements.get(key, 0)) for key, reports in by_kind.items()
        ]
        found.sort(key=lambda one: (one.flagger, one.category))
        return found if full else [_shown(one) for one in found]


def to_csv(found: Iterable[Accuracy]) -> str:
    """Returns a CSV file (RFC 4180) with the header `COLUMNS`; what is not shown is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in found:
        values = (getattr(one, name) for name in COLUMNS)
        writer.writerow("" if value is None else value for value in values)
    return text.getvalue()


def _summed(
    key: tuple[str, str | None], reports: list[ReporterSum], year: int, statements: int
) -> Accuracy:
    confirmed = sum(one.confirmed for one in reports)
    refuted = sum(one.refuted for one in reports)
    judged = confirmed + refuted
    return Accuracy(
        flagger=key[0],
        category=key[1] or UNKNOWN,
        year=year,
        statements=statements,
        reporters=len(reports),
        confirming=sum(
            one.confirmed >= one.refuted and one.confirmed + one.refuted > 0 for one in reports
        ),
        confirmed=confirmed,
        refuted=refuted,
        unreviewed=sum(one.unreviewed for one in reports),
        accuracy_percent=confirmed * _PER_CENT // judged if judged else None,
    )


def _shown(one: Accuracy) -> Accuracy:
    if one.reporters >= FEWEST_REPORTERS:
        return one
    # How many of one or two reporters confirm is their counts, in one bit.
    return replace(
        one, confirming=None, confirmed=None, refuted=None, unreviewed=None, accuracy_percent=None
    )
