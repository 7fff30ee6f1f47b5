"""Accreditations and circles: places in the log of the statements that hold them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from node.storage.circle_rows import (
    CircleRow,
    CircleSignatureRow,
    CircleVersionRow,
    FrozenHolderRow,
)
from node.storage.rows import AccreditationRow, StatementRow
from node.storage.sql import insert_new, join_list, split_list, table, upsert

_ACCREDITATION = table(AccreditationRow)
_CIRCLE = table(CircleRow)
_VERSION = table(CircleVersionRow)
_SIGNATURE = table(CircleSignatureRow)
_FROZEN = table(FrozenHolderRow)
_STATEMENT = table(StatementRow)

# Built once: every sign-up check passes here, and to build one takes longer than to execute it.
_CIRCLES = select(_CIRCLE).order_by(_CIRCLE.c.name)
_ALL_FROZEN = select(_FROZEN).order_by(_FROZEN.c.circle, _FROZEN.c.node)


@dataclass(frozen=True)
class CircleRecord:
    """The latest descriptor of a circle, by its place in the log, and whether we take part.

    `confirmed` names the epochs that the operator has agreed to, as `node.services.circles` does;
    `follows` says that it agreed to whatever the circle's admins decide together, and
    `contradicted` that two versions have one number.
    """

    name: str
    version: int
    log_index: int
    joined: bool
    confirmed: tuple[str, ...] = ()
    follows: bool = False
    contradicted: bool = False


@dataclass(frozen=True)
class FrozenHolder:
    """A holder of a circle's key that is not asked, since when (Unix seconds), and why."""

    circle: str
    node: str
    since: int
    message: str


class TrustRepository:
    """Who vouches for whom, and who shares a key."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def accredit(self, flagger: str, keyid: str, *, log_index: int, issued: int) -> None:
        """Stores an accreditation, unless a later one of the same flagger's key is known."""
        latest = self._connection.execute(
            select(_ACCREDITATION.c.issued).where(
                _ACCREDITATION.c.flagger == flagger, _ACCREDITATION.c.keyid == keyid
            )
        ).scalar_one_or_none()
        if latest is None or latest <= issued:
            values = {"flagger": flagger, "keyid": keyid, "log_index": log_index, "issued": issued}
            upsert(self._connection, _ACCREDITATION, values)

    def accreditations(self, flagger: str) -> list[int]:
        """Returns the places in the log of the latest accreditation of each of a flagger's keys."""
        found = self._connection.execute(
            select(_ACCREDITATION.c.log_index).where(_ACCREDITATION.c.flagger == flagger)
        )
        return [row.log_index for row in found]

    def flagger_with_key(self, keyid: str) -> list[tuple[str, int]]:
        """Returns the flaggers with this key, and the places of their accreditations."""
        found = self._connection.execute(
            select(_ACCREDITATION).where(_ACCREDITATION.c.keyid == keyid)
        )
        return [(row.flagger, row.log_index) for row in found]

    def signed_by(self, places: Iterable[int], keyids: Collection[str]) -> set[int]:
        """Returns those of these places in the log whose statement is signed by one of the keys."""
        found = self._connection.execute(
            select(_STATEMENT.c.log_index).where(
                _STATEMENT.c.log_index.in_(list(places)), _STATEMENT.c.keyid.in_(list(keyids))
            )
        )
        return {row.log_index for row in found}

    def all_accreditations(self) -> list[tuple[str, int]]:
        """Returns every flagger, and the place of each latest accreditation."""
        found = self._connection.execute(
            select(_ACCREDITATION).order_by(_ACCREDITATION.c.flagger, _ACCREDITATION.c.keyid)
        )
        return [(row.flagger, row.log_index) for row in found]

    def put_circle(self, name: str, *, version: int, log_index: int) -> None:
        """Stores the latest descriptor of a circle; whether we take part stays as it is.

        Version 1 begins a new chain, of which the operator has agreed to nothing but the keys that
        are the same.
        """
        if version == 1:
            self._connection.execute(delete(_VERSION).where(_VERSION.c.name == name))
        values = {"name": name, "version": version, "log_index": log_index}
        self._connection.execute(insert(_VERSION).values(**values))
        fresh = {"joined": False, "confirmed": "", "follows": False, "contradicted": False}
        kept = ("joined", "confirmed") if version == 1 else tuple(fresh)
        upsert(self._connection, _CIRCLE, values | fresh, keep=kept)

    def sign_circle(self, log_index: int, signers: Mapping[str, str]) -> None:
        """Stores who signed the descriptor of a circle at a place in the log: key id by node."""
        self._connection.execute(
            insert(_SIGNATURE),
            [{"log_index": log_index, "node": node, "keyid": one} for node, one in signers.items()],
        )

    def circle_versions(self, name: str) -> dict[int, int]:
        """Returns the places in the log of a circle's descriptors, by version."""
        found = self._connection.execute(
            select(_VERSION.c.version, _VERSION.c.log_index).where(_VERSION.c.name == name)
        )
        return {row.version: row.log_index for row in found}

    def circle_signers(self, log_index: int) -> dict[str, str]:
        """Returns who signed a descriptor of a circle: key id by node."""
        found = self._connection.execute(
            select(_SIGNATURE).where(_SIGNATURE.c.log_index == log_index)
        )
        return {row.node: row.keyid for row in found}

    def contradict_circle(self, name: str, *, contradicted: bool) -> None:
        """Marks that two versions of a circle have one number, or that the operator has judged."""
        self._connection.execute(
            update(_CIRCLE).where(_CIRCLE.c.name == name).values(contradicted=contradicted)
        )

    def join(self, name: str, confirmed: Iterable[str], *, follows: bool) -> bool:
        """Marks that this node takes part, with these epochs; returns whether the circle is known.

        What was confirmed before and is not named now is no longer confirmed. `follows` as in
        `CircleRecord`. A contradiction is judged with it.
        """
        done = self._connection.execute(
            update(_CIRCLE)
            .where(_CIRCLE.c.name == name)
            .values(
                joined=True, confirmed=join_list(confirmed), follows=follows, contradicted=False
            )
        )
        return done.rowcount == 1

    def circle(self, name: str) -> CircleRecord | None:
        """Returns the circle of this name."""
        row = self._connection.execute(select(_CIRCLE).where(_CIRCLE.c.name == name)).first()
        return None if row is None else _circle(row)

    def circles(self) -> list[CircleRecord]:
        """Returns every circle, by name."""
        found = self._connection.execute(_CIRCLES)
        return [_circle(row) for row in found]

    def freeze_holder(self, circle: str, node: str, *, since: int, message: str) -> bool:
        """Has a holder of a circle's key asked no more; returns whether it was asked until now."""
        values = {"circle": circle, "node": node, "since": since, "message": message}
        return insert_new(self._connection, _FROZEN, values)

    def thaw_holder(self, circle: str, node: str) -> bool:
        """Has a holder asked again; returns whether it was frozen."""
        done = self._connection.execute(
            delete(_FROZEN).where(_FROZEN.c.circle == circle, _FROZEN.c.node == node)
        )
        return done.rowcount == 1

    def frozen_holders(self) -> list[FrozenHolder]:
        """Returns every holder that is not asked, by circle and name."""
        found = self._connection.execute(_ALL_FROZEN)
        return [FrozenHolder(row.circle, row.node, row.since, row.message) for row in found]


def _circle(row: Row[Any]) -> CircleRecord:
    return CircleRecord(
        row.name,
        row.version,
        row.log_index,
        row.joined,
        split_list(row.confirmed),
        row.follows,
        row.contradicted,
    )
