"""What keeps a list healthy: limits of intake, the allow list, quarantine, and what was counted."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, tuple_, update

from node.storage.gate_rows import (
    AllowedRow,
    EntryRateRow,
    GateStateRow,
    IntakeRow,
    LookupCountRow,
    QuarantineRow,
    SourceCountRow,
)
from node.storage.rows import FeedbackRowRow, StatementRow
from node.storage.seen import Seen
from node.storage.sql import add_to, insert_new, table, upsert, upsert_all

_INTAKE = table(IntakeRow)
_STATE = table(GateStateRow)
_ALLOWED = table(AllowedRow)
_QUARANTINE = table(QuarantineRow)
_RATE = table(EntryRateRow)
_LOOKUPS = table(LookupCountRow)
_SOURCE = table(SourceCountRow)
_STATEMENT = table(StatementRow)
_FEEDBACK = table(FeedbackRowRow)
_CHUNK = 400
_ONE = 1
_SALT_BYTES = 32
_HOUR_S = 3_600

Scope = tuple[str, str]
"""``issuer``, ``category`` or ``organisation``, and its name."""

Place = tuple[int, int]
"""(log_index, item) of an entry."""


@dataclass(frozen=True, repr=False)
class Allowed:
    """One entry of the allow list; `kind` is ``pdq``, with a radius in bits, or ``sha256``."""

    number: int
    kind: str
    value: bytes
    radius: int
    reason: str
    added: int
    added_by: str
    ends: int


@dataclass(frozen=True)
class Quarantined:
    """An entry that matched too much, and what the operator made of it.

    Attributes:
        log_index, item: the entry.
        state: ``quarantined``, ``confirmed`` or ``rejected``.
        reason: ``growth`` or ``share``; ``operator`` where it is a person's word.
        since: when (Unix time).
        matches: most in an hour since then.
        usual: in an hour, as it was in its first.
        lookups: of that hour, all together.
        level: matches in an hour that the operator has confirmed; 0 for none.
        told: when its issuer was told; None if it is to be.
        decided, decided_by: when and by whom.
    """

    log_index: int
    item: int
    state: str
    reason: str
    since: int
    matches: int = 0
    usual: int = 0
    lookups: int = 0
    level: int = 0
    told: int | None = None
    decided: int | None = None
    decided_by: str | None = None


@dataclass(frozen=True)
class Rate:
    """How often an entry matched: in the hour after `first`, and in that which began at `hour`."""

    log_index: int
    item: int
    first: int
    first_hour: int
    hour: int
    count: int

    def plus(self, times: int, *, now: int) -> "Rate":
        """Returns the rate after so many more matches at an instant."""
        hour = now - now % _HOUR_S
        return Rate(
            self.log_index,
            self.item,
            self.first,
            self.first_hour + (times if now < self.first + _HOUR_S else 0),
            hour,
            times + (self.count if hour == self.hour else 0),
        )

    def usual(self, now: int) -> int:
        """Returns the matches of its first hour; 0 while that has not passed."""
        return self.first_hour if now >= self.first + _HOUR_S else 0


class GateRepository:
    """What the operator said of entries and lists, and the counters behind it."""

    def __init__(self, connection: Connection, seen: Seen) -> None:
        self._connection = connection
        self._seen = seen

    def taken_in(self, day: str, scopes: list[Scope]) -> Mapping[Scope, int]:
        """Returns how many entries of each scope were taken in on a day, where there were any."""
        return self._seen.get("intake", (day, *scopes), lambda: self._taken_in(day, scopes))

    def _taken_in(self, day: str, scopes: list[Scope]) -> Mapping[Scope, int]:
        found = self._connection.execute(
            select(_INTAKE).where(
                _INTAKE.c.day == day, tuple_(_INTAKE.c.scope, _INTAKE.c.name).in_(scopes)
            )
        )
        return {(row.scope, row.name): row.entries for row in found}

    def take_in(self, day: str, scopes: list[Scope], entries: int, *, at: int) -> None:
        """Counts entries that are taken in, for each scope."""
        rows = [
            {"day": day, "scope": scope, "name": name, "entries": entries, "last": at}
            for scope, name in scopes
        ]
        before = self.taken_in(day, scopes)
        add_to(self._connection, _INTAKE, rows, counter="entries", last="last")
        self._seen.forget("intake")
        counted = {one: before.get(one, 0) + entries for one in scopes}
        self._seen.put("intake", (day, *scopes), counted)

    def forget_counters(self, *, before: int, rates_before: int) -> None:
        """Deletes counters that were last added to before an instant."""
        self._connection.execute(delete(_INTAKE).where(_INTAKE.c.last < before))
        self._seen.forget("intake")
        self._connection.execute(delete(_LOOKUPS).where(_LOOKUPS.c.last < before))
        self._connection.execute(delete(_RATE).where(_RATE.c.hour < rates_before))

    def version(self) -> int:
        """Returns a number that changes whenever the allow list or the quarantine does."""
        return self._connection.execute(select(_STATE.c.version)).scalar() or 0

    def changed(self) -> None:
        """Makes it another number."""
        self._begin()
        self._connection.execute(update(_STATE).values(version=_STATE.c.version + 1))

    def salt(self, *, make: bool = False) -> bytes | None:
        """Returns what shares of lists are drawn by; None if there is none and none is made."""
        if make:
            self._begin()
        return self._connection.execute(select(_STATE.c.salt)).scalar()

    def _begin(self) -> None:
        values = {"number": _ONE, "version": 0, "salt": secrets.token_bytes(_SALT_BYTES)}
        insert_new(self._connection, _STATE, values)

    def allow(self, entry: Allowed) -> int:
        """Adds to the allow list; `number` is not asked. Returns its number."""
        values = {name: value for name, value in vars(entry).items() if name != "number"}
        done = self._connection.execute(insert(_ALLOWED).values(**values))
        assert done.inserted_primary_key is not None
        return int(done.inserted_primary_key[0])

    def allowed(self) -> list[Allowed]:
        """Returns the allow list, what has ended too."""
        found = self._connection.execute(select(_ALLOWED).order_by(_ALLOWED.c.number))
        return [Allowed(**row) for row in found.mappings()]

    def disallow(self, number: int) -> bool:
        """Takes from the allow list; returns whether there was such an entry."""
        done = self._connection.execute(delete(_ALLOWED).where(_ALLOWED.c.number == number))
        return done.rowcount == 1

    def forget_allowed(self, *, before: int) -> None:
        """Deletes what ended before an instant."""
        self._connection.execute(delete(_ALLOWED).where(_ALLOWED.c.ends < before))

    def quarantined(self, states: Sequence[str]) -> list[Quarantined]:
        """Returns the entries in one of these states, by place."""
        found = self._connection.execute(
            select(_QUARANTINE)
            .where(_QUARANTINE.c.state.in_(list(states)))
            .order_by(_QUARANTINE.c.log_index, _QUARANTINE.c.item)
        )
        return [Quarantined(**row) for row in found.mappings()]

    def quarantines_of(self, places: Iterable[Place]) -> dict[Place, Quarantined]:
        """Returns what is known of these entries."""
        return {
            (row["log_index"], row["item"]): Quarantined(**row)
            for row in self._at(_QUARANTINE, places)
        }

    def put_quarantine(self, one: Quarantined) -> None:
        """Stores what is known of one entry."""
        upsert(self._connection, _QUARANTINE, vars(one))

    def untold(self, *, limit: int) -> list[Quarantined]:
        """Returns the entries in quarantine of which the issuer has not been told."""
        found = self._connection.execute(
            select(_QUARANTINE)
            .where(_QUARANTINE.c.told.is_(None), _QUARANTINE.c.state == "quarantined")
            .limit(limit)
        )
        return [Quarantined(**row) for row in found.mappings()]

    def set_told(self, place: Place, *, at: int) -> None:
        """Remembers that an entry's issuer was told."""
        here = (_QUARANTINE.c.log_index == place[0]) & (_QUARANTINE.c.item == place[1])
        self._connection.execute(update(_QUARANTINE).where(here).values(told=at))

    def add_matches(self, times: Mapping[Place, int], *, now: int) -> list[Rate]:
        """Counts matches, and returns the rates of these entries as they are now."""
        before = {(row["log_index"], row["item"]): Rate(**row) for row in self._at(_RATE, times)}
        rates = [
            before.get(place, Rate(*place, first=now, first_hour=0, hour=0, count=0)).plus(
                count, now=now
            )
            for place, count in sorted(times.items())
        ]
        upsert_all(self._connection, _RATE, [vars(rate) for rate in rates])
        return rates

    def rate(self, place: Place) -> Rate | None:
        """Returns how often an entry matched."""
        return next((Rate(**row) for row in self._at(_RATE, [place])), None)

    def add_lookups(self, count: int, *, now: int) -> int:
        """Counts look-ups; returns how many there were in this hour."""
        hour = now - now % _HOUR_S
        row = {"hour": hour, "count": count, "last": now}
        add_to(self._connection, _LOOKUPS, [row], counter="count", last="last")
        found = self._connection.execute(select(_LOOKUPS.c.count).where(_LOOKUPS.c.hour == hour))
        return int(found.scalar_one())

    def add_sources(self, times: Mapping[tuple[str, str], int], *, now: int) -> None:
        """Counts matches by (organisation, outcome)."""
        rows = [
            {"organisation": name, "outcome": outcome, "count": count, "last": now}
            for (name, outcome), count in sorted(times.items())
        ]
        if rows:
            add_to(self._connection, _SOURCE, rows, counter="count", last="last")

    def source_counts(self) -> dict[tuple[str, str], int]:
        """Returns matches by (organisation, outcome)."""
        found = self._connection.execute(select(_SOURCE)).mappings()
        return {(row["organisation"], row["outcome"]): row["count"] for row in found}

    def entries_by_issuer(self) -> dict[str, int]:
        """Returns how many items of media-flags and account-bans each issuer has in force."""
        found = self._connection.execute(
            select(_STATEMENT.c.issuer, func.sum(_STATEMENT.c["items"]))
            .where(_STATEMENT.c["items"] > 0, _STATEMENT.c.state == "active")
            .group_by(_STATEMENT.c.issuer)
        )
        return {issuer: int(count) for issuer, count in found}

    def feedback_by_issuer(self) -> dict[str, tuple[int, int]]:
        """Returns what was reported, by everybody, of each issuer: confirmed and refuted."""
        found = self._connection.execute(
            select(
                _STATEMENT.c.issuer, func.sum(_FEEDBACK.c.confirmed), func.sum(_FEEDBACK.c.refuted)
            )
            .join_from(_FEEDBACK, _STATEMENT, _FEEDBACK.c.target_index == _STATEMENT.c.log_index)
            .group_by(_STATEMENT.c.issuer)
        )
        return {issuer: (int(confirmed), int(refuted)) for issuer, confirmed, refuted in found}

    def reported(self, place: Place, *, reporter: str, day: str) -> tuple[int, int, int]:
        """Returns what an organisation reported of an entry: confirmed, refuted, unreviewed."""
        row = self._connection.execute(
            select(_FEEDBACK.c.confirmed, _FEEDBACK.c.refuted, _FEEDBACK.c.unreviewed).where(
                _FEEDBACK.c.target_index == place[0],
                _FEEDBACK.c.item == place[1],
                _FEEDBACK.c.reporter == reporter,
                _FEEDBACK.c.day == day,
            )
        ).first()
        return (0, 0, 0) if row is None else (row.confirmed, row.refuted, row.unreviewed)

    def _at(self, what: Any, places: Iterable[Place]) -> Iterable[Any]:
        wanted = sorted(set(places))
        for at in range(0, len(wanted), _CHUNK):
            yield from self._connection.execute(
                select(what).where(
                    tuple_(what.c.log_index, what.c.item).in_(wanted[at : at + _CHUNK])
                )
            ).mappings()
