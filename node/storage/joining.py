"""Invites, requests to join, newcomers, and what members say about members."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from node.storage.join_rows import InviteRow, JoinRequestRow, MembershipRow, NewcomerRow
from node.storage.seen import Seen
from node.storage.sql import table, upsert

_INVITE = table(InviteRow)
_REQUEST = table(JoinRequestRow)
_NEWCOMER = table(NewcomerRow)
_MEMBERSHIP = table(MembershipRow)


@dataclass(frozen=True)
class InviteRecord:
    """An invite. Times are Unix seconds."""

    code_digest: bytes
    circle: str | None
    created: int
    expires: int
    used_by: str | None = None


@dataclass(frozen=True, repr=False)
class JoinRequestRecord:
    """A newcomer that has applied; `descriptors` is the message's list, as JSON."""

    name: str
    descriptors: bytes
    circle: str | None
    received: int


@dataclass(frozen=True)
class MembershipRecord:
    """What one member said last about another."""

    node: str
    issuer: str
    event: str
    fingerprint: str
    how: str | None
    at: int
    issued: int


class JoiningRepository:
    """Who may apply, who has, and who is new."""

    def __init__(self, connection: Connection, seen: Seen) -> None:
        self._connection = connection
        self._seen = seen

    def add_invite(self, record: InviteRecord) -> None:
        """Stores an invite."""
        self._connection.execute(insert(_INVITE).values(**vars(record)))

    def invite(self, code_digest: bytes) -> InviteRecord | None:
        """Returns the invite with this code."""
        row = (
            self._connection.execute(select(_INVITE).where(_INVITE.c.code_digest == code_digest))
            .mappings()
            .first()
        )
        return None if row is None else InviteRecord(**row)

    def open_invites(self, now: int) -> int:
        """Returns how many invites are good; those that are over are forgotten."""
        self._connection.execute(delete(_INVITE).where(_INVITE.c.expires < now))
        found = self._connection.execute(select(_INVITE).where(_INVITE.c.used_by.is_(None)))
        return len(found.all())

    def use_invite(self, code_digest: bytes, name: str) -> None:
        """Uses up an invite."""
        self._connection.execute(
            update(_INVITE).where(_INVITE.c.code_digest == code_digest).values(used_by=name)
        )

    def put_request(self, record: JoinRequestRecord) -> None:
        """Stores a request to join, in the place of an earlier one of that name."""
        upsert(self._connection, _REQUEST, dict(vars(record)))

    def requests(self) -> list[JoinRequestRecord]:
        """Returns every request that waits, oldest first."""
        found = self._connection.execute(select(_REQUEST).order_by(_REQUEST.c.received))
        return [JoinRequestRecord(**row) for row in found.mappings()]

    def drop_request(self, name: str) -> None:
        """Forgets a request."""
        self._connection.execute(delete(_REQUEST).where(_REQUEST.c.name == name))

    def set_newcomer(self, name: str, until: int) -> None:
        """Has a pinned node be a newcomer until an instant at least."""
        upsert(self._connection, _NEWCOMER, {"name": name, "until": until})
        self._seen.forget("newcomers")

    def newcomers(self) -> Mapping[str, int]:
        """Returns until when each newcomer is one at least."""
        return self._seen.get("newcomers", None, self._newcomers)

    def _newcomers(self) -> Mapping[str, int]:
        found = self._connection.execute(select(_NEWCOMER))
        return {row.name: row.until for row in found}

    def end_newcomer(self, name: str) -> None:
        """Has a node be no newcomer any more."""
        self._connection.execute(delete(_NEWCOMER).where(_NEWCOMER.c.name == name))
        self._seen.forget("newcomers")

    def put_membership(self, record: MembershipRecord) -> None:
        """Stores what a member said, unless it said something later."""
        at = _MEMBERSHIP.c
        here: Any = self._connection.execute(
            select(at.issued).where(at.node == record.node, at.issuer == record.issuer)
        ).scalar_one_or_none()
        if here is None or here <= record.issued:
            upsert(self._connection, _MEMBERSHIP, dict(vars(record)))

    def memberships(self, node: str | None = None) -> list[MembershipRecord]:
        """Returns what members said last, about one node or about all."""
        query = select(_MEMBERSHIP).order_by(_MEMBERSHIP.c.node, _MEMBERSHIP.c.issuer)
        if node is not None:
            query = query.where(_MEMBERSHIP.c.node == node)
        return [MembershipRecord(**row) for row in self._connection.execute(query).mappings()]
