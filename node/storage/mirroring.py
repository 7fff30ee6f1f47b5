"""Mirroring: whose logs this node serves, by way of whom it reads others', and what these lacked.

Of a statement that a mirror had no body of, the row of the skipped ones says which mirrors were
asked. It is asked of each of the others once, and of the origin as soon as that answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, update

from node.storage.mirror_rows import MirroredRow, MirrorSourceRow
from node.storage.rows import SkippedRow
from node.storage.sql import insert_new, table, upsert
from protocol.fields import StatementId

_MIRRORED = table(MirroredRow)
_SOURCE = table(MirrorSourceRow)
_SKIPPED = table(SkippedRow)
_AGAIN: Final = "again"
_CHUNK: Final = 500

BY: Final = "by:"
"""What the state of a skipped statement begins with that mirrors had no body of.

Behind it stand their names, with a comma before and behind each.
"""


@dataclass(frozen=True)
class MirroredRecord:
    """A peer whose log is served; `note` is None until all entries of one are here."""

    node: str
    since: int
    log: str
    size: int
    note: bytes | None
    at: int | None


@dataclass(frozen=True)
class SourceRecord:
    """A mirror of a peer's log, as it was met. Times are Unix seconds.

    Attributes:
        node: whose log it is.
        mirror: who serves it.
        since: when the operator said so.
        size: of the greatest checkpoint that it has shown.
        grown: when that was seen first.
        heard: when it last answered as it should.
        problem: what came of asking it last, where that was no success.
        lie: kind of the lie for which it is not asked any more.
        lied: when that was.
        lacked: bodies that it had not, and another mirror had.
    """

    node: str
    mirror: str
    since: int
    size: int = 0
    grown: int | None = None
    heard: int | None = None
    problem: str | None = None
    lie: str | None = None
    lied: int | None = None
    lacked: int = 0


class MirroringRepository:
    """Mirrored peers by name, and mirrors of peers by both names."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def mirrored(self, node: str) -> MirroredRecord | None:
        """Returns what is known of a peer whose log is served; None where it is not."""
        found = self._connection.execute(select(_MIRRORED).where(_MIRRORED.c.node == node))
        row = found.mappings().first()
        return None if row is None else MirroredRecord(**row)

    def all_mirrored(self) -> list[MirroredRecord]:
        """Returns every peer whose log is served, by name."""
        found = self._connection.execute(select(_MIRRORED).order_by(_MIRRORED.c.node))
        return [MirroredRecord(**row) for row in found.mappings()]

    def put_mirrored(self, record: MirroredRecord) -> None:
        """Stores what is known of a peer whose log is served."""
        upsert(self._connection, _MIRRORED, vars(record))

    def forget_mirrored(self, node: str) -> bool:
        """Serves a peer's log no more; returns whether it was served."""
        done = self._connection.execute(delete(_MIRRORED).where(_MIRRORED.c.node == node))
        return done.rowcount == 1

    def sources(self, node: str | None = None) -> list[SourceRecord]:
        """Returns the mirrors of one peer, or of every peer, by name."""
        query = select(_SOURCE).order_by(_SOURCE.c.node, _SOURCE.c.mirror)
        if node is not None:
            query = query.where(_SOURCE.c.node == node)
        return [SourceRecord(**row) for row in self._connection.execute(query).mappings()]

    def source(self, node: str, mirror: str) -> SourceRecord | None:
        """Returns one mirror of one peer."""
        return next((one for one in self.sources(node) if one.mirror == mirror), None)

    def put_source(self, record: SourceRecord) -> None:
        """Stores what is known of a mirror."""
        upsert(self._connection, _SOURCE, vars(record))

    def forget_source(self, node: str, mirror: str) -> bool:
        """Forgets a mirror; returns whether it was one."""
        done = self._connection.execute(delete(_SOURCE).where(_is(node, mirror)))
        return done.rowcount == 1

    def pass_over(self, node: str, ids: Sequence[str], mirror: str) -> None:
        """Remembers that a mirror had no body of these statements of a peer's log."""
        raw = [bytes.fromhex(one) for one in ids]
        for at in range(0, len(raw), _CHUNK):
            chunk = raw[at : at + _CHUNK]
            for one in chunk:
                row = {"id": one, "origin": node, "state": _AGAIN}
                insert_new(self._connection, _SKIPPED, row)
            here = (_SKIPPED.c.origin == node) & _SKIPPED.c.id.in_(chunk)
            was_asked = _SKIPPED.c.state.startswith(BY)
            first = update(_SKIPPED).where(here & ~was_asked)
            self._connection.execute(first.values(state=f"{BY},{mirror},"))
            more = update(_SKIPPED).where(here & was_asked & ~_names(mirror))
            self._connection.execute(more.values(state=_SKIPPED.c.state + f"{mirror},"))

    def asked(self, node: str, ids: Sequence[str]) -> dict[StatementId, list[str]]:
        """Returns of which of `ids` mirrors had no body, and which mirrors."""
        raw = [bytes.fromhex(one) for one in ids]
        found: dict[StatementId, list[str]] = {}
        for at in range(0, len(raw), _CHUNK):
            rows = self._connection.execute(
                select(_SKIPPED.c.id, _SKIPPED.c.state).where(
                    _SKIPPED.c.origin == node,
                    _SKIPPED.c.id.in_(raw[at : at + _CHUNK]),
                    _SKIPPED.c.state.startswith(BY),
                )
            )
            for row in rows:
                names = row.state.removeprefix(BY).strip(",").split(",")
                found[StatementId(row.id.hex())] = names
        return found

    def wanted(self, node: str, mirror: str, *, limit: int) -> list[StatementId]:
        """Returns statements of a peer's log to ask a mirror for that was not asked for them."""
        was_asked = _SKIPPED.c.state.startswith(BY) & _names(mirror)
        found = self._connection.execute(
            select(_SKIPPED.c.id)
            .where(_SKIPPED.c.origin == node, is_open(), ~was_asked)
            .order_by(_SKIPPED.c.id)
            .limit(limit)
        )
        return [StatementId(row.id.hex()) for row in found]

    def settle(self, node: str, ids: Sequence[str]) -> None:
        """Forgets what was said of statements whose bodies are here by now."""
        raw = [bytes.fromhex(one) for one in ids]
        for at in range(0, len(raw), _CHUNK):
            self._connection.execute(
                delete(_SKIPPED).where(
                    _SKIPPED.c.origin == node, _SKIPPED.c.id.in_(raw[at : at + _CHUNK]), is_open()
                )
            )

    def count_lacking(self, node: str) -> int:
        """Returns of how many statements of a peer's log no mirror that was asked had a body."""
        return self._connection.execute(
            select(func.count())
            .select_from(_SKIPPED)
            .where(_SKIPPED.c.origin == node, _SKIPPED.c.state.startswith(BY))
        ).scalar_one()


def _is(node: str, mirror: str) -> ColumnElement[bool]:
    return (_SOURCE.c.node == node) & (_SOURCE.c.mirror == mirror)


def _names(mirror: str) -> ColumnElement[bool]:
    return _SKIPPED.c.state.contains(f",{mirror},", autoescape=True)


def is_open() -> ColumnElement[bool]:
    """Returns the condition that a skipped statement is still to be asked for somewhere."""
    return or_(_SKIPPED.c.state == _AGAIN, _SKIPPED.c.state.startswith(BY))
