"""Doubles of what answers the operator.

They have behaviour, and no database. `api_fakes.fake_services` puts them together.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fake_callers import KNOWN, NAME, NOW
from node.services.accuracy import Accuracy
from node.services.budgets import Allowance, Usage
from node.services.clients import Client
from node.services.erasures import Erasure, Proof
from node.services.quarantines import Entry as QuarantineEntry
from node.services.remedies import Remedy, RemedyDeed
from node.services.sources import SourceState
from node.storage.gates import Allowed
from node.storage.journal import AuditEntry
from node.storage.trust import FrozenHolder
from protocol.errors import (
    ConflictError,
    NotFoundError,
)


class FakeAudit:
    def export(self, after: int, limit: int) -> list[AuditEntry]:
        lines = [AuditEntry(n, NOW, "operator", "peer.add", "a.example", None) for n in range(1, 4)]
        return [one for one in lines if one.number > after][:limit]


class FakeRemedies:
    def __init__(self) -> None:
        self.waiting = {7}

    def open(self) -> list[Any]:
        return [
            Remedy(
                n,
                KNOWN,
                "media-flag",
                "hotline.example/anna",
                (0,),
                "wrong",
                "2026-11-22T10:00:00Z",
                "open",
            )
            for n in self.waiting
        ]

    def list(self, *, open_only: bool) -> list[Any]:
        return self.open()

    def get(self, number: int) -> Any:
        if number != 7:
            raise NotFoundError("There is no task of this number.")
        deed = RemedyDeed(
            client="app",
            decision="block",
            rule="block-media",
            reference="u-1029",
            item=0,
            count=2,
            first="2026-11-21T10:00:00Z",
            last="2026-11-22T09:00:00Z",
        )
        return replace(self.open()[0], deeds=(deed,))

    def done(self, number: int, client: Client, note: str | None = None) -> None:
        if number != 7:
            raise NotFoundError("There is no such remedy.")
        self.waiting.discard(number)


class FakeAccuracies:
    def of_year(self, year: int, *, flagger: str | None, full: bool) -> list[Accuracy]:
        counts = (9, 1, 2, 90) if full else (None,) * 4
        return [
            Accuracy(
                flagger or "hotline.example/anna", "csam.act.prepub", year, 5, 1, None, *counts
            )
        ]


class FakeErasures:
    def get(self, statement_id: str) -> Erasure:
        if statement_id != KNOWN:
            raise NotFoundError("There is no statement with this id in this node's log.")
        proof = Proof("a.example", "2026-11-22T10:00:00Z", KNOWN, "{}")
        return Erasure(KNOWN, (proof,), ("b.example",))


class FakeQuarantines:
    def __init__(self) -> None:
        self.state = "quarantined"

    def list(self, states: Sequence[str] = ("quarantined", "rejected")) -> list[QuarantineEntry]:
        one = QuarantineEntry(
            statement=KNOWN,
            item=0,
            issuer=f"{NAME}/anna",
            category="csam.act.prepub",
            state=self.state,
            reason="share",
            since="2026-11-22T10:00:00Z",
            matches=400,
            usual=3,
            lookups=4_000,
            issuer_told=None,
            decided_by=None,
        )
        return [one] if self.state in states else []

    def _say(self, state: str, statement: str) -> QuarantineEntry:
        if statement != KNOWN:
            raise NotFoundError("There is no statement with this id in this node's log.")
        self.state = state
        return self.list([state])[0]

    def confirm(self, statement: str, item: int, *, actor: str) -> QuarantineEntry:
        if self.state != "quarantined":
            raise ConflictError("The entry is not in quarantine.")
        return self._say("confirmed", statement)

    def reject(self, statement: str, item: int, *, actor: str) -> QuarantineEntry:
        return self._say("rejected", statement)


class FakeAllowList:
    def __init__(self) -> None:
        self.entries = {7: Allowed(7, "pdq", b"secret", 8, "logo", NOW, "op", NOW + 9)}

    def list(self) -> list[Allowed]:
        return list(self.entries.values())

    def add(self, kind: str, value: str, *, actor: str, **said: Any) -> Allowed:
        return self.entries[7]

    def remove(self, number: int, *, actor: str) -> None:
        if self.entries.pop(number, None) is None:
            raise NotFoundError("The allow list has no entry of this number.")


class FakeSources:
    def list(self) -> list[SourceState]:
        return [SourceState(NAME, 25, 9, 3, 4, 2, 1)]

    def matches(self) -> dict[tuple[str, str], int]:
        return {(NAME, "acted"): 3, (NAME, "shadow"): 4}


class FakeBudgets:
    def usage(self, day: str | None = None) -> list[Usage]:
        members = {"platform-a.example": 4_000}
        allowed = Allowance(per_day=5_000, per_minute=600)
        return [Usage("hotline.example/c", "platform-a.example", allowed, 4_000, 80, members)]

    def alarms(self) -> list[Usage]:
        return self.usage()


class FakeCircles:
    def __init__(self) -> None:
        self.frozen = [FrozenHolder("hotline.example/minors-1", "holder-2.example", NOW, "lied")]

    def frozen_holders(self) -> list[FrozenHolder]:
        return self.frozen

    def thaw_holder(self, circle: str, node: str, *, actor: str) -> None:
        assert actor
        if not self.frozen or (self.frozen[0].circle, self.frozen[0].node) != (circle, node):
            raise NotFoundError("No holder of this name is frozen in this circle.")
        self.frozen = []


class FakeAsking:
    def outcomes(self) -> dict[str, int]:
        return {"answered": 5, "late": 1}

    def failing(self) -> dict[str, list[str]]:
        return {"hotline.example/minors-1": ["holder-3.example"]}


class FakeHealth:
    def __init__(self) -> None:
        self.wrong: tuple[str, ...] = ()

    def reasons(self) -> tuple[str, ...]:
        return self.wrong
