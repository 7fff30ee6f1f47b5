"""What the operator sends and gets about quarantine, the allow list and lists on trial."""

from typing import Final, Literal

from pydantic import Field

from node.api.bodies import Answer, Body
from node.api.operator_shapes import When
from node.services.allowing import MAX_ALLOWED_DAYS
from protocol import limits

_ID: Final = "5f" * 32


class QuarantineEntry(Answer):
    """An entry that matched suspiciously often here, or that the operator turned off."""

    statement: str
    item: int
    issuer: str
    category: str | None
    state: Literal["quarantined", "rejected", "confirmed"]
    reason: str = Field(
        description="`growth` over its first hour, `share` of an hour's look-ups, or `operator`."
    )
    since: str
    matches: int = Field(description="Most in an hour since then.")
    usual: int = Field(description="In an hour, before.")
    lookups: int = Field(description="Of that hour, all together.")
    issuer_told: str | None
    decided_by: str | None


class QuarantineList(Answer):
    """Entries in quarantine, and those that were rejected, in the order of the log."""

    entries: tuple[QuarantineEntry, ...]


class VerdictRequest(Body):
    """What a person makes of an entry."""

    statement: str = Field(pattern=r"^[0-9a-f]{64}$", max_length=64)
    item: int = Field(0, ge=0, lt=limits.MAX_ITEMS)
    verdict: Literal["confirm", "reject"] = Field(
        description="`confirm`: it acts again. `reject`: it answers nothing at this node."
    )


class AllowRequest(Body):
    """What is to pass whatever any list says."""

    kind: Literal["pdq", "sha256"]
    value: str = Field(pattern=r"^[0-9a-f]{64}$", max_length=64)
    radius: int = Field(
        0, ge=0, le=limits.PDQ_MATCH_DISTANCE, description="Bits around a pdq; 0 for a digest."
    )
    reason: str = Field(min_length=1, max_length=limits.MAX_TEXT_CHARS)
    days: int = Field(ge=1, le=MAX_ALLOWED_DAYS, description="For how long.")


class AllowedEntry(Answer):
    """One entry of the allow list, without its value."""

    number: int
    kind: str
    radius: int
    reason: str
    added: When
    added_by: str
    ends: When


class AllowedEntries(Answer):
    """The allow list."""

    entries: tuple[AllowedEntry, ...]


class SourceLine(Answer):
    """How one organisation's list does here."""

    organisation: str
    enabled_share: int = Field(description="Per cent of its entries that act; 0 in shadow.")
    entries: int
    matches: int = Field(description="Of entries that act.")
    shadow_matches: int = Field(description="Of entries that do not act here.")
    confirmed: int
    refuted: int


class SourceLines(Answer):
    """All lists, by organisation."""

    sources: tuple[SourceLine, ...]


QUARANTINED: Final = {
    "statement": _ID,
    "item": 0,
    "issuer": "hotline.example/anna",
    "category": "csam.act.prepub",
    "state": "rejected",
    "reason": "share",
    "since": "2026-11-22T10:00:00Z",
    "matches": 412,
    "usual": 3,
    "lookups": 5_120,
    "issuer_told": "2026-11-22T10:00:01Z",
    "decided_by": "console",
}
VERDICT: Final = {"statement": _ID, "item": 0, "verdict": "reject"}
ALLOW: Final = {
    "kind": "pdq",
    "value": "e1c3" * 16,
    "radius": 8,
    "reason": "our own logo",
    "days": 365,
}
ALLOWED: Final = {
    "number": 1,
    "kind": "pdq",
    "radius": 8,
    "reason": "our own logo",
    "added": "2026-11-22T10:00:00Z",
    "added_by": "console",
    "ends": "2027-11-22T10:00:00Z",
}
SOURCE: Final = {
    "organisation": "hotline.example",
    "enabled_share": 25,
    "entries": 40_000,
    "matches": 12,
    "shadow_matches": 31,
    "confirmed": 9,
    "refuted": 1,
}
