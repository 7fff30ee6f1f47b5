"""What the operator says of whole lists: how much is taken, what is out of step, whom to try out.

Like the rules, these tables are read again whenever the file changes. Without them the defaults
here are in force: they are meant to catch what cannot be meant well, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final

import msgspec

from node.policy.table import Table, line_of
from protocol.fields import NodeName
from protocol.limits import MAX_JSON_INT

MAX_SOURCES: Final = 1_000
"""Organisations that the file may speak of."""

ALL: Final = 100
"""Per cent."""

LIMIT_KEYS: Final = ("issuer_per_day", "category_per_day", "organisation_per_day")
QUARANTINE_KEYS: Final = ("growth", "max_share", "min_matches", "tell_issuer")
SOURCE_KEYS: Final = ("organisation", "shadow", "enabled_share")


@dataclass(frozen=True)
class Limits:
    """The ``[limits]`` table: entries that this node takes in, each day in UTC.

    Attributes:
        issuer_per_day: of one issuer.
        category_per_day: of one issuer and category.
        organisation_per_day: of an organisation and all its flaggers together.
    """

    issuer_per_day: int = 1_000_000
    category_per_day: int = 1_000_000
    organisation_per_day: int = 2_000_000


@dataclass(frozen=True)
class Quarantine:
    """The ``[quarantine]`` table: when an entry matches so much that a person has to look at it.

    Attributes:
        growth: so many times the matches of its first hour, in one hour; 0 for never.
        max_share: or more than so many per cent of an hour's look-ups; 100 for never.
        min_matches: but not before it has matched so often in that hour.
        tell_issuer: whether its issuer is told how often it matched without a review.
    """

    growth: int = 10
    max_share: int = 5
    min_matches: int = 200
    tell_issuer: bool = True

    def reason(self, *, matches: int, usual: int, lookups: int) -> str | None:
        """Returns why an entry is out of step: ``growth`` or ``share``; None if it is not.

        Args:
            matches: of this hour.
            usual: matches in an hour that nobody would wonder about; 0 where that is not known
                yet, because its first hour has not passed.
            lookups: of this hour, all together.
        """
        if matches < self.min_matches:
            return None
        if self.growth and usual and matches > self.growth * usual:
            return "growth"
        return "share" if matches * ALL > self.max_share * lookups else None


@dataclass(frozen=True)
class Source:
    """A ``[[source]]`` table: how far an organisation's entries are acted upon.

    Attributes:
        organisation: whose entries, those of its flaggers included.
        enabled_share: per cent of its entries that act; the rest is counted and nothing more.
    """

    organisation: str
    enabled_share: int = ALL


@dataclass(frozen=True)
class Gates:
    """The tables about lists; `sources` by name of the organisation."""

    limits: Limits = field(default_factory=Limits)
    quarantine: Quarantine = field(default_factory=Quarantine)
    sources: Mapping[str, Source] = field(default_factory=lambda: MappingProxyType({}))


def read_gates(top: Table, text: str) -> Gates:
    """Returns what the file says of lists.

    Raises:
        SettingsError: it says something that docs/policy.md does not allow.
    """
    return Gates(_limits(top, text), _quarantine(top, text), _sources(top, text))


def _table(top: Table, text: str, name: str, keys: tuple[str, ...]) -> Table:
    values = top.values.get(name, {})
    if not isinstance(values, dict):
        raise top.error(name, f"{name!r} has to be a table, written [{name}]")
    table = Table(values, f"[{name}]", partial(line_of, text, name, 0))
    table.refuse_unknown(keys)
    return table


def _limits(top: Table, text: str) -> Limits:
    table, usual = _table(top, text, "limits", LIMIT_KEYS), Limits()
    return Limits(
        **{key: table.number(key, getattr(usual, key), 0, MAX_JSON_INT) for key in LIMIT_KEYS}
    )


def _quarantine(top: Table, text: str) -> Quarantine:
    table, usual = _table(top, text, "quarantine", QUARANTINE_KEYS), Quarantine()
    growth = table.number("growth", usual.growth, 0, MAX_JSON_INT)
    if growth == 1:
        raise table.error("growth", "'growth' is 2 or more, or 0 for never")
    return Quarantine(
        growth=growth,
        max_share=table.number("max_share", usual.max_share, 0, ALL),
        min_matches=table.number("min_matches", usual.min_matches, 1, MAX_JSON_INT),
        tell_issuer=table.flag("tell_issuer", default=usual.tell_issuer),
    )


def _sources(top: Table, text: str) -> Mapping[str, Source]:
    tables = top.values.get("source", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise top.error("source", "'source' has to be a list of tables, each written [[source]]")
    if len(tables) > MAX_SOURCES:
        raise top.error("source", f"the policy has more than {MAX_SOURCES} sources")
    sources: dict[str, Source] = {}
    for place, values in enumerate(tables):
        label = f"source {values.get('organisation', place + 1)!r}"
        table = Table(values, label, partial(line_of, text, "source", place))
        source = _source(table)
        if source.organisation in sources:
            raise table.error("organisation", "another source has the same organisation")
        sources[source.organisation] = source
    return MappingProxyType(sources)


def _source(table: Table) -> Source:
    table.refuse_unknown(SOURCE_KEYS)
    organisation = table.text("organisation")
    try:
        msgspec.convert(organisation, NodeName)
    except msgspec.ValidationError:
        raise table.error("organisation", "'organisation' has to be the name of a node") from None
    if "shadow" in table.values and "enabled_share" in table.values:
        raise table.error("shadow", "'shadow' and 'enabled_share' are both said; which one counts?")
    shadow = table.flag("shadow", default=False)
    return Source(organisation, 0 if shadow else table.number("enabled_share", ALL, 0, ALL))
